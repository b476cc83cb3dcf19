// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many PLCs at one WAMP router on this machine: what each weighs, how long it takes until all have answered, and how
//! they come back after the router was killed and started again.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{anyhow, ensure};
use plc_tests::{
    ide::{Generation, Ide},
    wamp::{
        fleet::Fleet,
        router::{OPEN, Router},
    },
};
use serde_json::json;

use crate::{
    figures::{Better, Figure, number, percentile},
    memory,
    report::Report,
    rows::Plan,
    runtime::Whose,
};

const ROW: &str = "fleet";
const MEMORY: Figure = Figure {
    row: ROW,
    name: "PSS of supervisor and connector, each PLC",
    unit: "MB",
    better: Better::Less,
};
const ANSWERS: Figure = less("all have answered a status call", "ms");
const FIRST: Figure = less("router's end to first PLC back", "s");
const HALF: Figure = less("router's end to half of the PLCs back", "s");
const LAST: Figure = less("router's end to all PLCs back", "s");
const MOST: Figure = less("most PLCs back in one second", "PLCs");

const fn less(name: &'static str, unit: &'static str) -> Figure {
    Figure { row: ROW, name, unit, better: Better::Less }
}

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let name = format!("ours, {} PLCs", plan.fleet);
    let mut router = Router::start();
    let fleet = Fleet::start(&router, plan.fleet, "");
    let _ = fleet.wait_ready_since(0);
    for round in 0..plan.rounds {
        plan.progress(ROW, round, &name);
        report.add(MEMORY, &name, Whose::Ours, megabytes_each(&fleet)?);
        report.add(ANSWERS, &name, Whose::Ours, all_answer(&router, &fleet)?.as_secs_f64() * 1e3);
        let end_us = now_us();
        router.start_again();
        let mut back: Vec<f64> = fleet
            .wait_ready_since(end_us)
            .iter()
            .map(|link| Duration::from_micros(link.since_us - end_us).as_secs_f64())
            .collect();
        report.add(MOST, &name, Whose::Ours, number(most_in_one_second(&back)));
        for (figure, percent) in [(FIRST, 0), (HALF, 50), (LAST, 100)] {
            report.add(figure, &name, Whose::Ours, percentile(&mut back, percent));
        }
    }
    Ok(())
}

fn megabytes_each(fleet: &Fleet) -> anyhow::Result<f64> {
    let processes = fleet.processes();
    let mut kib = 0;
    for pid in processes.iter().flatten() {
        kib += memory::pss_kib(*pid)?;
    }
    Ok(number(kib) * 1024.0 / 1e6 / number(processes.len()))
}

/// From the first call to the last answer, all calls being on their way at once.
fn all_answer(router: &Router, fleet: &Fleet) -> anyhow::Result<Duration> {
    let mut ide = Ide::with_uri(Generation::Wamp, &router.uri(OPEN, "plc0"), &[]);
    let mut ask = |ids: &[String]| {
        ide.send(&json!({ "each": ids, "call": "GetPLCstatus" }))
            .map_err(|raised| anyhow!("{}: {}", raised.class, raised.message))
    };
    // It joins with the first.
    ask(&[])?;
    let ids = fleet.ids();
    let begin = Instant::now();
    let answers = ask(&ids)?;
    let took = begin.elapsed();
    let count = answers.as_array().map_or(0, Vec::len);
    ensure!(count == ids.len(), "{count} of {} PLCs have answered", ids.len());
    Ok(took)
}

/// The router's end counts as the beginning of the first second.
fn most_in_one_second(back: &[f64]) -> usize {
    let mut seconds: HashMap<u64, usize> = HashMap::new();
    for time in back {
        *seconds.entry(Duration::from_secs_f64(*time).as_secs()).or_default() += 1;
    }
    seconds.into_values().max().unwrap_or(0)
}

fn now_us() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_of_the_fullest_second_are_counted() {
        assert_eq!(most_in_one_second(&[0.1, 1.2, 1.9, 2.0, 2.5, 2.999, 3.0]), 3);
        assert_eq!(most_in_one_second(&[]), 0);
    }
}
