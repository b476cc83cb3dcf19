// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of ARCHITECTURE.md, held against the code.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

/// Who may depend on whom. `plc-tests` may depend on anybody and nobody on it.
const EDGES: &[(&str, &[&str])] = &[
    ("plc-abi", &[]),
    ("plc-api", &[]),
    ("plc-appliance", &["plc-api", "plc-tests"]),
    ("plc-connector", &["plc-api", "plc-journal"]),
    ("plc-connector-pyro", &["plc-connector"]),
    ("plc-connector-pyros", &["plc-connector", "plc-connector-pyro", "plc-journal", "plc-keys"]),
    ("plc-connector-wamp", &["plc-connector", "plc-journal"]),
    ("plc-local", &["plc-api"]),
    ("plc-journal", &[]),
    ("plc-keys", &[]),
    ("plc-supervisor", &["plc-api", "plc-journal", "plc-keys", "plc-worker-link"]),
    ("plc-worker", &["plc-abi", "plc-api", "plc-journal", "plc-worker-link"]),
    ("plc-worker-link", &["plc-api"]),
    ("plc-vm", &["plc-appliance", "plc-tests"]),
    ("plcctl", &["plc-api"]),
];

/// Crates that may not be reached from a program, and why.
const ABSENT: &[(&str, &[&str])] = &[
    // No async runtime beside the cyclic task.
    ("plc-worker", &["tokio", "zbus"]),
    // The supervisor never maps the shared object.
    ("plc-supervisor", &["libloading", "plc-abi"]),
    // A connector never speaks to the worker.
    // TLS would be the larger part of the port for this machine.
    ("plc-connector-pyro", &["plc-worker-link", "plc-abi", "libloading", "openssl"]),
    ("plc-connector-pyros", &["plc-worker-link", "plc-abi", "libloading"]),
    ("plc-connector-wamp", &["plc-worker-link", "plc-abi", "libloading", "openssl"]),
    ("plcctl", &["plc-worker-link", "plc-abi", "libloading"]),
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--locked", "--offline"])
        .current_dir(plc_tests::root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn crates_depend_on_each_other_as_drawn() {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p["name"].as_str().unwrap()).collect();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let dependencies: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["kind"].is_null())
            .map(|d| d["name"].as_str().unwrap())
            .filter(|d| ours.contains(d))
            .collect();
        if name == "plc-tests" {
            continue;
        }
        let (_, drawn) = EDGES.iter().find(|(n, _)| *n == name).expect("every crate is drawn");
        assert_eq!(dependencies, drawn.iter().copied().collect(), "{name}");
    }
}

#[test]
fn what_is_deliberately_absent_is_absent() {
    for (program, absent) in ABSENT {
        let tree = cargo(&["tree", "-p", program, "-e", "normal", "--prefix", "none"]);
        for line in tree.lines() {
            let name = line.split(' ').next().unwrap();
            assert!(!absent.contains(&name), "{program} reaches {name}");
        }
    }
}

#[test]
fn only_plc_abi_may_be_unsafe() {
    for (name, _) in EDGES.iter().filter(|(name, _)| *name != "plc-abi") {
        let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_str(&metadata).unwrap();
        let package =
            metadata["packages"].as_array().unwrap().iter().find(|p| p["name"] == *name).unwrap();
        for target in package["targets"].as_array().unwrap() {
            if !matches!(target["kind"][0].as_str(), Some("lib" | "bin")) {
                continue;
            }
            let root = target["src_path"].as_str().unwrap();
            let text = fs::read_to_string(root).unwrap();
            assert!(
                text.contains("\n#![forbid(unsafe_code)]\n"),
                "{root} does not forbid unsafe code"
            );
        }
    }
}
