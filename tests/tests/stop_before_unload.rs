// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stop before unload, proven from inside: the program itself writes when it begins and when stopPLC ran. Each way
//! to end is a test, and no two programs ever overlap.

use std::fs;

use plc_api::{
    log::LogLevel,
    message::{Reply, Request, WhenRunning},
    plc::{PlcStatus, Wish},
};
use plc_tests::{
    api::{Api, MD5},
    desk::Desk,
    ide::Generation,
    marks::Marks,
    programs,
};
use rustix::process::{Signal, kill_process};
use serde_json::json;

const OTHER_MD5: &str = "fedcba9876543210fedcba9876543210";

fn running(program: &str) -> (Desk, Api) {
    running_with(program, "")
}

fn running_with(program: &str, config: &str) -> (Desk, Api) {
    let desk = Desk::configured(config);
    let api = desk.api();
    api.install(MD5, &programs::bytes(program), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    assert_eq!(desk.marks().count("begin"), 1);
    (desk, api)
}

fn assert_stopped_once(desk: &Desk) {
    let marks = desk.marks();
    assert_eq!(marks.count("end"), 1, "{marks:?}");
    marks.assert_each_was_stopped_before_the_next();
}

#[test]
fn a_stop_request_of_each_ide() {
    for generation in [Generation::Pyro5, Generation::Erpc12] {
        let (desk, _) = running("stopmark");
        assert_eq!(desk.ide(generation).must("StopPLC", json!([])), json!(true));
        assert_stopped_once(&desk);
    }
}

#[test]
fn a_new_program_in_place_of_the_running_one() {
    let (desk, api) = running("stopmark");
    let first = api.snapshot().program.unwrap();
    let library = programs::bytes("stopmark");
    api.install(OTHER_MD5, &library, &[], WhenRunning::Restart).unwrap();
    let marks = desk.marks();
    let seen: Vec<(&str, &str)> =
        marks.0.iter().map(|m| (m.what.as_str(), m.md5.as_str())).collect();
    let expected = [("begin", MD5), ("stop", MD5), ("end", MD5), ("begin", OTHER_MD5)];
    assert_eq!(seen, expected);
    assert_ne!(api.snapshot().program.unwrap().id, first.id);
    assert_eq!(api.snapshot().status, PlcStatus::Started, "the new one runs as the old one did");
}

#[test]
fn a_rollback_of_the_running_program() {
    let (desk, api) = running("stopmark");
    let first = api.snapshot().program.unwrap();
    api.install(OTHER_MD5, &programs::bytes("stopmark"), &[], WhenRunning::Restart).unwrap();
    match api.call(Request::Rollback) {
        Ok(Reply::Installed { program_id }) => assert_eq!(program_id, first.id),
        other => panic!("{other:?}"),
    }
    assert_eq!(api.snapshot().status, PlcStatus::Started);
    api.stop().unwrap();
    let marks = desk.marks();
    marks.assert_each_was_stopped_before_the_next();
    assert_eq!(marks.count("end"), 3);
    assert_eq!(marks.0.last().unwrap().md5, MD5);
}

#[test]
fn a_repair_of_the_running_program() {
    let (desk, api) = running("stopmark");
    api.call(Request::Repair).unwrap();
    assert_stopped_once(&desk);
    let snapshot = api.snapshot();
    assert_eq!((snapshot.status, snapshot.program), (PlcStatus::Empty, None));
}

#[test]
fn sigterm_to_the_worker() {
    let (desk, api) = running_with("stopmark", "[plc]\nrestart = \"never\"\n");
    let worker = desk.children("plc-worker")[0];
    kill_process(worker, Signal::TERM).unwrap();
    let broken = api.wait_status(PlcStatus::Broken);
    assert!(broken.reason.as_deref().unwrap().contains("SIGTERM"), "{:?}", broken.reason);
    assert_stopped_once(&desk);
}

#[test]
fn sigterm_to_the_supervisor() {
    let (desk, _) = running("stopmark");
    kill_process(desk.supervisor(), Signal::TERM).unwrap();
    let marks = Marks::wait(&desk.paths().work_dir, 1, "end");
    assert_eq!(
        marks.0[..3].iter().map(|m| m.what.as_str()).collect::<Vec<_>>(),
        ["begin", "stop", "end"]
    );
    // It was meant to run, so the next supervisor runs it again.
    Marks::wait(&desk.paths().work_dir, 2, "begin").assert_no_overlap();
}

#[test]
fn ctrl_c_and_sigterm_and_hangup_of_the_desk() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let (mut desk, api) = running("stopmark");
        drop(api);
        desk.signal(signal);
        assert!(desk.wait().success());
        assert_stopped_once(&desk);
    }
}

#[test]
fn a_desk_waits_for_a_program_that_may_take_long_to_stop() {
    let (mut desk, api) = running_with("slowstop", "[plc]\nstop_timeout_ms = 60000\n");
    drop(api);
    desk.signal(Signal::INT);
    assert!(desk.wait().success());
    assert_stopped_once(&desk);
    // A person is told why it takes so long.
    let _ = desk.wait_log("still stopping");
}

