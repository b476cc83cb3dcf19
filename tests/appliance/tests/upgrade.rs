// SPDX-License-Identifier: MIT OR Apache-2.0
//! An upgrade never stops a running PLC: what runs, runs on, and the new version comes when no program runs.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use plc_api::plc::PlcStatus;
use plc_appliance::{Machine, deb, until};
use plc_tests::{api::MD5, ide::Generation, programs};
use serde_json::json;

/// Whether the supervisor that runs is the file that is installed.
fn runs_what_is_installed(machine: &Machine) -> bool {
    let pid = machine.runtime().main_pid();
    let file = machine.look(&format!("readlink /proc/{pid}/exe || true"));
    pid != 0 && !file.is_empty() && !file.contains("(deleted)")
}

/// A machine whose PLC runs on while a later version of everything has been installed.
fn upgraded_under(program: &str) -> Machine {
    let machine = Machine::installed();
    machine.run_program(program);
    let said = machine.apt_install(&machine.later_deb());
    assert!(said.contains("runs on") && said.contains("systemctl restart plc-runtime"), "{said}");
    assert!(machine.api().snapshot().upgrade_waits);
    assert!(!runs_what_is_installed(&machine));
    machine
}

fn wait_for_the_new_version(machine: &Machine) {
    until("the new version", || {
        (runs_what_is_installed(machine) && !machine.api().snapshot().upgrade_waits).then_some(())
    });
}

#[test]
fn a_running_plc_does_not_miss_a_cycle_and_its_ide_stays() {
    let machine = Machine::installed();
    let api = machine.run_program("lockstep");
    let mut ide = machine.ide(Generation::Pyro5);
    assert_eq!(ide.status(), "Started");
    let supervisor = machine.runtime().main_pid();
    let before = api.snapshot();
    let later = machine.later_deb();
    // Every cycle of this program waits until it has been traced, so that none can be missing between two that were.
    let token = api.set_trace([0]).unwrap();
    let upgraded = AtomicBool::new(false);
    let ticks = thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut ticks = Vec::new();
            let mut last_round = false;
            while !last_round {
                last_round = upgraded.load(Ordering::SeqCst);
                let batch = api.read_trace(token).unwrap();
                ticks.extend(batch.samples.iter().map(|sample| sample.tick));
                thread::yield_now();
            }
            ticks
        });
        machine.apt_install(&later);
        upgraded.store(true, Ordering::SeqCst);
        reader.join().unwrap()
    });
    assert!(ticks.len() > 100, "{} cycles", ticks.len());
    assert!(ticks.windows(2).all(|pair| pair[1] == pair[0] + 1), "a cycle is missing");

    let after = api.snapshot();
    assert_eq!(after.worker_pid, before.worker_pid);
    assert_eq!(after.started_at_us, before.started_at_us);
    assert!(after.upgrade_waits);
    assert_eq!(machine.runtime().main_pid(), supervisor);
    assert_eq!(ide.status(), "Started", "the same connection");
    let told = machine.plcctl(&["status"]);
    assert!(told.stdout.contains("systemctl restart plc-runtime"), "{told:?}");
}

#[test]
fn an_ide_reaches_the_plc_through_the_new_connector() {
    let machine = upgraded_under("stopmark");
    for generation in Generation::ALL {
        assert_eq!(machine.ide(generation).status(), "Started", "{generation:?}");
    }
    assert_eq!(machine.story(), ["begin"]);
    machine.runtime().systemctl("restart");
    machine.wait_status(PlcStatus::Started);
    wait_for_the_new_version(&machine);
    machine.wait_marks(2, "begin").assert_no_overlap();
    assert_eq!(machine.story(), ["begin", "stop", "end", "begin"]);
}

#[test]
fn a_program_that_crashes_after_the_upgrade_runs_again_under_the_new_version() {
    let machine = upgraded_under("stopmark");
    let worker = machine.api().snapshot().worker_pid.unwrap();
    machine.enter(&["kill", "-s", "SEGV", &worker.to_string()]).expect_success();
    let _ = machine.wait_marks(2, "begin");
    wait_for_the_new_version(&machine);
    machine.wait_status(PlcStatus::Started);
    assert_eq!(machine.story(), ["begin", "begin"]);
}

#[test]
fn a_program_that_is_transferred_after_the_upgrade_runs() {
    let machine = upgraded_under("stopmark");
    let mut ide = machine.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Started");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
    assert_eq!(ide.transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    until("the IDE to see it run", || (ide.status() == "Started").then_some(()));
    // Who stops a program often sends another one: the change did not come in between.
    assert!(machine.api().snapshot().upgrade_waits);
    assert_eq!(machine.story(), ["begin", "stop", "end"]);
    machine.runtime().systemctl("restart");
    wait_for_the_new_version(&machine);
    machine.wait_status(PlcStatus::Started);
    assert_eq!(machine.runtime().property("Result"), "success");
}

#[test]
fn the_new_version_comes_a_moment_after_the_program_was_stopped() {
    let machine = upgraded_under("stopmark");
    assert_eq!(machine.plcctl(&["stop"]).code, 0);
    wait_for_the_new_version(&machine);
    assert_eq!(machine.api().snapshot().status, PlcStatus::Stopped);
    assert_eq!(machine.plcctl(&["start"]).code, 0);
    assert_eq!(machine.story(), ["begin", "stop", "end", "begin"]);
}

#[test]
fn without_a_running_program_the_new_version_runs_at_once() {
    let machine = Machine::installed();
    let supervisor = machine.runtime().main_pid();
    let said = machine.apt_install(&machine.later_deb());
    assert!(said.contains("the new version runs"), "{said}");
    assert_ne!(machine.runtime().main_pid(), supervisor);
    assert!(runs_what_is_installed(&machine));
    // And back.
    let said = machine.apt_install(&deb());
    assert!(said.contains("the new version runs"), "{said}");
    assert_eq!(machine.api().snapshot().status, PlcStatus::Empty);
}

#[test]
fn a_service_that_the_operator_stopped_stays_stopped() {
    let machine = Machine::installed();
    machine.run_program("stopmark");
    machine.runtime().systemctl("stop");
    machine.apt_install(&machine.later_deb());
    assert_eq!(machine.runtime().property("ActiveState"), "inactive");
    assert_eq!(machine.story(), ["begin", "stop", "end"]);
    machine.runtime().systemctl("start");
    machine.wait_status(PlcStatus::Started);
    assert!(runs_what_is_installed(&machine));
}
