// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recorded dialogue, exceptions, and what happens to bytes that are no dialogue.

use plc_connector::{
    api::{
        log::{LogLevel, LogMessage},
        plc::PlcStatus,
        program::BlobId,
        trace::{TraceRefusal, TraceSample, TraceVariable},
    },
    call::{CallRefused, PlcCall, Program},
};
use proptest::prelude::*;

use super::*;
use crate::vectors::{bytes, exchanges, identity};

const RECORDED: &str = include_str!("../../vectors/pyro5.txt");

fn id(digits: &str) -> BlobId {
    BlobId::from_slice(&bytes(digits)).unwrap()
}

/// What the recorded calls ask and what the server made of it, in their order after the greeting.
fn dialogue() -> Vec<(Method, PlcCall, Outcome)> {
    let seeded = id("900150983cd24fb0d6963f7d28e17f72");
    let appended = id("70fb874a43097a25234382390c0baeb3");
    let append = PlcCall::AppendChunk { blob: seeded, data: b"xyz".to_vec() };
    let variable = |index, force: Option<i16>| TraceVariable {
        index,
        force: force.map(|value| value.to_ne_bytes().to_vec().into()),
    };
    let list = PlcCall::SetTrace(vec![variable(7, None), variable(9, Some(42))]);
    let read = PlcCall::ReadTrace { token: Some(1), max_bytes: 512 << 10 };
    let sample = TraceSample { tick: 100, data: vec![1, 0x2a, 0] };
    let message = LogMessage {
        level: LogLevel::Debug,
        id: 0,
        tick: 5,
        time_us: 1_700_000_000_250_000,
        text: "hello".to_owned(),
    };
    let log = PlcCall::LogMessage { level: 3, id: 0 };
    let started = Outcome::Status(PlcStatus::Started, [1, 0, 3, 7]);
    vec![
        (Method::GetPlcStatus, PlcCall::Status, started),
        (Method::SeedBlob, PlcCall::SeedBlob(b"abc".to_vec()), Outcome::Blob(Some(seeded))),
        (Method::AppendChunkToBlob, append, Outcome::Blob(Some(appended))),
        (Method::SetTraceVariablesList, list, Outcome::Token(1)),
        (Method::GetTraceVariables, read, Outcome::Trace(PlcStatus::Started, vec![sample])),
        (Method::GetLogMessage, log, Outcome::Log(message)),
    ]
}

fn connected() -> Pyro5 {
    Pyro5 { connected: true }
}

fn received(codec: &mut Pyro5, frame: &[u8]) -> Received<Ticket> {
    assert_eq!(codec.measure(frame), Ok(Measure::Frame(frame.len())));
    codec.receive(frame).unwrap()
}

fn call(codec: &mut Pyro5, frame: &[u8]) -> (Method, Result<PlcCall, CallRefused>, Ticket) {
    let received = received(codec, frame);
    let Received::Call { method, call, ticket } = received else {
        panic!("not a call: {received:?}");
    };
    (method, call, ticket)
}

fn reply(codec: &mut Pyro5, frame: &[u8]) -> Vec<u8> {
    let received = received(codec, frame);
    let Received::Reply(reply) = received else {
        panic!("not a reply: {received:?}");
    };
    reply
}

/// The answer as it would be without the correlation id that the reference server adds of its own.
fn without_correlation(answer: &[u8]) -> Vec<u8> {
    let mut answer = answer.to_vec();
    answer[9] &= !0x40;
    answer[20..36].fill(0);
    answer
}

fn message(kind: u8, serializer: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut message = bytes("5059524f 01f6");
    message.extend([kind, serializer, 0, flags, 0, 9]);
    message.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    message.extend([0; 22]);
    message.extend([0x4d, 0xc5]);
    [message, data.to_vec()].concat()
}

fn invocation(method: &str, arguments: Vec<Value>) -> Value {
    let (object, arguments) = (Value::text("PLCObject"), Value::List(arguments));
    Value::List(vec![object, Value::text(method), arguments, Value::map([])])
}

