// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages against recorded bytes, and against chance.

use plc_connector::ide::value::any_value;
use proptest::{
    collection::vec,
    prelude::*,
    strategy::{BoxedStrategy, Strategy},
};

use super::*;

/// What can stand at a message's place of this type.
pub(super) trait AnyElement: Sized {
    fn any() -> BoxedStrategy<Self>;
}

impl AnyElement for u64 {
    fn any() -> BoxedStrategy<Self> {
        (0..=LARGEST_ID).boxed()
    }
}

impl AnyElement for String {
    fn any() -> BoxedStrategy<Self> {
        "[a-zA-Z0-9._]{0,40}".boxed()
    }
}

fn any_map() -> impl Strategy<Value = Vec<(Value, Value)>> {
    vec((any::<String>().prop_map(Value::Text), any_value()), 0..3)
}

impl AnyElement for Dict {
    fn any() -> BoxedStrategy<Self> {
        any_map().prop_map(Self).boxed()
    }
}

impl AnyElement for Payload {
    fn any() -> BoxedStrategy<Self> {
        (vec(any_value(), 0..3), any_map())
            .prop_map(|(arguments, named)| Self { arguments, named })
            .boxed()
    }
}

fn text(text: &str) -> Value {
    Value::text(text)
}

fn list<const N: usize>(values: [Value; N]) -> Value {
    Value::List(values.into())
}

/// Messages without a payload, in MessagePack as recorded from the reference runtime.
fn recorded_plain() -> Vec<(Message, &'static [u8])> {
    let empty = Dict::default;
    let procedure = "plc1.GetPLCstatus".to_owned();
    vec![
        (
            Message::Register { request: 1, options: empty(), procedure },
            b"\x94\x40\x01\x80\xb1plc1.GetPLCstatus",
        ),
        // As the reference runtime registers since 2025.
        (
            Message::Register {
                request: 1,
                options: Dict::of([("invoke", text("last"))]),
                procedure: "plc15.StartPLC".to_owned(),
            },
            b"\x94\x40\x01\x81\xa6invoke\xa4last\xaeplc15.StartPLC",
        ),
        (Message::Registered { request: 1, registration: 101 }, b"\x93\x41\x01\x65"),
        (invocation(106, 101, vec![]), b"\x94\x44\x6a\x65\x80"),
        (
            Message::Goodbye { details: empty(), reason: "wamp.close.normal".into() },
            b"\x93\x06\x80\xb1wamp.close.normal",
        ),
    ]
}

/// The same with a payload.
fn recorded_full() -> Vec<(Message, &'static [u8])> {
    let empty = Dict::default;
    let counts = list([1.into(), 0.into(), 3.into(), 7.into()]);
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.to_vec());
    let forced = list([list([7.into(), bytes(&[1])]), list([8.into(), Value::None])]);
    let error = "wamp.error.runtime_error".to_owned();
    let boom = vec![text("boom")].into();
    let (topic, value) = ("plc1.evt".to_owned(), vec![text("val")].into());
    vec![
        (
            answer(106, list([text("Started"), counts])),
            b"\x94\x46\x6a\x80\x91\x92\xa7Started\x94\x01\x00\x03\x07",
        ),
        (invocation(108, 103, vec![bytes(b"abc")]), b"\x95\x44\x6c\x67\x80\x91\xc4\x03abc"),
        (answer(108, bytes(b"\x90\x01")), b"\x94\x46\x6c\x80\x91\xc4\x02\x90\x01"),
        (
            invocation(109, 104, vec![forced]),
            b"\x95\x44\x6d\x68\x80\x91\x92\x92\x07\xc4\x01\x01\x92\x08\xc0",
        ),
        (answer(107, Value::None), b"\x94\x46\x6b\x80\x91\xc0"),
        (
            Message::Error { kind: 68, request: 110, details: empty(), error, payload: boom },
            b"\x96\x08\x44\x6e\x80\xb8wamp.error.runtime_error\x91\xa4boom",
        ),
        // The second call of an IDE since 2025, and what one since 2026 asks at each poll.
        (
            call(1, "plc15.ExtendedCall", vec![text("GetVersions"), bytes(b"")]),
            b"\x95\x30\x01\x80\xb2plc15.ExtendedCall\x92\xabGetVersions\xc4\x00",
        ),
        (
            call(2, "plc15.GetLogMessage", vec![255.into(), 0.into()]),
            b"\x95\x30\x02\x80\xb3plc15.GetLogMessage\x92\xcc\xff\x00",
        ),
        (
            Message::Publish { request: 6, options: empty(), topic, payload: value },
            b"\x95\x10\x06\x80\xa8plc1.evt\x91\xa3val",
        ),
    ]
}

