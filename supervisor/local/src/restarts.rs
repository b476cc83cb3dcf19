// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often a process may die before it is hopeless.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many restarts ...
pub(crate) const MOST: usize = 5;
/// ... within this time.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);
/// The pause before the second restart; it doubles with each further one, so that what is only late has time.
const PAUSE: Duration = Duration::from_millis(200);

/// The recent deaths of one process.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    recent: VecDeque<Instant>,
}

impl Restarts {
    /// Notes a death, and tells after which pause the process is to be started again; `None`: not any more.
    pub(crate) fn after_death(&mut self, now: Instant) -> Option<Duration> {
        self.recent.retain(|&death| now.duration_since(death) < WITHIN);
        let before = self.recent.len();
        self.recent.push_back(now);
        match before {
            0 => Some(Duration::ZERO),
            1..MOST => Some(PAUSE * (1 << (before - 1))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_deaths_in_half_a_minute_are_forgiven_with_growing_pauses_and_a_sixth_is_not() {
        let mut restarts = Restarts::default();
        let begin = Instant::now();
        let pauses: Vec<u128> = (0..5)
            .map(|second| restarts.after_death(begin + Duration::from_secs(second)))
            .map(|pause| pause.unwrap().as_millis())
            .collect();
        assert_eq!(pauses, [0, 200, 400, 800, 1600]);
        let sixth = begin + Duration::from_secs(29);
        assert_eq!(restarts.after_death(sixth), None);
    }

    #[test]
    fn old_deaths_are_forgotten() {
        let mut restarts = Restarts::default();
        let begin = Instant::now();
        for number in 0..100 {
            let death = begin + Duration::from_secs(7 * number);
            assert!(restarts.after_death(death).is_some());
        }
    }
}
