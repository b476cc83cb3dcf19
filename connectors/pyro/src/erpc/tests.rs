// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recorded dialogues, and what happens to bytes that are none.

mod generations;
mod two_bytes;

use plc_connector::api::{
    limits,
    log::{LogLevel, LogMessage},
    plc::PlcStatus,
    trace::TraceSample,
};
use proptest::prelude::*;

use super::{outputs::trace, *};
use crate::vectors::{bytes, exchanges, identity};

const SIX: &str = include_str!("../../vectors/erpc6.txt");
const FOUR: &str = include_str!("../../vectors/erpc4.txt");
const MD5: &str = "0123456789abcdef0123456789abcdef";

fn id(digits: &str) -> BlobId {
    BlobId::from_slice(&bytes(digits)).unwrap()
}

/// What the recorded requests ask and what the server made of it, in their order.
fn dialogue() -> Vec<(Method, PlcCall, Outcome)> {
    let started = Outcome::Status(PlcStatus::Started, [1, 0, 3, 7]);
    let md5 = PlcCall::MatchMd5(MD5.to_owned());
    let log = PlcCall::LogMessage { level: 3, id: 0 };
    let read = PlcCall::ReadTrace { token: Some(1), max_bytes: 65_515 };
    let seed = PlcCall::SeedBlob(b"abc".to_vec());
    let append = PlcCall::AppendChunk { blob: seeded(), data: b"xyz".to_vec() };
    vec![
        (Method::GetPlcId, PlcCall::Identity, identity()),
        (Method::GetPlcStatus, PlcCall::Status, started),
        (Method::SeedBlob, seed, Outcome::Blob(Some(seeded()))),
        (Method::AppendChunkToBlob, append, Outcome::Blob(Some(appended()))),
        (Method::MatchMd5, md5, Outcome::Flag(true)),
        (Method::NewPlc, install(), Outcome::Flag(true)),
        (Method::GetLogMessage, log, hello()),
        (Method::SetTraceVariablesList, set_trace(), Outcome::Token(1)),
        (Method::GetTraceVariables, read, one_sample()),
        (Method::StartPlc, PlcCall::Start, Outcome::Done),
        (Method::StopPlc, PlcCall::Stop, Outcome::Flag(true)),
        (Method::PurgeBlobs, PlcCall::PurgeBlobs, Outcome::Done),
    ]
}

fn seeded() -> BlobId {
    id("900150983cd24fb0d6963f7d28e17f72")
}

fn appended() -> BlobId {
    id("70fb874a43097a25234382390c0baeb3")
}

fn install() -> PlcCall {
    PlcCall::Install(Program {
        md5: MD5.to_owned(),
        library: BlobId([0x11; 16]),
        extra_files: vec![("a.txt".to_owned(), BlobId([0x22; 16]))],
    })
}

fn hello() -> Outcome {
    Outcome::Log(LogMessage {
        level: LogLevel::Debug,
        id: 0,
        tick: 5,
        time_us: 1_700_000_000_250_000,
        text: "hello".to_owned(),
    })
}

fn set_trace() -> PlcCall {
    let variable =
        |index, force: Option<Vec<u8>>| TraceVariable { index, force: force.map(Into::into) };
    PlcCall::SetTrace(vec![variable(7, None), variable(9, Some(vec![0x2a, 0]))])
}

fn one_sample() -> Outcome {
    let data = vec![1, 0x2a, 0];
    Outcome::Trace(PlcStatus::Started, vec![TraceSample { tick: 100, data }])
}

fn receive(framing: Framing, frame: &[u8]) -> (Method, Result<PlcCall, CallRefused>, Ticket) {
    let mut codec = Erpc::new(framing);
    assert_eq!(codec.measure(frame), Ok(Measure::Frame(frame.len())));
    let received = codec.receive(frame).unwrap();
    let Received::Call { method, call, ticket } = received else {
        panic!("not a call: {received:?}");
    };
    (method, call, ticket)
}

/// The answer when there is no key to tell.
const NO_IDENTITY: &str = "02030101 01000000 00000000 00000000 02000000";
/// The same to the IDEs that stumble over a result code: in a version of the codec that does not exist.
const NO_IDENTITY_BEFORE_1_12: &str = "02030102 01000000 00000000 00000000 02000000";

fn check(framing: Framing, recorded: &[(Vec<u8>, Vec<u8>)]) {
    for ((request, answer), (method, call, outcome)) in recorded.iter().zip(dialogue()) {
        let (read_method, read_call, ticket) = receive(framing, request);
        assert_eq!((read_method, read_call), (method, Ok(call)));
        let written = Erpc::new(framing).answer(method, outcome, ticket);
        assert_eq!(&written, answer, "{method:?}");
    }
}

#[test]
fn without_a_key_nothing_is_told_in_a_way_that_each_client_survives() {
    for (framing, recorded, message) in
        [(Framing::FourBytes, FOUR, NO_IDENTITY_BEFORE_1_12), (Framing::SixBytes, SIX, NO_IDENTITY)]
    {
        let (method, _, ticket) = receive(framing, &exchanges(recorded)[0].0);
        let written = Erpc::new(framing).answer(method, Outcome::Missing, ticket);
        assert_eq!(written, frame::frame(framing, &bytes(message)).unwrap());
    }
}

#[test]
fn the_recorded_dialogue_is_understood_and_answered_byte_for_byte() {
    let recorded = exchanges(SIX);
    assert_eq!(recorded.len(), dialogue().len());
    check(Framing::SixBytes, &recorded);
}

#[test]
fn the_same_dialogue_goes_through_the_older_framing() {
    let older: Vec<_> = exchanges(SIX)
        .iter()
        .map(|(request, answer)| (reframed(request), reframed(answer)))
        .collect();
    let recorded = exchanges(FOUR);
    assert_eq!(recorded, older[..recorded.len()]);
    check(Framing::FourBytes, &older);
}

