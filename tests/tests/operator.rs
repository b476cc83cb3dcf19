// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operator's command leaves behind when it ends otherwise than it would by itself.
#![forbid(unsafe_code)]

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use plc_api::{message::WhenRunning, plc::ConnectionInfo};
use plc_tests::{api::MD5, binary, desk::Desk, ide::Generation, marks::Marks, programs};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// A desk on which a program runs that marks when its variable is forced.
fn desk() -> Desk {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("held"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    desk
}

/// `plcctl`, once it forces the variable for the `nth` time.
fn forcing(desk: &Desk, nth: usize) -> Child {
    // As from a terminal, even if these tests run under nohup(1).
    let plcctl = Command::new("env")
        .arg("--default-signal=HUP")
        .arg(binary("plcctl"))
        .arg("--socket")
        .arg(desk.paths().api_socket())
        .args(["trace", "--force", "0:BOOL=TRUE"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = Marks::wait(&desk.paths().work_dir, nth, "held");
    plcctl
}

#[test]
fn a_forced_variable_is_released_whatever_ends_the_command() {
    let desk = desk();
    let signals = [Signal::KILL, Signal::HUP, Signal::QUIT, Signal::TERM, Signal::INT];
    for (nth, signal) in (1..).zip(signals) {
        let mut plcctl = forcing(&desk, nth);
        kill_process(Pid::from_child(&plcctl), signal).unwrap();
        let _ = Marks::wait(&desk.paths().work_dir, nth, "free");
        let ended = plcctl.wait().unwrap();
        assert_eq!(ended.success(), signal != Signal::KILL, "{signal:?}: {ended}");
    }
}

#[test]
fn a_variable_that_an_ide_has_forced_stays_so_when_its_connection_is_lost() {
    let desk = desk();
    let api = desk.api();
    let mut ide = desk.ide(Generation::Erpc12);
    assert!(ide.set_trace(&[(0, "BOOL", Some((json!(true), vec![1])))]) > 0);
    let _ = Marks::wait(&desk.paths().work_dir, 1, "held");
    drop(ide);
    let is_ides = |connection: &ConnectionInfo| connection.connector == "pyro";
    let _ = api.wait("the end of the connection", |_| !api.stats().connections.iter().any(is_ides));
    let now = api.stats().ticks;
    let _ = api.wait("cycles after it", |_| api.stats().ticks > now + 100);
    assert_eq!(desk.marks().count("free"), 0, "{:?}", desk.marks());
}

#[test]
fn the_status_says_what_a_boot_will_do_with_the_configuration_that_was_read_last() {
    let desk = Desk::configured("[plc]\nautostart = \"always\"\n");
    let row = || {
        let (_, status, _) = desk.plcctl(&["status"]);
        let row = status.lines().find_map(|line| line.strip_prefix("at boot"));
        row.unwrap_or_default().trim().to_owned()
    };
    assert_eq!(row(), "runs (autostart = \"always\"; last asked to stop)");
    let file = desk.paths().config_file;
    fs::write(file, "[plc]\nautostart = \"never\"\n").unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    assert_eq!(row(), "stays stopped (autostart = \"never\")");
}
