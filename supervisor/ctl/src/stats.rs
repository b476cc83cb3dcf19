// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl stats`: figures that are read on demand.

use plc_api::{
    message::{Reply, Request},
    plc::{ConnectionInfo, CycleTime, Stats},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    failure::Failure,
    render,
    session::{Session, unexpected},
    terminal,
};

/// The figures in JSON; times carry their unit in their names, 0 is unknown.
#[derive(Debug, Serialize)]
struct Figures {
    ticks: u64,
    /// What the program asks for.
    period_ns: u64,
    /// What was measured over the last second or so.
    measured_period_ns: u64,
    /// Bytes of a TIME, DATE, TOD or DT of the program that was loaded last.
    time_bytes: u8,
    /// `min`, `avg`, `max` processor time per cycle.
    cycle_cpu_us: CycleTime,
    /// Run time of the cycle's thread alone per cycle, smoothed.
    cycle_run_ns: u64,
    trace_samples: u64,
    trace_dropped: u64,
    /// `connector`, `peer`, `identity` of each client.
    connections: Vec<ConnectionInfo>,
}

impl From<Stats> for Figures {
    fn from(stats: Stats) -> Self {
        Self {
            ticks: stats.ticks,
            period_ns: stats.period_ns,
            measured_period_ns: stats.measured_period_ns,
            time_bytes: stats.time_bytes,
            cycle_cpu_us: stats.cycle_cpu_us,
            cycle_run_ns: stats.cycle_run_ns,
            trace_samples: stats.trace_samples,
            trace_dropped: stats.trace_dropped,
            connections: stats.connections,
        }
    }
}

pub(crate) async fn run(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    let Reply::Stats(stats) = session.call(Request::Stats).await? else {
        return Err(unexpected());
    };
    answer.give(&Figures::from(*stats), describe)
}

fn describe(figures: &Figures) -> String {
    let cpu = figures.cycle_cpu_us;
    let cost = if cpu.max > 0.0 {
        format!("{:.1} µs processor time on average, {:.1} to {:.1}", cpu.avg, cpu.min, cpu.max)
    } else {
        "unknown".into()
    };
    let mut text = render::facts(&[
        ("cycles", figures.ticks.to_string()),
        (
            "period",
            format!(
                "{} asked for, {} measured",
                period(figures.period_ns),
                period(figures.measured_period_ns)
            ),
        ),
        ("per cycle", cost),
        ("cycle runs", share(figures.cycle_run_ns, figures.period_ns)),
        (
            "trace",
            format!(
                "{}, {} dropped",
                render::count(figures.trace_samples, "sample"),
                figures.trace_dropped
            ),
        ),
        ("connections", figures.connections.len().to_string()),
    ]);
    for connection in &figures.connections {
        let connector = terminal::printable(&connection.connector, 2);
        let peer = terminal::printable(&connection.peer, 2);
        text.push_str(&format!("  {connector:11}{peer}"));
        if !connection.identity.is_empty() {
            let identity = terminal::printable(&connection.identity, 2);
            text.push_str(&format!(", key {identity}"));
        }
        text.push('\n');
    }
    text
}

/// Run time of the cycle's thread, and its share of the period.
#[expect(clippy::cast_precision_loss, reason = "a percentage for people")]
fn share(run_ns: u64, period_ns: u64) -> String {
    if run_ns == 0 || period_ns == 0 {
        return "unknown".into();
    }
    let percent = run_ns as f64 / period_ns as f64 * 100.0;
    format!("{}, {percent:.1}% of the period", period(run_ns))
}

/// A period in milliseconds with the digits that matter.
fn period(ns: u64) -> String {
    if ns == 0 {
        return "unknown".into();
    }
    let text = format!("{}.{:03}", ns / 1_000_000, ns % 1_000_000 / 1000);
    format!("{} ms", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_described() {
        let figures = Figures::from(Stats {
            ticks: 1234,
            period_ns: 10_000_000,
            measured_period_ns: 10_002_300,
            time_bytes: 12,
            cycle_cpu_us: CycleTime { min: 3.0, avg: 4.25, max: 12.5 },
            cycle_run_ns: 2_345_600,
            trace_samples: 1,
            trace_dropped: 0,
            connections: vec![ConnectionInfo {
                connector: "pyro".into(),
                peer: "127.0.0.1:4711".into(),
                identity: String::new(),
            }],
        });
        assert_eq!(
            describe(&figures),
            "\
cycles       1234
period       10 ms asked for, 10.002 ms measured
per cycle    4.2 µs processor time on average, 3.0 to 12.5
cycle runs   2.345 ms, 23.5% of the period
trace        1 sample, 0 dropped
connections  1
  pyro       127.0.0.1:4711
"
        );
    }

    #[test]
    fn what_is_not_known_is_said_so() {
        assert_eq!(period(0), "unknown");
        assert_eq!(share(0, 1), "unknown");
        assert_eq!(share(1, 0), "unknown");
        assert!(describe(&Figures::from(Stats::default())).contains("per cycle    unknown"));
    }
}
