// SPDX-License-Identifier: MIT OR Apache-2.0
//! A day at the IDE, with the real client libraries of each generation: connect, transfer, run, debug, read the log,
//! stop.

use plc_api::{message::Request, plc::PlcStatus};
use plc_tests::{
    api::MD5,
    desk::Desk,
    ide::{Forced, Generation, Ide, Raised, hex, unhex},
    marks::Marks,
    programs,
};
use serde_json::{Value, json};

/// One day for each generation, each a test of its own.
macro_rules! for_each_generation {
    ($($name:ident => $day:ident($generation:ident);)*) => {
        $(#[test] fn $name() { $day(Generation::$generation); })*
    };
}

for_each_generation! {
    pyro5_serpent_day => day(Pyro5Serpent);
    pyro5_day => day(Pyro5);
    erpc_1_11_day => day(Erpc11);
    erpc_1_12_day => day(Erpc12);
    pyro5_serpent_mistakes => mistakes(Pyro5Serpent);
    pyro5_mistakes => mistakes(Pyro5);
    erpc_1_11_mistakes => mistakes(Erpc11);
    erpc_1_12_mistakes => mistakes(Erpc12);
}

fn day(generation: Generation) {
    let desk = Desk::start();
    let mut ide = desk.ide(generation);
    connect(&mut ide);
    assert_eq!(ide.status(), "Empty");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(false));

    let library = programs::bytes("good");
    let long: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let extra: &[(&str, &[u8])] = &[("recipe.csv", b"a;b\n"), ("long.bin", &long), ("empty", b"")];
    assert_eq!(ide.transfer(MD5, &library, extra), Ok(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(true));
    let work = desk.paths().work_dir;
    assert_eq!(std::fs::read(work.join("long.bin")).unwrap(), long);
    assert_eq!(std::fs::read(work.join("recipe.csv")).unwrap(), b"a;b\n");
    assert_eq!(std::fs::read(work.join("empty")).unwrap(), b"");

    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    trace_and_force(&mut ide);
    debugging_is_taken_over(&desk, &mut ide);

    assert!(ide.log(2).contains(&"started".to_owned()), "{:?}", ide.log(2));
    assert!(ide.log(3).contains(&"PLC started".to_owned()), "{:?}", ide.log(3));
    ide.must("ResetLogCount", json!([]));
    let counts = ide.status_and_counts().1;
    assert!(counts[..3] == [0, 0, 0] && counts[3] < 3, "{counts:?}");
    assert!(ide.log(2).is_empty());

    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true), "stopping twice is harmless");
}

/// What the IDE asks first: the identity, which must come in the way that the generation survives.
fn connect(ide: &mut Ide) {
    let answer = ide.call("GetPLCID", json!([]));
    match ide.generation {
        Generation::Pyro3Files
        | Generation::Pyro3
        | Generation::Pyro5Serpent
        | Generation::Pyro5 => assert_eq!(answer, Ok(Value::Null)),
        // "Unsupported codec version": a warning in the IDE.
        Generation::Erpc11 => assert!(is_codec_error(&answer), "{answer:?}"),
        // 2: "not supported", a warning in the IDE.
        Generation::Erpc12 => assert_eq!(answer.unwrap_err().message, "2"),
    }
}

fn is_codec_error(answer: &Result<Value, Raised>) -> bool {
    answer.as_ref().is_err_and(|raised| raised.class == "erpc.codec.CodecError")
}

fn trace_and_force(ide: &mut Ide) {
    let forced: Forced = (json!(1234), 1234_i16.to_le_bytes().to_vec());
    let text: Forced = (json!("forced"), string("forced"));
    let token = ide.set_trace(&[
        (0, "BOOL", None),
        (1, "SINT", None),
        (4, "INT", Some(forced)),
        (8, "UDINT", None),
        (14, "LREAL", None),
        (19, "STRING", Some(text)),
    ]);
    assert!(token > 0, "{token}");
    let mut last = None;
    let mut seen = 0;
    while seen < 300 {
        let (status, samples) = ide.read_trace(token);
        assert_eq!(status, "Started");
        for (tick, data) in samples {
            assert!(last.is_none_or(|last| tick > last), "{tick} after {last:?}");
            last = Some(tick);
            seen += 1;
            let mut expected = vec![(tick & 1) as u8, tick.to_le_bytes()[0]];
            expected.extend(1234_i16.to_le_bytes());
            expected.extend(tick.to_le_bytes());
            expected.extend((f64::from(tick) * 0.25).to_le_bytes());
            expected.push(6);
            expected.extend(b"forced");
            assert_eq!(data, expected, "at tick {tick}");
        }
    }
    // Without the force the variable follows the program again.
    let token = ide.set_trace(&[(4, "INT", None)]);
    let samples = loop {
        let (_, samples) = ide.read_trace(token);
        if samples.len() > 2 {
            break samples;
        }
    };
    let (tick, data) = samples.last().unwrap();
    assert_eq!(*data, tick.wrapping_mul(3).to_le_bytes()[..2]);
}

fn debugging_is_taken_over(desk: &Desk, first: &mut Ide) {
    let token = first.set_trace(&[(8, "UDINT", None)]);
    assert_eq!(first.read_trace(token).0, "Started");
    let mut second = desk.ide(first.generation);
    connect(&mut second);
    let other = second.set_trace(&[(0, "BOOL", None)]);
    assert!(other > token);
    assert_eq!(
        first.read_trace(token),
        ("Broken".to_owned(), vec![]),
        "the first has lost the token"
    );
    assert_eq!(second.read_trace(other).0, "Started");
    assert_eq!(first.status(), "Started", "and is served on");
    second.set_trace(&[]);
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes.resize(127, 0);
    bytes
}

