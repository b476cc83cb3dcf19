// SPDX-License-Identifier: MIT OR Apache-2.0
//! However a machine, its service or its package ends: the PLC is stopped first, by its own stop function. The program
//! writes marks itself; `end` is the last thing that its stop function does.

use std::fs;

use plc_api::plc::PlcStatus;
use plc_appliance::Machine;
use plc_tests::marks::Marks;

const STOPPED: [&str; 3] = ["begin", "stop", "end"];

fn running(program: &str) -> Machine {
    let machine = Machine::installed();
    machine.run_program(program);
    assert_eq!(machine.story(), ["begin"]);
    machine
}

/// Boots, and the program runs again, with its retained variables.
fn runs_again(machine: &Machine) {
    machine.wait_status(PlcStatus::Started);
    let marks = machine.wait_marks(2, "begin");
    assert_eq!((marks.count("stop"), marks.count("end")), (1, 1), "{marks:?}");
    marks.assert_no_overlap();
    let starts = fs::read_to_string(machine.disk("/var/lib/plc-work/retain_buffer_file")).unwrap();
    assert_eq!(starts, "2\n", "the retain file is there");
}

#[test]
fn systemctl_stop_and_start() {
    let machine = running("stopmark");
    machine.runtime().systemctl("stop");
    assert_eq!(machine.story(), STOPPED);
    assert_eq!(machine.look("pgrep -c plc-worker || true"), "0\n");
    machine.runtime().systemctl("start");
    runs_again(&machine);
}

#[test]
fn systemctl_restart() {
    let machine = running("stopmark");
    machine.runtime().systemctl("restart");
    runs_again(&machine);
}

#[test]
fn systemctl_stop_waits_for_a_program_that_stops_slowly() {
    let machine = running("slowstop");
    machine.runtime().systemctl("stop");
    assert_eq!(machine.story(), STOPPED);
    assert_eq!(machine.runtime().property("Result"), "success");
}

/// The unit grants a worker less time than its program takes to stop, 4 s; the configuration grants more.
fn running_with_an_impatient_unit() -> Machine {
    let machine = Machine::installed();
    machine.write(
        "/etc/systemd/system/plc-worker@.service.d/impatient.conf",
        "[Service]\nTimeoutStopSec=2\nWatchdogSec=3\n",
    );
    machine
        .write("/etc/plc-runtime/plc-runtime.toml.d/slow.toml", "[plc]\nstop_timeout_ms = 60000\n");
    machine.look("systemctl daemon-reload");
    machine.plcctl(&["reload"]).expect_success();
    machine.run_program("slowstop");
    machine
}

#[test]
fn a_worker_that_is_stopped_by_itself_has_the_time_of_the_configuration_and_not_of_its_unit() {
    let machine = running_with_an_impatient_unit();
    let _ = machine.run(&["systemctl", "stop", "plc-worker@*.service"]);
    // The supervisor starts it again, since it is meant to run.
    let marks = machine.wait_marks(2, "begin");
    assert_eq!((marks.count("stop"), marks.count("end")), (1, 1), "{marks:?}");
}

#[test]
fn a_worker_whose_supervisor_is_gone_is_not_taken_for_frozen_while_its_program_stops() {
    let machine = running_with_an_impatient_unit();
    machine.runtime().signal("KILL");
    let marks = machine.wait_marks(2, "begin");
    assert_eq!((marks.count("stop"), marks.count("end")), (1, 1), "{marks:?}");
}

#[test]
fn reboot_from_inside() {
    let machine = running("slowstop");
    let boots = machine.boots();
    let _ = machine.run(&["systemctl", "reboot"]);
    machine.wait_reboot(boots);
    runs_again(&machine);
}

#[test]
fn poweroff_from_inside() {
    let machine = running("slowstop");
    let _ = machine.run(&["systemctl", "poweroff"]);
    machine.wait_off();
    assert_eq!(machine.story(), STOPPED);
    machine.boot();
    runs_again(&machine);
}

#[test]
fn the_power_key() {
    let machine = running("stopmark");
    machine.stop();
    assert_eq!(machine.story(), STOPPED);
    machine.boot();
    runs_again(&machine);
}

#[test]
fn a_plc_that_was_stopped_stays_stopped_over_a_reboot() {
    let machine = running("stopmark");
    machine.api().stop().unwrap();
    machine.stop();
    machine.boot();
    assert_eq!(machine.api().snapshot().status, PlcStatus::Stopped);
    assert_eq!(machine.story(), STOPPED);
}

#[test]
fn the_loss_of_all_processes_at_once() {
    let machine = running("stopmark");
    machine.kill();
    assert_eq!(machine.story(), ["begin"], "nobody could stop it");
    machine.boot();
    machine.wait_status(PlcStatus::Started);
    assert_eq!(machine.wait_marks(2, "begin").count("end"), 0);
}

#[test]
fn removal_of_the_package_keeps_what_a_later_installation_needs() {
    let machine = running("slowstop");
    let apt = machine.run(&["apt-get", "-y", "remove", "plc-runtime"]);
    assert_eq!(apt.code, 0, "{apt:?}");
    assert_eq!(machine.story(), STOPPED);
    nothing_runs(&machine);
    machine.apt_install(&plc_appliance::deb());
    runs_again(&machine);
}

#[test]
fn purge_of_the_package_leaves_nothing() {
    let machine = running("slowstop");
    // The working directory goes, and a second name keeps the marks.
    fs::hard_link(machine.disk("/var/lib/plc-work/marks.txt"), machine.disk("/var/marks.txt"))
        .unwrap();
    let apt = machine.run(&["apt-get", "-y", "purge", "plc-runtime"]);
    assert_eq!(apt.code, 0, "{apt:?}");
    let marks = Marks::read(&machine.disk("/var"));
    marks.assert_each_was_stopped_before_the_next();
    assert_eq!(marks.count("end"), 1);
    nothing_runs(&machine);
    let left = machine.look(
        "find /etc /run /usr /var -xdev \\( -name 'plc-*' -o -name '*plcruntime*' \\) \
         ! -path '/var/lib/systemd/*' ! -path '/var/cache/*' ! -path '/run/systemd/*'",
    );
    assert_eq!(left, "", "files that are left");
}

/// No process, unit or port of ours is left.
fn nothing_runs(machine: &Machine) {
    assert_eq!(machine.look("pgrep -a plc- || true"), "");
    let units =
        "systemctl list-units --all --plain --no-legend --state=active,activating,failed 'plc-*'";
    assert_eq!(machine.look(units), "");
    assert_eq!(machine.look("ss -Htuln"), "");
}
