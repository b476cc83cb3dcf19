// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is loaded, what is not and why, and the extra files.

use std::fs;

use plc_worker_link::{LoadOrder, Order, Outcome};

use crate::harness::{Plant, compile};

/// The words of a load that fails; the process ends then.
fn failure(plant: &Plant, order: LoadOrder) -> String {
    let mut worker = plant.worker();
    let outcome = worker.order(Order::Load(Box::new(order)));
    let Outcome::LoadFailed(failure) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(worker.ended().code(), Some(1));
    failure.reason
}

#[test]
fn every_reason_not_to_load_is_in_words_that_help() {
    let plant = Plant::new();
    let mut foreign = fs::read(compile("good")).unwrap();
    foreign[4] = if foreign[4] == 2 { 1 } else { 2 };
    foreign[18] = 40;
    for (name, library, words) in [
        ("empty", vec![], "is empty"),
        ("text", b"print('hello')\n".to_vec(), "is not an ELF file"),
        ("foreign", foreign, "is built for ARM"),
        ("missing", fs::read(compile("missing_symbol")).unwrap(), "has no startPLC"),
        (
            "undefined",
            fs::read(compile("undefined_symbol")).unwrap(),
            "undefined symbol: function_of_a_missing_library",
        ),
    ] {
        let reason = failure(&plant, plant.program(name, &library, &[]));
        assert!(reason.contains(words), "{name}: {reason:?}");
    }
    let mut order = plant.fixture("good");
    order.program_dir = plant.path("nowhere");
    assert!(failure(&plant, order).contains("cannot be read"));
}

#[test]
fn extra_files_are_the_program_s_own_copies_before_it_is_loaded() {
    let plant = Plant::new();
    let library = fs::read(compile("good")).unwrap();
    let extra = [("a.txt", "a"), ("runtime_hmi.py", "import os")];
    let mut worker = plant.worker();
    worker.load(plant.program("1-good", &library, &extra));
    assert_eq!(fs::read_to_string(plant.work("a.txt")).unwrap(), "a");
    assert!(worker.notices[0].1.contains("runtime_hmi.py"), "{:?}", worker.notices);
    worker.stop();
    let mut worker = plant.worker();
    worker.load(plant.program("2-good", &library, &[("b.txt", "b")]));
    assert!(!plant.work("a.txt").exists());
    assert!(plant.work("b.txt").exists());
    worker.stop();
}

#[test]
fn a_program_that_is_not_loaded_costs_the_former_one_nothing() {
    let plant = Plant::new();
    let library = fs::read(compile("good")).unwrap();
    let good = plant.program("1-good", &library, &[("settings.csv", "factory")]);
    let mut worker = plant.worker();
    worker.load(good.clone());
    worker.start();
    worker.stop();
    fs::write(plant.work("settings.csv"), "changed").unwrap();
    let missing = fs::read(compile("missing_symbol")).unwrap();
    let bad = plant.program("2-bad", &missing, &[("settings.csv", "new"), ("b.txt", "b")]);
    assert!(failure(&plant, bad).contains("has no startPLC"));
    let mut worker = plant.worker();
    worker.load(good);
    assert_eq!(fs::read_to_string(plant.work("settings.csv")).unwrap(), "changed");
    assert!(!plant.work("b.txt").exists());
    worker.stop();
}

#[test]
fn links_that_a_program_planted_are_not_followed_by_the_next_load() {
    let plant = Plant::new();
    let precious = plant.path("precious");
    fs::write(&precious, "precious").unwrap();
    let targets =
        format!("settings.csv {0}\n.plc-extra-files {0}\n.plc-extra-new {0}\n", precious.display());
    let library = fs::read(compile("symlinks")).unwrap();
    let extra = [("targets.txt", targets.as_str()), ("settings.csv", "1")];
    for id in ["1-links", "1-links", "2-links"] {
        let mut worker = plant.worker();
        worker.load(plant.program(id, &library, &extra));
        assert_eq!(fs::read_to_string(plant.work("settings.csv")).unwrap(), "1");
        assert!(!plant.work("settings.csv").is_symlink());
        worker.start();
        worker.logged("links are set");
        assert!(plant.work("settings.csv").is_symlink());
        worker.stop();
    }
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

#[test]
fn the_program_runs_in_its_working_directory_without_our_channels_at_standard_input() {
    let plant = Plant::new();
    let worker = plant.running("stopmark");
    let process = format!("/proc/{}", worker.pid().as_raw_nonzero());
    let link = |name: &str| fs::read_link(format!("{process}/{name}")).unwrap();
    assert_eq!(link("cwd"), plant.path("work"));
    assert_eq!(link("fd/0"), std::path::Path::new("/dev/null"));
    worker.stop();
}
