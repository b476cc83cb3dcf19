// SPDX-License-Identifier: MIT OR Apache-2.0
//! Libraries of other years and other targets.

use plc_api::{limits, log::LogLevel, trace::TraceRefusal};
use plc_worker_link::{Order, Outcome};

use crate::harness::{Plant, Worker};

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
