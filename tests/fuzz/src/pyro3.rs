// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation in Pyro3: frames stay within their bounds, every answer is a message that says what came of the call,
//! and what a connection had of the room for programs is free again after it.

use plc_connector::ide::answer::Outcome;
use plc_connector_pyro::{
    pickle,
    pyro3::{
        MAX_PROGRAM_BYTES, Pyro3,
        header::{HEADER_BYTES, Header, WireVersion, message},
        shared::Shared,
    },
};

use crate::{
    conversation::{Choices, Event, converse, input, messages},
    values::as_python_2,
    vectors,
};

/// Bits of an input's first byte: the stream as it is, without headers of ours.
const RAW: u8 = 1;
/// Wire version 4.
const FOUR: u8 = 2;
/// The peer does not say CONNECT before.
const UNCONNECTED: u8 = 4;

static SHARED: Shared = Shared::new();

/// The input is the body of each message, or with [`RAW`] a stream.
pub fn run(data: &[u8]) {
    let Some((mode, choices, rest)) = Choices::split(data) else { return };
    let version = if mode & FOUR == 0 { WireVersion::Five } else { WireVersion::Four };
    let mut stream = match mode & UNCONNECTED {
        0 => message(version, b"CONNECT0123456789abcdef"),
        _ => Vec::new(),
    };
    match mode & RAW {
        0 => messages(rest).iter().for_each(|body| stream.extend(message(version, body))),
        _ => stream.extend(rest),
    }
    let codec = || Pyro3::new(version, [7; 16], &SHARED);
    for event in converse(codec, HEADER_BYTES + MAX_PROGRAM_BYTES, choices, &stream) {
        assert_answer(version, event);
    }
    assert!(SHARED.program_room().is_some(), "somebody has left and keeps the room");
}

fn assert_answer(version: WireVersion, event: Event) {
    let (bytes, outcome) = match event {
        Event::Malformed(_) => return,
        Event::Sent(bytes) if bytes == b"GRANTED" => return,
        Event::Sent(bytes) | Event::Dismissed(bytes, _) => (bytes, None),
        Event::Called(_, _, outcome, bytes) => (bytes, Some(outcome)),
    };
    // A call that wants no answer.
    let Some((head, body)) = bytes.split_first_chunk() else { return assert_eq!(bytes, b"") };
    let header = Header::parse(head, version).expect("our own header");
    assert_eq!((header.body_bytes, header.flags), (body.len(), 0));
    match outcome.map(Outcome::into_value) {
        Some(Ok(value)) => assert_eq!(pickle::read(body), Ok(as_python_2(value))),
        Some(Err(reason)) => assert_refusal(body, &reason),
        None if pickle::read(body).is_ok() => {}
        None => assert_refusal(body, ""),
    }
}

/// The one exception that these IDEs survive.
fn assert_refusal(body: &[u8], reason: &str) {
    let before: &[u8] =
        b"\x80\x02(cPyro.errors\nPyroExceptionCapsule\no}(U\x06excObjcPyro.errors\nProtocolError\n";
    assert!(body.starts_with(before) && body.ends_with(b"U\x04argsNub."), "{body:02x?}");
    let holds = body.windows(reason.len().max(1)).any(|window| window == reason.as_bytes());
    assert!(reason.is_empty() || holds, "{reason} is not in {body:02x?}");
}

/// The recorded dialogue, and each method.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let recorded = vectors::sent(vectors::PYRO3);
    let bodies: Vec<Vec<u8>> =
        recorded.iter().map(|frame| frame[HEADER_BYTES..].to_vec()).collect();
    let object = b"(U\x227f0000010a14329cc5de6829335ccda2a8";
    let call = |method: &str, arguments: &[u8]| {
        let name = [&[b'U', u8::try_from(method.len()).expect("a short name")], method.as_bytes()];
        [b"\x80\x02", &object[..], &name.concat(), b"K\x03(", arguments, b"}tt."].concat()
    };
    let md5 = b"U\x200123456789abcdef0123456789abcdef";
    let file = b"](U\x05a.txtU\x10sixteen bytes...\x86e";
    let calls: Vec<Vec<u8>> = [
        ("StartPLC", &b")"[..]),
        ("StopPLC", b")"),
        ("RepairPLC", b")"),
        ("PurgeBlobs", b")"),
        ("ResetLogCount", b")"),
        ("GetTraceVariables", b")"),
        ("RemoteExec", b"U\x01x\x85"),
        ("SeedBlob", b"U\x03abc\x85"),
        ("MatchMD5", &[&md5[..], b"\x85"].concat()),
        ("NewPLC", &[&md5[..], b"U\x06\x7fELF..", file, b"\x87"].concat()),
        ("NewPLC", &[&md5[..], b"U\x10sixteen bytes...", file, b"\x87"].concat()),
    ]
    .iter()
    .map(|(method, arguments)| call(method, arguments))
    .collect();
    let raw = |mode, frames: &[Vec<u8>]| [vec![mode, 3, 14, 15, 92], frames.concat()].concat();
    let mut seeds = vec![
        raw(RAW | UNCONNECTED, &recorded),
        input(UNCONNECTED, &bodies),
        input(0, &bodies[1..]),
        input(FOUR, &bodies[1..]),
        input(0, &calls),
    ];
    seeds.extend(bodies.iter().chain(&calls).map(|body| input(0, std::slice::from_ref(body))));
    seeds
}
