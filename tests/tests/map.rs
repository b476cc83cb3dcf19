// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of ARCHITECTURE.md, held against the code.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use plc_tests::root;
use serde_json::Value;

/// Who may depend on whom. `plc-tests` may depend on anybody and nobody on it.
const EDGES: &[(&str, &[&str])] = &[
    ("plc-abi", &[]),
    ("plc-api", &[]),
    ("plc-appliance", &["plc-api", "plc-tests"]),
    ("plc-connector", &["plc-api", "plc-journal"]),
    ("plc-connector-pyro", &["plc-connector"]),
    ("plc-connector-pyros", &["plc-connector", "plc-connector-pyro", "plc-journal", "plc-keys"]),
    ("plc-connector-wamp", &["plc-connector", "plc-journal", "plc-keys"]),
    ("plc-local", &["plc-api"]),
    ("plc-journal", &[]),
    ("plc-keys", &[]),
    ("plc-supervisor", &["plc-api", "plc-journal", "plc-keys", "plc-worker-link"]),
    ("plc-worker", &["plc-abi", "plc-api", "plc-journal", "plc-worker-link"]),
    ("plc-worker-link", &["plc-api"]),
    ("plc-vm", &["plc-appliance", "plc-tests"]),
    ("plcctl", &["plc-api", "plc-keys"]),
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
        .current_dir(root())
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

/// Calls `visit` with every file below a directory, but for what was built.
fn each_file(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            if ![".git", "target", "dist"].iter().any(|built| name == *built) {
                each_file(&entry.path(), visit);
            }
        } else {
            visit(&entry.path());
        }
    }
}

/// The drawing says what holds a promise by the name of a file or of a test; one that moves takes its name along.
#[test]
fn every_file_and_every_test_that_the_drawing_names_is_there() {
    let (mut files, mut functions) = (Vec::new(), BTreeSet::new());
    each_file(&root(), &mut |path| {
        files.push(path.strip_prefix(root()).unwrap().to_owned());
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path).unwrap();
            let names = text.lines().filter_map(|line| line.split_once("fn ")?.1.split_once('('));
            functions.extend(names.map(|(name, _)| name.to_owned()));
        }
    });
    let drawing = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let prose: String = drawing.split("```").step_by(2).collect();
    let is_file = |name: &str| {
        let known = [".rs", ".service", ".socket", ".postinst", ".toml", ".md"];
        known.iter().any(|end| name.ends_with(end)) || name.ends_with('/')
    };
    let is_test = |name: &str| {
        name.matches('_').count() > 3 && name.chars().all(|c| c == '_' || c.is_lowercase())
    };
    let (mut looked_at, mut missing) = (0, Vec::new());
    for name in prose.split('`').skip(1).step_by(2) {
        let found = if is_test(name) {
            functions.contains(name)
        } else if is_file(name) {
            files.iter().any(|file| {
                file.ends_with(name) || file.parent().is_some_and(|dir| dir.ends_with(name))
            })
        } else {
            continue;
        };
        looked_at += 1;
        if !found {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(looked_at > 50, "{looked_at}");
}
