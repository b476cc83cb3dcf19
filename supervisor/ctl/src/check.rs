// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl check`: is this machine fit for a PLC, does the runtime on it do well, and what to do about either.
//!
//! [`gather`] looks at the real machine and asks; what it has seen is judged, purely, by [`runtime`], [`keys`], [`router`],
//! [`kernel`], [`processors`] and [`limits`]; [`latency`] measures. Works without root, and without a runtime.

mod finding;
mod gather;
mod kernel;
mod keys;
mod latency;
mod limits;
mod place;
mod processors;
mod router;
mod runtime;
mod seen;
mod settings;
#[cfg(test)]
mod tests;
mod tree;

use std::{
    io::{self, IsTerminal as _},
    path::Path,
    time::Duration,
};

use serde::Serialize;

use self::{
    finding::{Finding, Layout, Section, Verdict},
    latency::Latency,
    seen::Seen,
};
use crate::{answer::Answer, cli::CheckArgs, failure::Failure, terminal};

/// The examination in JSON.
#[derive(Debug, Serialize)]
struct Examination<'a> {
    /// How many findings have the verdict `problem`.
    problems: usize,
    /// Each has a `topic`, a `verdict` (`good`, `improve`, `problem`, `unknown`), a `value`, a `next_step`.
    findings: Vec<&'a Finding>,
    /// The figures; null with `--no-latency`.
    latency: Option<&'a Latency>,
}

/// Examines, measures, answers.
///
/// # Errors
/// [`Failure::Failed`] when there are problems.
pub(crate) async fn run(
    socket: &Path,
    answer: &mut Answer,
    args: &CheckArgs,
) -> Result<(), Failure> {
    let seen = gather::gather(socket).await;
    let mut sections = examine(&seen);
    let mut latency = None;
    if !args.no_latency {
        let time = Duration::from_secs(args.seconds.into());
        let measured = latency::measure(time, &seen.scheduled()).await;
        let measured = measured.map_err(|error| {
            Failure::Failed(format!("the wake-up latency cannot be measured: {error}"))
        })?;
        let findings = measured.judge(seen.period());
        sections.push(Section { title: "Wake-up latency", findings });
        latency = Some(measured);
    }
    let findings: Vec<&Finding> = sections.iter().flat_map(|section| &section.findings).collect();
    let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
    let examination = Examination { problems, findings, latency: latency.as_ref() };
    answer.give(&examination, |_| finding::text(&sections, layout()))?;
    if problems == 0 {
        return Ok(());
    }
    Err(Failure::Failed("there are problems; each names its next step".into()))
}

/// The judgement.
fn examine(seen: &Seen) -> Vec<Section> {
    let section = |title, findings| Section { title, findings };
    vec![
        section("Runtime", runtime::examine(seen)),
        section("Keys and discovery", keys::examine(seen)),
        section("WAMP", router::examine(seen)),
        section("Kernel and machine", kernel::examine(seen)),
        section("Processors", processors::examine(seen)),
        section("Rights and memory", limits::examine(seen)),
    ]
}

fn layout() -> Layout {
    let stdout = io::stdout();
    let columns = stdout.is_terminal().then(|| terminal::size(&stdout).columns);
    Layout { columns, colours: terminal::colours() }
}
