// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an IDE shows of the cycle in its status line.

use std::time::SystemTime;

use plc_api::plc::{PlcStatus, Stats};

/// The answer to [`PlcCall::CycleStatistics`](crate::call::PlcCall::CycleStatistics); nothing without a program, or when
/// nobody can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CycleStatistics {
    /// Such as `PLC Cycle: 4% of 20ms`, or `PLC Cycle: 20ms` where the share is not known; or empty.
    pub text: String,
    /// When they were read, microseconds since the epoch; 0 with an empty text.
    pub time_us: u64,
}

impl CycleStatistics {
    /// What these figures say about a PLC in this state, now.
    #[must_use]
    pub fn of(status: PlcStatus, stats: &Stats) -> Self {
        let Some(text) = text(status, stats) else {
            return Self::default();
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { text, time_us: u64::try_from(now.as_micros()).unwrap_or_default() }
    }
}

/// The wording is the reference runtime's.
fn text(status: PlcStatus, stats: &Stats) -> Option<String> {
    if status == PlcStatus::Empty || stats.period_ns == 0 {
        return None;
    }
    let period = milliseconds(stats.period_ns);
    // The share of a program that has ended is of no use to anybody.
    if status != PlcStatus::Started || stats.cycle_run_ns == 0 {
        return Some(format!("PLC Cycle: {period}"));
    }
    let percent = stats.cycle_run_ns.saturating_mul(100) / stats.period_ns;
    let share = if percent == 0 { "<1".to_owned() } else { percent.to_string() };
    Some(format!("PLC Cycle: {share}% of {period}"))
}

/// Nanoseconds as milliseconds, with the digits that matter.
fn milliseconds(ns: u64) -> String {
    let text = format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
    format!("{}ms", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(status: PlcStatus, period_ns: u64, cycle_run_ns: u64) -> String {
        let stats = Stats { period_ns, cycle_run_ns, ..Stats::default() };
        let statistics = CycleStatistics::of(status, &stats);
        assert_eq!(statistics.time_us == 0, statistics.text.is_empty());
        statistics.text
    }

    #[test]
    fn the_share_is_shown_where_it_is_known() {
        let started = PlcStatus::Started;
        assert_eq!(shown(started, 20_000_000, 800_000), "PLC Cycle: 4% of 20ms");
        assert_eq!(shown(started, 500_000, 600_000), "PLC Cycle: 120% of 0.5ms");
        assert_eq!(shown(started, 1_000_000_000, 50_000), "PLC Cycle: <1% of 1000ms");
        assert_eq!(shown(started, 20_000_000, 0), "PLC Cycle: 20ms");
    }

    #[test]
    fn a_program_that_does_not_run_has_a_period_and_no_program_has_nothing() {
        assert_eq!(shown(PlcStatus::Stopped, 20_000_000, 800_000), "PLC Cycle: 20ms");
        assert_eq!(shown(PlcStatus::Broken, 20_000_000, 800_000), "PLC Cycle: 20ms");
        assert_eq!(shown(PlcStatus::Empty, 20_000_000, 800_000), "");
        assert_eq!(shown(PlcStatus::Started, 0, 0), "");
    }
}
