// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes, against the code that gives them.

use std::{collections::BTreeSet, fs, process::Command};

use plc_tests::{
    binary,
    installed::programs,
    manual::{Page, items},
    root,
};

/// Where a program's codes are written, and behind what. Besides, each has 0 and, for a wrong command line, 2.
fn source(program: &str) -> (&'static str, &'static str) {
    match program {
        "plcctl" => ("supervisor/ctl/src/failure.rs", "(_) => "),
        "plc-supervisor" => ("supervisor/src/main.rs", ": u8 = "),
        "plc-worker" => ("worker/link/src/exit_code.rs", ": u8 = "),
        "plc-local" => ("supervisor/local/src/main.rs", ": u8 = "),
        _ => ("connectors/runner/src/run.rs", ": u8 = "),
    }
}

/// A number, or a sum of numbers.
fn number(text: &str) -> Option<u8> {
    let end = text.find([';', ','])?;
    text[..end].split(" + ").map(|part| part.parse::<u8>().ok()).sum()
}

fn codes(program: &str) -> BTreeSet<u8> {
    let (file, marker) = source(program);
    let text = fs::read_to_string(root().join(file)).unwrap();
    let written = text.split(marker).skip(1).filter_map(number);
    // ExitCode::SUCCESS, ExitCode::FAILURE, and the library that reads command lines.
    written.chain([0, 1, 2]).collect()
}

fn described(program: &str) -> BTreeSet<u8> {
    let page = Page::of(program);
    let items = items(page.section("EXIT STATUS"));
    items.iter().map(|item| item.head.parse().unwrap()).collect()
}

#[test]
fn every_exit_code_of_every_program_is_described_and_no_other() {
    for program in programs() {
        assert_eq!(described(&program), codes(&program), "{program}");
    }
}

#[test]
fn the_help_of_plcctl_has_the_same_exit_codes_as_its_page() {
    let help = Command::new(binary("plcctl")).arg("--help").output().unwrap().stdout;
    let help = String::from_utf8(help).unwrap();
    let list = help.split("\nExit codes:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let told = list.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok());
    assert_eq!(told.collect::<BTreeSet<u8>>(), described("plcctl"));
}

#[test]
fn programs_end_with_the_code_that_is_described() {
    let dir = tempfile::tempdir().unwrap();
    let bad = dir.path().join("bad.toml");
    fs::write(&bad, "[plc]\nstop_timeout_ms = 1\n").unwrap();
    let bad = bad.to_str().unwrap();
    let code = |program: &str, arguments: &[&str]| {
        let output = Command::new(binary(program)).args(arguments).output().unwrap();
        output.status.code()
    };
    for program in programs() {
        assert_eq!(code(&program, &["--no-such-option"]), Some(2), "{program}");
        assert_eq!(code(&program, &["--version"]), Some(0), "{program}");
    }
    assert_eq!(code("plcctl", &["--socket", "/nonexistent", "status"]), Some(4));
    assert_eq!(code("plcctl", &["install", "/nonexistent/program.so"]), Some(1));
    assert_eq!(code("plc-supervisor", &["--check-config", "--config", bad]), Some(78));
    assert_eq!(code("plc-local", &["/dev/null/desk", "-p", "0"]), Some(1));
}
