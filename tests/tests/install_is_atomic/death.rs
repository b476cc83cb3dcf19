// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor killed before one chosen call, and proof that it was that one.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use plc_tests::strace::{self, Change};

use crate::{
    place::{Place, supervisor},
    scenario::{Asker, Recording, Scenario},
};

/// How often a death is tried again that came elsewhere: threads share the work as they please.
const TRIES: usize = 5;

/// A call to die before.
#[derive(Debug)]
pub(crate) struct Step {
    name: String,
    /// One of its paths, below the place.
    aim: PathBuf,
    change: Change,
    refused: bool,
    /// How many requests were answered before it; strace comes before the next one, so that its counting
    /// begins anew: a request's files are one thread's, but the next request may be another's.
    request: usize,
    /// Its number since then among such calls of its thread.
    when: usize,
    /// Its number since then among such calls of all threads.
    ordinal: usize,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.change.paths().iter().map(|p| p.display().to_string()).collect();
        let refused = if self.refused { ", refused" } else { "" };
        write!(f, "{:<9} #{} {}{refused}", self.name, self.ordinal, paths.join(" -> "))
    }
}

impl Recording {
    /// All steps in their order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.iter().map(|(index, change)| self.step(*index, change)).collect()
    }

    fn step(&self, index: usize, change: &Change) -> Step {
        let call = &self.calls[index];
        let aim = call.aim().unwrap_or_else(|| panic!("{call:?} has no path"));
        let request = self.replies.partition_point(|reply| *reply < index);
        let begin = request.checked_sub(1).map_or(self.begin, |last| self.replies[last]);
        let such: Vec<_> =
            self.calls[begin..=index].iter().filter(|c| c.is_hit_by(&call.name, &aim)).collect();
        let when = such.iter().filter(|c| c.thread == call.thread).count();
        Step {
            name: call.name.clone(),
            aim: aim.strip_prefix("/").unwrap_or(&aim).to_owned(),
            change: change.clone(),
            refused: call.failed(),
            request,
            when,
            ordinal: such.len(),
        }
    }
}

impl Scenario {
    /// Kills a supervisor before a step; what is found afterwards.
    pub(crate) fn die_before(&self, step: &Step) -> &'static str {
        for attempt in 0..TRIES {
            // Should the threads have shared the calls otherwise than when they were recorded.
            let when = if attempt < 2 { step.when } else { 1 + (attempt - 2) % step.ordinal };
            let (was_hit, found) = self.die(step, when);
            if was_hit {
                return found;
            }
            println!("another call was hit; once more: {step}");
        }
        panic!("not hit in {TRIES} runs: {step}");
    }

    fn die(&self, step: &Step, when: usize) -> (bool, &'static str) {
        let place = self.base.copy();
        let log = place.path().join("strace.log");
        let aim = place.path().join(&step.aim);
        let mut strace = strace::kill_before(&log, &step.name, &aim, when);
        let (mut running, done);
        if self.from_boot {
            strace.arg(supervisor());
            running = place.start(Some(strace));
            done = running.api().is_some();
        } else {
            running = place.start(None);
            let api = running.api().expect("nothing disturbs its boot");
            let mut strace = Some(strace);
            let mut attach = |asked| {
                if let Some(strace) = strace.take_if(|_| asked == step.request) {
                    running.attach(strace);
                }
            };
            done = (self.act)(&mut Asker::new(&api, &mut attach)).is_ok();
        }
        if let Some(pid) = running.pid() {
            // It was not hit; this is then a death like another.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
        running.await_end();
        let was_hit = was_hit(&log, step, &place);
        self.assert_retain(&place);
        (was_hit, self.examine(&place, done))
    }

    /// Starts the PLC again and looks: is it the old program or the new one? What a client was told is done is done.
    pub(crate) fn examine(&self, place: &Place, done: bool) -> &'static str {
        if done {
            place.examine(&[&self.new]);
            return "new";
        }
        ["old", "new"][place.examine(&[&self.old, &self.new])]
    }

    /// The retain file is the program's: only its own start changes it, and counts one further.
    pub(crate) fn assert_retain(&self, place: &Place) {
        let starts = |place: &Place| -> u32 {
            String::from_utf8(place.retain()).unwrap().trim().parse().unwrap_or(0)
        };
        let (before, after) = (starts(&self.base), starts(place));
        let may_start = self.old.wish != self.new.wish;
        assert!(
            after == before || (may_start && after == before + 1),
            "the retain file said {before} and says {after}"
        );
    }
}

/// Whether the last call that strace saw was the intended one, and was never carried out.
fn was_hit(log: &Path, step: &Step, place: &Place) -> bool {
    let calls = strace::calls(log);
    let Some(last) = calls.last() else { return false };
    strace::was_killed(log)
        && last.result == "?"
        && calls.len() == step.ordinal
        && last.change(&place.state()).map(|change| change.below(&place.state()))
            == Some(step.change.clone())
}
