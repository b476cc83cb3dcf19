// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process that crashes, freezes, is killed or eats everything takes nothing else with it, and the PLC runs again
//! when it is meant to.

use plc_api::{
    log::LogLevel,
    message::WhenRunning,
    plc::{PlcStatus, Wish},
};
use plc_appliance::{Machine, until};
use plc_tests::{
    api::MD5,
    ide::{Generation, Ide},
    programs,
};
use serde_json::json;

/// Waits until an IDE sees a state; its connection must hold.
fn wait_ide(ide: &mut Ide, status: &str) {
    until(&format!("an IDE to see {status}"), || (ide.status() == status).then_some(()));
}

fn workers(machine: &Machine) -> usize {
    machine.look("pgrep -x plc-worker || true").lines().count()
}

/// What is there when one program runs, and no more.
fn assert_nothing_is_left_over(machine: &Machine) {
    assert_eq!(workers(machine), 1);
    let units = machine.look("systemctl list-units --all --plain --no-legend 'plc-worker@*'");
    assert_eq!(units.lines().count(), 1, "{units}");
    // Each connector has one socket there, for as long as the supervisor serves.
    let files = machine.look(
        "find /run/plc-runtime /run/plc-worker ! -type d \
         ! -regex '/run/plc-runtime/connectors/[a-z]+[.]sock' | sort",
    );
    // The note is for the supervisor after an unexpected end.
    let expected = [
        "/run/plc-runtime/api.sock",
        "/run/plc-runtime/meant.toml",
        "/run/plc-worker/lock",
        "/run/plc-worker/worker.sock",
    ];
    assert_eq!(files.lines().collect::<Vec<_>>(), expected);
}

fn configure(machine: &Machine, config: &str) {
    machine.write("/etc/plc-runtime/plc-runtime.toml.d/50-test.toml", config);
    machine.runtime().systemctl("restart");
}

#[test]
fn a_crash_stays_in_the_worker_and_the_third_within_a_minute_is_left_alone() {
    let machine = Machine::installed();
    let supervisor = machine.runtime().main_pid();
    let mut ides = [machine.ide(Generation::Erpc12), machine.ide(Generation::Pyro5)];
    for ide in &mut ides {
        assert_eq!(ide.status(), "Empty");
    }
    assert_eq!(ides[0].transfer(MD5, &programs::bytes("segv_cycle"), &[]), Ok(true));
    ides[0].must("StartPLC", json!([]));
    let api = machine.api();
    let broken = api.wait("the third crash", |s| s.status == PlcStatus::Broken && s.crashes == 3);
    let reason = broken.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("SIGSEGV"), "{reason}");
    assert_eq!((broken.worker_pid, broken.wish), (None, Wish::Run));
    for ide in &mut ides {
        wait_ide(ide, "Broken");
        assert!(ide.log(1).contains(&"before the fault".to_owned()), "its last words are kept");
    }
    machine.look("! pgrep -x plc-worker");
    assert_eq!(machine.runtime().main_pid(), supervisor);
    assert_eq!(machine.runtime().property("NRestarts"), "0");
    assert_eq!(machine.look("systemctl is-system-running"), "running\n", "no failed unit stays");

    // The next program, over the same connection.
    assert_eq!(ides[1].transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ides[1].must("StartPLC", json!([]));
    wait_ide(&mut ides[0], "Started");
    assert_eq!(api.snapshot().crashes, 3);
    assert_nothing_is_left_over(&machine);
}

#[test]
fn a_supervisor_that_is_killed_leaves_a_plc_that_is_stopped_and_runs_again() {
    let machine = Machine::installed();
    machine.run_program("slowstop");
    let mut ide = machine.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Started");
    let before = machine.runtime().main_pid();
    machine.runtime().signal("KILL");
    // 4 s pass between `stop` and `end`; the next program begins after that.
    let marks = machine.wait_marks(2, "begin");
    marks.assert_no_overlap();
    assert_eq!((marks.count("stop"), marks.count("end")), (1, 1), "{marks:?}");
    machine.wait_status(PlcStatus::Started);
    assert_ne!(machine.runtime().main_pid(), before);
    assert_eq!(machine.runtime().property("NRestarts"), "1", "one restart, and no start limit");
    assert_eq!(machine.api().snapshot().crashes, 0, "waiting for the old program is no crash");
    assert_nothing_is_left_over(&machine);
    wait_ide(&mut ide, "Started");
}

#[test]
fn a_supervisor_that_is_killed_many_times_comes_back_each_time() {
    let machine = Machine::installed();
    machine.run_program("stopmark");
    for round in 2..10 {
        machine.runtime().signal("KILL");
        machine.wait_marks(round, "begin").assert_no_overlap();
        machine.runtime().wait("SubState", "running");
    }
    machine.marks().0.chunks(3).for_each(|run| assert_eq!(run[0].what, "begin", "{run:?}"));
    assert_nothing_is_left_over(&machine);
}