fn exception(reply: &[u8]) -> (String, String) {
    assert_eq!(reply[9], 1, "not an exception");
    let value = msgpack::read(&reply[HEADER_BYTES..]).unwrap();
    let class = value.get("__class__").cloned().and_then(Value::into_text);
    let arguments = value.get("args").cloned().and_then(Value::into_list);
    let text = arguments.and_then(|a| a.into_iter().next()).and_then(Value::into_text);
    assert_eq!(value.get("__exception__"), Some(&Value::Bool(true)));
    (class.unwrap(), text.unwrap())
}

#[test]
fn the_recorded_dialogue_is_understood_and_answered_byte_for_byte() {
    let recorded = exchanges(RECORDED);
    let mut codec = Pyro5::default();
    let [greeting, asked, calls @ ..] = &recorded[..] else {
        panic!("the dialogue is shorter");
    };
    reply(&mut codec, &greeting.0);
    // Nobody is asked for a key that the IDE could not take, and if there is one it is not told.
    for outcome in [Outcome::Missing, identity()] {
        let (method, refused, ticket) = call(&mut codec, &asked.0);
        assert_eq!((method, refused), (Method::GetPlcId, Err(CallRefused::NoIdentity)));
        assert_eq!(codec.answer(method, outcome, ticket), without_correlation(&asked.1));
    }
    assert_eq!(calls.len(), dialogue().len());
    for ((request, answer), (method, expected, outcome)) in calls.iter().zip(dialogue()) {
        let (read_method, read_call, ticket) = call(&mut codec, request);
        assert_eq!((read_method, read_call), (method, Ok(expected)));
        let written = codec.answer(method, outcome, ticket);
        assert_eq!(written, without_correlation(answer), "{method:?}");
    }
}

#[test]
fn the_greeting_lists_the_methods_of_the_reference_server() {
    let (request, answer) = exchanges(RECORDED).swap_remove(0);
    let welcome = reply(&mut Pyro5::default(), &request);
    assert_eq!(welcome[..12], without_correlation(&answer)[..12]);
    let methods = |message: &[u8]| {
        let value = msgpack::read(&message[HEADER_BYTES..]).unwrap();
        assert_eq!(value.get("handshake"), Some(&Value::text("hello")));
        let meta = value.get("meta").unwrap();
        assert_eq!(meta.get("oneway"), Some(&Value::List(vec![])));
        assert_eq!(meta.get("attrs"), Some(&Value::List(vec![])));
        let names = meta.get("methods").cloned().and_then(Value::into_list).unwrap();
        // The reference server's come out of a set, in any order.
        let mut names: Vec<_> = names.into_iter().filter_map(Value::into_text).collect();
        names.sort();
        names
    };
    assert_eq!(methods(&welcome), methods(&answer));
}

#[test]
fn serpent_is_answered_in_serpent() {
    let mut codec = Pyro5::default();
    let greeting = b"# serpent utf-8 python3.2\n{'handshake':'hello','object':'PLCObject'}";
    let welcome = reply(&mut codec, &message(1, 1, 0, greeting));
    assert_eq!((welcome[6], welcome[7]), (2, 1));
    let seed = b"# serpent utf-8 python3.2\n('PLCObject','SeedBlob',['abc'],{})";
    let (method, seeded, ticket) = call(&mut codec, &message(4, 1, 0, seed));
    assert_eq!(seeded, Ok(PlcCall::SeedBlob(b"abc".to_vec())));
    let answer = codec.answer(method, Outcome::Blob(Some(BlobId([0xc3; 16]))), ticket);
    let expected = format!("# serpent utf-8 python3.2\nb'{}'", r"\xc3".repeat(16));
    assert_eq!(&answer[HEADER_BYTES..], expected.as_bytes());
    let list = br"('PLCObject','SetTraceVariablesList',([(7,'STRING','a'),(9,'BOOL',None)],),{})";
    let (_, list, _) = call(&mut codec, &message(4, 1, 0, list));
    let Ok(PlcCall::SetTrace(list)) = list else {
        panic!("{list:?}");
    };
    assert_eq!(list[0].force.as_ref().map(|bytes| bytes.len()), Some(127));
    assert_eq!((list[1].index, &list[1].force), (9, &None));
}

