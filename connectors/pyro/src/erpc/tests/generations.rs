// SPDX-License-Identifier: MIT OR Apache-2.0
//! What each generation of IDEs reads in the answers: generation x call x answer.

use plc_connector::cycle::CycleStatistics;

use super::*;

/// How a generation frames, and how it reads the seconds of a log message.
#[derive(Clone, Copy, Debug)]
struct Generation {
    name: &'static str,
    framing: Framing,
    reads_64_bits: bool,
    asks_statistics: bool,
}

const fn generation(
    name: &'static str,
    framing: Framing,
    reads_64_bits: bool,
    asks_statistics: bool,
) -> Generation {
    Generation { name, framing, reads_64_bits, asks_statistics }
}

const GENERATIONS: [Generation; 6] = [
    generation("F1", Framing::FourBytes, false, false),
    generation("F2", Framing::SixBytes, false, false),
    generation("G0", Framing::SixBytes, false, false),
    generation("G1", Framing::TwoBytes, false, false),
    generation("G2", Framing::TwoBytes, true, false),
    generation("G3", Framing::TwoBytes, true, true),
];

const TIME_US: u64 = 1_796_000_000_250_000;

impl Generation {
    /// A connection that has asked what this generation asks before the log goes on.
    fn connection(self) -> Erpc {
        let mut codec = Erpc::new(self.framing);
        if self.asks_statistics {
            let statistics = self.frame(2, b"\xff\0\0\0\0");
            assert!(codec.receive(&statistics).is_ok());
        }
        codec
    }

    fn frame(self, request: u8, arguments: &[u8]) -> Vec<u8> {
        let message = [&[0, request, 1, 1, 5, 0, 0, 0], arguments].concat();
        frame::frame(self.framing, &message).unwrap()
    }

    /// Outputs and result of the answer that a new connection gives, or one that has `asked` all that comes before.
    fn answer(self, mut codec: Erpc, method: Method, outcome: Outcome) -> Vec<u8> {
        let ticket = Ticket { request: method.erpc_id().unwrap(), sequence: 5, wants_answer: true };
        let answer = codec.answer(method, outcome, ticket);
        let message = frame::message(self.framing, &answer).unwrap();
        let version = message[3];
        let refused = message.ends_with(&[2, 0, 0, 0]);
        let trips_over_refusals = self.framing == Framing::FourBytes;
        assert_eq!(version, if refused && trips_over_refusals { 2 } else { 1 }, "{}", self.name);
        message[8..].to_vec()
    }

    /// A log message as the IDE reads it: text, tick, seconds, nanoseconds, result. IDEs do not look at what is left.
    fn read_log(self, outputs: &[u8]) -> (String, u32, u64, u32, u32) {
        let mut reader = Reader(outputs);
        let (text, tick) = (reader.string().unwrap(), reader.u32().unwrap());
        let seconds =
            if self.reads_64_bits { reader.u64().unwrap() } else { reader.u32().unwrap().into() };
        (text, tick, seconds, reader.u32().unwrap(), reader.u32().unwrap())
    }
}

fn message() -> Outcome {
    let text = "hello".to_owned();
    Outcome::Log(LogMessage { level: LogLevel::Info, id: 0, tick: 7, time_us: TIME_US, text })
}

#[test]
fn every_generation_reads_the_time_of_a_message() {
    for generation in GENERATIONS {
        // Before it has asked for anything else, and after.
        for codec in [Erpc::new(generation.framing), generation.connection()] {
            let below_a_second = codec.asked_statistics || generation.framing != Framing::TwoBytes;
            let outputs = generation.answer(codec, Method::GetLogMessage, message());
            let nanoseconds = if below_a_second { 250_000_000 } else { 0 };
            assert_eq!(
                generation.read_log(&outputs),
                ("hello".to_owned(), 7, 1_796_000_000, nanoseconds, 0),
                "{generation:?}"
            );
        }
    }
}

#[test]
fn a_message_that_is_gone_is_a_placeholder_or_none() {
    for generation in GENERATIONS {
        let outputs =
            generation.answer(generation.connection(), Method::GetLogMessage, Outcome::Missing);
        let placeholder = generation.framing == Framing::TwoBytes;
        let (text, result) = if placeholder { ("<empty>", 0) } else { ("", 2) };
        assert_eq!(
            generation.read_log(&outputs),
            (text.to_owned(), 0, 0, 0, result),
            "{generation:?}"
        );
    }
}

#[test]
fn a_refused_message_is_refused_for_readers_of_32_and_64_bits() {
    for generation in GENERATIONS {
        for codec in [Erpc::new(generation.framing), generation.connection()] {
            let refused = Outcome::Soft("the runtime cannot be reached".to_owned());
            let outputs = generation.answer(codec, Method::GetLogMessage, refused);
            let (text, tick, seconds, _, result) = generation.read_log(&outputs);
            assert_eq!((text.as_str(), tick, seconds, result), ("", 0, 0, 2), "{generation:?}");
        }
    }
}

#[test]
fn the_statistics_are_a_message_of_now_and_never_a_refusal() {
    let statistics = CycleStatistics { text: "PLC Cycle: 20ms".to_owned(), time_us: TIME_US };
    for (outcome, text, seconds) in
        [(statistics, "PLC Cycle: 20ms", 1_796_000_000), (CycleStatistics::default(), "", 0)]
    {
        let generation = GENERATIONS[5];
        let outputs = generation.answer(
            generation.connection(),
            Method::GetLogMessage,
            Outcome::Cycle(outcome),
        );
        let read = generation.read_log(&outputs);
        assert_eq!((read.0.as_str(), read.2, read.4), (text, seconds, 0));
    }
}

#[test]
fn every_refusal_has_all_outputs_and_result_2_in_every_generation() {
    let lengths = [
        (Method::AppendChunkToBlob, 4),
        (Method::ExtendedCall, 4),
        (Method::GetPlcId, 8),
        (Method::GetPlcStatus, 20),
        (Method::GetTraceVariables, 8),
        (Method::MatchMd5, 1),
        (Method::NewPlc, 1),
        (Method::PurgeBlobs, 0),
        (Method::RepairPlc, 0),
        (Method::ResetLogCount, 0),
        (Method::SeedBlob, 4),
        (Method::SetTraceVariablesList, 4),
        (Method::StartPlc, 0),
        (Method::StopPlc, 1),
    ];
    // The one that is missing has more than one layout, see above.
    assert_eq!(lengths.len(), Method::ALL.iter().filter(|m| m.erpc_id().is_some()).count() - 1);
    for generation in GENERATIONS {
        for (method, length) in lengths {
            let refused = Outcome::Soft("no".to_owned());
            let answer = generation.answer(generation.connection(), method, refused);
            let expected = [vec![0; length], vec![2, 0, 0, 0]].concat();
            assert_eq!(answer, expected, "{} {method:?}", generation.name);
        }
    }
}

#[test]
fn an_extended_call_is_answered_in_every_generation() {
    for generation in GENERATIONS {
        let codec = generation.connection();
        let answer = Outcome::Extended(Some(b"Linux".to_vec()));
        let outputs = generation.answer(codec, Method::ExtendedCall, answer);
        assert_eq!(outputs, b"\x05\0\0\0Linux\0\0\0\0", "{}", generation.name);
        let huge = Outcome::Extended(Some(vec![1; 70_000]));
        let outputs = generation.answer(generation.connection(), Method::ExtendedCall, huge);
        assert_eq!(outputs.len(), MAX_MESSAGE_BYTES - 8);
    }
}
