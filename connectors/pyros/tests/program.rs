// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program itself, as far as it differs from the one for the plain port.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::{Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_plc-connector-pyros");

#[test]
fn without_a_socket_it_says_how_to_give_it_one() {
    let mut command = Command::new(PROGRAM);
    let output = command.env_remove("LISTEN_FDS").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("--listen ADDR:PORT"), "{log}");
}

#[test]
fn it_explains_itself() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for word in ["--keys", "/etc/plc-runtime/psk.d", "PYROS://", "--listen", "--version"] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}
