// SPDX-License-Identifier: MIT OR Apache-2.0
//! The dialogue of the IDEs from 2024-11 on, in their own framing.

use plc_connector::{
    api::key::{ApiKey, SecretText},
    cycle::CycleStatistics,
};

use super::*;

const TWO: &str = include_str!("../../../vectors/erpc2.txt");
const SECONDS: u64 = 0x6b0d_bc95;

/// What the recorded requests ask and what the server made of it, in their order.
fn dialogue() -> Vec<(Method, PlcCall, Outcome)> {
    let nobody = ApiKey { id: String::new(), secret: SecretText::new("") };
    let versions = PlcCall::ExtendedCall { method: "GetVersions".to_owned(), argument: Vec::new() };
    let empty = Outcome::Status(PlcStatus::Empty, [0; 4]);
    let started = Outcome::Status(PlcStatus::Started, [0, 1, 0, 2]);
    let log = |id| (Method::GetLogMessage, PlcCall::LogMessage { level: 3, id });
    let ((method, newest), (_, gone)) = (log(0), log(77));
    let statistics = (Method::GetLogMessage, PlcCall::CycleStatistics);
    vec![
        (Method::GetPlcId, PlcCall::Identity, Outcome::Identity(nobody)),
        (Method::ExtendedCall, versions, Outcome::Extended(Some(b"Linux 6.18.44-fc-v857".into()))),
        (Method::MatchMd5, PlcCall::MatchMd5(MD5.to_owned()), Outcome::Flag(false)),
        (Method::GetPlcStatus, PlcCall::Status, empty),
        (Method::GetPlcStatus, PlcCall::Status, started),
        (method, newest.clone(), plc_started()),
        (statistics.0, statistics.1.clone(), Outcome::Cycle(CycleStatistics::default())),
        (statistics.0, statistics.1, Outcome::Cycle(four_percent())),
        (method, newest, plc_started()),
        (method, gone, Outcome::Missing),
    ]
}

/// The part that transfers and debugs.
fn work() -> Vec<(Method, PlcCall, Outcome)> {
    let append = PlcCall::AppendChunk { blob: library(), data: vec![0x5a; 4095] };
    let read = PlcCall::ReadTrace { token: Some(25), max_bytes: 65_515 };
    let token = |number| (Method::SetTraceVariablesList, Outcome::Token(number));
    let set = |list: Vec<(u32, Option<Vec<u8>>)>| {
        let variable = |(index, force): (u32, Option<Vec<u8>>)| TraceVariable {
            index,
            force: force.map(Into::into),
        };
        PlcCall::SetTrace(list.into_iter().map(variable).collect())
    };
    let time = set(vec![(1, None), (2, Some(bytes("5a00000000000000 80b2e60e")))]);
    let too_long = set(vec![(2, Some(vec![0x11; 16]))]);
    let sample = |n: u8| {
        let data = [&[n % 2][..], &bytes("5a00000000000000 80b2e60e")].concat();
        TraceSample { tick: 11 + u32::from(n), data }
    };
    let samples = Outcome::Trace(PlcStatus::Started, (0..5).map(sample).collect());
    vec![
        (Method::SeedBlob, PlcCall::SeedBlob(MD5.into()), Outcome::Blob(Some(library()))),
        (Method::AppendChunkToBlob, append, Outcome::Blob(Some(BlobId([0x33; 16])))),
        (token(25).0, time, token(25).1),
        (Method::GetTraceVariables, read, samples),
        (token(-3).0, too_long, token(-3).1),
        (token(-5).0, set(vec![]), token(-5).1),
        (Method::NewPlc, one_library(), Outcome::Flag(true)),
        (Method::NewPlc, two_libraries(), Outcome::Flag(true)),
    ]
}

fn plc_started() -> Outcome {
    Outcome::Log(LogMessage {
        level: LogLevel::Debug,
        id: 0,
        tick: 0,
        time_us: SECONDS * 1_000_000 + 74_478,
        text: "PLC started".to_owned(),
    })
}

