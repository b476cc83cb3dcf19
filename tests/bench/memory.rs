// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory of a runtime's whole process tree, with a program running and an IDE connected that traces it.

use std::fs;

use anyhow::Context as _;
use plc_tests::desk::descendants;
use rustix::process::Pid;

use crate::{
    figures::{Better, Figure, number},
    gauge,
    report::Report,
    rows::Plan,
    runtime::Runtime,
};

const ROW: &str = "memory";
const PSS: Figure =
    Figure { row: ROW, name: "PSS of all processes", unit: "MB", better: Better::Less };

const LOCKED: &str = "ours, lock_memory";

/// Ours, by name and configuration.
const OURS: [(&str, &str); 2] = [("ours", ""), (LOCKED, "[realtime]\nlock_memory = true\n")];

pub(crate) fn measure(
    plan: &Plan,
    others: &mut [Runtime],
    report: &mut Report,
) -> anyhow::Result<()> {
    for round in 0..plan.rounds {
        // One at a time, and each ended before the next: two of ours would share their pages and weigh half.
        for (name, config) in OURS {
            let mut runtime = Runtime::ours(name, config)?;
            one_runtime(plan, round, &mut runtime, report)?;
        }
        for runtime in &mut *others {
            one_runtime(plan, round, runtime, report)?;
        }
    }
    Ok(())
}

fn one_runtime(
    plan: &Plan,
    round: u32,
    runtime: &mut Runtime,
    report: &mut Report,
) -> anyhow::Result<()> {
    plan.progress(ROW, round, &runtime.name);
    let (name, whose) = (runtime.name.clone(), runtime.whose());
    let result = measured(plan, runtime);
    if let Some(measured) = report.unless_others(ROW, &name, whose, result)? {
        report.add(PSS, &name, whose, number(measured.pss_kib) * 1024.0 / 1e6);
        if name == LOCKED && !measured.locked {
            report.note(format!(
                "{LOCKED}: the worker's memory is not locked; raise RLIMIT_MEMLOCK (ulimit -l)"
            ));
        }
    }
    Ok(())
}

/// Of one runtime with a program running.
struct Measured {
    pss_kib: u64,
    /// Whether the worker's memory is locked, if it is one of ours.
    locked: bool,
}

fn measured(plan: &Plan, runtime: &mut Runtime) -> anyhow::Result<Measured> {
    let pid = runtime.pid.context("its process is not known; say pid=PID")?;
    runtime.run(gauge::PROGRAM, |runtime| {
        gauge::watch(&mut runtime.client, plan.settle)?;
        Ok(Measured { pss_kib: tree_pss_kib(pid)?, locked: worker_locks_memory(runtime)? })
    })
}

fn tree_pss_kib(root: Pid) -> anyhow::Result<u64> {
    let mut total = pss_kib(root)?;
    for pid in descendants(root) {
        // One that has ended meanwhile holds nothing.
        total += pss_kib(pid).unwrap_or(0);
    }
    Ok(total)
}

/// Memory of one process, what it shares counted in part.
pub(crate) fn pss_kib(pid: Pid) -> anyhow::Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    kib(&text, "Pss:").with_context(|| format!("{path} has no Pss"))
}

/// The value of a line like `Pss:   123 kB`.
fn kib(text: &str, key: &str) -> Option<u64> {
    let mut words = text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace();
    words.next()?.parse().ok()
}

fn worker_locks_memory(runtime: &Runtime) -> anyhow::Result<bool> {
    let Some(desk) = runtime.desk() else { return Ok(false) };
    let workers = desk.children("plc-worker");
    let worker = workers.first().context("no worker runs")?;
    let status = fs::read_to_string(format!("/proc/{worker}/status"))?;
    Ok(kib(&status, "VmLck:").unwrap_or(0) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_whole_key() {
        let text = "Rss:  9 kB\nPss_Dirty:  3 kB\nPss:      1234 kB\n";
        assert_eq!(kib(text, "Pss:"), Some(1234));
        assert_eq!(kib(text, "Swap:"), None);
    }

    #[test]
    fn the_tree_of_this_process_has_memory() {
        let own = rustix::process::getpid();
        assert!(tree_pss_kib(own).unwrap() >= pss_kib(own).unwrap() / 2);
    }
}
