// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long to wait before the next attempt: longer after each, and never the same for two PLCs.

use std::{f64::consts::E, time::Duration};

/// Each pause is at most this part longer or shorter than the rule says, so that a fleet whose router was restarted
/// does not come back all in one second.
const JITTER: f64 = 0.5;

/// No pause begins shorter, whatever is asked for: an attempt costs both sides something.
const SHORTEST: Duration = Duration::from_millis(10);

/// The pauses between attempts: each about 2.7 times the one before, as the reference runtime has them, up to a longest.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    initial: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins with `initial`, and grows up to `longest`; each pause then varies by half.
    #[must_use]
    pub fn new(initial: Duration, longest: Duration) -> Self {
        let initial = initial.max(SHORTEST);
        let longest = longest.max(initial);
        Self { initial, longest, next: initial }
    }

    /// The pause to make now.
    pub fn pause(&mut self) -> Duration {
        self.pause_with(random_fraction())
    }

    /// The attempt was a success: the next pause is a short one again.
    pub const fn reset(&mut self) {
        self.next = self.initial;
    }

    /// `chance` is from 0 to 1.
    fn pause_with(&mut self, chance: f64) -> Duration {
        let pause = self.next.mul_f64(1.0 - JITTER + 2.0 * JITTER * chance);
        self.next = self.next.mul_f64(E).min(self.longest);
        pause
    }
}

/// A number from 0 to 1; in the middle if the system has no chance to offer.
fn random_fraction() -> f64 {
    getrandom::u32().map_or(0.5, |number| f64::from(number) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_grow_up_to_the_longest_and_begin_again() {
        let mut backoff = Backoff::new(SECOND, 10 * SECOND);
        let pauses: Vec<_> = (0..5).map(|_| backoff.pause_with(0.5).as_millis()).collect();
        assert_eq!(pauses, [1000, 2718, 7389, 10_000, 10_000]);
        backoff.reset();
        assert_eq!(backoff.pause_with(0.5), SECOND);
    }

    #[test]
    fn chance_spreads_them() {
        let with = |chance| Backoff::new(SECOND, SECOND).pause_with(chance);
        assert_eq!((with(0.0), with(1.0)), (SECOND / 2, SECOND * 3 / 2));
        let mut pauses: Vec<_> = (0..100).map(|_| Backoff::new(SECOND, SECOND).pause()).collect();
        pauses.sort_unstable();
        pauses.dedup();
        assert!(pauses.len() > 90, "{}", pauses.len());
    }

    #[test]
    fn there_is_always_a_pause() {
        assert_eq!(Backoff::new(Duration::ZERO, Duration::ZERO).pause_with(0.5), SHORTEST);
    }

    #[test]
    fn a_longest_pause_below_the_first_does_not_shorten_it() {
        assert_eq!(Backoff::new(SECOND, SECOND / 2).pause_with(0.5), SECOND);
    }
}
