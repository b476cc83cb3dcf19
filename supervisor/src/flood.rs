// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much of what others can trigger, above all of a program's log, goes to the system's journal: so much in each
//! period, the rest is counted.
//!
//! journald cuts off a whole unit that writes too much (journald.conf(5), `RateLimitBurst=`: 10000 messages in 30 s),
//! our own lines with it. This bound is far below. Pure: time is given.

use std::time::{Duration, Instant};

/// The length of a period.
pub(crate) const PERIOD: Duration = Duration::from_secs(30);

/// What passes in a period: messages of up to [`SHORT`] bytes; a longer one counts as several.
pub(crate) const MESSAGES: usize = 100;

/// See [`MESSAGES`].
pub(crate) const SHORT: usize = 512;

/// The count of one level.
#[derive(Debug)]
pub(crate) struct Flood {
    began: Option<Instant>,
    passed: usize,
    left_out: u32,
}

impl Default for Flood {
    fn default() -> Self {
        Self::new()
    }
}

impl Flood {
    /// Nothing has passed yet.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { began: None, passed: 0, left_out: 0 }
    }

    /// Whether a message of so many bytes may pass.
    pub(crate) fn admit(&mut self, now: Instant, bytes: usize) -> bool {
        let cost = 1 + bytes / SHORT;
        self.began.get_or_insert(now);
        if self.passed + cost > MESSAGES {
            self.left_out = self.left_out.saturating_add(1);
            return false;
        }
        self.passed += cost;
        true
    }

    /// Begins anew when the period is over; then says how many messages were left out in it, if any were.
    pub(crate) fn settle(&mut self, now: Instant) -> Option<u32> {
        let over = self.began.is_some_and(|began| now.duration_since(began) >= PERIOD);
        if over { self.finish() } else { None }
    }

    /// The same before the period is over.
    pub(crate) fn finish(&mut self) -> Option<u32> {
        let left_out = std::mem::take(self).left_out;
        (left_out > 0).then_some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted_and_the_next_period_begins_anew() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        let passed = (0..1000).filter(|_| flood.admit(now, 20)).count();
        assert_eq!(passed, MESSAGES);
        assert_eq!(flood.settle(now + PERIOD / 2), None);
        assert!(!flood.admit(now + PERIOD / 2, 20));
        assert_eq!(flood.settle(now + PERIOD), Some(901));
        assert!(flood.admit(now + PERIOD, 20));
        assert_eq!(flood.finish(), None, "nothing was left out since");
    }

    #[test]
    fn the_longest_message_passes_and_long_ones_count_as_several() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        let longest = plc_api::limits::LOG_MESSAGE_BYTES;
        assert!(flood.admit(now, longest));
        let more = (0..1000).filter(|_| flood.admit(now, longest)).count();
        assert!(more < 5, "{more}");
    }
}
