// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much log a remote peer can cause.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Lets a few messages through in each period and counts the rest.
#[derive(Debug)]
pub struct RateLimit {
    window: Mutex<Option<Window>>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    admitted: u32,
    suppressed: u64,
}

impl RateLimit {
    /// Messages that pass in one [`Self::PERIOD`].
    pub const BURST: u32 = 10;

    /// After this long the next [`Self::BURST`] messages pass.
    pub const PERIOD: Duration = Duration::from_secs(30);

    /// A limit that nothing has used yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { window: Mutex::new(None) }
    }

    /// Whether a message may be logged at `now`; then, how many were kept back since the last one.
    #[must_use]
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut guard = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |suppressed| Window { began: now, admitted: 0, suppressed };
        let mut window = match *guard {
            Some(window) if now.saturating_duration_since(window.began) < Self::PERIOD => window,
            Some(old) => fresh(old.suppressed),
            None => fresh(0),
        };
        let verdict = if window.admitted < Self::BURST {
            window.admitted += 1;
            Some(std::mem::take(&mut window.suppressed))
        } else {
            window.suppressed += 1;
            None
        };
        *guard = Some(window);
        verdict
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`RateLimit`] for each kind of message, so that many of one kind hide no other. Kinds are never forgotten: there
/// are only so many of them, and no peer can make new ones.
#[derive(Debug)]
pub struct RateLimits<K> {
    kinds: Mutex<HashMap<K, RateLimit>>,
}

impl<K: Eq + Hash> RateLimits<K> {
    /// As [`RateLimit::admit`], for a message of this kind.
    #[must_use]
    pub fn admit(&self, kind: K, now: Instant) -> Option<u64> {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        kinds.entry(kind).or_default().admit(now)
    }
}

impl<K> Default for RateLimits<K> {
    fn default() -> Self {
        Self { kinds: Mutex::default() }
    }
}

/// Logs like `tracing`'s macro of that name, but each place in the code only so often: for what a remote peer can
/// trigger. The field `suppressed` counts the messages kept back before this one.
#[macro_export]
macro_rules! limited {
    ($level:ident, $($rest:tt)+) => {{
        static LIMIT: $crate::logging::RateLimit = $crate::logging::RateLimit::new();
        if let Some(suppressed) = LIMIT.admit(::std::time::Instant::now()) {
            ::tracing::$level!(suppressed, $($rest)+);
        }
    }};
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let limit = RateLimit::new();
        let start = Instant::now();
        let passed = (0..1000).filter(|_| limit.admit(start).is_some()).count();
        assert_eq!(passed, RateLimit::BURST as usize);
        let later = start + RateLimit::PERIOD;
        assert_eq!(limit.admit(later), Some(1000 - u64::from(RateLimit::BURST)));
        assert_eq!(limit.admit(later), Some(0));
    }
    #[test]
    fn a_flood_of_one_kind_hides_no_other() {
        let (limits, now) = (RateLimits::default(), Instant::now());
        assert_eq!((0..1000).filter(|_| limits.admit("a", now).is_some()).count(), 10);
        assert_eq!(limits.admit("b", now), Some(0));
    }
}