fn four_percent() -> CycleStatistics {
    let time_us = SECONDS * 1_000_000 + 83_392;
    CycleStatistics { text: "PLC Cycle: 4% of 20ms".to_owned(), time_us }
}

fn library() -> BlobId {
    id("36f67926a990affb77683f7c602498d2")
}

fn one_library() -> PlcCall {
    PlcCall::Install(Program { md5: MD5.to_owned(), library: library(), extra_files: vec![] })
}

fn two_libraries() -> PlcCall {
    PlcCall::Install(Program {
        md5: "3b5a489e4f196563c374025f99bd48a7".to_owned(),
        library: id("c3ff9ffc23c4e2904596a7402fa42258"),
        extra_files: vec![
            (
                "65e49d39e367f5fa96cb16f5e8917335.so".to_owned(),
                id("74381c08a2fca5f7bb838bc3e122c4f9"),
            ),
            ("note.txt".to_owned(), id("8ba94a64b0bd0242cc8fa327da5df864")),
        ],
    })
}

#[test]
fn the_recorded_dialogue_is_understood_and_answered_byte_for_byte() {
    let (recorded, expected) = (exchanges(TWO), [dialogue(), work()].concat());
    assert_eq!(recorded.len(), expected.len());
    // One connection: how its messages are timed depends on what it has asked.
    let mut codec = Erpc::new(Framing::TwoBytes);
    for ((request, answer), (method, call, outcome)) in recorded.iter().zip(expected) {
        assert_eq!(codec.measure(request), Ok(Measure::Frame(request.len())));
        let Received::Call { method: read, call: asked, ticket } = codec.receive(request).unwrap()
        else {
            panic!("not a call");
        };
        assert_eq!((read, asked), (method, Ok(call)));
        assert_eq!(&codec.answer(method, outcome, ticket), answer, "{method:?}");
    }
}

#[test]
fn the_same_call_goes_through_the_other_framings() {
    let (request, _) = exchanges(TWO).swap_remove(1);
    let message = frame::message(Framing::TwoBytes, &request).unwrap();
    let six = frame::frame(Framing::SixBytes, message).unwrap();
    assert_eq!(six[..6], bytes("7db5 1b00 a37a"));
    for framing in Framing::ALL {
        let (method, call, _) = receive(framing, &frame::frame(framing, message).unwrap());
        assert_eq!((method, call), (Method::ExtendedCall, Ok(dialogue().swap_remove(1).1)));
    }
}

#[test]
fn an_extended_call_that_is_not_there_is_refused_and_the_connection_kept() {
    let nope = bytes("1500 000f0101 1a000000 04000000 6e6f7065 01000000 78");
    let (method, call, ticket) = receive(Framing::TwoBytes, &nope);
    let asked = PlcCall::ExtendedCall { method: "nope".to_owned(), argument: b"x".to_vec() };
    assert_eq!((method, call), (Method::ExtendedCall, Ok(asked)));
    let outcome = Outcome::of(method, Err(CallRefused::NotOffered("no")));
    let answer = Erpc::new(Framing::TwoBytes).answer(method, outcome, ticket);
    assert_eq!(answer, bytes("1000 020f0101 1a000000 00000000 02000000"));
}

#[test]
fn a_length_that_lies_ends_the_conversation() {
    let honest = bytes("0d00 00020101 1b000000 03 00000000");
    let next = bytes("0800 00040101 1c000000");
    let codec = || Erpc::new(Framing::TwoBytes);
    assert!(codec().receive(&honest).is_ok());
    // Shorter: the arguments are cut. Longer: it takes the next message in, or a part of it.
    for length in [8_u8, 12, 14, 22, 23] {
        let mut stream = [honest.clone(), next.clone()].concat();
        stream[0] = length;
        let Measure::Frame(end) = codec().measure(&stream).unwrap() else { panic!("measured") };
        assert!(codec().receive(&stream[..end]).is_err(), "{length}");
    }
    // What follows a frame that was cut is no message.
    let rest = &[&honest[10..], &next[..]].concat();
    assert!(codec().measure(rest).is_err());
}
