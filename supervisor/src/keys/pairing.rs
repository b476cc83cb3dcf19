// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long the device's key is told to those who ask. Pure: time is given.

use std::time::{Duration, Instant, SystemTime};

/// Open until a moment, or closed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pairing {
    until: Option<(Instant, SystemTime)>,
}

impl Pairing {
    /// Opens it for so long from now on; what was left of an earlier time does not count.
    pub(super) fn open(&mut self, now: (Instant, SystemTime), time: Duration) {
        self.until = Some((now.0 + time, now.1 + time));
    }

    /// When it ends, if it is open. Whichever clock comes there first ends it: the one does not count the time in which
    /// the machine sleeps, and the other can be set.
    pub(super) fn until(&self, now: (Instant, SystemTime)) -> Option<SystemTime> {
        self.until.filter(|until| now.0 < until.0 && now.1 < until.1).map(|until| until.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_either_clock() {
        let (begin, date) = (Instant::now(), SystemTime::now());
        let (short, time) = (Duration::from_secs(59), Duration::from_secs(60));
        let mut pairing = Pairing::default();
        assert_eq!(pairing.until((begin, date)), None);
        pairing.open((begin, date), time);
        assert_eq!(pairing.until((begin + short, date + short)), Some(date + time));
        assert_eq!(pairing.until((begin + time, date)), None);
        assert_eq!(pairing.until((begin, date + time)), None);
    }

    #[test]
    fn the_last_word_counts() {
        let (begin, date) = (Instant::now(), SystemTime::now());
        let mut pairing = Pairing::default();
        pairing.open((begin, date), Duration::from_secs(600));
        pairing.open((begin, date), Duration::from_secs(1));
        assert_eq!(pairing.until((begin + Duration::from_secs(1), date)), None);
    }
}
