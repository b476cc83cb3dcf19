// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operator's command leaves behind when it ends otherwise than it would by itself.
#![forbid(unsafe_code)]

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use plc_api::{log::LogLevel, message::WhenRunning, plc::ConnectionInfo};
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

/// The values of the first sample that `plcctl trace` shows with these arguments.
fn values(desk: &Desk, arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["trace", "--json", "--count", "1"], arguments].concat();
    let (code, out, err) = desk.plcctl(&arguments);
    assert_eq!(code, 0, "{err}");
    let sample: serde_json::Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    sample["values"].clone()
}

#[test]
fn times_are_shown_and_forced_in_the_form_of_the_program() {
    let desk = Desk::start();
    let api = desk.api();
    for (program, size) in [("time12", 12), ("good", 2 * size_of::<std::ffi::c_long>())] {
        api.install(MD5, &programs::bytes(program), &[], WhenRunning::Restart).unwrap();
        api.start().unwrap();
        assert_eq!(usize::from(api.stats().time_bytes), size);
        let index = if program == "time12" { 2 } else { 15 };
        for literal in ["T#-1s500ms", "T#1s500ms", "T#-1d2h"] {
            let name = format!("{index}:TIME");
            let shown = values(&desk, &["--force", &format!("{name}={literal}")]);
            assert_eq!(shown[&name], literal, "{program}");
        }
        api.stop().unwrap();
    }
}

#[test]
fn every_type_of_time_of_12_bytes_is_shown_and_forced_by_index_and_by_name() {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("time12"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let shown = values(&desk, &["1:UDINT", "2:TIME", "3:DATE", "4:TOD", "5:DT", "6:INT"]);
    let tick = shown["1:UDINT"].as_u64().unwrap();
    assert_eq!(shown["3:DATE"], "D#2026-02-26");
    assert_eq!(shown["4:TOD"], "TOD#12:34:56.25");
    assert!(shown["5:DT"].as_str().unwrap().starts_with("DT#2100-01-01-00:"), "{shown}");
    assert!(shown["2:TIME"].as_str().unwrap().starts_with("T#-"), "{shown}");
    assert_eq!(shown["6:INT"].as_i64().unwrap(), i64::try_from(tick * 3 % 65536).unwrap());

    let table = desk.path().join("VARIABLES.csv");
    let text = "2;DELAY;TIME\n3;DAY;DATE\n4;CLOCK;TOD\n5;MOMENT;DT\n6;NUMBER;INT\n";
    fs::write(&table, text).unwrap();
    let variables = format!("--variables={}", table.display());
    let forces = [
        ("DELAY", "T#-1s500ms"),
        ("DAY", "D#1969-12-31"),
        ("CLOCK", "TOD#23:59:59.999999999"),
        ("MOMENT", "DT#2262-04-12-00:00:00.5"),
        ("NUMBER", "-7"),
    ];
    let forces: Vec<String> =
        forces.iter().map(|(name, value)| format!("--force={name}={value}")).collect();
    let arguments: Vec<&str> =
        [&variables].into_iter().chain(&forces).map(String::as_str).collect();
    let expected = json!({
        "DELAY": "T#-1s500ms", "DAY": "D#1969-12-31", "CLOCK": "TOD#23:59:59.999999999",
        "MOMENT": "DT#2262-04-12-00:00:00.5", "NUMBER": -7,
    });
    assert_eq!(values(&desk, &arguments), expected);
    // It is the program's own T#-1s500ms.
    api.wait_log(LogLevel::Info, "one and a half seconds before");
}

#[test]
fn a_time_that_was_to_be_forced_before_its_form_was_known_is_forced_once_the_program_runs() {
    let desk = Desk::start();
    desk.api().install(MD5, &programs::bytes("time12"), &[], WhenRunning::Refuse).unwrap();
    // The new supervisor has loaded nothing yet.
    let desk = Desk::in_dir(desk.end());
    let api = desk.api();
    let plcctl = Command::new(binary("plcctl"))
        .arg("--socket")
        .arg(desk.paths().api_socket())
        .args(["trace", "--json", "--force", "2:TIME=T#-1s500ms"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let is_there = |connection: &ConnectionInfo| connection.connector == "plcctl";
    let _ = api.wait("the command", |_| api.stats().connections.iter().any(is_there));
    api.start().unwrap();
    api.wait_log(LogLevel::Info, "one and a half seconds before");
    kill_process(Pid::from_child(&plcctl), Signal::INT).unwrap();
    assert!(plcctl.wait_with_output().unwrap().status.success());
}