#[test]
fn a_program_with_extra_files_is_installed_from_its_blobs() {
    let blob = |byte| Value::Bytes(vec![byte; 16]);
    let files = vec![Value::List(vec![Value::text("a.txt"), blob(2)])];
    let arguments = vec![Value::text("md5"), blob(1), Value::List(files)];
    let frame = message(4, 4, 0, &msgpack::write(&invocation("NewPLC", arguments)));
    let (method, install, ticket) = call(&mut connected(), &frame);
    let expected = Program {
        md5: "md5".to_owned(),
        library: BlobId([1; 16]),
        extra_files: vec![("a.txt".to_owned(), BlobId([2; 16]))],
    };
    assert_eq!(install, Ok(PlcCall::Install(expected)));
    let bad_name = Err(CallRefused::BadRequest("the name is bad".to_owned()));
    let answer = connected().answer(method, Outcome::of(method, bad_name), ticket);
    let expected = ("Pyro5.errors.ProtocolError", "the name is bad");
    assert_eq!(exception(&answer), (expected.0.into(), expected.1.into()));
}

#[test]
fn arguments_that_cannot_be_carried_out_are_refused_in_the_method_s_own_way() {
    let variable = |parts: [Value; 3]| vec![Value::List(vec![Value::List(parts.into())])];
    let too_long = variable([1.into(), Value::text("STRING"), Value::text(&"x".repeat(127))]);
    let negative = variable([(-1).into(), Value::text("INT"), Value::None]);
    let unknown = vec![Value::Bytes(b"x".to_vec()), Value::None];
    let cases = [
        ("SetTraceVariablesList", too_long, CallRefused::Trace(TraceRefusal::ForceSize)),
        ("SetTraceVariablesList", negative, CallRefused::Trace(TraceRefusal::Invalid)),
        ("AppendChunkToBlob", unknown, CallRefused::UnknownBlob),
        ("GetTraceVariables", vec![(-5).into()], CallRefused::TokenLost),
        ("GetTraceVariables", vec![Value::None], CallRefused::TokenLost),
    ];
    for (method, arguments, refused) in cases {
        let frame = message(4, 4, 0, &msgpack::write(&invocation(method, arguments)));
        assert_eq!(call(&mut connected(), &frame).1, Err(refused), "{method}");
    }
}

#[test]
fn an_invocation_that_fits_no_method_is_an_exception() {
    let mut elsewhere = invocation("StopPLC", vec![]);
    if let Value::List(parts) = &mut elsewhere {
        parts[0] = Value::text("Nobody");
    }
    let cases = [
        (invocation("Explode", vec![]), "builtins.AttributeError"),
        (invocation("StopPLC", vec![1.into()]), "builtins.TypeError"),
        (invocation("MatchMD5", vec![]), "builtins.TypeError"),
        (invocation("SeedBlob", vec![1.into()]), "builtins.TypeError"),
        (elsewhere, "Pyro5.errors.DaemonError"),
        (Value::None, "Pyro5.errors.ProtocolError"),
    ];
    for (value, class) in cases {
        let answer = reply(&mut connected(), &message(4, 4, 0, &msgpack::write(&value)));
        assert_eq!(exception(&answer).0, class);
    }
    let unreadable = reply(&mut connected(), &message(4, 4, 0, b"\xc1"));
    assert_eq!(exception(&unreadable).0, "Pyro5.errors.ProtocolError");
}

#[test]
fn compressed_data_and_batches_are_refused_and_the_connection_goes_on() {
    let data = msgpack::write(&invocation("StopPLC", vec![]));
    for flag in [2, 8, 32] {
        let answer = reply(&mut connected(), &message(4, 4, flag, &data));
        assert_eq!(exception(&answer).0, "Pyro5.errors.ProtocolError");
    }
}

#[test]
fn a_oneway_call_is_carried_out_and_not_answered() {
    let data = msgpack::write(&invocation("StopPLC", vec![]));
    let (method, stop, ticket) = call(&mut connected(), &message(4, 4, 4, &data));
    assert_eq!(stop, Ok(PlcCall::Stop));
    assert!(connected().answer(method, Outcome::Flag(true), ticket).is_empty());
    let bad = msgpack::write(&invocation("Explode", vec![]));
    assert!(reply(&mut connected(), &message(4, 4, 4, &bad)).is_empty());
}

