// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs come, go and come back: the content decides, not the IDE's md5 text.

use plc_api::{
    log::LogLevel,
    message::{Reply, Request, WhenRunning},
    plc::PlcStatus,
};
use plc_tests::{
    api::{Api, MD5},
    desk::Desk,
    ide::Generation,
    programs,
};
use serde_json::json;

fn extra_file(desk: &Desk, name: &str) -> String {
    std::fs::read_to_string(desk.paths().work_dir.join(name)).unwrap()
}

fn rollback(api: &Api) -> String {
    match api.call(Request::Rollback).unwrap() {
        Reply::Installed { program_id } => program_id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_md5_with_changed_extra_files() {
    for generation in [Generation::Pyro5, Generation::Erpc12] {
        let desk = Desk::start();
        let mut ide = desk.ide(generation);
        let library = programs::bytes("good");
        assert_eq!(ide.transfer(MD5, &library, &[("recipe", b"old"), ("gone", b"x")]), Ok(true));
        ide.must("StartPLC", json!([]));
        ide.must("StopPLC", json!([]));
        assert_eq!(extra_file(&desk, "recipe"), "old");

        assert_eq!(ide.transfer(MD5, &library, &[("recipe", b"new")]), Ok(true));
        ide.must("StartPLC", json!([]));
        assert_eq!(extra_file(&desk, "recipe"), "new");
        assert!(!desk.paths().work_dir.join("gone").exists(), "files of the former program go");
        ide.must("StopPLC", json!([]));

        rollback(&desk.api());
        ide.must("StartPLC", json!([]));
        assert_eq!(extra_file(&desk, "recipe"), "old");
        assert_eq!(extra_file(&desk, "gone"), "x");
    }
}

#[test]
fn the_same_md5_with_a_changed_library() {
    let desk = Desk::start();
    let api = desk.api();
    let mut ide = desk.ide(Generation::Erpc11);
    assert_eq!(ide.transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    api.wait_log(LogLevel::Info, "started");
    ide.must("StopPLC", json!([]));
    let first = api.snapshot().program.unwrap();

    assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    assert_eq!(desk.marks().count("begin"), 1, "the new one runs");
    let second = api.snapshot().program.unwrap();
    assert_eq!(second.md5, first.md5);
    assert_ne!(second.id, first.id);

    assert_eq!(rollback(&api), first.id);
    assert_eq!(api.snapshot().status, PlcStatus::Started, "it ran, so it runs");
    assert_eq!(desk.marks().count("end"), 1);
    let token = ide.set_trace(&[(8, "UDINT", None)]);
    while ide.read_trace(token).1.is_empty() {}
}

#[test]
fn what_the_program_keeps_survives_new_programs_and_rollback() {
    let desk = Desk::start();
    let api = desk.api();
    for _ in 0..3 {
        api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Restart).unwrap();
        api.start().unwrap();
    }
    api.stop().unwrap();
    rollback(&api);
    api.start().unwrap();
    // Each start adds one to the count in the retain file.
    assert_eq!(extra_file(&desk, "retain_buffer_file").trim(), "4");
}

#[test]
fn a_program_that_does_not_load_leaves_the_old_one_installed() {
    let desk = Desk::start();
    let api = desk.api();
    let good = api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    let bad = programs::bytes("undefined_symbol");
    let error = api.install(MD5, &bad, &[], WhenRunning::Refuse).unwrap_err().to_string();
    assert!(error.contains("undefined symbol"), "{error}");
    let snapshot = api.snapshot();
    assert_eq!(snapshot.status, PlcStatus::Broken);
    assert_eq!(snapshot.program.unwrap().id, good);
    assert!(snapshot.reason.unwrap().contains(&format!("{good} stays installed")));
    api.start().unwrap();
    assert_eq!(desk.marks().count("begin"), 1, "the old one runs");
    assert!(api.call(Request::Rollback).is_err(), "there is nothing before it");
    assert_eq!(api.snapshot().status, PlcStatus::Started, "and a refused rollback changes nothing");
}

#[test]
fn a_program_of_two_libraries_is_refused_and_the_one_before_stays() {
    let desk = Desk::start();
    let api = desk.api();
    let good = api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    let (ios, logic) = (programs::bytes("two_ios"), programs::bytes("two_logic"));
    // As the IDE sends them: the logic is the first of the extra files.
    let extra: [(&str, &[u8]); 2] =
        [("0123456789abcdef0123456789abcdee.so", &logic), ("note.txt", b"x")];
    let mut ide = desk.ide(Generation::Erpc12);
    assert_eq!(ide.transfer("fedcba9876543210fedcba9876543210", &ios, &extra), Ok(false));
    assert_eq!(ide.status(), "Broken");
    let said = ide.log(0);
    assert!(said.iter().any(|text| text.contains("two libraries")), "{said:?}");

    let snapshot = api.snapshot();
    assert_eq!(snapshot.program.unwrap().id, good);
    assert!(snapshot.reason.unwrap().contains(&format!("{good} stays installed")));
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(true));
    api.start().unwrap();
    assert_eq!(desk.marks().count("begin"), 1, "the old one runs, and the new one never did");
    assert!(!desk.paths().work_dir.join("note.txt").exists(), "its files came with it and went");
}

#[test]
fn repair_empties_and_rollback_brings_back() {
    let desk = Desk::start();
    let api = desk.api();
    let id = api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let mut ide = desk.ide(Generation::Erpc12);
    ide.must("RepairPLC", json!([]));
    assert_eq!(ide.status(), "Empty");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(false));
    let desk = Desk::in_dir(desk.end());
    let api = desk.api();
    assert_eq!(api.snapshot().status, PlcStatus::Empty, "durably");
    assert_eq!(rollback(&api), id);
    assert_eq!(api.snapshot().status, PlcStatus::Stopped, "repair had withdrawn the wish to run");
}

#[test]
fn no_sample_is_lost_between_a_lock_step_program_and_a_client_that_polls_every_100_ms() {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("lockstep"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let token = api.set_trace(0..8).unwrap();
    let mut next = None;
    let mut seen = 0;
    while seen < 2000 {
        // The pace of an IDE; the samples wait meanwhile.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let batch = api.read_trace(token).unwrap();
        assert_eq!(batch.dropped, 0);
        for sample in batch.samples {
            assert_eq!(sample.data, sample.tick.to_le_bytes().repeat(8));
            assert!(
                next.is_none_or(|next| next == sample.tick),
                "{next:?} is missing before {}",
                sample.tick
            );
            next = Some(sample.tick + 1);
            seen += 1;
        }
    }
    let stats = api.stats();
    assert_eq!(stats.trace_dropped, 0);
}
