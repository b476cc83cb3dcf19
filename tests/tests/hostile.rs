// SPDX-License-Identifier: MIT OR Apache-2.0
//! A crash stays in the worker: whatever a program does, the state becomes Broken with a reason that people
//! understand, the same IDE connection answers, the log from before can be read, and the next program runs.

use plc_api::{log::LogLevel, message::WhenRunning, plc::PlcStatus};
use plc_tests::{
    api::{Api, MD5},
    desk::{Desk, descendants},
    ide::{Generation, Ide},
    programs,
};
use serde_json::json;

/// Short deadlines, no second try, and a bound on memory.
const CONFIG: &str = "\
    [plc]\nstart_timeout_ms = 1500\nstop_timeout_ms = 1500\nrestart = \"never\"\n\
    [worker]\nmemory_max_mib = 1024\n";

/// How a program is brought to its fault.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// It cannot even be loaded.
    Load,
    /// At its start.
    Start,
    /// Some cycles later.
    Cycle,
    /// When it is stopped.
    Stop,
}

macro_rules! faults {
    ($($name:ident: $program:literal at $fault:ident is told as $reason:literal;)*) => {
        $(#[test] fn $name() { fault(&programs::bytes($program), Fault::$fault, $reason); })*
    };
}

faults! {
    a_wild_pointer_in_a_cycle: "segv_cycle" at Cycle is told as "SIGSEGV (invalid memory access";
    a_wild_pointer_in_start: "segv_start" at Start is told as "SIGSEGV (invalid memory access";
    a_wild_pointer_in_stop: "segv_stop" at Stop is told as "while it stopped";
    an_abort: "abort_cycle" at Cycle is told as "SIGABRT";
    an_exit: "exit_cycle" at Cycle is told as "exit(0)";
    a_start_that_hangs: "hang_start" at Start is told as "startPLC did not return within 1.5 s";
    a_stop_that_hangs: "hang_stop" at Stop is told as "did not stop within 1.5 s";
    a_cycle_that_hangs: "hang_cycle" at Cycle is told as "the cycle has stood still at tick";
    a_program_without_end_to_its_hunger: "eat_memory" at Cycle is told as "SIGSEGV";
    a_stack_overflow: "overflow_stack" at Cycle is told as "SIGSEGV";
    closing_all_descriptors: "close_fds" at Cycle is told as "lost the supervisor";
    a_library_without_start: "missing_symbol" at Load is told as "startPLC";
    a_library_that_needs_another: "undefined_symbol" at Load is told as "undefined symbol";
}

#[test]
fn a_file_that_is_no_library() {
    fault(b"#!/bin/sh\necho pwned\n", Fault::Load, "not an ELF file");
}

#[test]
fn an_empty_file() {
    fault(b"", Fault::Load, "empty");
}

#[test]
fn a_library_for_another_processor() {
    fault(&programs::for_another_processor(), Fault::Load, "RISC-V");
}

fn fault(library: &[u8], fault: Fault, reason: &str) {
    let desk = Desk::configured(CONFIG);
    let mut ide = desk.ide(Generation::Erpc12);
    let api = desk.api();
    assert_eq!(ide.transfer(MD5, library, &[]), Ok(fault != Fault::Load));
    if fault != Fault::Load {
        ide.must("StartPLC", json!([]));
    }
    if fault == Fault::Stop {
        assert_eq!(ide.status(), "Started");
        assert_eq!(ide.must("StopPLC", json!([])), json!(false));
    }
    let broken = api.wait_status(PlcStatus::Broken);
    let told = broken.reason.as_deref().unwrap_or_default();
    assert!(told.contains(reason), "{told:?} does not say {reason:?}");
    assert!(told.contains("plcctl rollback"), "{told:?} names no next step");
    assert!(broken.worker_pid.is_none(), "the worker is gone");

    // The same connection answers; its own copy of the state may come a moment after the operator's.
    while ide.status() != "Broken" {}
    let critical = ide.log(0);
    assert!(critical.iter().any(|text| text.contains(reason)), "{critical:?}");
    if fault != Fault::Load {
        let warnings = ide.log(1);
        assert!(warnings.contains(&"before the fault".to_owned()), "lost: {warnings:?}");
    }
    the_next_good_program_runs(&mut ide, &api);
}

fn the_next_good_program_runs(ide: &mut Ide, api: &Api) {
    assert_eq!(ide.transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    let begin = api.stats().ticks;
    let token = ide.set_trace(&[(8, "UDINT", None)]);
    while ide.read_trace(token).1.is_empty() {}
    api.wait("cycles", |_| api.stats().ticks > begin);
}

#[test]
fn a_cycle_that_hangs_is_a_crash_like_another_if_the_watchdog_restarts() {
    let desk = Desk::configured(
        "[plc]\nstop_timeout_ms = 500\nrestart_limit = 2\n[watchdog]\naction = \"restart\"\n",
    );
    let api = desk.api();
    api.install(MD5, &programs::bytes("hang_cycle"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let broken = api.wait_status(PlcStatus::Broken);
    let warnings = api.log(LogLevel::Warning);
    let again = |m: &&plc_api::log::LogMessage| m.text.contains("the program is started again");
    assert_eq!(warnings.iter().filter(again).count(), 1, "{warnings:?}");
    assert_eq!(broken.crashes, 2);
    let reason = broken.reason.as_deref().unwrap();
    assert!(reason.contains("has stood still") && reason.contains("was killed"), "{reason:?}");
}

#[test]
fn a_program_that_forks_is_stopped_with_its_children() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("forker"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let child = api.wait_log(LogLevel::Info, "child ");
    assert!(descendants(desk.pid()).iter().any(|pid| pid.to_string() == child), "no child {child}");
    api.stop().unwrap();
    assert_eq!(api.snapshot().status, PlcStatus::Stopped);
    assert!(!std::path::Path::new("/proc").join(&child).join("exe").exists(), "{child} lives on");
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
}

#[test]
fn a_flood_of_log_messages_costs_bounded_memory_and_nobody_s_time() {
    let desk = Desk::start();
    let mut ide = desk.ide(Generation::Erpc12);
    let api = desk.api();
    api.install(MD5, &programs::bytes("log_flood"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    api.wait("a flood", |snapshot| snapshot.log_counts[3] > 20_000);
    // What is announced can be fetched.
    let newest = ide.log(3);
    assert!(newest.len() >= 10, "{}", newest.len());
    let resident = resident_kib(desk.supervisor());
    assert!(resident < 64 << 10, "the supervisor holds {resident} KiB");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
}

#[test]
fn a_program_s_sigint_does_not_end_it() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("raise_sigint"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    api.wait_log(LogLevel::Info, "still here");
    assert_eq!(api.snapshot().status, PlcStatus::Started);
}

#[test]
fn a_library_that_calculates_and_is_linked_to_the_c_library_alone() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("mathematics"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    assert_eq!(api.wait_log(LogLevel::Info, "root: "), "3");
}

#[test]
fn a_library_without_a_log_runs() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    api.install(MD5, &programs::bytes("no_log"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let token = api.set_trace([0]).unwrap();
    while api.read_trace(token).unwrap().samples.is_empty() {}
    api.stop().unwrap();
}

#[test]
fn a_library_of_2018_runs_and_can_be_traced() {
    let desk = Desk::configured(CONFIG);
    let mut ide = desk.ide(Generation::Erpc12);
    assert_eq!(ide.transfer(MD5, &programs::bytes("abi2018"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    let token = ide.set_trace(&[(0, "UDINT", None)]);
    assert!(token > 0);
    let (tick, data) = loop {
        if let Some(sample) = ide.read_trace(token).1.pop() {
            break sample;
        }
    };
    assert_eq!(data, tick.to_le_bytes());
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
}

#[test]
fn python_blocks_are_answered_with_an_error_and_do_not_hang() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    let extra: &[(&str, &[u8])] = &[("runtime_00_hmi.py", b"import os\n")];
    api.install(MD5, &programs::bytes("python"), extra, WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    assert!(api.wait_log(LogLevel::Info, "answer: ").starts_with("#EXCEPTION"));
    let warnings = api.log(LogLevel::Warning);
    assert!(warnings.iter().any(|m| m.text.contains("runtime_00_hmi.py")), "{warnings:?}");
    api.stop().unwrap();
}

#[test]
fn the_restart_policy_is_kept_and_then_left_alone() {
    let desk = Desk::configured("[plc]\nrestart_limit = 3\n");
    let api = desk.api();
    api.install(MD5, &programs::bytes("segv_cycle"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let broken = api.wait_status(PlcStatus::Broken);
    assert_eq!(broken.crashes, 3);
    let said: Vec<String> = api.log(LogLevel::Warning).into_iter().map(|m| m.text).collect();
    assert_eq!(said.iter().filter(|text| *text == "before the fault").count(), 3, "{said:?}");
    assert!(desk.children("plc-worker").is_empty());
}

#[test]
fn links_that_a_program_puts_into_its_directory_change_nothing_outside_it() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    let victim = desk.path().join("state/wish");
    let other = desk.path().join("victim");
    std::fs::write(&other, "untouched").unwrap();
    let targets = format!("recipe.csv {}\nother.csv {}\n", other.display(), victim.display());
    let extra: &[(&str, &[u8])] =
        &[("targets.txt", targets.as_bytes()), ("recipe.csv", b"1"), ("other.csv", b"2")];
    let library = programs::bytes("symlinks");
    api.install(MD5, &library, extra, WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    api.wait_log(LogLevel::Info, "links are set");
    let link = desk.paths().work_dir.join("recipe.csv");
    assert!(link.is_symlink());
    // The next installation and the next start bring new copies, in place of the links.
    let extra: &[(&str, &[u8])] =
        &[("targets.txt", b""), ("recipe.csv", b"new"), ("other.csv", b"new")];
    api.install(MD5, &library, extra, WhenRunning::Restart).unwrap();
    assert_eq!(std::fs::read(&other).unwrap(), b"untouched");
    assert_eq!(std::fs::read(&victim).unwrap(), b"run\n");
    assert!(!link.is_symlink());
    assert_eq!(std::fs::read(&link).unwrap(), b"new");
}

fn resident_kib(pid: rustix::process::Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
