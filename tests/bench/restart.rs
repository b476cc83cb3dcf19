// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a program's SIGSEGV to the first cycle of its next run, which nobody has asked for.

use plc_tests::marks::{Mark, Marks};

use crate::{
    figures::{Better, Figure, percentile},
    report::Report,
    rows::Plan,
    runtime::{Runtime, Whose},
};

const ROW: &str = "restart";
const MEDIAN: Figure = after("crash to first cycle, p50");
const WORST: Figure = after("crash to first cycle, worst");

/// Marks its first cycle, and its fault.
const PROGRAM: &str = "crash_again";

/// It may crash as often as it likes.
const CONFIG: &str = "[plc]\nrestart = \"on-crash\"\nrestart_limit = 100\nrestart_window_s = 1\n";

const fn after(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "ms", better: Better::Less }
}

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut ours = Runtime::ours("ours", CONFIG)?;
    for round in 0..plan.rounds {
        plan.progress(ROW, round, &ours.name);
        let mut each_ms = crashes(&mut ours, plan.crashes)?;
        report.add(MEDIAN, &ours.name, Whose::Ours, percentile(&mut each_ms, 50));
        report.add(WORST, &ours.name, Whose::Ours, percentile(&mut each_ms, 100));
    }
    Ok(())
}

/// Lets the program crash so often; how long each restart took.
fn crashes(runtime: &mut Runtime, count: usize) -> anyhow::Result<Vec<f64>> {
    let work_dir = runtime.desk().map(|desk| desk.paths().work_dir).unwrap_or_default();
    let before = Marks::read(&work_dir).0.len();
    let cycles = Marks::read(&work_dir).count("cycle");
    runtime.install(PROGRAM)?;
    runtime.client.start()?;
    let marks = Marks::wait(&work_dir, cycles + count + 1, "cycle");
    runtime.client.stop()?;
    Ok(durations(marks.0.get(before..).unwrap_or_default()))
}

/// Milliseconds from each fault to the next cycle.
fn durations(marks: &[Mark]) -> Vec<f64> {
    let mut fault = None;
    let mut each_ms = Vec::new();
    for mark in marks {
        match (mark.what.as_str(), fault) {
            ("fault", _) => fault = Some(mark.at_ns),
            ("cycle", Some(at_ns)) => {
                let elapsed = std::time::Duration::from_nanos(mark.at_ns.saturating_sub(at_ns));
                each_ms.push(elapsed.as_secs_f64() * 1e3);
                fault = None;
            }
            _ => {}
        }
    }
    each_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_counted_from_its_own_fault() {
        let mark = |what: &str, ms: u64| Mark {
            what: what.to_owned(),
            md5: "-".to_owned(),
            pid: 1,
            at_ns: ms * 1_000_000,
        };
        let marks = [("cycle", 10), ("fault", 60), ("begin", 90), ("cycle", 100), ("fault", 150)];
        let marks: Vec<Mark> = marks.iter().map(|(what, ms)| mark(what, *ms)).collect();
        assert_eq!(durations(&marks), [40.0]);
    }
}
