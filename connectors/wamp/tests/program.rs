// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program itself: its two modes, its options, its ends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plc-connector-wamp"));
    command.args(arguments).args(["--api", "/nowhere/api.sock"]);
    command.env_remove("LISTEN_FDS").stderr(Stdio::piped());
    command
}

fn end(child: Child) -> Output {
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn direct_mode_serves_the_socket_that_it_is_given_until_sigterm() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let child = program(&["--direct"]).stdin(OwnedFd::from(listener)).spawn().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let output = end(child);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn direct_mode_without_a_socket_says_how_to_give_it_one() {
    let output = program(&["--direct"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("--listen ADDR:PORT"), "{log}");
}

#[test]
fn router_mode_waits_for_the_supervisor_and_ends_at_sigterm() {
    let mut child = program(&[]).env("RUST_LOG", "debug").spawn().unwrap();
    // It says something when it has found nobody; by then SIGTERM is watched for.
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let output = end(child);
    assert_eq!(output.status.code(), Some(0), "{line} {output:?}");
}

#[test]
fn options_that_only_direct_mode_has_are_refused_without_it() {
    for option in [["--listen", "127.0.0.1:0"], ["--idle-exit", "1"], ["--refuse-user", "x"]] {
        let output = program(&option).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("--direct"), "{text}");
    }
}

#[test]
fn it_explains_itself() {
    let help = program(&["--help"]).output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for option in ["--api", "--direct", "--listen", "--idle-exit", "--refuse-user", "--version"] {
        assert!(text.contains(option), "{option} is not in {text}");
    }
    assert!(program(&["--version"]).status().unwrap().success());
}
