// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recorded dialogue, refusals, and what happens to bytes that are no dialogue.

use plc_connector::api::{
    log::{LogLevel, LogMessage},
    plc::PlcStatus,
    trace::{TraceRefusal, TraceSample, TraceVariable},
};
use proptest::prelude::*;

use super::*;
use crate::vectors::{bytes, exchanges, identity};

const RECORDED: &str = include_str!("../../vectors/pyro3.txt");

/// The object id of the recorded dialogue.
const OBJECT: &str = "7f0000010a14329cc5de6829335ccda2a8";

/// `SetTraceVariablesList([(7, "BOOL", True), (8, "REAL", 1.5), (9, "STRING", u"abc")])`, recorded.
const FORCED: &str = "5059524f00050012000000910000000000008002285522376630303030303130613433323963633564653638323933333563 \
    636461326138337101551553657454726163655661726961626c65734c69737471024b035d7103284b075504424f4f4c7104 \
    888771054b0855045245414c7106473ff80000000000008771074b095506535452494e477108580300000061626371098771 \
    0a6585710b7d710c86710d742e";

fn shared() -> &'static Shared {
    Box::leak(Box::default())
}

fn unconnected() -> Pyro3 {
    Pyro3::new(WireVersion::Five, [7; 16], shared())
}

fn connected_to(shared: &'static Shared) -> Pyro3 {
    let mut codec = Pyro3::new(WireVersion::Five, [7; 16], shared);
    let connect = message(WireVersion::Five, &[&b"CONNECT"[..], &[0; 16]].concat());
    assert_eq!(reply(&mut codec, &connect), GRANTED);
    codec
}

fn connected() -> Pyro3 {
    connected_to(shared())
}

fn received(codec: &mut Pyro3, frame: &[u8]) -> Received<Ticket> {
    assert_eq!(codec.measure(frame), Ok(Measure::Frame(frame.len())));
    codec.receive(frame).unwrap()
}

fn call(codec: &mut Pyro3, frame: &[u8]) -> (Method, Result<PlcCall, CallRefused>, Ticket) {
    let received = received(codec, frame);
    let Received::Call { method, call, ticket } = received else {
        panic!("not a call: {received:?}");
    };
    (method, call, ticket)
}

fn reply(codec: &mut Pyro3, frame: &[u8]) -> Vec<u8> {
    let received = received(codec, frame);
    let Received::Reply(reply) = received else {
        panic!("not a reply: {received:?}");
    };
    reply
}

fn farewell(codec: &mut Pyro3, frame: &[u8]) -> (Vec<u8>, &'static str) {
    let received = received(codec, frame);
    let Received::Farewell(reply, reason) = received else {
        panic!("not a farewell: {received:?}");
    };
    (reply, reason)
}

/// The value in a message of ours or of the reference server.
fn value(message: &[u8]) -> Value {
    let (head, body) = message.split_first_chunk().unwrap();
    let header = Header::parse(head, WireVersion::Five).unwrap();
    assert_eq!((header.body_bytes, header.flags), (body.len(), 0));
    pickle::read(body).unwrap()
}

/// The text of a `ProtocolError`.
fn refusal(message: &[u8]) -> String {
    let before = b"excObjcPyro.errors\nProtocolError\nU";
    let at = message.windows(before.len()).position(|window| window == before);
    let rest = &message[at.expect("a ProtocolError") + before.len()..];
    String::from_utf8(rest[1..=usize::from(rest[0])].to_vec()).unwrap()
}

