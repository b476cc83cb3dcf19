// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a newer version never stops a running PLC. It takes over as soon as no program runs, and finds the PLC as
//! it was: to be run, resting, or Broken and left alone. Configuration is read again without touching the PLC.

use std::fs;

use plc_api::{
    message::{Reply, Request, WhenRunning},
    plc::PlcStatus,
};
use plc_tests::{
    activated::{Activated, copy_supervisor},
    api::{Api, MD5},
    desk::Desk,
    marks::Marks,
    programs,
};
use rustix::process::{Pid, Signal, kill_process};

/// The exit code on which the unit starts the next supervisor.
const FOR_UPGRADE: i32 = 85;

/// Puts a newer version in place of the running one, as a package does, and tells it.
fn upgrade(appliance: &Activated, api: &Api) {
    let new = appliance.program().with_extension("new");
    copy_supervisor(&new);
    fs::rename(&new, appliance.program()).unwrap();
    assert_eq!(api.call(Request::Reload).unwrap(), Reply::Done);
}

fn kill_worker(api: &Api) {
    let pid = api.wait("a worker", |s| s.worker_pid.is_some()).worker_pid.unwrap();
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::SEGV).unwrap();
}

#[test]
fn a_newer_version_takes_over_at_once_when_nothing_runs() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    upgrade(&appliance, &api);
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
    let api = appliance.api();
    let snapshot = api.snapshot();
    assert_eq!((snapshot.status, snapshot.upgrade_waits), (PlcStatus::Stopped, false));
    api.start().unwrap();
}

#[test]
fn a_running_program_runs_on_and_the_newer_version_takes_over_when_it_is_stopped() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    api.start().unwrap();
    let before = api.snapshot();
    upgrade(&appliance, &api);
    let waiting = api.wait("the upgrade to wait", |s| s.upgrade_waits);
    assert_eq!(waiting.worker_pid, before.worker_pid);
    assert_eq!(Marks::read(&appliance.paths().work_dir).count("stop"), 0);
    api.stop().unwrap();
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
    assert_eq!(appliance.api().snapshot().status, PlcStatus::Stopped);
    Marks::read(&appliance.paths().work_dir).assert_each_was_stopped_before_the_next();
}

#[test]
fn a_program_that_is_sent_right_after_a_stop_is_not_lost_to_the_change() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    api.start().unwrap();
    upgrade(&appliance, &api);
    api.stop().unwrap();
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    assert!(appliance.is_alive() && api.snapshot().upgrade_waits);
    api.stop().unwrap();
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
}

#[test]
fn after_a_crash_the_newer_version_runs_the_program_again() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    api.start().unwrap();
    upgrade(&appliance, &api);
    kill_worker(&api);
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
    appliance.api().wait_status(PlcStatus::Started);
}

#[test]
fn what_is_broken_stays_broken_under_the_newer_version() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("abort_cycle");
    // It runs for a moment, again and again, until the policy gives up.
    let _ = api.start();
    let reason = api.wait_status(PlcStatus::Broken).reason.clone();
    upgrade(&appliance, &api);
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
    let snapshot = appliance.api().snapshot();
    assert_eq!((snapshot.status, &snapshot.reason), (PlcStatus::Broken, &reason));
    assert_eq!(snapshot.worker_pid, None);
}

#[test]
fn who_waits_for_an_answer_gets_it_from_the_version_that_was_asked() {
    let mut appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    api.start().unwrap();
    upgrade(&appliance, &api);
    let library = programs::bytes("good");
    api.install(MD5, &library, &[], WhenRunning::Restart).unwrap();
    assert_eq!(api.snapshot().status, PlcStatus::Started);
    assert!(appliance.is_alive());
    api.stop().unwrap();
    assert_eq!(appliance.wait_and_start_again().code(), Some(FOR_UPGRADE));
}

#[test]
fn a_desk_has_nobody_who_would_start_the_newer_version() {
    let desk = Desk::start();
    let api = desk.api();
    assert_eq!(api.call(Request::Reload).unwrap(), Reply::Done);
    assert!(!api.snapshot().upgrade_waits);
}

#[test]
fn a_changed_configuration_counts_without_a_restart() {
    let desk = Desk::configured("[plc]\nstop_timeout_ms = 60000\n");
    let api = desk.api();
    let library = programs::bytes("hang_stop");
    api.install(MD5, &library, &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let file = desk.paths().config_file;
    fs::write(&file, "[plc]\nstop_timeout_ms = 1\n").unwrap();
    let error = api.call(Request::Reload).unwrap_err().to_string();
    assert!(error.contains("plc.stop_timeout_ms = 1") && error.contains("not changed"), "{error}");
    fs::write(&file, "[plc]\nstop_timeout_ms = 200\n").unwrap();
    assert_eq!(api.call(Request::Reload).unwrap(), Reply::Done);
    // With 60 s this would take longer than a test may.
    let error = api.stop().unwrap_err().to_string();
    assert!(error.contains("did not stop within 0.2 s"), "{error}");
}
