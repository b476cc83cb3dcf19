// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl selftest`: what is installed here, tried with a second PLC in a directory of its own.
//!
//! [`desk`] begins and ends that PLC, [`steps`] uses it as an IDE and a fault would, this file goes through the steps
//! and tells. The machine's own PLC is not touched.

mod desk;
mod steps;

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;

use self::{
    desk::{Desk, Installed},
    steps::{Rig, Step},
};
use crate::{
    answer::Answer, cli::SelftestArgs, ending::Ending, failure::Failure, progress::Line, terminal,
};

/// The longest that a step may take. Each takes less than a second on a slow controller; emulated ones are slower.
const STEP_DEADLINE: Duration = Duration::from_secs(60);

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Passed,
    Failed,
    /// An earlier one failed.
    Skipped,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::Skipped => "skipped",
        }
    }
}

/// One line of the table, in JSON as it is.
#[derive(Debug, Serialize)]
struct Outcome {
    step: &'static str,
    verdict: Verdict,
    /// What was seen, or what went wrong.
    seen: String,
    elapsed_ms: u64,
}

/// All of it in JSON.
#[derive(Debug, Serialize)]
struct Report<'a> {
    passed: usize,
    failed: usize,
    /// Each has a `step`, a `verdict` (`passed`, `failed`, `skipped`), what was `seen`, and `elapsed_ms`.
    steps: &'a [Outcome],
}

/// Tries all, and leaves nothing behind that a person who looks into a failure does not need.
///
/// # Errors
/// [`Failure::Failed`] when a step failed, when there is nothing to begin with, or when it was told to end.
pub(crate) async fn run(answer: &mut Answer, args: &SelftestArgs) -> Result<(), Failure> {
    let installed = Installed::find()?;
    let mut ending = Ending::listen()?;
    let mut rig = Rig::new(Desk::new(&installed, args.dir.as_deref())?, installed.sample);
    let tested = tokio::select! {
        tested = go_through(answer, &mut rig) => tested,
        () = ending.asked() => Err(Failure::Failed("the self-test was told to end".into())),
    };
    if tested.is_err() {
        // It may never have begun, or have ended already.
        let _ = tried(Step::End, &mut rig).await;
    }
    if tested? { Ok(()) } else { Err(Failure::Failed(rig.into_desk().what_it_said())) }
}

/// Goes through the steps and tells; whether all of them passed.
async fn go_through(answer: &mut Answer, rig: &mut Rig) -> Result<bool, Failure> {
    let mut outcomes = Vec::new();
    for step in Step::ALL {
        let sound = outcomes.iter().all(|past: &Outcome| past.verdict == Verdict::Passed);
        let outcome = if sound || step == Step::End {
            tried(step, rig).await
        } else {
            Outcome {
                step: step.name(),
                verdict: Verdict::Skipped,
                seen: String::new(),
                elapsed_ms: 0,
            }
        };
        if !answer.is_json() {
            answer.text(&line(&outcome))?;
        }
        outcomes.push(outcome);
    }
    tell(answer, &outcomes)?;
    Ok(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Passed))
}

async fn tried(step: Step, rig: &mut Rig) -> Outcome {
    let mut progress = Line::new();
    progress.show(&format!("  ...     {}", step.name()));
    let begun = Instant::now();
    let result = match timeout(STEP_DEADLINE, rig.carry_out(step)).await {
        Ok(result) => result.map_err(|failure| failure.to_string()),
        Err(_) => Err(format!("not done within {} s", STEP_DEADLINE.as_secs())),
    };
    drop(progress);
    let (verdict, seen) = match result {
        Ok(seen) => (Verdict::Passed, seen),
        Err(error) => (Verdict::Failed, error),
    };
    let elapsed_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Outcome { step: step.name(), verdict, seen, elapsed_ms }
}

fn line(outcome: &Outcome) -> String {
    let Outcome { step, verdict, seen, elapsed_ms } = outcome;
    let word = verdict.word();
    if *verdict == Verdict::Skipped {
        return format!("  {word:7} {step}\n");
    }
    let seen = terminal::printable(seen, 29);
    format!("  {word:7} {step:9} {elapsed_ms:>5} ms  {seen}\n")
}

fn tell(answer: &mut Answer, outcomes: &[Outcome]) -> Result<(), Failure> {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let (passed, failed) = (count(Verdict::Passed), count(Verdict::Failed));
    let report = Report { passed, failed, steps: outcomes };
    answer.give(&report, |_| format!("\n{passed} passed, {failed} failed\n"))
}
