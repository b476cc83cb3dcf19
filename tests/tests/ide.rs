// SPDX-License-Identifier: MIT OR Apache-2.0
//! A day at the IDE, with the real client libraries of each generation: connect, transfer, run, debug, read the log,
//! stop.

#[path = "ide/day.rs"]
mod shared;

use plc_api::{message::Request, plc::PlcStatus};
use plc_tests::{
    api::MD5,
    desk::Desk,
    for_each_generation,
    ide::{Forced, Generation, hex, unhex},
    marks::Marks,
    programs,
};
use serde_json::{Value, json};
use shared::{connect, is_codec_error};

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
    shared::day(&desk, &mut desk.ide(generation), desk.ide(generation));
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
