// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole conversation through a codec, as `plc_connector::intake` and the IDE port's conversation hold it, with answers
//! that the input chooses.
//!
//! However the bytes are chopped, the conversation is the same.

use plc_connector::{
    api::{
        key::{ApiKey, SecretText},
        log::{LogLevel, LogMessage},
        plc::PlcStatus,
        program::BlobId,
        trace::{TraceBatch, TraceRefusal, TraceSample},
    },
    call::{CallRefused, PlcAnswer, PlcCall},
    cycle::CycleStatistics,
    ide::{answer::Outcome, method::Method},
    intake::Measure,
};
use plc_connector_pyro::codec::{Codec, Received};

/// What happened in a conversation.
#[derive(Debug, PartialEq)]
pub(crate) enum Event {
    /// Bytes of ours that no call is behind.
    Sent(Vec<u8>),
    /// A call, what came of it, and the bytes that say so.
    Called(Method, Result<PlcCall, CallRefused>, Outcome, Vec<u8>),
    /// Our last bytes, and why they are.
    Dismissed(Vec<u8>, &'static str),
    /// What the peer said is nothing to answer.
    Malformed(&'static str),
}

/// The choices that an input makes besides its bytes.
#[derive(Clone, Copy)]
pub(crate) struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    /// How many bytes they are.
    const BYTES: usize = 4;

    /// Splits them off an input, behind its first byte.
    pub(crate) fn split(data: &'a [u8]) -> Option<(u8, Self, &'a [u8])> {
        let (mode, rest) = data.split_first()?;
        let (choices, rest) = rest.split_at_checked(Self::BYTES)?;
        Some((*mode, Self(choices), rest))
    }

    /// The choice at this turn.
    pub(crate) fn of(self, turn: usize) -> u8 {
        self.0[turn % Self::BYTES]
    }

    /// How many bytes arrive at this turn.
    fn piece(self, turn: usize) -> usize {
        usize::from(self.of(turn)) % 61 + 1
    }
}

/// The messages of an input: each a length of two bytes and its bytes; the last may be shorter than it says.
pub(crate) fn messages(mut data: &[u8]) -> Vec<&[u8]> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        let (message, rest) = rest.split_at(length.min(rest.len()));
        messages.push(message);
        data = rest;
    }
    messages
}

/// An input with these messages.
pub(crate) fn input(mode: u8, messages: &[Vec<u8>]) -> Vec<u8> {
    let mut input = vec![mode, 3, 14, 15, 92];
    for message in messages {
        let length = u16::try_from(message.len()).expect("a short message");
        input.extend(length.to_le_bytes());
        input.extend(message);
    }
    input
}

