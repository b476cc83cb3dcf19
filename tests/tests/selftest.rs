// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl selftest`, as on a machine where everything is installed, and where something is wrong.
#![forbid(unsafe_code)]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Output, Stdio},
};

use plc_tests::{PATIENCE, desk::descendants, installed::side_by_side};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal},
};
use serde_json::Value as Json;

fn selftest(installed: &Path, scratch: &Path, arguments: &[&str]) -> Output {
    Command::new(installed.join("plcctl"))
        .arg("selftest")
        .arg("--dir")
        .arg(scratch)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_whole_installation_passes_and_leaves_nothing_behind() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    let output = selftest(installed.path(), scratch.path(), &[]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    assert!(table.ends_with("\n10 passed, 0 failed\n"), "{table}");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_worker_that_does_not_work_fails_the_test_and_what_was_said_is_kept() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    fs::copy("/bin/false", installed.path().join("plc-worker")).unwrap();
    let output = selftest(installed.path(), scratch.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["format"], &report["failed"]), (&1.into(), &1.into()), "{report}");
    let verdict = |step: &str| {
        let steps = report["steps"].as_array().unwrap();
        let found = steps.iter().find(|outcome| outcome["step"] == step);
        found.unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("begin"), "passed");
    assert_eq!(verdict("install"), "failed");
    assert_eq!(verdict("start"), "skipped");
    assert_eq!(verdict("end"), "passed", "{report}");
    let kept =
        scratch.path().join(fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path());
    assert!(text(&output.stderr).contains(&kept.display().to_string()), "{}", text(&output.stderr));
    assert!(kept.join("messages").is_file());
}

#[test]
fn a_missing_program_is_named_with_the_next_step() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    fs::remove_file(installed.path().join("plc-local")).unwrap();
    let output = selftest(installed.path(), scratch.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("plc-local is not to be found") && said.contains("install the package"),
        "{said}"
    );
}

/// Sees whether a process ends, and ends it where it does not.
fn ends(process: &OwnedFd) -> bool {
    let patience = Timespec::try_from(PATIENCE).unwrap();
    let ended = poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).unwrap() == 1;
    if !ended {
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
    ended
}

#[test]
fn told_to_end_in_the_middle_it_leaves_no_process_and_no_directory_and_killed_no_process() {
    let installed = side_by_side();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT, Signal::KILL] {
        let scratch = tempfile::tempdir().unwrap();
        // As from a terminal, even if these tests run under nohup(1).
        let mut selftest = Command::new("env")
            .arg("--default-signal=HUP")
            .arg(installed.path().join("plcctl"))
            .arg("selftest")
            .arg("--dir")
            .arg(scratch.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(selftest.stdout.take().unwrap()).lines();
        let started = lines.find(|line| line.as_ref().unwrap().contains("passed  start"));
        assert!(started.is_some(), "the program was not started");
        let plcctl = Pid::from_child(&selftest);
        let open = |pid: Pid| pidfd_open(pid, PidfdFlags::empty()).ok();
        let processes: Vec<OwnedFd> = descendants(plcctl).into_iter().filter_map(open).collect();
        assert!(processes.len() >= 3, "local, supervisor, connector, and perhaps a worker");
        kill_process(plcctl, signal).unwrap();
        let status = selftest.wait().unwrap();
        let remaining = processes.iter().filter(|process| !ends(process)).count();
        assert_eq!(remaining, 0, "processes after {signal:?}");
        if signal != Signal::KILL {
            assert_eq!(status.code(), Some(1), "{signal:?}");
            assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0, "{signal:?}");
        }
    }
}
