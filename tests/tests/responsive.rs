// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status never waits: while one client's program hangs in its start or stop, or 20 MB are on their way, another
//! connection is served. Shown by the order of events; how fast is for the benchmarks.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use plc_api::{message::WhenRunning, plc::PlcStatus};
use plc_tests::{api::MD5, desk::Desk, ide::Generation, programs};
use serde_json::json;

/// Calls that must get through between begin and end.
const CALLS: usize = 100;

const CONFIG: &str =
    "[plc]\nstart_timeout_ms = 4000\nstop_timeout_ms = 4000\nrestart = \"never\"\n";

/// Runs `busy` and counts the status calls of an IDE that begin and end while it runs.
fn calls_during(desk: &Desk, generation: Generation, busy: impl FnOnce() + Send) -> usize {
    let mut ide = desk.ide(generation);
    ide.status();
    let over = Arc::new(AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mine = over.clone();
        let working = scope.spawn(move || {
            busy();
            mine.store(true, Ordering::SeqCst);
        });
        let mut calls = 0;
        while !over.load(Ordering::SeqCst) {
            ide.status();
            calls += usize::from(!over.load(Ordering::SeqCst));
        }
        working.join().unwrap();
        calls
    })
}

#[test]
fn during_a_start_that_hangs() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("hang_start"), &[], WhenRunning::Refuse).unwrap();
    let calls = calls_during(&desk, Generation::Erpc12, || {
        assert!(api.start().is_err());
    });
    assert!(calls >= CALLS, "{calls} calls");
    assert_eq!(api.snapshot().status, PlcStatus::Broken);
}

#[test]
fn during_a_stop_that_hangs() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("hang_stop"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let calls = calls_during(&desk, Generation::Pyro5, || {
        assert!(api.stop().is_err());
    });
    assert!(calls >= CALLS, "{calls} calls");
    assert_eq!(api.snapshot().status, PlcStatus::Broken);
}

#[test]
fn during_a_transfer_of_20_mb_in_small_chunks() {
    let desk = Desk::start();
    let mut library = programs::bytes("good");
    // What follows the last section does not matter to the loader.
    library.resize(20 << 20, 0);
    let mut sender = desk.ide(Generation::Erpc12);
    let calls = calls_during(&desk, Generation::Erpc11, || {
        assert_eq!(sender.transfer(MD5, &library, &[]), Ok(true));
    });
    assert!(calls >= CALLS, "{calls} calls");
    sender.must("StartPLC", json!([]));
    assert_eq!(sender.status(), "Started");
}

#[test]
fn a_stop_is_not_held_up_by_a_start_that_hangs() {
    let desk = Desk::configured("[plc]\nstart_timeout_ms = 600000\nstop_timeout_ms = 1000\n");
    let api = desk.api();
    api.install(MD5, &programs::bytes("hang_start"), &[], WhenRunning::Refuse).unwrap();
    let starting = std::thread::spawn({
        let api = desk.api();
        move || api.start()
    });
    api.wait("the start", |snapshot| snapshot.phase == "starting");
    assert!(api.stop().is_err(), "it had to be killed, which is said");
    assert!(starting.join().unwrap().is_err());
    let reason = api.snapshot().reason.unwrap();
    assert!(reason.contains("did not stop within 1 s"), "{reason}");
}