fn call(request: u64, procedure: &str, arguments: Vec<Value>) -> Message {
    let (options, payload) = (Dict::default(), arguments.into());
    Message::Call { request, options, procedure: procedure.to_owned(), payload }
}

fn invocation(request: u64, registration: u64, arguments: Vec<Value>) -> Message {
    let details = Dict::default();
    Message::Invocation { request, registration, details, payload: arguments.into() }
}

fn answer(request: u64, value: Value) -> Message {
    Message::Yield { request, options: Dict::default(), payload: vec![value].into() }
}

#[test]
fn messages_are_written_as_recorded_and_read_again() {
    for (message, bytes) in recorded_plain().into_iter().chain(recorded_full()) {
        assert_eq!(read(Serializer::MessagePack, bytes).unwrap(), message);
        assert_eq!(write(Serializer::MessagePack, message), bytes);
    }
}

#[test]
fn python_2_may_write_every_text_as_bytes() {
    let call = b"\x94\x30\x01\x80\xc4\x09plc1.Stop";
    let Message::Call { procedure, .. } = read(Serializer::MessagePack, call).unwrap() else {
        panic!("no call");
    };
    assert_eq!(procedure, "plc1.Stop");
}

#[test]
fn what_is_no_message_is_refused_with_the_reason() {
    for (json, reason) in [
        ("7", "no array"),
        ("[]", "too few"),
        ("[7]", "unknown type"),
        ("[-1]", "an id"),
        ("[1,\"realm\"]", "too few"),
        ("[1,\"realm\",[]]", "no map"),
        ("[1,\"realm\",{},7]", "too many"),
        ("[1,7,{}]", "no text"),
        ("[65,1,9007199254740993]", "an id"),
        ("[70,1,{},7]", "no array"),
        ("[70,1,{},[],7]", "no map"),
        ("[70,1,{},[],{},0]", "too many"),
    ] {
        let Malformed(why) = read(Serializer::Json, json.as_bytes()).unwrap_err();
        assert!(why.contains(reason), "{json}: {why}");
    }
    assert!(read(Serializer::Json, &vec![b' '; MESSAGE_BYTES + 1]).is_err());
}

proptest! {
    #[test]
    fn a_message_survives_messagepack(message in any_message()) {
        let bytes = write(Serializer::MessagePack, message.clone());
        prop_assert_eq!(read(Serializer::MessagePack, &bytes).unwrap(), message);
    }

    #[test]
    fn a_message_survives_json(message in any_message()) {
        // Texts that begin with NUL, and floats that are no numbers, change; what was read is stable all the same.
        let once = read(Serializer::Json, &write(Serializer::Json, message.clone()));
        if let Ok(once) = once {
            prop_assert_eq!(once.name(), message.name());
            let again = read(Serializer::Json, &write(Serializer::Json, once.clone()));
            prop_assert_eq!(again.unwrap(), once);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for serializer in Serializer::ALL {
            let _ = read(serializer, &bytes);
        }
    }

    #[test]
    fn a_message_that_is_cut_or_changed_is_read_or_refused(
        message in any_message(), at: prop::sample::Index, byte: u8, cut: bool
    ) {
        for serializer in Serializer::ALL {
            let mut bytes = write(serializer, message.clone());
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            if let Ok(message) = read(serializer, &bytes) {
                let _ = write(serializer, message);
            }
        }
    }
}