#[test]
fn the_end_of_the_desk_itself() {
    let (mut desk, api) = running("stopmark");
    drop(api);
    desk.signal(Signal::KILL);
    let _ = desk.wait();
    let marks = Marks::wait(&desk.paths().work_dir, 1, "end");
    marks.assert_each_was_stopped_before_the_next();
}

#[test]
fn sigkill_of_the_supervisor() {
    let (desk, api) = running("stopmark");
    assert_eq!(api.snapshot().wish, Wish::Run);
    kill_process(desk.supervisor(), Signal::KILL).unwrap();
    let work = desk.paths().work_dir;
    // Its worker stops the program; the next supervisor runs it again, because it is meant to run.
    let marks = Marks::wait(&work, 2, "begin");
    assert_eq!(
        marks.0[..3].iter().map(|m| m.what.as_str()).collect::<Vec<_>>(),
        ["begin", "stop", "end"]
    );
    marks.assert_no_overlap();
    let api = desk.api();
    api.wait_status(PlcStatus::Started);
    // An IDE that was connected learns why the log begins anew.
    let warnings = api.log(LogLevel::Warning);
    assert!(warnings.iter().any(|m| m.text.contains("without having been told")), "{warnings:?}");
}

#[test]
fn sigkill_of_the_supervisor_while_the_program_takes_4_s_to_stop() {
    // What the next one waits for the old program is no part of what it has for loading.
    let (desk, api) = running_with("slowstop", "[plc]\nload_timeout_ms = 2000\n");
    let stopping = std::thread::spawn(move || api.stop());
    let work = desk.paths().work_dir;
    let _ = Marks::wait(&work, 1, "stop");
    kill_process(desk.supervisor(), Signal::KILL).unwrap();
    assert!(stopping.join().unwrap().is_err(), "the call died with the supervisor");
    // The next one serves at once, and does not start over the one that is still stopping.
    let api = desk.api();
    assert_eq!(desk.marks().count("end"), 0, "the old program was given its time");
    api.start().unwrap();
    let marks = desk.marks();
    assert_eq!(marks.count("end"), 1);
    marks.assert_no_overlap();
    assert_eq!(api.snapshot().crashes, 0, "waiting is no crash");
}

#[test]
fn sigkill_of_the_supervisor_while_the_program_never_stops() {
    let (desk, api) = running_with("neverstop", "[plc]\nstop_timeout_ms = 1500\n");
    let worker = desk.children("plc-worker")[0];
    let stopping = std::thread::spawn(move || api.stop());
    let _ = Marks::wait(&desk.paths().work_dir, 1, "stop");
    kill_process(desk.supervisor(), Signal::KILL).unwrap();
    assert!(stopping.join().unwrap().is_err());
    let api = desk.api();
    // The worker keeps the deadline itself; then the next program may run.
    api.start().unwrap();
    assert!(!std::path::Path::new("/proc").join(worker.to_string()).join("exe").exists());
    let marks = desk.marks();
    assert_eq!((marks.count("begin"), marks.count("stop"), marks.count("end")), (2, 1, 0));
    assert_ne!(marks.0[0].pid, marks.0[2].pid);
}

#[test]
fn a_program_survives_the_desk_and_runs_again_by_the_wish() {
    let (desk, api) = running("stopmark");
    drop(api);
    let desk = Desk::in_dir(desk.end());
    desk.api().wait_status(PlcStatus::Started);
    let marks = desk.marks();
    assert_eq!((marks.count("begin"), marks.count("end")), (2, 1));
    desk.api().stop().unwrap();
    let desk = Desk::in_dir(desk.end());
    assert_eq!(desk.api().snapshot().status, PlcStatus::Stopped, "stopped stays stopped");
    assert_eq!(desk.marks().count("begin"), 2);
}

#[test]
fn a_plc_that_rests_since_boot_is_not_started_by_the_end_of_a_supervisor() {
    let (desk, api) = running_with("stopmark", "[plc]\nautostart = \"never\"\n");
    drop(api);
    let desk = Desk::in_dir(desk.end());
    let rests = |api: &Api| {
        // Answered when all that a boot leads to is on its way.
        api.call(Request::Reload).unwrap();
        let snapshot = api.snapshot();
        assert_eq!((snapshot.phase.as_str(), snapshot.wish), ("stopped", Wish::Run));
    };
    rests(&desk.api());
    kill_process(desk.supervisor(), Signal::KILL).unwrap();
    let _ = desk.wait_log("without having been told");
    rests(&desk.api());
}

#[test]
fn a_stop_that_could_not_be_recorded_is_recorded_when_it_is_said_again() {
    let (desk, api) = running("stopmark");
    let wish = || fs::read_to_string(desk.paths().state_dir.join("wish")).unwrap();
    let in_the_way = desk.paths().state_dir.join("wish.new");
    fs::create_dir(&in_the_way).unwrap();
    api.stop().unwrap();
    let told = api.wait_log(LogLevel::Critical, "this cannot be recorded");
    assert!(told.contains("stop the PLC once more"), "{told:?}");
    assert_eq!(wish(), "run\n");
    fs::remove_dir(&in_the_way).unwrap();
    api.stop().unwrap();
    assert_eq!(wish(), "stop\n");
}
