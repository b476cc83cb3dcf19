// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the other end is still there: when to ping it, and when to give it up.

use std::time::Duration;

use tokio::time::Instant;

/// Shorter silences tell nothing, whatever is asked for.
const SHORTEST: Duration = Duration::from_millis(100);

/// The pulse of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    interval: Duration,
    timeout: Duration,
    /// Since when a ping has been on its way.
    pinged: Option<Instant>,
    /// Since when there is something that the connection does not take.
    stuck: Option<Instant>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing until then.
    Wait(Instant),
    /// Send a ping.
    Ping,
    /// The other end does not answer any more.
    Silent,
    /// The other end does not take what is sent.
    Stuck,
}

impl Pulse {
    /// With a ping after so many milliseconds of silence, and as many for the answer.
    pub(super) fn new(interval_ms: u32, timeout_ms: u32) -> Self {
        let at_least = |ms: u32| Duration::from_millis(ms.into()).max(SHORTEST);
        let (interval, timeout) = (at_least(interval_ms), at_least(timeout_ms));
        Self { interval, timeout, pinged: None, stuck: None }
    }

    /// What is to be done at `now`, when bytes last came at `read` and went at `written`; `pending` while there are
    /// some that have not gone yet.
    pub(super) fn beat(
        &mut self,
        now: Instant,
        read: Instant,
        written: Instant,
        pending: bool,
    ) -> Beat {
        if self.pinged.is_some_and(|pinged| read >= pinged) {
            self.pinged = None;
        }
        if pending {
            // A ping waits behind what is being sent, and its time begins when it goes.
            self.pinged = self.pinged.map(|_| now);
            let since = written.max(*self.stuck.get_or_insert(now));
            let end = since + self.interval + self.timeout;
            return if now >= end { Beat::Stuck } else { Beat::Wait(end) };
        }
        self.stuck = None;
        match self.pinged {
            Some(pinged) if now >= pinged + self.timeout => Beat::Silent,
            Some(pinged) => Beat::Wait(pinged + self.timeout),
            None if now >= read + self.interval => {
                self.pinged = Some(now);
                Beat::Ping
            }
            None => Beat::Wait(read + self.interval),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn pulse() -> Pulse {
        Pulse::new(10_000, 5000)
    }

    #[test]
    fn silence_is_answered_with_a_ping_and_more_silence_is_the_end() {
        let (t, mut pulse) = (Instant::now(), pulse());
        assert_eq!(pulse.beat(t, t, t, false), Beat::Wait(t + 10 * S));
        assert_eq!(pulse.beat(t + 10 * S, t, t, false), Beat::Ping);
        assert_eq!(pulse.beat(t + 11 * S, t, t, false), Beat::Wait(t + 15 * S));
        assert_eq!(pulse.beat(t + 15 * S, t, t, false), Beat::Silent);
    }

    #[test]
    fn any_byte_is_a_sign_of_life() {
        let (t, mut pulse) = (Instant::now(), pulse());
        assert_eq!(pulse.beat(t + 10 * S, t, t, false), Beat::Ping);
        let heard = t + 12 * S;
        assert_eq!(pulse.beat(t + 16 * S, heard, t, false), Beat::Wait(heard + 10 * S));
    }

    #[test]
    fn a_slow_line_is_alive_as_long_as_bytes_move() {
        let (t, mut pulse) = (Instant::now(), pulse());
        assert_eq!(pulse.beat(t + 10 * S, t, t, false), Beat::Ping);
        for second in 11..100 {
            let now = t + second * S;
            assert!(matches!(pulse.beat(now, t, now - S, true), Beat::Wait(_)));
        }
        // Now the ping has gone, and has its whole time.
        let now = t + 100 * S;
        assert_eq!(pulse.beat(now, t, now, false), Beat::Wait(now - S + 5 * S));
    }

    #[test]
    fn what_is_never_taken_is_the_end() {
        let (t, mut pulse) = (Instant::now(), pulse());
        let hour = t + 3600 * S;
        assert_eq!(pulse.beat(hour, t, t, true), Beat::Wait(hour + 15 * S));
        assert_eq!(pulse.beat(hour + 15 * S, t, t, true), Beat::Stuck);
    }
}