/// A request as a proxy sends it; the arguments are pickle instructions.
fn request(object: &str, method: &str, flags: u8, arguments: &[u8]) -> Vec<u8> {
    let text = |text: &str| [&[b'U', u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let (object, method) = (text(object), text(method));
    let body = [
        &b"\x80\x02("[..],
        &object,
        &method,
        &[b'K', flags, b'('],
        arguments,
        if flags & 2 == 0 { b"" } else { b"}" },
        b"tt.",
    ];
    message(WireVersion::Five, &body.concat())
}

fn invocation(method: &str, arguments: &[u8]) -> Vec<u8> {
    request(OBJECT, method, 3, &[b"(", arguments, b"t"].concat())
}

fn id(digits: &str) -> BlobId {
    BlobId::from_slice(&bytes(digits)).unwrap()
}

fn variable(index: u32, force: Option<Vec<u8>>) -> TraceVariable {
    TraceVariable { index, force: force.map(Into::into) }
}

/// What the recorded calls ask and what the server made of it, in their order; no key is told without one.
fn dialogue() -> Vec<(Method, PlcCall, Outcome)> {
    let append = PlcCall::AppendChunk {
        blob: id("900150983cd24fb0d6963f7d28e17f72"),
        data: b"xyz".to_vec(),
    };
    let appended = Outcome::Blob(Some(id("70fb874a43097a25234382390c0baeb3")));
    let forced = variable(9, Some(42_i16.to_ne_bytes().to_vec()));
    let list = PlcCall::SetTrace(vec![variable(7, None), forced]);
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
    vec![
        (Method::GetPlcStatus, PlcCall::Status, Outcome::Status(PlcStatus::Started, [1, 0, 3, 7])),
        (Method::AppendChunkToBlob, append, appended),
        (Method::SetTraceVariablesList, list, Outcome::Token(1)),
        (Method::GetTraceVariables, read, Outcome::Trace(PlcStatus::Started, vec![sample])),
        (Method::GetLogMessage, log, Outcome::Log(message)),
    ]
}

#[test]
fn the_recorded_dialogue_is_understood_and_answered_with_the_same_values() {
    let (challenge, rest) = RECORDED.split_at(RECORDED.find("\nC ").unwrap() + 1);
    let challenge = challenge.lines().find_map(|line| line.strip_prefix("S "));
    let challenge = bytes(challenge.unwrap());
    let random = challenge[HEADER_BYTES..].try_into().unwrap();
    assert_eq!(greeting(WireVersion::Five, random), challenge);

    let recorded = exchanges(rest);
    let [connect, resolve, is_method, asked_id, calls @ ..] = &recorded[..] else {
        panic!("the dialogue is shorter");
    };
    let mut codec = unconnected();
    assert_eq!(reply(&mut codec, &connect.0), connect.1);
    let object = value(&reply(&mut codec, &resolve.0));
    assert_eq!(object, Value::Bytes("07".repeat(16).into_bytes()));
    assert_eq!(reply(&mut codec, &is_method.0), is_method.1);
    let (method, asked, ticket) = call(&mut codec, &asked_id.0);
    assert_eq!((method, asked), (Method::GetPlcId, Ok(PlcCall::Identity)));
    assert_eq!(value(&codec.answer(method, identity(), ticket)), value(&asked_id.1));
    let (method, _, ticket) = call(&mut codec, &asked_id.0);
    assert_eq!(value(&codec.answer(method, Outcome::Missing, ticket)), Value::None);

    assert_eq!(calls.len(), dialogue().len());
    for ((request, answer), (method, expected, outcome)) in calls.iter().zip(dialogue()) {
        let (asked, understood, ticket) = call(&mut codec, request);
        assert_eq!((asked, understood), (method, Ok(expected)));
        assert_eq!(value(&codec.answer(method, outcome, ticket)), value(answer), "{method:?}");
    }
}

#[test]
fn the_status_and_a_log_message_are_the_documented_bytes() {
    let mut codec = connected();
    let mut answer = |outcome| {
        let (method, _, ticket) = call(&mut codec, &invocation("GetPLCstatus", b""));
        codec.answer(method, outcome, ticket).split_off(HEADER_BYTES)
    };
    let status = answer(Outcome::Status(PlcStatus::Started, [1, 0, 3, 7]));
    assert_eq!(status, b"\x80\x02U\x07Started](K\x01K\x00K\x03K\x07e\x86.");
    let message = LogMessage {
        level: LogLevel::Info,
        id: 1,
        tick: u32::MAX,
        time_us: 1_000_001,
        text: "hi".to_owned(),
    };
    let log = answer(Outcome::Log(message));
    assert_eq!(log, b"\x80\x02(U\x02hi\x8a\x05\xff\xff\xff\xff\0K\x01M\xe8\x03t.");
}

#[test]
fn forced_values_are_turned_into_bytes_by_their_types() {
    let text = [b"\x03abc".to_vec(), vec![0; 123]].concat();
    let list = vec![
        variable(7, Some(vec![1])),
        variable(8, Some(1.5_f32.to_ne_bytes().to_vec())),
        variable(9, Some(text)),
    ];
    let (_, understood, _) = call(&mut connected(), &bytes(FORCED));
    assert_eq!(understood, Ok(PlcCall::SetTrace(list)));

    let time = b"](K\x05U\x04TIMEcdatetime\ntimedelta\nJ\xff\xff\xff\xffK\x02K\x03\x87R\x87e";
    let (_, understood, _) = call(&mut connected(), &invocation("SetTraceVariablesList", time));
    let expected = [(2 - 86_400_isize).to_ne_bytes(), 3000_isize.to_ne_bytes()].concat();
    assert_eq!(understood, Ok(PlcCall::SetTrace(vec![variable(5, Some(expected))])));

    let mismatch = b"](K\x05U\x04BOOLU\x01x\x87e";
    let (_, understood, _) = call(&mut connected(), &invocation("SetTraceVariablesList", mismatch));
    assert_eq!(understood, Err(CallRefused::Trace(TraceRefusal::ForceSize)));
}

const MD5: &[u8] = b"0123456789abcdef0123456789abcdef";

fn new_plc(library: &[u8], files: &[u8]) -> Vec<u8> {
    let length = u32::try_from(library.len()).unwrap().to_le_bytes();
    invocation("NewPLC", &[b"U\x20", MD5, b"T", &length, library, files].concat())
}

#[test]
fn a_program_comes_in_files_or_in_blobs() {
    let files = b"](U\x05a.txtU\x10sixteen bytes...\x86X\x01\0\0\0bU\0\x86e";
    let (_, understood, _) = call(&mut connected(), &new_plc(b"\x7fELF and so on", files));
    let extra_files =
        vec![("a.txt".to_owned(), b"sixteen bytes...".to_vec()), ("b".to_owned(), Vec::new())];
    let md5 = String::from_utf8(MD5.to_vec()).unwrap();
    let library = b"\x7fELF and so on".to_vec();
    let program = ProgramFiles { md5: md5.clone(), library, extra_files };
    assert_eq!(understood, Ok(PlcCall::InstallFiles(program)));

    let files = [&b"](U\x05a.txtU\x10"[..], &[0x22; 16], b"\x86e"].concat();
    let (_, understood, _) = call(&mut connected(), &new_plc(&[0x11; 16], &files));
    let extra_files = vec![("a.txt".to_owned(), BlobId([0x22; 16]))];
    let program = plc_connector::call::Program { md5, library: BlobId([0x11; 16]), extra_files };
    assert_eq!(understood, Ok(PlcCall::Install(program)));
}

#[test]
fn a_file_name_in_another_encoding_is_refused_with_advice() {
    for library in [&b"\x7fELF and so on"[..], &[0x11; 16]] {
        let files = [&b"](U\x01\xe4U\x10"[..], &[0x22; 16], b"\x86e"].concat();
        let (_, understood, _) = call(&mut connected(), &new_plc(library, &files));
        assert!(understood.unwrap_err().to_string().contains("plain letters"));
    }
}

/// Sets a list on `codec` as an IDE does; the supervisor gives it `token`.
fn set_list(codec: &mut Pyro3, object: &str, token: i32) {
    let frame = request(object, "SetTraceVariablesList", 3, b"(]t");
    let (method, _, ticket) = call(codec, &frame);
    codec.answer(method, Outcome::Token(token), ticket);
}

fn token_of(codec: &mut Pyro3, object: &str) -> Option<u32> {
    let (_, call, _) = call(codec, &request(object, "GetTraceVariables", 3, b"(t"));
    match call {
        Ok(PlcCall::ReadTrace { token, .. }) => token,
        Err(CallRefused::TokenLost) => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ide_without_tokens_is_known_by_its_object_id_on_all_its_connections() {
    let (shared, other) = (shared(), "0123456789abcdef0123456789abcdef");
    let (mut calls, mut traces) = (connected_to(shared), connected_to(shared));
    assert_eq!(token_of(&mut traces, OBJECT), None, "it has set no list");
    set_list(&mut calls, OBJECT, 4);
    assert_eq!(token_of(&mut traces, OBJECT), Some(4));
    assert_eq!(token_of(&mut calls, OBJECT), Some(4));
    assert_eq!(token_of(&mut traces, other), None, "that is another IDE");
    set_list(&mut calls, OBJECT, 5);
    assert_eq!(token_of(&mut traces, OBJECT), Some(5));
    set_list(&mut calls, OBJECT, -5);
    assert_eq!(token_of(&mut traces, OBJECT), None, "the list was refused");

    // A supervisor that was started again counts from the beginning.
    set_list(&mut calls, OBJECT, 1);
    set_list(&mut calls, OBJECT, 1);
    assert_eq!(token_of(&mut traces, OBJECT), Some(1));

    // It comes back before the old connection is known to be dead.
    set_list(&mut calls, OBJECT, 6);
    let mut again = connected_to(shared);
    set_list(&mut again, OBJECT, 7);
    drop(calls);
    assert_eq!(token_of(&mut traces, OBJECT), Some(7));
    drop(again);
    assert_eq!(token_of(&mut traces, OBJECT), None);
}

#[test]
fn a_connection_leaves_one_token_to_remember_however_many_ids_it_uses() {
    let shared = shared();
    let mut codec = connected_to(shared);
    for n in 0..1000 {
        set_list(&mut codec, &format!("{n:032x}"), n + 1);
    }
    assert_eq!(token_of(&mut codec, &format!("{:032x}", 998)), None);
    assert_eq!(token_of(&mut codec, &format!("{:032x}", 999)), Some(1000));
}

#[test]
fn what_is_refused_leaves_the_ide_connected_and_says_why() {
    for (frame, words) in [
        (invocation("Explode", b""), "no method Explode"),
        (invocation("_r_ga", b"U\x01x"), "no method _r_ga"),
        (invocation("StopPLC", b"K\x01"), "wrong arguments for StopPLC"),
        (invocation("MatchMD5", b""), "wrong arguments for MatchMD5"),
        (invocation("SeedBlob", b"K\x01"), "wrong arguments for SeedBlob"),
        (request(DAEMON, "ResolvePYROLOC", 0, b"U\x01x"), "only the object PLCObject"),
        (request(DAEMON, "getRegistered", 3, b"(t"), "only resolves names"),
    ] {
        assert!(refusal(&reply(&mut connected(), &frame)).contains(words), "{words}");
    }
    let (method, _, ticket) = call(&mut connected(), &invocation("SeedBlob", b"U\x01x"));
    let soft = connected().answer(method, Outcome::Soft("the disk is full".to_owned()), ticket);
    assert_eq!(refusal(&soft), "the disk is full");
}

#[test]
fn a_script_may_have_keywords_and_other_methods_may_not() {
    let with_keywords = |method: &str| {
        // The dict of the request, which is empty, gets an entry.
        let mut frame = invocation(method, b"U\x011");
        let end = frame.len() - b"tt.".len();
        frame.splice(end..end, *b"U\x01aK\x01s");
        message(WireVersion::Five, &frame[HEADER_BYTES..])
    };
    let (method, call, _) = call(&mut connected(), &with_keywords("RemoteExec"));
    assert_eq!((method, call), (Method::RemoteExec, Ok(PlcCall::RemoteExec)));
    assert!(refusal(&reply(&mut connected(), &with_keywords("SeedBlob"))).contains("arguments"));
}

#[test]
fn a_request_that_no_ide_could_send_is_told_so_and_ends_the_conversation() {
    let pickled = |body: &[u8]| message(WireVersion::Five, body);
    let nested = [&b"\x80\x02N"[..], &[0x85; 1_000_000], b"."].concat();
    for (frame, words) in [
        (pickled(b"cos\nsystem\n(S'touch /tmp/x'\ntR."), "none is looked up"),
        (pickled(b"\x80\x02cos\nsystem\nU\x04true\x85R."), "none is looked up"),
        (pickled(&nested), "too many values"),
        (pickled(b"\x80\x02T\xff\xff\xff\xff."), "data too short"),
        (pickled(b"\x80\x02N."), "not a request"),
        (pickled(b""), "data too short"),
        (request("elsewhere, says it", "StopPLC", 3, b"(t"), "unknown object ID"),
        (request("abc", "StopPLC", 3, b"(t"), "unknown object ID"),
        (request(&"abc0".repeat(17), "StopPLC", 3, b"(t"), "unknown object ID"),
        (request(OBJECT, "StopPLC", 3, b"K\x01"), "not a request"),
    ] {
        let (answer, reason) = farewell(&mut connected(), &frame);
        assert!(reason.contains(words), "{reason}");
        assert_eq!(refusal(&answer), reason);
    }
}

#[test]
fn a_compressed_message_is_refused_unopened() {
    let mut bomb = message(WireVersion::Five, &bytes("789cedc1010d000000c2a0"));
    bomb[13] = 1;
    assert!(refusal(&reply(&mut connected(), &bomb)).contains("PYRO_COMPRESSION"));
    bomb[13] = 4;
    assert!(refusal(&reply(&mut connected(), &bomb)).contains("PYRO_XML_PICKLE"));
    let mut checked = invocation("StopPLC", b"");
    checked[13] = 2;
    assert_eq!(call(&mut connected(), &checked).1, Ok(PlcCall::Stop));
}

#[test]
fn a_oneway_call_is_carried_out_and_not_answered() {
    let (method, stop, ticket) = call(&mut connected(), &request(OBJECT, "StopPLC", 7, b"(t"));
    assert_eq!(stop, Ok(PlcCall::Stop));
    assert!(connected().answer(method, Outcome::Flag(true), ticket).is_empty());
    assert!(reply(&mut connected(), &request(OBJECT, "Explode", 7, b"(t")).is_empty());
}

#[test]
fn a_client_of_the_other_wire_version_is_told_apart() {
    let four = message(WireVersion::Four, b"CONNECT0123456789abcdef");
    let Malformed(reason) = unconnected().measure(&four).unwrap_err();
    assert!(reason.contains("--pyro3-version 4"), "{reason}");
    let mut codec = Pyro3::new(WireVersion::Four, [7; 16], shared());
    assert_eq!(reply(&mut codec, &four), GRANTED);
    let resolve = request(DAEMON, "ResolvePYROLOC", 0, b"U\x09PLCObject");
    assert!(codec.measure(&resolve).is_err());
}

#[test]
fn who_does_not_connect_first_is_not_listened_to() {
    assert!(unconnected().receive(&invocation("StopPLC", b"")).is_err());
    let mut frame = invocation("StopPLC", b"");
    frame.pop();
    assert!(connected().receive(&frame).is_err(), "shorter than it says");
    for (at, value) in [(0, b'Q'), (5, 9), (7, 19), (8, 0x80)] {
        let mut frame = invocation("StopPLC", b"");
        frame[at] = value;
        assert!(connected().measure(&frame).is_err(), "byte {at}");
    }
}

fn head(length: usize) -> Vec<u8> {
    let mut head = message(WireVersion::Five, b"");
    head[8..12].copy_from_slice(&u32::try_from(length).unwrap().to_be_bytes());
    head
}

#[test]
fn a_length_over_the_bound_is_refused_from_the_header_alone() {
    assert!(unconnected().measure(&head(MAX_CONNECT_BYTES)).is_ok());
    assert!(unconnected().measure(&head(MAX_CONNECT_BYTES + 1)).is_err());
    assert!(connected().measure(&head(MAX_PROGRAM_BYTES)).is_ok());
    assert!(connected().measure(&head(MAX_PROGRAM_BYTES + 1)).is_err());
    assert!(connected().measure(&head(0xffff_ffff)).is_err());
}

#[test]
fn one_whole_program_is_under_way_at_a_time_in_a_process() {
    let shared = shared();
    let (mut first, mut second) = (connected_to(shared), connected_to(shared));
    let program = new_plc(&vec![7; 2 << 20], b"]");
    assert!(first.measure(&program).is_ok());
    let Malformed(reason) = second.measure(&program).unwrap_err();
    assert!(reason.contains("another program"), "{reason}");
    assert!(second.measure(&head(MAX_CALL_BYTES)).is_ok(), "ordinary calls go on");
    let (method, _, ticket) = call(&mut first, &program);
    assert!(second.measure(&program).is_err(), "it is being installed");
    first.answer(method, Outcome::Flag(true), ticket);
    assert!(second.measure(&program).is_ok());
    drop(second);
    assert!(first.measure(&program).is_ok(), "who leaves in the middle frees it too");
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
        let calls = RECORDED.split_at(RECORDED.find("\nC ").unwrap() + 1).1;
        let (mut request, _) = exchanges(calls).swap_remove(which);
        let at = at.index(request.len());
        request[at] = new;
        let codec = || if first { unconnected() } else { connected() };
        if let Ok(Measure::Frame(length)) = codec().measure(&request) {
            prop_assert!(length <= HEADER_BYTES + MAX_PROGRAM_BYTES);
        }
        let _ = codec().receive(&request);
        request.truncate(cut.index(request.len()));
        let _ = codec().receive(&request);
    }

    #[test]
    fn any_body_is_answered(body: Vec<u8>) {
        let received = connected().receive(&message(WireVersion::Five, &body));
        prop_assert!(received.is_ok());
    }
}
