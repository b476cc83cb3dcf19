// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl selftest`, as on a machine where everything is installed, and where something is wrong.
#![forbid(unsafe_code)]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use plc_tests::installed::side_by_side;
use serde_json::Value as Json;

fn selftest(installed: &Path, scratch: &Path, arguments: &[&str]) -> Output {
    Command::new(installed.join("plcctl"))
        .arg("selftest")
        .arg("--dir")
        .arg(scratch)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_whole_installation_passes_and_leaves_nothing_behind() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    let output = selftest(installed.path(), scratch.path(), &[]);
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    assert!(table.ends_with("\n10 passed, 0 failed\n"), "{table}");
    assert_eq!(text(&output.stderr), "");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_worker_that_does_not_work_fails_the_test_and_what_was_said_is_kept() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    fs::copy("/bin/false", installed.path().join("plc-worker")).unwrap();
    let output = selftest(installed.path(), scratch.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["format"], &report["failed"]), (&1.into(), &1.into()), "{report}");
    let verdict = |step: &str| {
        let steps = report["steps"].as_array().unwrap();
        let found = steps.iter().find(|outcome| outcome["step"] == step);
        found.unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("begin"), "passed");
    assert_eq!(verdict("install"), "failed");
    assert_eq!(verdict("start"), "skipped");
    assert_eq!(verdict("end"), "passed", "{report}");
    let kept =
        scratch.path().join(fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path());
    assert!(text(&output.stderr).contains(&kept.display().to_string()), "{}", text(&output.stderr));
    assert!(kept.join("messages").is_file());
}

#[test]
fn a_missing_program_is_named_with_the_next_step() {
    let (installed, scratch) = (side_by_side(), tempfile::tempdir().unwrap());
    fs::remove_file(installed.path().join("plc-local")).unwrap();
    let output = selftest(installed.path(), scratch.path(), &[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("plc-local is not to be found") && said.contains("install the package"),
        "{said}"
    );
}
