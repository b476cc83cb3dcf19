// SPDX-License-Identifier: MIT OR Apache-2.0
//! A trace list, its forces and its token belong to one program: with another one installed they are gone, since there
//! the same indexes are other variables.
#![forbid(unsafe_code)]

use std::process::{Command, Stdio};

use plc_api::{
    message::{ApiError, Reply, Request, WhenRunning},
    plc::PlcStatus,
    trace::{TraceBatch, TraceVariable},
};
use plc_tests::{
    api::{Api, MD5},
    desk::Desk,
    ide::Generation,
    programs,
};
use serde_json::json;

/// `A_DINT` in `good`; in `untouched` a variable that its program never writes.
const INDEX: u32 = 7;
const FORCED: i32 = -5555;

fn set(api: &Api, force: Option<i32>) -> u32 {
    let force = force.map(|value| value.to_ne_bytes().to_vec().into());
    match api.call(Request::SetTrace(vec![TraceVariable { index: INDEX, force }])).unwrap() {
        Reply::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

fn read(api: &Api, token: u32) -> Result<TraceBatch, String> {
    match api.call(Request::ReadTrace { token: Some(token), max_bytes: 60_000 }) {
        Ok(Reply::Trace(batch)) => Ok(batch),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.to_string()),
    }
}

/// The value of the variable in the program that runs.
fn value(api: &Api) -> i32 {
    let token = set(api, None);
    loop {
        if let Some(sample) = read(api, token).unwrap().samples.first() {
            return i32::from_ne_bytes(sample.data[..4].try_into().unwrap());
        }
    }
}

/// `good` runs, with its variable forced.
fn forced() -> (Desk, Api, u32) {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let token = set(&api, Some(FORCED));
    while read(&api, token).unwrap().samples.is_empty() {}
    (desk, api, token)
}

fn assert_ended(api: &Api, token: u32) {
    assert_eq!(read(api, token).unwrap_err(), ApiError::TokenLost.to_string());
}

#[test]
fn a_program_installed_in_place_of_a_running_one_is_not_forced() {
    let (_desk, api, token) = forced();
    api.install(MD5, &programs::bytes("untouched"), &[], WhenRunning::Restart).unwrap();
    api.wait("it runs", |snapshot| snapshot.status == PlcStatus::Started);
    assert_ended(&api, token);
    assert_eq!(value(&api), 0);
}

#[test]
fn a_program_installed_while_stopped_is_not_forced_at_its_start() {
    let (_desk, api, token) = forced();
    api.stop().unwrap();
    api.install(MD5, &programs::bytes("untouched"), &[], WhenRunning::Refuse).unwrap();
    assert_ended(&api, token);
    api.start().unwrap();
    assert_eq!(value(&api), 0);
}

#[test]
fn a_list_set_while_stopped_is_of_the_program_that_is_installed_then() {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    let token = set(&api, Some(FORCED));
    api.install(MD5, &programs::bytes("untouched"), &[], WhenRunning::Refuse).unwrap();
    assert_ended(&api, token);
    api.start().unwrap();
    assert_eq!(value(&api), 0);
}

#[test]
fn rolling_back_and_uninstalling_end_forces_too() {
    let desk = Desk::start();
    let api = desk.api();
    for name in ["untouched", "good"] {
        api.install(MD5, &programs::bytes(name), &[], WhenRunning::Refuse).unwrap();
    }
    api.start().unwrap();
    let token = set(&api, Some(FORCED));
    api.call(Request::Rollback).unwrap();
    api.wait("it runs", |snapshot| snapshot.status == PlcStatus::Started);
    assert_ended(&api, token);
    assert_eq!(value(&api), 0);
    let token = set(&api, Some(FORCED));
    api.stop().unwrap();
    api.call(Request::Repair).unwrap();
    assert_ended(&api, token);
}

#[test]
fn the_same_program_started_again_keeps_its_forces() {
    let (_desk, api, token) = forced();
    api.stop().unwrap();
    api.start().unwrap();
    let sample = loop {
        if let Some(sample) = read(&api, token).unwrap().samples.pop() {
            break sample;
        }
    };
    assert_eq!(sample.data, FORCED.to_ne_bytes());
}

#[test]
fn an_ide_of_every_kind_is_refused_with_the_token_of_a_program_that_is_gone() {
    for generation in [Generation::Pyro5, Generation::Erpc11, Generation::Erpc12] {
        let desk = Desk::start();
        let api = desk.api();
        let mut ide = desk.ide(generation);
        assert_eq!(ide.transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
        ide.must("StartPLC", json!([]));
        let token =
            ide.set_trace(&[(INDEX, "DINT", Some((json!(FORCED), FORCED.to_ne_bytes().to_vec())))]);
        while ide.read_trace(token).1.is_empty() {}
        api.install(MD5, &programs::bytes("untouched"), &[], WhenRunning::Restart).unwrap();
        api.wait("it runs", |snapshot| snapshot.status == PlcStatus::Started);
        let (_, samples) = ide.read_trace(token);
        assert!(samples.is_empty(), "{generation:?}: {samples:?}");
        assert_eq!(value(&api), 0, "{generation:?}");
    }
}

#[test]
fn a_trace_of_plcctl_ends_with_the_reason() {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let force = format!("{INDEX}:DINT={FORCED}");
    let trace = Command::new(plc_tests::binary("plcctl"))
        .arg("--socket")
        .arg(desk.paths().api_socket())
        .args(["trace", "--force", &force])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It owns debugging when samples come.
    while api.stats().trace_samples == 0 {}
    api.install(MD5, &programs::bytes("untouched"), &[], WhenRunning::Restart).unwrap();
    let output = trace.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another program was installed"), "{said}");
    assert_eq!(value(&api), 0);
}