fn mistakes(generation: Generation) {
    let desk = Desk::start();
    let mut ide = desk.ide(generation);
    connect(&mut ide);

    // Nothing is there to be started or traced.
    let _ = ide.call("StartPLC", json!([]));
    assert_eq!(ide.set_trace(&[(0, "BOOL", None)]), -5);
    assert_eq!(ide.status(), "Empty");

    // A blob that nobody began: the IDE reports a corrupted transfer.
    let id = ide.call("AppendChunkToBlob", json!([hex(b"xyz"), hex(&[7; 16])])).unwrap();
    assert!(id.is_null() || unhex(&id).is_empty(), "{id}");
    assert_ne!(ide.call("NewPLC", json!([MD5, hex(&[7; 16]), []])), Ok(json!(true)));
    assert_eq!(ide.status(), "Empty");

    // A message that never was.
    let message = ide.call("GetLogMessage", json!([3, 4711]));
    assert!(
        message.as_ref().is_ok_and(Value::is_null)
            || is_codec_error(&message)
            || message.is_err_and(|raised| raised.message == "2")
    );

    // Names that lead elsewhere.
    let library = programs::bytes("good");
    let long = "x".repeat(300);
    for name in ["../x", "/etc/x", "", &long, "a/b", "retain_buffer_file"] {
        let answer = ide.transfer(MD5, &library, &[(name, b"evil")]);
        assert_ne!(answer, Ok(true), "{name:?} was accepted");
        assert_eq!(ide.status(), "Empty", "{name:?}");
    }
    assert_ne!(ide.transfer("../../../../../../../../etc/pass", &library, &[]), Ok(true));

    // A program that cannot be loaded, with the loader's words in the log.
    assert_ne!(ide.transfer(MD5, &programs::bytes("missing_symbol"), &[]), Ok(true));
    assert_eq!(ide.status(), "Broken");
    assert!(ide.log(0).iter().any(|text| text.contains("startPLC")), "{:?}", ide.log(0));

    // And the same connection takes a good one.
    assert_eq!(ide.transfer(MD5, &library, &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    assert_ne!(ide.transfer(MD5, &library, &[]), Ok(true), "a running program is not replaced");
    assert_eq!(ide.status(), "Started");
}

#[test]
fn an_unknown_method_is_an_error_of_the_protocol_and_others_are_served_on() {
    let desk = Desk::start();
    let mut other = desk.ide(Generation::Erpc12);
    assert_eq!(other.status(), "Empty");
    for generation in [Generation::Pyro5, Generation::Pyro5Serpent] {
        let mut ide = desk.ide(generation);
        let raised =
            ide.send(&json!({ "call": "Format", "args": ["c:"], "raw": true })).unwrap_err();
        assert!(raised.class.contains("AttributeError"), "{raised:?}");
        assert_eq!(ide.status(), "Empty");
        assert_eq!(ide.must("RemoteExec", json!(["1+1"]))[0], json!(-1));
    }
    for generation in [Generation::Erpc11, Generation::Erpc12] {
        let mut ide = desk.ide(generation);
        assert_eq!(ide.status(), "Empty");
        // Its outputs are unknown, so no answer could be read: the connection is closed.
        assert!(ide.send(&json!({ "request": 77 })).is_err());
        assert_eq!(ide.status(), "Empty", "the next connection works");
    }
    assert_eq!(other.status(), "Empty");
}

#[test]
fn a_full_trace_buffer_fits_into_the_frames_of_erpc_and_nothing_is_lost() {
    for generation in [Generation::Erpc11, Generation::Erpc12] {
        let desk = Desk::start();
        let mut ide = desk.ide(generation);
        assert_eq!(ide.transfer(MD5, &programs::bytes("lockstep"), &[]), Ok(true));
        ide.must("StartPLC", json!([]));
        // All variables of the program, so that some seconds of samples are far more than one frame holds.
        let all: Vec<(u32, &str, Option<Forced>)> =
            (0..8).map(|index| (index, "UDINT", None)).collect();
        let token = ide.set_trace(&all);
        let api = desk.api();
        let begin = api.stats().trace_samples;
        // Asked for nothing now and then, so that the lease does not end.
        let token_number = u32::try_from(token).unwrap();
        api.wait("more samples", |_| {
            api.call(Request::ReadTrace { token: Some(token_number), max_bytes: 0 }).unwrap();
            api.stats().trace_samples >= begin + 2500
        });
        let mut ticks: Vec<u32> = Vec::new();
        let mut polls = 0;
        while ticks.len() < 2500 {
            ticks.extend(ide.read_trace(token).1.iter().map(|(tick, _)| *tick));
            polls += 1;
        }
        assert!(polls > 1, "2500 samples were meant to be more than one frame");
        let gaps = ticks.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert_eq!(gaps, 0, "samples are missing");
        assert_eq!(api.stats().trace_dropped, 0);
    }
}

#[test]
fn four_ides_of_four_kinds_are_served_at_once() {
    let desk = Desk::start();
    let mut ides = Generation::ALL.map(|generation| desk.ide(generation));
    for ide in &mut ides {
        connect(ide);
    }
    assert_eq!(ides[0].transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
    for ide in &mut ides {
        assert_eq!(ide.status(), "Stopped");
    }
    ides[3].must("StartPLC", json!([]));
    for ide in &mut ides {
        assert_eq!(ide.status(), "Started");
    }
    assert_eq!(desk.api().stats().connections.iter().filter(|c| c.connector == "pyro").count(), 4);
    assert_eq!(ides[1].must("StopPLC", json!([])), json!(true));
    desk.api().wait_status(PlcStatus::Stopped);
    Marks::read(&desk.paths().work_dir).assert_each_was_stopped_before_the_next();
}