#[test]
fn a_supervisor_that_freezes_is_replaced() {
    let machine = Machine::installed();
    assert_eq!(machine.runtime().property("WatchdogUSec"), "20s", "as shipped");
    // The same in less time.
    machine
        .write("/etc/systemd/system/plc-runtime.service.d/soon.conf", "[Service]\nWatchdogSec=2\n");
    machine.look("systemctl daemon-reload");
    machine.runtime().systemctl("restart");
    machine.run_program("slowstop");
    let before = machine.runtime().main_pid();
    machine.runtime().signal("STOP");
    let marks = machine.wait_marks(2, "begin");
    marks.assert_no_overlap();
    assert_eq!((marks.count("stop"), marks.count("end")), (1, 1), "{marks:?}");
    machine.wait_status(PlcStatus::Started);
    assert_ne!(machine.runtime().main_pid(), before);
    machine.wait_journal(&["-u", "plc-runtime"], "Watchdog timeout");
    assert_nothing_is_left_over(&machine);
}

#[test]
fn a_worker_that_freezes_is_ended_and_named() {
    let machine = Machine::installed();
    configure(&machine, "[plc]\nrestart = \"never\"\n");
    let api = machine.run_program("stopmark");
    let supervisor = machine.runtime().main_pid();
    let worker = api.snapshot().worker_pid.unwrap();
    machine.enter(&["kill", "-s", "STOP", &worker.to_string()]).expect_success();
    let broken = api.wait_status(PlcStatus::Broken);
    let reason = broken.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("sign of life") || reason.contains("silent"), "{reason}");
    assert_eq!(workers(&machine), 0);
    assert_eq!(machine.runtime().main_pid(), supervisor);
    api.start().unwrap();
    assert_eq!(api.snapshot().status, PlcStatus::Started);
    assert_nothing_is_left_over(&machine);
}

#[test]
fn a_program_that_eats_memory_is_killed_in_its_own_group() {
    let machine = Machine::installed();
    configure(&machine, "[plc]\nrestart = \"never\"\n");
    let shipped = machine.unit("plc-worker@any.service").property("MemoryMax");
    assert_ne!(shipped, "infinity", "as shipped");
    machine.write(
        "/etc/systemd/system/plc-worker@.service.d/small.conf",
        "[Service]\nMemoryMax=200M\n",
    );
    machine.look("systemctl daemon-reload");
    let supervisor = machine.runtime().main_pid();
    let mut ide = machine.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Empty");
    let connector = machine.unit("plc-connector-pyro.service").main_pid();
    let api = machine.run_program("eat_memory");
    let broken = api.wait_status(PlcStatus::Broken);
    let reason = broken.reason.as_deref().unwrap_or_default();
    assert!(reason.contains("SIGKILL") || reason.contains("memory"), "{reason}");
    assert!(api.log(LogLevel::Warning).iter().all(|m| m.text != "no limit found"));
    assert_eq!(machine.runtime().main_pid(), supervisor);
    assert_eq!(machine.unit("plc-connector-pyro.service").main_pid(), connector);
    wait_ide(&mut ide, "Broken");
    machine.run_program("good");
    assert_nothing_is_left_over(&machine);
}

#[test]
fn a_full_disk_is_told_and_leaves_the_old_program_whole() {
    let machine = Machine::installed();
    // 4 MiB for all that the supervisor keeps.
    machine.runtime().systemctl("stop");
    machine.sh(
        "cp -a /var/lib/plc-runtime /var/lib/was; mount -t tmpfs -o size=4m small /var/lib/plc-runtime; \
         cp -aT /var/lib/was /var/lib/plc-runtime",
    );
    machine.runtime().systemctl("start");
    let api = machine.run_program("stopmark");
    let first = api.snapshot().program.unwrap();
    let large = [programs::bytes("good"), vec![0; 5 << 20]].concat();

    let error = api.install(MD5, &large, &[], WhenRunning::Restart).unwrap_err().to_string();
    assert!(error.contains("space") || error.contains("full"), "{error}");
    let mut ide = machine.ide(Generation::Erpc12);
    ide.must("PurgeBlobs", json!([]));
    let after = api.snapshot();
    assert_eq!((after.status, after.program), (PlcStatus::Started, Some(first)));
    assert_eq!(machine.story(), ["begin"], "it was not even stopped");

    // Stop and start need no room either, or say so; with room again everything works.
    api.stop().unwrap();
    api.start().unwrap();
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Restart).unwrap();
    assert_eq!(api.snapshot().status, PlcStatus::Started);
}