#[test]
fn a_correlation_id_comes_back_and_annotations_are_passed_over() {
    let data = msgpack::write(&invocation("StopPLC", vec![]));
    let mut frame = message(4, 4, 0x40, &data);
    frame[20..36].fill(0xab);
    frame[19] = 10;
    frame.splice(40..40, *b"ABCD\0\0\0\x02xy");
    let (method, stop, ticket) = call(&mut connected(), &frame);
    assert_eq!(stop, Ok(PlcCall::Stop));
    let answer = connected().answer(method, Outcome::Flag(true), ticket);
    assert_eq!((answer[9], &answer[20..36]), (0x40, &[0xab; 16][..]));
    assert_eq!(answer[40..], [0xc3]);
}

#[test]
fn a_ping_is_answered_and_so_is_pyro_s_own_object() {
    let pong = reply(&mut connected(), &message(6, 4, 0, b"ping"));
    assert_eq!((pong[6], &pong[40..]), (6, &b"pong"[..]));
    let ask = |name, arguments| {
        let object = Value::text("Pyro.Daemon");
        let parts = vec![object, Value::text(name), Value::List(arguments), Value::map([])];
        let frame = message(4, 4, 0, &msgpack::write(&Value::List(parts)));
        msgpack::read(&reply(&mut connected(), &frame)[40..]).unwrap()
    };
    assert_eq!(ask("ping", vec![]), Value::None);
    let meta = ask("get_metadata", vec![Value::text("PLCObject")]);
    assert_eq!(Some(meta), calls::metadata("PLCObject"));
}

#[test]
fn an_unknown_object_is_not_welcome() {
    let hello = Value::map([("handshake", Value::text("hello")), ("object", Value::text("X"))]);
    let frame = message(1, 4, 0, &msgpack::write(&hello));
    let received = received(&mut Pyro5::default(), &frame);
    let Received::Farewell(answer, _) = received else {
        panic!("{received:?}");
    };
    assert_eq!(answer[6], 3);
}

#[test]
fn a_message_out_of_turn_or_of_another_kind_ends_the_conversation() {
    let stop = msgpack::write(&invocation("StopPLC", vec![]));
    assert!(Pyro5::default().receive(&message(4, 4, 0, &stop)).is_err());
    assert!(connected().receive(&message(1, 4, 0, &stop)).is_err());
    for (kind, serializer) in [(2, 4), (5, 4), (7, 4), (4, 2), (4, 3), (4, 0)] {
        assert!(connected().receive(&message(kind, serializer, 0, &stop)).is_err());
    }
    for (at, value) in [(0, b'Q'), (5, 0xf5), (38, 0)] {
        let mut frame = message(4, 4, 0, &stop);
        frame[at] = value;
        assert!(connected().measure(&frame).is_err(), "byte {at}");
    }
}

#[test]
fn a_length_over_the_bound_is_refused_from_the_header_alone() {
    let mut head = message(4, 4, 0, b"");
    head[12..16].copy_from_slice(&u32::try_from(MAX_MESSAGE_BYTES).unwrap().to_be_bytes());
    assert!(connected().measure(&head).is_ok());
    assert!(Pyro5::default().measure(&head).is_err());
    head[19] = 1;
    assert!(connected().measure(&head).is_err());
    head[12..20].fill(0xff);
    assert!(connected().measure(&head).is_err());
}

proptest! {
    #[test]
    fn changed_messages_are_understood_or_refused(
        which in 0..8_usize,
        at: prop::sample::Index,
        new: u8,
        cut: prop::sample::Index,
        first: bool,
    ) {
        let (mut request, _) = exchanges(RECORDED).swap_remove(which);
        let at = at.index(request.len());
        request[at] = new;
        let codec = || Pyro5 { connected: !first };
        if let Ok(Measure::Frame(length)) = codec().measure(&request) {
            prop_assert!(length <= HEADER_BYTES + MAX_MESSAGE_BYTES);
        }
        let _ = codec().receive(&request);
        request.truncate(cut.index(request.len()));
        let _ = codec().receive(&request);
    }

    #[test]
    fn any_data_is_answered(data: Vec<u8>, serializer in prop::sample::select(vec![1_u8, 4])) {
        let received = connected().receive(&message(4, serializer, 0, &data));
        prop_assert!(received.is_ok());
    }
}
