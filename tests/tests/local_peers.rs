// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other users of the machine at the port without keys: where it is left to operators, nobody else comes in or stays.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use plc_api::message::Request;
use plc_tests::{desk::Desk, ide::Generation};

const OPERATORS_ALONE: &str = "[pyro]\nlocal_peers = \"plc\"\n";

/// A client of eRPC, of another user, in bash: asks for the status, says which it is, and stays until the connection is
/// closed.
struct Other {
    process: Child,
    /// A number of the protocol.
    status: String,
}

/// The status that stands for "not known" too.
const BROKEN: &str = "3";

impl Other {
    fn of(desk: &Desk) -> Self {
        let status = r"\x8f\xac\x08\x00\x06\x44\x00\x04\x01\x01\x02\x00\x00\x00";
        let script = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{}; printf '{status}' >&3; head -c 15 <&3 | tail -c 1 | od -An -tu1; \
             exec cat <&3 >/dev/null",
            desk.port()
        );
        let mut process = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_ne!(line, "", "be root for this test");
        Self { process, status: line.trim().to_owned() }
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn reload_with(desk: &Desk, config: &str) {
    fs::write(desk.paths().config_file, config).unwrap();
    desk.api().call(Request::Reload).unwrap();
}

#[test]
fn the_port_without_keys_can_be_left_to_operators() {
    let desk = Desk::configured(OPERATORS_ALONE);
    assert_eq!(Other::of(&desk).status, BROKEN);
    let _ = desk.wait_log("user 65534 may not use the IDE port");
    // The test's own user is root.
    assert_eq!(desk.ide(Generation::Erpc12).status(), "Empty");
    reload_with(&desk, "");
    assert_ne!(Other::of(&desk).status, BROKEN);
}

#[test]
fn who_is_connected_when_the_port_is_left_to_operators_has_to_go() {
    let desk = Desk::start();
    let mut operator = desk.ide(Generation::Erpc12);
    assert_eq!(operator.status(), "Empty");
    let mut other = Other::of(&desk);
    assert_ne!(other.status, BROKEN);
    reload_with(&desk, OPERATORS_ALONE);
    let _ = desk.wait_log("an API connection was ended: user 65534 may not use the IDE port");
    let _ = desk.wait_log("the runtime does not let it in: user 65534 may not use");
    other.process.wait().unwrap();
    assert_eq!(operator.status(), "Empty");
}
