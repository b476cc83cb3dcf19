// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pieces of text: times, durations, counts, sizes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plc_api::plc::Snapshot;
use serde::Serialize;

use crate::{civil::Date, terminal};

/// A moment as `2025-01-31 12:30:00.123456 UTC`.
pub(crate) fn utc_precise(time_us: u64) -> String {
    let (date, clock) = date_and_clock(time_us);
    format!("{date} {clock}.{:06} UTC", time_us % 1_000_000)
}

/// A moment as `2025-01-31 12:30:00 UTC`.
pub(crate) fn utc(time_us: u64) -> String {
    let (date, clock) = date_and_clock(time_us);
    format!("{date} {clock} UTC")
}

fn date_and_clock(time_us: u64) -> (Date, String) {
    let seconds = time_us / 1_000_000;
    let days = i64::try_from(seconds / 86_400).unwrap_or(i64::MAX);
    let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
    let clock = format!("{hours:02}:{minutes:02}:{:02}", seconds % 60);
    (Date::from_days(days), clock)
}

/// Microseconds since the epoch, now.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// A length of time in its two largest units: `3 d 4 h`, `2 min 5 s`, `7 s`.
pub(crate) fn elapsed(us: u64) -> String {
    let seconds = us / 1_000_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    if days > 0 {
        format!("{days} d {hours} h")
    } else if hours > 0 {
        format!("{hours} h {minutes} min")
    } else if minutes > 0 {
        format!("{minutes} min {} s", seconds % 60)
    } else {
        format!("{seconds} s")
    }
}

/// A number of bytes as people say it.
pub(crate) fn bytes(count: u64) -> String {
    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    if count >= MIB {
        format!("{}.{} MiB", count / MIB, count % MIB * 10 / MIB)
    } else if count >= KIB {
        format!("{}.{} KiB", count / KIB, count % KIB * 10 / KIB)
    } else {
        format!("{count} B")
    }
}

/// `1 sample`, `2 samples`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A table of two columns.
pub(crate) fn facts(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(name, fact)| format!("{name:width$}  {}\n", terminal::printable(fact, width + 2)));
    lines.collect()
}

/// What is going on, in as few words as say it.
pub(crate) fn state(snapshot: &Snapshot) -> String {
    let status = snapshot.status.as_str();
    if snapshot.phase.is_empty() || snapshot.phase.eq_ignore_ascii_case(status) {
        status.to_owned()
    } else {
        format!("{status} ({})", snapshot.phase)
    }
}

/// Messages per level, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    critical: u32,
    warning: u32,
    info: u32,
    debug: u32,
}

impl From<plc_api::log::LogCounts> for Counts {
    fn from([critical, warning, info, debug]: plc_api::log::LogCounts) -> Self {
        Self { critical, warning, info, debug }
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} critical, {} warning, {} info, {} debug",
            self.critical, self.warning, self.info, self.debug
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_in_utc() {
        assert_eq!(utc_precise(1_709_210_096_000_042), "2024-02-29 12:34:56.000042 UTC");
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn a_length_of_time_has_its_two_largest_units() {
        let second = 1_000_000;
        assert_eq!(elapsed(7 * second), "7 s");
        assert_eq!(elapsed(125 * second), "2 min 5 s");
        assert_eq!(elapsed(3 * 86_400 * second + 4 * 3600 * second), "3 d 4 h");
    }

    #[test]
    fn a_size_is_told_in_its_unit() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 20), "3.0 MiB");
    }
}