/// Holds the conversation twice, with the stream whole and in pieces, which must be the same; gives what happened.
///
/// No frame may be longer than `longest`.
pub(crate) fn converse<C: Codec>(
    codec: impl Fn() -> C,
    longest: usize,
    choices: Choices<'_>,
    stream: &[u8],
) -> Vec<Event> {
    let whole = Conversation::new(codec(), longest, choices).hold(&[stream]);
    let (mut pieces, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(choices.piece(pieces.len()).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    let chopped = Conversation::new(codec(), longest, choices).hold(&pieces);
    assert_eq!(whole, chopped, "in pieces it is another conversation");
    whole
}

struct Conversation<'a, C> {
    codec: C,
    longest: usize,
    choices: Choices<'a>,
    /// What has arrived and was not taken.
    buffer: Vec<u8>,
    events: Vec<Event>,
}

impl<'a, C: Codec> Conversation<'a, C> {
    fn new(codec: C, longest: usize, choices: Choices<'a>) -> Self {
        Self { codec, longest, choices, buffer: Vec::new(), events: Vec::new() }
    }

    fn hold(mut self, pieces: &[&[u8]]) -> Vec<Event> {
        for piece in pieces {
            self.buffer.extend(*piece);
            if !self.take_frames() {
                break;
            }
        }
        self.events
    }

    /// Deals with the frames that are all there; `false` at the end of the conversation.
    fn take_frames(&mut self) -> bool {
        loop {
            let length = match self.codec.measure(&self.buffer) {
                Err(malformed) => {
                    self.events.push(Event::Malformed(malformed.0));
                    return false;
                }
                Ok(Measure::Need(more)) => {
                    assert!(more > self.buffer.len(), "it has what it needs");
                    assert!(more <= self.longest, "it needs {more} bytes to measure");
                    return true;
                }
                Ok(Measure::Frame(length)) => length,
            };
            assert!((1..=self.longest).contains(&length), "a frame of {length} bytes");
            if length > self.buffer.len() {
                return true;
            }
            let rest = self.buffer.split_off(length);
            let frame = std::mem::replace(&mut self.buffer, rest);
            if !self.receive(&frame) {
                return false;
            }
        }
    }

    fn receive(&mut self, frame: &[u8]) -> bool {
        let event = match self.codec.receive(frame) {
            Ok(Received::Reply(bytes)) => Event::Sent(bytes),
            Ok(Received::Farewell(bytes, reason)) => Event::Dismissed(bytes, reason),
            Ok(Received::Call { method, call, ticket }) => {
                let result = match &call {
                    Ok(call) => result(call, self.choices.of(self.events.len())),
                    Err(refused) => Err(refused.clone()),
                };
                let outcome = Outcome::of(method, result);
                let bytes = self.codec.answer(method, outcome.clone(), ticket);
                Event::Called(method, call, outcome, bytes)
            }
            Err(malformed) => Event::Malformed(malformed.0),
        };
        let goes_on = matches!(event, Event::Sent(_) | Event::Called(..));
        self.events.push(event);
        goes_on
    }
}

/// What may come of a call.
pub(crate) fn result(call: &PlcCall, choice: u8) -> Result<PlcAnswer, CallRefused> {
    match choice % 8 {
        0 => Err(CallRefused::Failed(String::from("it was tried: \u{e4} \u{20ac}").repeat(20))),
        1 => Err(CallRefused::Refused("not now".into())),
        2 => Err(CallRefused::Unreachable("gone".into())),
        3 => Err(CallRefused::Trace(TraceRefusal::TooManyForced)),
        4 => Err(CallRefused::UnknownBlob),
        _ => Ok(answer(call, usize::from(choice))),
    }
}

fn answer(call: &PlcCall, size: usize) -> PlcAnswer {
    let id = BlobId([7; 16]);
    let status = PlcStatus::Started;
    match call {
        PlcCall::Identity => {
            let secret = SecretText::new("x".repeat(16 + size));
            PlcAnswer::Identity(ApiKey { id: "plc1".into(), secret })
        }
        PlcCall::Status => PlcAnswer::Status { status, counts: [0, 255, 70_000, u32::MAX] },
        PlcCall::LogMessage { .. } if size == 0xff => PlcAnswer::LogMessage(None),
        PlcCall::LogMessage { .. } => {
            let text = "\u{e9}'\\\n\0".repeat(size * 70);
            let time_us = u64::MAX >> (size % 64);
            let level = LogLevel::Debug;
            PlcAnswer::LogMessage(Some(LogMessage { level, id: 1, tick: u32::MAX, time_us, text }))
        }
        PlcCall::CycleStatistics => {
            let text = "PLC Cycle: 20ms".repeat(size * 20);
            PlcAnswer::Cycle(CycleStatistics { text, time_us: u64::MAX >> (size % 64) })
        }
        PlcCall::ExtendedCall { argument, .. } => PlcAnswer::Extended(argument.repeat(size % 3)),
        PlcCall::MatchMd5(_) => PlcAnswer::Matches(size % 2 == 0),
        PlcCall::SeedBlob(_) | PlcCall::AppendChunk { .. } => PlcAnswer::Blob(id),
        PlcCall::Stop => PlcAnswer::Stopped(size % 2 == 0),
        PlcCall::SetTrace(_) => PlcAnswer::Token(u32::MAX >> (size % 32)),
        PlcCall::ReadTrace { .. } => {
            let sample = TraceSample { tick: u32::MAX, data: vec![0x27; size * 16] };
            let samples = vec![sample; size / 8];
            PlcAnswer::Trace(TraceBatch { status, samples, dropped: 0, more: false })
        }
        PlcCall::ResetLog
        | PlcCall::PurgeBlobs
        | PlcCall::Install(_)
        | PlcCall::InstallFiles(_)
        | PlcCall::Start
        | PlcCall::Repair
        | PlcCall::RemoteExec => PlcAnswer::Done,
    }
}