fn reframed(six: &[u8]) -> Vec<u8> {
    let message = frame::message(Framing::SixBytes, six).unwrap();
    frame::frame(Framing::FourBytes, message).unwrap()
}

fn call(request: u8, arguments: &[u8]) -> Vec<u8> {
    let message = [&[0, request, 1, 1, 5, 0, 0, 0], arguments].concat();
    frame::frame(Framing::SixBytes, &message).unwrap()
}

#[test]
fn an_id_that_is_none_names_an_unknown_blob() {
    let append = call(1, b"\x01\0\0\0x\x03\0\0\0abc");
    let (_, refused, ticket) = receive(Framing::SixBytes, &append);
    assert_eq!(refused, Err(CallRefused::UnknownBlob));
    let outcome = Outcome::of(Method::AppendChunkToBlob, Err(CallRefused::UnknownBlob));
    let answer = Erpc::new(Framing::SixBytes).answer(Method::AppendChunkToBlob, outcome, ticket);
    assert_eq!(&answer[6..], bytes("02010101 05000000 00000000 00000000"));
}

#[test]
fn what_has_no_answer_that_fits_ends_the_conversation() {
    let cases = [
        ("unknown method", call(16, b"")),
        ("arguments cut short", call(6, b"\x20\0\0\0abc")),
        ("bytes too many", call(4, b"x")),
        ("a list longer than its message", call(12, b"\xff\xff\xff\xff")),
        ("not UTF-8", call(6, b"\x01\0\0\0\xff")),
        ("no header", frame::frame(Framing::SixBytes, b"\0\x04").unwrap()),
        ("another service", frame::frame(Framing::SixBytes, b"\0\x04\x02\x01\0\0\0\0").unwrap()),
        ("a reply", frame::frame(Framing::SixBytes, b"\x02\x04\x01\x01\0\0\0\0").unwrap()),
    ];
    for (what, frame) in cases {
        assert!(Erpc::new(Framing::SixBytes).receive(&frame).is_err(), "{what}");
    }
}

#[test]
fn a_oneway_call_is_carried_out_and_not_answered() {
    let frame = frame::frame(Framing::SixBytes, b"\x01\x0d\x01\x01\x07\0\0\0").unwrap();
    let (method, call, ticket) = receive(Framing::SixBytes, &frame);
    assert_eq!(call, Ok(PlcCall::Start));
    assert!(Erpc::new(Framing::SixBytes).answer(method, Outcome::Done, ticket).is_empty());
}

#[test]
fn a_long_answer_is_made_to_fit() {
    let mut codec = Erpc::new(Framing::SixBytes);
    let ticket =
        |request, arguments: &[u8]| receive(Framing::SixBytes, &call(request, arguments)).2;
    let text = "é".repeat(40_000);
    let message = LogMessage { level: LogLevel::Info, id: 0, tick: 0, time_us: 0, text };
    let answer =
        codec.answer(Method::GetLogMessage, Outcome::Log(message), ticket(2, b"\x01\0\0\0\0"));
    assert!(answer.len() > 65_000, "{}", answer.len());
    let body = Reader(&answer[14..]).string();
    assert!(body.unwrap().starts_with("éé"));

    let sample = TraceSample { tick: 1, data: vec![7; limits::TRACE_SAMPLE_BYTES] };
    let outcome = Outcome::Trace(PlcStatus::Started, vec![sample; 20]);
    let answer = codec.answer(Method::GetTraceVariables, outcome, ticket(5, b"\x01\0\0\0"));
    let mut reader = Reader(&answer[18..]);
    let ticks = reader.list(|r| {
        let tick = r.u32()?;
        r.binary().map(|_| tick)
    });
    assert_eq!(ticks.unwrap().len(), 15);
    assert_eq!((reader.u32(), reader.end()), (Ok(0), Ok(())));
}

#[test]
fn as_many_samples_as_the_request_allows_fit_into_the_answer() {
    let most = MAX_MESSAGE_BYTES - TRACE_ENVELOPE_BYTES;
    for data in [0, 1, 100, limits::TRACE_SAMPLE_BYTES] {
        let count = most / (data + limits::TRACE_SAMPLE_OVERHEAD);
        let sample = TraceSample { tick: 0, data: vec![0; data] };
        let mut reply = Writer::default();
        trace(&vec![sample; count], &mut reply);
        let mut written = Reader(&reply.0);
        assert_eq!(written.u32().unwrap() as usize, count);
    }
}

proptest! {
    #[test]
    fn changed_messages_are_understood_or_refused(which in 0..12_usize, framing in prop::sample::select(&Framing::ALL), at: prop::sample::Index, new: u8, cut: prop::sample::Index) {
        let (request, _) = exchanges(SIX).swap_remove(which);
        let mut message = request[6..].to_vec();
        let at = at.index(message.len());
        message[at] = new;
        let whole = frame::frame(framing, &message).unwrap();
        let _ = Erpc::new(framing).receive(&whole);
        message.truncate(cut.index(message.len()));
        let cut = frame::frame(framing, &message).unwrap();
        let _ = Erpc::new(framing).receive(&cut);
    }

    #[test]
    fn any_bytes_are_refused_or_measured_within_bounds(bytes: Vec<u8>, framing in prop::sample::select(&Framing::ALL)) {
        let mut codec = Erpc::new(framing);
        if let Ok(Measure::Frame(length)) = codec.measure(&bytes) {
            prop_assert!(length <= 6 + MAX_MESSAGE_BYTES);
        }
        let _ = codec.receive(&bytes);
    }
}
