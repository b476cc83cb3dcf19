// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker's part of an installation: the program's own copies of its extra files, the list that calls them complete,
//! and the former program's, which come back if the next one does not become current.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use plc_api::plc::Wish;
use plc_tests::strace::{self, Call, Change};

use crate::{
    in_parallel,
    place::{Outcome, files, supervisor},
    programs::Program,
    scenario::{self, Asker, Scenario},
};

/// B over A, and its first start, up to when it runs.
fn first_start() -> (Scenario, Vec<Call>) {
    let installation = scenario::installation();
    let scenario = Scenario {
        act: |asker| {
            asker.send(Program::named("B"))?;
            asker.api.start()
        },
        new: Outcome { wish: Wish::Run, ..installation.new.clone() },
        ..installation
    };
    let mut calls = scenario.record().calls;
    let runs = |call: &Call| call.args.iter().any(|arg| arg.contains("marks.txt"));
    calls.truncate(calls.iter().position(runs).expect("it leaves its mark"));
    (scenario, calls)
}

#[test]
fn the_program_s_copies_are_on_disk_before_the_list_says_so() {
    let (_, calls) = first_start();
    let work = Path::new("/work");
    let list = work.join(".plc-extra-files");
    let former_list = work.join(".plc-extra-former/.plc-extra-files");
    // Contents, and directories for their names.
    let mut only_in_memory = BTreeSet::new();
    let mut renamed: Vec<PathBuf> = Vec::new();
    for call in calls.iter().filter(|call| !call.failed()) {
        let last = renamed.last().filter(|last| [&list, &former_list].contains(last));
        let list_is_new = last.is_some_and(|last| only_in_memory.contains(last.parent().unwrap()));
        match call.change(work) {
            Some(Change::Write(path)) => {
                only_in_memory.insert(path);
            }
            Some(Change::Sync(path)) => {
                only_in_memory.remove(&path);
            }
            Some(Change::Rename(from, to)) => {
                assert!(!only_in_memory.contains(&from), "{to:?} may be empty after a power cut");
                assert!(to != list || only_in_memory.is_empty(), "before {only_in_memory:?}");
                assert!(!list_is_new, "{to:?} is not what the list on disk says");
                only_in_memory.extend([&from, &to].map(|path| path.parent().unwrap().to_owned()));
                renamed.push(to);
            }
            // From here on the former program's copies do not come back.
            Some(Change::Remove(path)) if path == former_list => {
                only_in_memory.insert(path.parent().unwrap().to_owned());
            }
            _ => {}
        }
    }
    assert_eq!(renamed.len(), 9, "two lists of three files each, and when they begin: {renamed:?}");
    assert!(only_in_memory.is_empty(), "{only_in_memory:?} before the start");
}

#[test]
fn a_worker_that_dies_before_any_call_leaves_the_copies_of_the_program_that_is_current() {
    let (scenario, calls) = first_start();
    let changes: Vec<usize> = (0..calls.len())
        .filter(|index| calls[*index].change(Path::new("/work")).is_some())
        .collect();
    let found = in_parallel(&changes, |index| die_before(&scenario, &calls[..=*index]));
    for (index, found) in changes.iter().zip(&found) {
        println!("{} {:?}: {found}", calls[*index].name, calls[*index].args);
    }
    assert!(found.is_sorted() && found.contains(&"A") && found.contains(&"B"), "{found:?}");
}

/// Kills the worker before the last of these calls; which program is current then.
fn die_before(scenario: &Scenario, calls: &[Call]) -> &'static str {
    let last = calls.last().unwrap();
    let aim = last.aim().unwrap();
    let such = |call: &&Call| call.thread == last.thread && call.is_hit_by(&last.name, &aim);
    let when = calls.iter().filter(such).count();

    let place = scenario.base.copy();
    let work = place.path().join("work");
    let changed = b"changed".to_vec();
    fs::write(work.join("recipe.csv"), &changed).unwrap();
    let log = place.path().join("strace.log");
    let aim = place.path().join(aim.strip_prefix("/").unwrap());
    let mut strace = strace::kill_before(&log, &last.name, &aim, when);
    strace.arg(supervisor());
    let mut running = place.start(Some(strace));
    let api = running.api().expect("the supervisor starts");
    let _ = (scenario.act)(&mut Asker::new(&api, &mut |_| ()));
    drop(api);
    running.end();
    assert!(strace::was_killed(&log), "not hit: {last:?}");

    let stopped = Outcome { wish: Wish::Stop, ..scenario.new.clone() };
    let name = ["A", "B", "B"][place.examine(&[&scenario.old, &stopped, &scenario.new])];
    let copies = files(&work);
    for (file, sent) in &Program::named(name).extra {
        let expected = if (name, *file) == ("A", "recipe.csv") { &changed } else { sent };
        assert!(copies.get(*file) == Some(expected), "{file} is not that of {name}: {last:?}");
    }
    name
}
