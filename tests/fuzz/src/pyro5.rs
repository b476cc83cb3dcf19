// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation in Pyro5, with both serializers: frames stay within their bounds, and every answer is a message that
//! says what came of the call.

use plc_connector::ide::{msgpack, value::Value};
use plc_connector_pyro::pyro5::{
    MAX_MESSAGE_BYTES, Pyro5, calls,
    header::{HEADER_BYTES, Header, Kind, flags},
    serpent,
};

use crate::{
    conversation::{Choices, Event, converse, input, messages},
    vectors,
};

/// Bits of an input's first byte: the stream as it is, without headers of ours.
const RAW: u8 = 1;
/// The peer does not introduce itself before.
const UNCONNECTED: u8 = 2;

const SERPENT: u8 = 1;
const MSGPACK: u8 = 4;

/// The input is kind, serializer, flags and data of each message, or with [`RAW`] a stream.
pub fn run(data: &[u8]) {
    let Some((mode, choices, rest)) = Choices::split(data) else { return };
    let mut stream = match mode & UNCONNECTED {
        0 => message(&[CONNECT, &GREETING].concat()),
        _ => Vec::new(),
    };
    match mode & RAW {
        0 => messages(rest).into_iter().for_each(|parts| stream.extend(message(parts))),
        _ => stream.extend(rest),
    }
    for event in converse(Pyro5::default, HEADER_BYTES + MAX_MESSAGE_BYTES, choices, &stream) {
        assert_answer(event);
    }
}

/// Kind, serializer and flags of the message in which a client introduces itself.
const CONNECT: &[u8] = &[0, MSGPACK, 0];
const INVOKE: &[u8] = &[1, MSGPACK, 0];
const GREETING: [u8; 34] = *b"\x82\xa9handshake\xa5hello\xa6object\xa9PLCObject";

/// A message with these parts; nothing if there are none.
fn message(parts: &[u8]) -> Vec<u8> {
    let Some((&[kind, serializer, with_flags], data)) = parts.split_first_chunk() else {
        return Vec::new();
    };
    let kinds =
        [Kind::Connect, Kind::Invoke, Kind::Ping, Kind::Result, Kind::ConnectOk, Kind::ConnectFail];
    let header = Header {
        kind: kinds[usize::from(kind) % kinds.len()],
        serializer,
        flags: with_flags.into(),
        sequence: 9,
        data_bytes: 0,
        annotation_bytes: 0,
        correlation_id: [5; 16],
    };
    header.message(data)
}

fn assert_answer(event: Event) {
    let (bytes, outcome) = match event {
        Event::Malformed(_) => return,
        Event::Sent(bytes) | Event::Dismissed(bytes, _) => (bytes, None),
        Event::Called(_, _, outcome, bytes) => (bytes, Some(outcome)),
    };
    // A call that wants no answer.
    let Some((head, body)) = bytes.split_first_chunk() else { return assert_eq!(bytes, b"") };
    let header = Header::parse(head).expect("our own header");
    let data = header.data(body).expect("our own length");
    if header.kind == Kind::Ping {
        return assert_eq!(data, b"pong");
    }
    let value = match header.serializer {
        SERPENT => serpent::read(data),
        _ => msgpack::read(data),
    };
    let value = value.expect("our own value");
    let raised = header.flags & flags::EXCEPTION != 0;
    assert_eq!(raised, value.get("__exception__") == Some(&Value::Bool(true)));
    match outcome.map(calls::result) {
        Some(Ok(expected)) => assert!(!raised && value == expected, "{value:?}, not {expected:?}"),
        Some(Err(exception)) => assert_eq!(value, exception.to_value()),
        None => {}
    }
}

/// The recorded dialogue in both serializers, and each method.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let recorded = vectors::sent(vectors::PYRO5);
    let data: Vec<&[u8]> = recorded.iter().map(|frame| &frame[HEADER_BYTES..]).collect();
    let (greeting, invocations) = data.split_first().expect("a greeting");
    let invocations = invocations.iter().map(|data| [INVOKE, data].concat());
    let others = [
        ("PLCObject", "StartPLC", vec![]),
        ("PLCObject", "StopPLC", vec![]),
        ("PLCObject", "RemoteExec", vec![Value::text("x")]),
        ("PLCObject", "MatchMD5", vec![Value::text("0123456789abcdef0123456789abcdef")]),
        ("Pyro.Daemon", "ping", vec![]),
        ("Pyro.Daemon", "get_metadata", vec![Value::text("PLCObject")]),
    ];
    let others = others.map(|(object, method, arguments)| {
        let parts = [Value::text(object), Value::text(method)];
        let rest = [Value::List(arguments), Value::map([])];
        [INVOKE, &msgpack::write(&Value::List([parts, rest].concat()))].concat()
    });
    let calls: Vec<Vec<u8>> = invocations.chain(others).collect();
    let in_serpent = |call: &Vec<u8>| {
        let value = msgpack::read(&call[INVOKE.len()..]).expect("a call");
        [&[call[0], SERPENT, 0], serpent::write(&value).as_slice()].concat()
    };
    let mut seeds = vec![
        [vec![RAW | UNCONNECTED, 3, 14, 15, 92], recorded.concat()].concat(),
        input(UNCONNECTED, &[[CONNECT, greeting].concat(), vec![2, MSGPACK, 0]]),
        input(0, &calls),
        input(0, &calls.iter().map(in_serpent).collect::<Vec<_>>()),
    ];
    seeds.extend(calls.iter().map(|call| input(0, std::slice::from_ref(call))));
    seeds.extend(calls.iter().map(|call| input(0, &[in_serpent(call)])));
    seeds
}
