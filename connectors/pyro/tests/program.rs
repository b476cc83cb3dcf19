// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program itself: its sockets, its ends, its exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

const PROGRAM: &str = env!("CARGO_BIN_EXE_plc-connector-pyro");

/// The first message of every eRPC IDE, and the beginning of its answer.
const HELLO: &[u8] = b"\x08\x00\x9e\xc6\x00\x03\x01\x01\x01\x00\x00\x00";
const ANSWER: &[u8] = b"\x02\x03\x01\x02\x01\x00\x00\x00";

/// A listening socket and its address; connections wait in it until somebody accepts.
fn socket() -> (SocketAddr, Stdio) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, OwnedFd::from(listener).into())
}

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).args(["--api", "/nowhere/api.sock"]);
    command.env_remove("LISTEN_FDS").stderr(Stdio::piped());
    command
}

/// Says hello; whether it is answered.
fn is_served(address: SocketAddr) -> Option<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(HELLO).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    answer.ends_with(ANSWER).then_some(stream)
}

fn end(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_listening_socket_on_standard_input_is_served_until_sigterm() {
    let (address, socket) = socket();
    let child = program(&[]).stdin(socket).spawn().unwrap();
    let stream = is_served(address);
    let output = end(child);
    assert!(stream.is_some(), "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_socket_from_systemd_is_served() {
    let (address, socket) = socket();
    // LISTEN_PID must be the program's own (sd_listen_fds(3)), so a shell becomes the program.
    let script = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 0</dev/null"#;
    let child = Command::new("sh")
        .args(["-c", script, PROGRAM, "--api", "/nowhere/api.sock"])
        .stdin(socket)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stream = is_served(address);
    let output = end(child);
    assert!(stream.is_some(), "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn it_ends_by_itself_after_the_last_connection() {
    let (address, socket) = socket();
    let child = program(&["--idle-exit", "1"]).stdin(socket).spawn().unwrap();
    drop(is_served(address));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn it_ends_with_the_process_it_belongs_to() {
    let (address, socket) = socket();
    let mut parent = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let child =
        program(&[]).env("PLC_PARENT_PID", parent.id().to_string()).stdin(socket).spawn().unwrap();
    let stream = is_served(address);
    drop(parent.stdin.take());
    parent.wait().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(stream.is_some(), "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn a_local_process_of_a_refused_user_is_not_served() {
    let me = Command::new("id").arg("-un").output().unwrap().stdout;
    let me = String::from_utf8(me).unwrap();
    let (address, socket) = socket();
    let child = program(&["--refuse-user", me.trim()]).stdin(socket).spawn().unwrap();
    let stream = is_served(address);
    let output = end(child);
    assert!(stream.is_none(), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("may not connect"), "{log}");
}

#[test]
fn without_a_socket_it_says_how_to_give_it_one() {
    let output = program(&[]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("--listen ADDR:PORT"), "{log}");
}

#[test]
fn it_explains_itself() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for option in
        ["--api", "--listen", "--idle-exit", "--refuse-user", "--pyro3-version", "--version"]
    {
        assert!(text.contains(option), "{option} is not in {text}");
    }
    let version = Command::new(PROGRAM).arg("--version").output().unwrap();
    assert!(version.status.success());
}
