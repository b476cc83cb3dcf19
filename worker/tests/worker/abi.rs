// SPDX-License-Identifier: MIT OR Apache-2.0
//! Libraries of other years and other targets.

use plc_api::{limits, log::LogLevel, program::ProgramMd5, trace::TraceRefusal};
use plc_worker_link::{Order, Outcome};

use crate::harness::{MD5, Plant, Worker};

#[test]
fn a_library_of_2018_is_traced_and_forced() {
    let plant = Plant::new();
    let mut worker = plant.running("abi2018");
    let forced = (-5_i16).to_ne_bytes();
    for sample in worker.traced(&[(0, None), (1, Some(&forced))], 20) {
        assert_eq!(sample.data[..4], sample.tick.to_ne_bytes());
        assert_eq!(sample.data[4..], forced);
    }
    worker.stop();
}

#[test]
fn a_library_of_2018_has_no_limit_but_ours() {
    let plant = Plant::new();
    let mut worker = plant.running("abi2018");
    let samples = worker.traced(&[(0, None), (2, None), (3, None), (4, None)], 1);
    assert_eq!(samples[0].data.len(), limits::TRACE_SAMPLE_BYTES);
    let long = worker.traced(&vec![(1, None); 2000], 1);
    assert_eq!(long[0].data.len(), 4000);
    worker.stop();
}

#[test]
fn a_force_longer_than_any_variable_is_refused_for_a_library_that_does_not_check() {
    let plant = Plant::new();
    let mut worker = plant.running("abi2018");
    let outcome = worker.trace(&[(1, Some(&[0; 500]))]);
    assert!(matches!(outcome, Outcome::TraceRefused(_)), "{outcome:?}");
    worker.stop();
}

#[test]
fn a_library_without_a_log_runs_all_the_same() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let loaded = worker.load(plant.fixture("no_log"));
    assert!(!loaded.logs && loaded.traceable);
    worker.start();
    worker.traced(&[(0, None)], 1);
    let notice = (
        LogLevel::Info,
        "The program was built without logging: its own messages are not in this log.",
    );
    assert_eq!(worker.notices, [(notice.0, notice.1.to_owned())]);
    worker.stop();
}

#[test]
fn a_library_without_debugging_runs_and_says_why_nothing_can_be_traced() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let loaded = worker.load(plant.fixture("no_debug"));
    assert!(loaded.logs && !loaded.traceable);
    worker.start();
    worker.logged("started");
    let refused = Outcome::TraceRefused(TraceRefusal::NotPossible);
    assert_eq!(worker.trace(&[(0, None)]), refused);
    assert_eq!(worker.trace(&[]), refused);
    assert_eq!(worker.order(Order::PauseTrace), refused);
    assert_eq!(worker.order(Order::ResumeTrace), refused);
    let text =
        "The program was built without debugging: its variables can be neither traced nor forced.";
    assert_eq!(worker.notices, [(LogLevel::Info, text.to_owned())]);
    worker.stop();
}

#[test]
fn python_blocks_are_answered_and_named_once() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    assert!(worker.load(plant.fixture("python")).wants_python);
    worker.start();
    let answers = |log: &[(LogLevel, String)]| {
        log.iter()
            .filter(|(_, text)| text == "answer: #EXCEPTION : this runtime has no Python")
            .count()
    };
    while answers(&worker.log) < 2 {
        worker.data().expect("two answers");
    }
    let notice = worker.notice();
    assert!(notice.contains("2 + 2"), "{notice}");
    assert_eq!(worker.notices.len(), 1);
    assert!(worker.log.iter().all(|(level, _)| *level != LogLevel::Critical));
    worker.stop();
}

#[test]
fn python_blocks_of_2025_are_answered_too() {
    let plant = Plant::new();
    let mut worker = plant.running("python_last");
    let answers = |log: &[(LogLevel, String)]| {
        log.iter().filter(|(_, text)| text.starts_with("answer: #EXCEPTION")).count()
    };
    while answers(&worker.log) < 2 {
        worker.data().expect("two answers");
    }
    worker.stop();
}

/// Whether samples come of the list that holds the tick alone.
fn traces_its_tick(worker: &mut Worker) {
    for sample in worker.traced(&[(0, None)], 5) {
        assert_eq!(sample.data, sample.tick.to_ne_bytes());
    }
}

