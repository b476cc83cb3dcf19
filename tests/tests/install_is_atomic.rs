// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program is installed whole or not at all, and "done" means durable.
//!
//! Three ways to prove it. *Death before every call*: strace shows which calls change the supervisor's state; for each
//! of them a fresh supervisor is killed just before it, and the next one must find the old program or the new one,
//! byte for byte, and be able to run it. *Death at any moment*: the same at random moments. *The worst disk*: the
//! recorded calls are played to a disk that keeps nothing but what was synced, and loses or keeps the rest as it
//! likes.

#[path = "install_is_atomic/copies.rs"]
mod copies;
#[path = "install_is_atomic/death.rs"]
mod death;
#[path = "install_is_atomic/disk.rs"]
mod disk;
#[path = "install_is_atomic/place.rs"]
mod place;
#[path = "install_is_atomic/programs.rs"]
mod programs;
#[path = "install_is_atomic/random.rs"]
mod random;
#[path = "install_is_atomic/scenario.rs"]
mod scenario;

use std::{path::Path, sync::Mutex};

use crate::{
    disk::{Disk, Event},
    random::Conversation,
    scenario::{Asker, Recording, Scenario},
};
use plc_tests::strace::{self, Change};

macro_rules! scenarios {
    ($($name:ident)*) => {
        mod death_before_every_call_of {
            $(#[test] fn $name() { super::death_before_every_call(&super::scenario::$name()); })*
        }
        mod the_worst_disk_survives {
            $(#[test] fn $name() { super::the_worst_disk(&super::scenario::$name()); })*
        }
    };
}

scenarios! { boot first_boot first_installation installation recovery repair rollback start stop }

fn death_before_every_call(scenario: &Scenario) {
    let recording = scenario.record();
    let steps = recording.steps();
    assert!(!steps.is_empty(), "nothing was recorded");
    let found = in_parallel(&steps, |step| scenario.die_before(step));
    for (step, found) in steps.iter().zip(&found) {
        println!("{step}: {found}");
    }
    // The recorded run was disturbed by nothing, and was examined too.
    let all: Vec<&str> =
        found.into_iter().chain([if scenario.changes() { "new" } else { "old" }]).collect();
    let turns = all.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let expected = usize::from(scenario.changes());
    assert_eq!(turns, expected, "one call makes the change, and nothing takes it back: {all:?}");
}

#[test]
fn death_at_fifty_random_moments() {
    let scenario = scenario::installation();
    let conversation = Conversation::learn(&scenario.base);
    let seed = random::seed();
    println!("PLC_TEST_SEED={seed}");
    let moments: Vec<_> =
        (0..50).map(|index| conversation.moment(random::number(seed, index))).collect();
    let found = in_parallel(&moments, |moment| {
        println!("{moment:?}: {}", conversation.die(&scenario, *moment));
    });
    assert_eq!(found.len(), 50);
}

/// All is done but for the last word of the disk: the old program stays current, now and at the next start.
#[test]
fn a_switch_that_cannot_be_made_durable_is_taken_back() {
    let scenario = scenario::installation();
    let place = scenario.base.copy();
    let mut running = place.start(None);
    let api = running.api().unwrap();
    let before = api.snapshot().program;
    let log = place.path().join("strace.log");
    running.attach(strace::fail_first(&log, "fsync", &place.state()));
    let failed = (scenario.act)(&mut Asker::new(&api, &mut |_| ())).unwrap_err();
    assert!(failed.to_string().contains("cannot be stored"), "{failed}");
    assert_eq!(api.snapshot().program, before);
    running.end();
    place.examine(&[&scenario.old]);
}

/// Two at a time: a supervisor that dies waits for the disk and not for a processor.
fn in_parallel<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = Mutex::new(all.iter().enumerate());
    let results = Mutex::new(Vec::new());
    let work = || {
        loop {
            // A variable, for the lock must not be held meanwhile.
            let item = next.lock().unwrap().next();
            let Some((index, item)) = item else { return };
            let result = act(item);
            results.lock().unwrap().push((index, result));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

fn the_worst_disk(scenario: &Scenario) {
    let recording = scenario.record();
    let has_replies = recording.events.contains(&Event::Replied);
    assert_eq!(has_replies, scenario.changes(), "replies are recognized");
    assert_eq!(play(scenario, &recording, &recording.events), [""; 0]);
    // What a boot syncs may have been synced by the boot before; that nobody misses.
    for (index, event) in recording.events.iter().enumerate().skip(recording.first_event) {
        let mut events = recording.events.clone();
        let is_sync = matches!(events.remove(index), Event::Did(Change::Sync(_)));
        if is_sync {
            let faults = play(scenario, &recording, &events);
            assert!(!faults.is_empty(), "nobody would miss {event:?}");
            println!("without {event:?}: {}", faults[0]);
        }
    }
}

fn play(scenario: &Scenario, recording: &Recording, events: &[Event]) -> Vec<String> {
    Disk::of(&scenario.base.state(), recording.allowed.clone()).play(events)
}

/// The checker itself: what would be wrong with an installation that did the same in another order.
#[test]
fn the_worst_disk_tears_what_is_done_in_the_wrong_order() {
    let scenario = scenario::installation();
    let recording = scenario.record();
    let is = |event: &Event, change: Change| *event == Event::Did(change);
    let at = |change: Change| {
        let position = recording.events.iter().position(|event| is(event, change.clone()));
        position.unwrap_or_else(|| panic!("{change:?} is not done"))
    };
    let faults_of = |edit: &dyn Fn(&mut Vec<Event>)| {
        let mut events = recording.events.clone();
        edit(&mut events);
        play(&scenario, &recording, &events).join("\n")
    };
    let switch = at(Change::Rename("current.new".into(), "current".into()));
    let sync = Event::Did(Change::Sync("".into()));
    let synced = (switch..recording.events.len()).find(|index| recording.events[*index] == sync);
    let synced = synced.expect("the switch is synced");

    let early = faults_of(&|events| events.insert(synced, Event::Replied));
    assert!(early.contains("an answer leaves before \"current\""), "{early}");

    let library = Path::new("programs").join(recording.allowed[1].as_ref().unwrap());
    let write = Event::Did(Change::Write(library.join("program.so")));
    let late = faults_of(&|events| events.insert(switch, write.clone()));
    assert!(late.contains("program.so may be missing"), "{late}");

    let gap = faults_of(&|events| {
        events.insert(switch, Event::Did(Change::Remove("current".into())));
    });
    assert!(gap.contains("may be None"), "{gap}");

    let former = Path::new("programs").join(recording.allowed[0].as_ref().unwrap());
    let hasty = faults_of(&|events| {
        events.insert(synced, Event::Did(Change::Remove(former.join("manifest.toml"))));
    });
    assert!(hasty.contains("\"manifest.toml\" in"), "{hasty}");
}
