// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of `plcctl --json`, against what a running PLC answers.

use std::{
    collections::BTreeSet,
    process::{Child, Command, Stdio},
};

use plc_api::plc::{PlcStatus, Snapshot};
use plc_tests::{
    binary,
    desk::Desk,
    manual::{Item, Page, items, marked},
    programs::built,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// What only some answers hold.
const RARE: [&str; 1] = ["dropped"];

/// All keys of an object and of those in it.
fn keys(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                found.insert(key.clone());
                // These keys are the names of variables.
                if key != "values" {
                    keys(value, found);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}

/// Nobody is there (RFC 6335, "discard").
const ROUTER: &str = "[wamp]\nactive = true\nurl = \"ws://127.0.0.1:9\"\n";

/// A PLC of which there is something to say: its program has crashed, and runs again, and there is no way to its router.
fn desk() -> Desk {
    let desk = Desk::configured(ROUTER);
    let library = built("good");
    assert_eq!(desk.plcctl(&["install", library.to_str().unwrap()]).0, 0);
    assert_eq!(desk.plcctl(&["start"]).0, 0);
    let api = desk.api();
    let worker = api.snapshot().worker_pid.and_then(|pid| Pid::from_raw(pid.try_into().unwrap()));
    kill_process(worker.unwrap(), Signal::SEGV).unwrap();
    let runs_again = |s: &Snapshot| s.crashes == 1 && s.status == PlcStatus::Started;
    let _ = api.wait("another start", runs_again);
    desk
}

/// The connector that tells of the router; ended when dropped.
struct Connector(Child);

impl Connector {
    fn start(desk: &Desk) -> Self {
        let mut connector = Command::new(binary("plc-connector-wamp"));
        connector.arg("--api").arg(desk.paths().connector_socket("wamp"));
        let connector = Self(connector.stderr(Stdio::null()).spawn().unwrap());
        let _ = desk.api().wait("a word of the router", |s| s.router.is_some());
        connector
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_key_of_every_answer_is_described_and_no_other() {
    let (desk, page) = (desk(), Page::of("plcctl"));
    let described = items(page.section("JSON"));
    let _connector = Connector::start(&desk);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anna.psk");
    let file = file.to_str().unwrap();
    for (command, line) in [
        ("status", &["status"][..]),
        ("start", &["start"]),
        ("log", &["log"]),
        ("trace", &["trace", "0:BOOL", "--count", "1"]),
        ("stats", &["stats"]),
        ("check", &["check", "--seconds", "1"]),
        ("pair", &["pair"]),
        ("psk add", &["psk", "add", "anna"]),
        ("psk list", &["psk", "list"]),
        ("psk show", &["psk", "show", "anna"]),
        ("psk export", &["psk", "export", "anna", file]),
        ("psk revoke", &["psk", "revoke", "anna"]),
        ("psk import", &["psk", "import", file]),
    ] {
        let (_, answer, said) = desk.plcctl(&[line, &["--json"]].concat());
        let mut there = BTreeSet::new();
        for object in answer.lines() {
            keys(&serde_json::from_str(object).unwrap(), &mut there);
        }
        assert!(there.remove("format"), "{command}: {answer}{said}");
        let is_of = |item: &&Item<'_>| {
            let commands = item.head.trim_start_matches("Cm ");
            commands.split(" , ").any(|described| described == command)
        };
        let entry = described.iter().find(is_of);
        let entry = entry.unwrap_or_else(|| panic!("the JSON of {command} is not described"));
        let mut said: BTreeSet<String> =
            marked(entry.body, "Va").into_iter().map(str::to_owned).collect();
        for rare in RARE {
            said.remove(rare);
        }
        assert_eq!(said, there, "{command}");
        for (ending, unit) in [("_ns", "nanoseconds"), ("_ms", "milliseconds")] {
            let has_it = there.iter().any(|key| key.ends_with(ending));
            assert!(!has_it || entry.body.contains(unit), "{command}: no word of {unit}");
        }
    }
}
