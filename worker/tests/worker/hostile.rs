// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that crash or misuse their process.

use plc_api::log::LogLevel;
use plc_worker_link::{Data, Order};
use rustix::process::Signal;

use crate::harness::Plant;

const LAST_WORDS: &str = "before the fault";

/// The program dies of the signal some time after its start, and its last message has arrived.
fn dies_after_its_last_words(program: &str, signal: Signal) {
    let plant = Plant::new();
    let mut worker = plant.loaded(program);
    worker.send(Order::Start);
    worker.killed_by(signal);
    assert_eq!(worker.logged(LAST_WORDS), LogLevel::Warning);
}

#[test]
fn a_crash_in_the_cycle_keeps_the_last_words() {
    dies_after_its_last_words("segv_cycle", Signal::SEGV);
}

#[test]
fn a_crash_in_the_start_keeps_the_last_words() {
    dies_after_its_last_words("segv_start", Signal::SEGV);
}

#[test]
fn an_abort_keeps_the_last_words() {
    dies_after_its_last_words("abort_cycle", Signal::ABORT);
}

#[test]
fn a_stack_overflow_ends_the_process() {
    let plant = Plant::new();
    let mut worker = plant.running("overflow_stack");
    worker.killed_by(Signal::SEGV);
}

#[test]
fn a_crash_in_the_stop_keeps_the_last_words() {
    let plant = Plant::new();
    let mut worker = plant.running("segv_stop");
    worker.send(Order::Stop);
    worker.killed_by(Signal::SEGV);
    worker.logged(LAST_WORDS);
}

#[test]
fn an_exit_keeps_the_last_words() {
    let plant = Plant::new();
    let mut worker = plant.running("exit_cycle");
    assert_eq!(worker.ended().code(), Some(0));
    worker.logged(LAST_WORDS);
}

#[test]
fn memory_is_bounded() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("eat_memory");
    order.memory_max_bytes = Some(512 << 20);
    worker.load(order);
    worker.start();
    worker.killed_by(Signal::SEGV);
    worker.logged(LAST_WORDS);
    assert!(worker.log.iter().all(|(_, text)| text != "no limit found"));
}

#[test]
fn an_interrupt_is_not_the_program_s_to_end_the_process_with() {
    let plant = Plant::new();
    let mut worker = plant.running("raise_sigint");
    worker.logged("still here");
    worker.stop();
}

#[test]
fn a_flood_of_messages_arrives_in_order_and_does_not_hinder_the_stop() {
    let plant = Plant::new();
    let mut worker = plant.running("log_flood");
    while worker.log.len() < 2000 {
        assert!(matches!(worker.data(), Some(Data::Log(_))));
    }
    let numbers: Vec<u64> = worker
        .log
        .iter()
        .map(|(_, text)| text.strip_prefix("flood message ").unwrap().parse().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "out of order or twice");
    worker.stop();
}
