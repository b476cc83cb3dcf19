// SPDX-License-Identifier: MIT OR Apache-2.0
//! After `apt install` the service runs, with nothing to configure and nothing open to the network, and from then on
//! only systemctl and boot start it.

use std::collections::BTreeSet;

use plc_api::{paths::LIBEXEC, plc::PlcStatus};
use plc_appliance::{IDE_PORT, Machine, deb, figure};
use plc_tests::ide::Generation;
use serde_json::json;

const CONNECTOR: &str = "plc-connector-pyro.service";

/// Where IDEs come in by WAMP.
const WAMP_PORT: u16 = 8888;

/// Where only who has a key is let in; all else is for loopback.
const KEYED: [&str; 2] = ["*:4000", "*:3001"];

/// Addresses at which the machine listens, of all protocols.
fn listening(machine: &Machine) -> Vec<String> {
    let lines = machine.look("ss -Htuln");
    lines.lines().filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect()
}

/// Lets the connector end after a second without a connection, and not after a minute.
fn idle_soon(machine: &Machine) {
    let exec = format!("{LIBEXEC}/plc-connector-pyro --refuse-user plc-worker --idle-exit 1");
    machine.write(
        &format!("/etc/systemd/system/{CONNECTOR}.d/idle.conf"),
        format!("[Service]\nExecStart=\nExecStart={exec}\n"),
    );
    machine.look("systemctl daemon-reload");
}

#[test]
fn a_fresh_installation_is_ready_and_listens_on_loopback_alone() {
    let machine = Machine::bare();
    assert_eq!(listening(&machine), [""; 0], "before");
    machine.apt_install(&deb());
    assert_eq!(machine.runtime().property("ActiveState"), "active", "at the end of apt");
    assert_eq!(machine.api().snapshot().status, PlcStatus::Empty);
    let (loopback, network): (Vec<String>, Vec<String>) =
        listening(&machine).into_iter().partition(|address| address.starts_with("127.0.0.1:"));
    let loopback: BTreeSet<String> = loopback.into_iter().collect();
    assert_eq!(loopback, [IDE_PORT, WAMP_PORT].map(|port| format!("127.0.0.1:{port}")).into());
    assert!(network.iter().all(|address| KEYED.contains(&address.as_str())), "{network:?}");
    let users = machine.look("ps -C plc-supervisor -o user:20=");
    assert_eq!(users.trim(), "plc-runtime");
    for unit in [
        "plc-runtime.service",
        "plc-worker.socket",
        "plc-connector-pyro.socket",
        "plc-connector-pyros.socket",
        "plc-connector-wamp-direct.socket",
    ] {
        assert_eq!(machine.unit(unit).property("UnitFileState"), "enabled", "{unit}");
    }
    let outward = machine.unit("plc-connector-wamp.service");
    assert_eq!(
        (outward.property("UnitFileState"), outward.property("ActiveState")),
        ("disabled".into(), "inactive".into()),
        "it goes out by itself, and nobody has asked for that"
    );
    let key = machine.look("stat -c '%04a %U:%G' /var/lib/plc-runtime/keys/device.psk");
    assert_eq!(key, "0640 plc-runtime:plc-keys\n");
    assert_eq!(machine.look("systemctl is-system-running"), "running\n", "no unit failed");
    let warnings = machine.journal(&["-u", "plc-*", "-p", "warning"]);
    assert_eq!(warnings, "", "an installation that works warns of nothing");
}

#[test]
fn the_connector_comes_with_an_ide_and_goes_after_it() {
    let machine = Machine::installed();
    idle_soon(&machine);
    let connector = machine.unit(CONNECTOR);
    assert_eq!(connector.property("ActiveState"), "inactive", "nobody has called");
    for generation in [Generation::Pyro5, Generation::Erpc12] {
        let mut ide = machine.ide(generation);
        assert_eq!(ide.status(), "Empty");
        assert_eq!(connector.property("ActiveState"), "active");
        let user = machine.look("ps -C plc-connector-pyro -o user:20=,uid=");
        assert!(!user.contains("root") && !user.contains("plc-runtime"), "{user}");
        drop(ide);
        connector.wait("ActiveState", "inactive");
        assert_eq!(connector.property("Result"), "success");
    }
    assert_eq!(machine.unit("plc-connector-pyro.socket").property("ActiveState"), "active");
}

