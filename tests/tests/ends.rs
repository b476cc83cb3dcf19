// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a program ended is known and told, also where the worker is no child of the supervisor: then the service manager
//! reports it. A crash leaves one entry in the log with all that is known.

use plc_api::{
    log::LogLevel,
    message::WhenRunning,
    plc::{Crash, PlcStatus},
};
use plc_tests::{
    activated::Activated,
    api::{Api, MD5},
    desk::Desk,
    programs,
};
use rustix::process::{Pid, Signal, kill_process};

/// No second try.
const CONFIG: &str = "[plc]\nrestart = \"never\"\n";

fn kill_worker(api: &Api, signal: Signal) -> i32 {
    let worker = api.wait("a worker", |s| s.worker_pid.is_some()).worker_pid.unwrap();
    let worker = i32::try_from(worker).unwrap();
    kill_process(Pid::from_raw(worker).unwrap(), signal).unwrap();
    worker
}

fn last_crash(api: &Api) -> Crash {
    api.wait("a crash", |s| s.last_crash.is_some()).last_crash.clone().unwrap()
}

#[test]
fn the_service_manager_s_report_says_how_a_worker_ended() {
    let appliance = Activated::reporting();
    let api = appliance.with_program("stopmark");
    for (signal, told) in [
        (Signal::SEGV, "ended with SIGSEGV (invalid memory access"),
        (Signal::KILL, "ended with SIGKILL (killed"),
        (Signal::TERM, "a SIGTERM that did not come from us"),
    ] {
        api.start().unwrap();
        let crashes = api.snapshot().crashes;
        kill_worker(&api, signal);
        let after = api.wait("a crash more", |s| s.crashes == crashes + 1);
        let crash = after.last_crash.clone().unwrap();
        assert!(crash.reason.contains(told), "{crash:?}");
        api.wait("an answer to it", |s| {
            s.status == PlcStatus::Broken
                || (s.status == PlcStatus::Started && s.worker_pid.is_some())
        });
        api.stop().unwrap();
    }
    let critical = api.log(LogLevel::Critical);
    assert!(critical.iter().any(|m| m.text.contains("SIGSEGV")), "{critical:?}");
}

#[test]
fn a_report_after_half_a_message_is_understood() {
    let appliance = Activated::reporting();
    let api = appliance.with_program("half_frame");
    api.start().unwrap();
    let crash = last_crash(&api);
    assert!(crash.reason.contains("SIGSEGV"), "{crash:?}");
}

#[test]
fn without_a_report_an_end_is_told_without_its_cause() {
    let appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    api.start().unwrap();
    kill_worker(&api, Signal::SEGV);
    let crash = last_crash(&api);
    assert!(crash.reason.contains("how is not known"), "{crash:?}");
    assert!(crash.reason.contains("journalctl -u"), "{crash:?} names no next step");
}

#[test]
fn a_worker_that_fails_before_its_greeting_is_told_at_once() {
    let appliance = Activated::reporting();
    let api = appliance.with_program("good");
    api.start().unwrap();
    api.stop().unwrap();
    // It cannot be opened.
    let lock = appliance.paths().worker_lock;
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&lock, &lock).unwrap();
    let error = api.start().unwrap_err().to_string();
    assert!(error.contains("exit(1) before it greeted"), "{error}");
}

#[test]
fn a_crash_leaves_one_entry_with_all_that_is_known() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    let id = api.install(MD5, &programs::bytes("segv_cycle"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let broken = api.wait_status(PlcStatus::Broken);
    let crash = broken.last_crash.clone().unwrap();
    assert!(crash.reason.contains("SIGSEGV"), "{crash:?}");
    assert!(crash.time_us > 0 && !crash.core.is_empty(), "{crash:?}");
    let _ = desk.wait_log("PLC broken");
    let log = desk.log();
    let (_, entry) = log.split_once(&crash.reason).unwrap();
    let (entry, _) = entry.split_once("PLC broken").unwrap();
    assert!(entry.contains(&format!("program {id}, md5 {MD5}, cycle ")), "{entry}");
    assert!(entry.contains(&format!("core dump: {}", crash.core)), "{entry}");
    assert!(entry.contains(" warning: before the fault"), "{entry}");
    // plc-local, at the same terminal, speaks for itself.
    let again =
        entry.lines().find(|line| line.contains("SIGSEGV") && !line.starts_with("plc-local:"));
    assert_eq!(again, None, "told once: {entry}");
}

#[test]
fn a_flood_of_the_program_is_cut_in_the_system_s_log_and_counted() {
    let desk = Desk::configured(CONFIG);
    let api = desk.api();
    let library = programs::bytes("log_flood");
    api.install(MD5, &library, &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    api.wait("a flood", |snapshot| snapshot.log_counts[3] > 5_000);
    api.stop().unwrap();
    let _ = desk.wait_log("are not shown here; `plcctl log` has the newest");
    let log = desk.log();
    let shown = log.lines().filter(|line| line.contains("program: flood message")).count();
    assert!(shown > 0 && shown < 1_000, "{shown} shown");
    // The runtime's own lines are all there, and what was left out is said before them.
    assert!(log.contains("PLC started") && log.contains("PLC stopped"));
}
