// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many handshakes a source may fail: so many at once, and then one in each period.
//!
//! A handshake costs us more than the peer, so each is paid for when it begins; one that succeeds is paid back, since
//! whoever has a key may come as often as they like.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plc_connector::places::Source;

/// Handshakes that a source may fail at once.
pub const BURST: u32 = 20;

/// After this long it may fail one more.
pub const REFILL: Duration = Duration::from_secs(1);

/// Sources that are remembered. With more, the one that may fail most is forgotten.
const SOURCES: usize = 4096;

/// Keeps the accounts of all sources.
#[derive(Debug, Default)]
pub struct Pace {
    accounts: Mutex<HashMap<Source, Account>>,
}

/// Handshakes left at a time.
#[derive(Clone, Copy, Debug)]
struct Account {
    left: u32,
    since: Instant,
}

impl Account {
    const fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// The same account, with what has come since.
    fn at(self, now: Instant) -> Self {
        let periods = now.saturating_duration_since(self.since).as_secs() / REFILL.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        match self.left.saturating_add(periods) {
            left if left >= BURST => Self::new(now),
            left => Self { left, since: self.since + REFILL * periods },
        }
    }
}

impl Pace {
    /// Whether `source` may begin a handshake at `now`.
    #[must_use]
    pub fn begin(&self, source: Source, now: Instant) -> bool {
        let mut accounts = self.lock();
        if accounts.len() >= SOURCES && !accounts.contains_key(&source) {
            forget_one(&mut accounts, now);
        }
        let account = accounts.entry(source).or_insert(Account::new(now));
        *account = account.at(now);
        let paid = account.left.checked_sub(1);
        account.left = paid.unwrap_or(0);
        paid.is_some()
    }

    /// The handshake of `source` has succeeded.
    pub fn succeeded(&self, source: Source) {
        if let Some(account) = self.lock().get_mut(&source) {
            account.left = BURST.min(account.left + 1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, Account>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_one(accounts: &mut HashMap<Source, Account>, now: Instant) {
    accounts.retain(|_, account| account.at(now).left < BURST);
    if accounts.len() < SOURCES {
        return;
    }
    let most = accounts.iter().max_by_key(|(_, account)| account.at(now).left);
    if let Some(source) = most.map(|(source, _)| *source) {
        accounts.remove(&source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from(0xc633_0000 + last).into())
    }

    fn fail_all(pace: &Pace, source: Source, now: Instant) -> u32 {
        (0..).take_while(|_| pace.begin(source, now)).count().try_into().unwrap()
    }

    #[test]
    fn failures_are_bounded_for_each_source_and_the_bound_fills_up_again() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert_eq!(fail_all(&pace, source(1), start), BURST);
        assert_eq!(fail_all(&pace, source(2), start), BURST);
        assert_eq!(fail_all(&pace, source(1), start + REFILL / 2), 0);
        assert_eq!(fail_all(&pace, source(1), start + REFILL * 3), 3);
        assert_eq!(fail_all(&pace, source(1), start + REFILL * 10_000), BURST);
    }

    #[test]
    fn successes_are_not_bounded() {
        let (pace, now) = (Pace::default(), Instant::now());
        for _ in 0..1000 {
            assert!(pace.begin(source(1), now));
            pace.succeeded(source(1));
        }
        assert_eq!(fail_all(&pace, source(1), now), BURST);
    }

    #[test]
    fn the_memory_is_bounded_and_who_failed_most_is_kept() {
        let (pace, now) = (Pace::default(), Instant::now());
        assert_eq!(fail_all(&pace, source(0), now), BURST);
        for other in 1..10_000 {
            assert!(pace.begin(source(other), now));
        }
        assert!(pace.lock().len() <= SOURCES);
        assert!(!pace.begin(source(0), now));
    }
}