#[test]
fn what_the_operator_stopped_stays_stopped_whoever_asks() {
    let machine = Machine::installed();
    machine.run_program("stopmark");
    machine.runtime().systemctl("stop");
    assert_eq!(machine.story(), ["begin", "stop", "end"]);

    let nobody = |command: &[&str]| machine.run(&[&["-p", "User=nobody"], command].concat());
    assert_eq!(nobody(&["plcctl", "status"]).code, 4, "cannot be reached");
    let property = ["org.plcruntime1", "/org/plcruntime1", "org.plcruntime1.Plc", "Status"];
    let answer = nobody(&[&["busctl", "get-property"], &property[..]].concat());
    assert_ne!(answer.code, 0, "{answer:?}");
    for generation in [Generation::Pyro5, Generation::Erpc12] {
        let mut ide = machine.ide(generation);
        // It is told that the runtime is away, in the way that its protocol has for it.
        let told = ide.call("GetPLCstatus", json!([]));
        assert!(!format!("{told:?}").contains("Started"), "{told:?}");
        let _ = ide.call("StartPLC", json!([]));
    }
    assert_eq!(machine.runtime().property("ActiveState"), "inactive");
    assert_eq!(machine.runtime().property("NRestarts"), "0");
    assert_eq!(machine.story(), ["begin", "stop", "end"]);

    // A boot does start it, and the program runs again: nobody has stopped the PLC itself.
    machine.stop();
    machine.boot();
    machine.wait_status(PlcStatus::Started);
    assert_eq!(machine.wait_marks(2, "begin").count("end"), 1);
}

#[test]
fn a_broken_configuration_is_named_and_not_tried_again() {
    let machine = Machine::installed();
    machine
        .write("/etc/plc-runtime/plc-runtime.toml.d/50-wrong.toml", "[plc]\nrestart = \"maybe\"\n");
    let restart = machine.run(&["systemctl", "restart", "plc-runtime"]);
    assert_ne!(restart.code, 0);
    let runtime = machine.runtime();
    runtime.wait("ActiveState", "failed");
    assert_eq!(
        (runtime.property("ExecMainStatus"), runtime.property("NRestarts")),
        ("78".into(), "0".into())
    );
    machine.wait_journal(&["-u", "plc-runtime"], "50-wrong.toml");
    machine.wait_journal(&["-u", "plc-runtime"], "expected `never` or `on-crash`");
    std::fs::remove_file(machine.disk("/etc/plc-runtime/plc-runtime.toml.d/50-wrong.toml"))
        .unwrap();
    machine.run(&["systemctl", "restart", "plc-runtime"]).expect_success();
    assert_eq!(machine.api().snapshot().status, PlcStatus::Empty);
}

/// Not a promise but a figure, to stand beside the bench's; what systemd needs to start our processes stands apart.
#[test]
fn from_the_service_s_start_to_the_first_cycle() {
    let machine = Machine::installed();
    machine.run_program("first_cycle");
    let microseconds = |unit: &str, moment: &str| {
        let value = machine.unit(unit).property(&format!("{moment}Monotonic"));
        value.parse::<u64>().unwrap_or_else(|_| panic!("{unit} {moment}: {value:?}"))
    };
    for round in 2..5 {
        machine.runtime().systemctl("stop");
        machine.runtime().systemctl("start");
        let marks = machine.wait_marks(round, "cycle");
        let first =
            marks.0.iter().rfind(|mark| mark.what == "cycle").expect("just seen").at_ns / 1000;
        let worker =
            machine.look("systemctl list-units --plain --no-legend 'plc-worker@*' | cut -d' ' -f1");
        let begin = microseconds("plc-runtime.service", "InactiveExitTimestamp");
        let ready = microseconds("plc-runtime.service", "ActiveEnterTimestamp");
        let forked = microseconds(worker.trim(), "ExecMainStartTimestamp");
        figure(&format!(
            "service start to first cycle: {} ms; of these {} ms to READY, {} ms from the worker's fork on",
            (first - begin) / 1000,
            (ready - begin) / 1000,
            (first - forked) / 1000,
        ));
    }
}
