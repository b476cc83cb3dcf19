// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation in eRPC, in all framings: every call is answered by one frame that carries its number, or was not to
//! be answered.

use plc_connector::intake::Measure;
use plc_connector_pyro::erpc::{
    Erpc,
    frame::{self, Framing, MAX_MESSAGE_BYTES, measure},
};

use crate::{
    conversation::{Choices, Event, converse, input, messages},
    vectors,
};

/// Bits of an input's first byte: the stream as it is, without headers of ours.
const RAW: u8 = 1;
/// The frame header of 4 bytes.
const FOUR: u8 = 2;
/// That of 2 bytes.
const TWO: u8 = 4;

/// Bytes of the longest frame header.
const HEADER_BYTES: usize = 6;

const ONEWAY: u8 = 1;
const REPLY: u8 = 2;

/// The input is each message, or with [`RAW`] a stream.
pub fn run(data: &[u8]) {
    let Some((mode, choices, rest)) = Choices::split(data) else { return };
    let framing = framing(mode);
    let framed = |message: &&[u8]| frame::frame(framing, message).expect("a short message");
    let messages = messages(rest);
    let stream = match mode & RAW {
        0 => messages.iter().flat_map(framed).collect(),
        _ => rest.to_vec(),
    };
    let codec = || Erpc::new(framing);
    let events = converse(codec, HEADER_BYTES + MAX_MESSAGE_BYTES, choices, &stream);
    for (number, event) in events.into_iter().enumerate() {
        // Every message is a call, so they can be told by their order.
        let request = if mode & RAW == 0 { messages.get(number) } else { None };
        assert_answer(framing, request.copied(), event);
    }
}

fn framing(mode: u8) -> Framing {
    match (mode & FOUR, mode & TWO) {
        (0, 0) => Framing::SixBytes,
        (0, _) => Framing::TwoBytes,
        _ => Framing::FourBytes,
    }
}

/// Where there is a check, the answer's own measure agrees. Without one only calls can be measured, so it is the length.
fn assert_whole(framing: Framing, answer: &[u8]) {
    if framing == Framing::TwoBytes {
        let length = u16::from_le_bytes([answer[0], answer[1]]);
        assert_eq!(usize::from(length) + 2, answer.len());
    } else {
        assert_eq!(measure(framing, answer), Ok(Measure::Frame(answer.len())));
    }
}

fn assert_answer(framing: Framing, request: Option<&[u8]>, event: Event) {
    let answer = match event {
        Event::Malformed(_) => return,
        Event::Called(_, _, _, answer) => answer,
        other => panic!("no such thing exists in eRPC: {other:?}"),
    };
    if let Some([kind, method, service, _version, s0, s1, s2, s3, ..]) = request {
        assert_eq!(answer.is_empty(), *kind == ONEWAY);
        if !answer.is_empty() {
            assert_whole(framing, &answer);
            let reply = frame::message(framing, &answer).expect("our own check");
            assert_eq!(reply[..3], [REPLY, *method, *service]);
            assert_eq!(reply[4..8], [*s0, *s1, *s2, *s3]);
        }
    }
}

/// The recorded dialogues, in all framings, and the methods that are not in them.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let six = vectors::sent(vectors::ERPC6);
    let four = vectors::sent(vectors::ERPC4);
    let two = vectors::sent(vectors::ERPC2);
    let mut calls: Vec<Vec<u8>> = six.iter().map(|frame| frame[HEADER_BYTES..].to_vec()).collect();
    // Those that came later: an extended call, the statistics of the cycle, values of 12 bytes.
    calls.extend(two.iter().map(|frame| frame[2..].to_vec()));
    // RepairPLC, ResetLogCount, and a StartPLC that wants no answer.
    calls.extend([9, 10].map(|method| vec![0, method, 1, 1, 7, 0, 0, 0]));
    calls.push(vec![ONEWAY, 13, 1, 1, 7, 0, 0, 0]);
    let raw = |mode, frames: &[Vec<u8>]| [vec![mode, 3, 14, 15, 92], frames.concat()].concat();
    let mut seeds = vec![raw(RAW, &six), raw(RAW | FOUR, &four), raw(RAW | TWO, &two)];
    seeds.extend([0, FOUR, TWO].map(|mode| input(mode, &calls)));
    seeds.extend(calls.iter().map(|call| input(0, std::slice::from_ref(call))));
    seeds
}