#[test]
fn a_library_that_an_empty_list_blocks_is_traced_after_it() {
    let plant = Plant::new();
    let mut worker = plant.running("empty_list");
    assert_eq!(worker.trace(&[]), Outcome::Done);
    traces_its_tick(&mut worker);
    assert_eq!(worker.trace(&[]), Outcome::Done);
    assert_eq!(worker.order(Order::ResumeTrace), Outcome::Done);
    traces_its_tick(&mut worker);
    worker.stop();
}

#[test]
fn a_library_that_an_empty_list_blocks_is_traced_after_a_refused_one() {
    let plant = Plant::new();
    let mut worker = plant.running("empty_list");
    for force in [&[0; 2][..], &[0; 500]] {
        let refused = Outcome::TraceRefused(TraceRefusal::ForceSize);
        assert_eq!(worker.trace(&[(0, None), (0, Some(force))]), refused);
        traces_its_tick(&mut worker);
    }
    worker.stop();
}

#[test]
fn a_library_that_an_empty_list_blocks_is_traced_after_a_list_that_it_does_not_know() {
    let plant = Plant::new();
    let mut worker = plant.running("empty_list");
    assert_eq!(worker.trace(&[(9999, None)]), Outcome::Done);
    traces_its_tick(&mut worker);
    worker.stop();
}

#[test]
fn a_wait_that_ends_without_a_sample_is_not_the_end_of_tracing() {
    let plant = Plant::new();
    let mut worker = plant.running("pause_ends_wait");
    traces_its_tick(&mut worker);
    assert_eq!(worker.order(Order::PauseTrace), Outcome::Done);
    assert_eq!(worker.order(Order::ResumeTrace), Outcome::Done);
    traces_its_tick(&mut worker);
    assert_eq!(worker.trace(&[]), Outcome::Done);
    traces_its_tick(&mut worker);
    worker.stop();
}

#[test]
fn times_of_12_bytes_are_reported_traced_and_forced() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    assert_eq!(worker.load(plant.fixture("time12")).time_bytes, 12);
    worker.start();
    let sample = &worker.traced(&[(2, None), (3, None), (4, None), (5, None)], 1)[0];
    assert_eq!(sample.data.len(), 4 * 12);
    let refused = Outcome::TraceRefused(TraceRefusal::ForceSize);
    assert_eq!(worker.trace(&[(2, Some(&[0; 16]))]), refused);
    let parts = [&(-1_i64).to_ne_bytes()[..], &(-500_000_000_i32).to_ne_bytes()];
    let forced = parts.concat();
    assert_eq!(worker.traced(&[(2, Some(&forced))], 1)[0].data, forced);
    worker.logged("one and a half seconds before");
    worker.stop();
}

#[test]
fn times_of_a_library_that_says_nothing_of_them_are_two_longs() {
    let plant = Plant::new();
    let loaded = plant.worker().load(plant.fixture("abi2018"));
    assert_eq!(usize::from(loaded.time_bytes), 2 * size_of::<std::ffi::c_long>());
}

#[test]
fn the_program_knows_its_md5_text_and_the_name_of_the_machine_before_it_starts() {
    let plant = Plant::new();
    let mut worker = plant.running("time12");
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    worker.logged(&format!("I am {MD5} at {}", machine.trim()));
    worker.stop();
}

#[test]
fn every_message_arrives_once_from_a_log_that_the_start_empties() {
    // With time to read it before the start, and without.
    for reads_first in [true, false] {
        let plant = Plant::new();
        let mut worker = plant.loaded("log_restarts");
        if reads_first {
            worker.logged("loading 2");
        }
        worker.start();
        assert_eq!(worker.order(Order::Stop), Outcome::Stopped);
        worker.ended();
        while worker.data().is_some() {}
        let texts: Vec<&str> = worker.log.iter().map(|(_, text)| text.as_str()).collect();
        let expected: Vec<String> = (0..3)
            .map(|n| format!("loading {n}"))
            .chain((0..5).map(|n| format!("starting {n}")))
            .collect();
        assert_eq!(texts, expected, "read before the start: {reads_first}");
    }
}

#[test]
fn a_program_of_two_libraries_is_refused_in_words_that_help() {
    let plant = Plant::new();
    let mut named = plant.fixture("good");
    named.logic_md5 = ProgramMd5::new(MD5).ok();
    for order in [plant.fixture("two_ios"), named] {
        let mut worker = plant.worker();
        let Outcome::LoadFailed(failure) = worker.order(Order::Load(Box::new(order))) else {
            panic!("it is loaded");
        };
        assert!(failure.reason.contains("two libraries"), "{}", failure.reason);
        assert_eq!(worker.ended().code(), Some(1));
    }
    assert!(!plant.work("marks.txt").exists(), "it was not started");
}
