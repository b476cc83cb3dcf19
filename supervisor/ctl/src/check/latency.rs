// SPDX-License-Identifier: MIT OR Apache-2.0
//! How late a thread wakes up that sleeps until each millisecond, scheduled as the PLC's cycle is to be.
//!
//! As cyclictest(8) does it: the time to wake up at is absolute, so that lateness does not add up.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    thread::{CpuSet, clock_nanosleep_absolute, sched_setaffinity, set_current_timer_slack},
    time::{ClockId, Timespec, clock_gettime},
};
use serde::Serialize;
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use super::{
    finding::{Finding, Verdict},
    settings::{Class, Settings},
};
use crate::progress::Line;

/// From one wake-up to the next, and the period of a program of which nothing is known.
const INTERVAL: Duration = Duration::from_millis(1);

/// How often the progress is shown.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// Lateness is counted in steps of a microsecond up to this; what is later counts as this, but for the worst.
const LONGEST_US: usize = 100_000;

/// What was measured, in JSON as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    /// The scheduling class of the measuring thread, `other`, `fifo` or `rr`.
    class: Class,
    /// 0 in the class `other`.
    priority: u8,
    /// Why it is not the configured one; null when it is.
    denied: Option<String>,
    wake_ups: u64,
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
}

/// How many wake-ups were late by how many microseconds.
#[derive(Debug)]
struct Counts {
    by_us: Vec<u32>,
    wake_ups: u64,
    max_us: u64,
}

impl Counts {
    fn new() -> Self {
        Self { by_us: vec![0; LONGEST_US + 1], wake_ups: 0, max_us: 0 }
    }

    fn add(&mut self, late_us: u64) {
        let index = usize::try_from(late_us).unwrap_or(usize::MAX).min(LONGEST_US);
        if let Some(count) = self.by_us.get_mut(index) {
            *count += 1;
        }
        self.wake_ups += 1;
        self.max_us = self.max_us.max(late_us);
    }

    /// The lateness that so many of a thousand wake-ups do not exceed.
    fn per_mille(&self, share: u64) -> u64 {
        let wanted = (self.wake_ups * share).div_ceil(1000).max(1);
        let mut counted = 0;
        let reached = self.by_us.iter().position(|count| {
            counted += u64::from(*count);
            counted >= wanted
        });
        reached.and_then(|us| u64::try_from(us).ok()).unwrap_or(0).min(self.max_us)
    }
}

/// Measures for so long, and shows on a terminal how far that is.
pub(crate) async fn measure(time: Duration, settings: &Settings) -> io::Result<Latency> {
    let worst_us = Arc::new(AtomicU64::new(0));
    let thread = {
        let (settings, worst_us) = (settings.clone(), worst_us.clone());
        thread::Builder::new()
            .name("wake-up".into())
            .spawn(move || wake_up(time, &settings, &worst_us))?
    };
    let mut line = Line::new();
    let begin = std::time::Instant::now();
    while !thread.is_finished() {
        line.show(&format!(
            "measuring wake-up latency: {} of {} s, worst {}",
            begin.elapsed().min(time).as_secs(),
            time.as_secs_f64(),
            microseconds(worst_us.load(Ordering::Relaxed)),
        ));
        tokio::time::sleep(SHOWN_EVERY).await;
    }
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the measuring thread has failed")))
}

/// The measuring thread.
fn wake_up(time: Duration, settings: &Settings, worst_us: &AtomicU64) -> io::Result<Latency> {
    let denied = apply(settings);
    let mut counts = Counts::new();
    let interval = Timespec { tv_sec: 0, tv_nsec: i64::from(INTERVAL.subsec_nanos()) };
    let begin = now();
    let end = begin + Timespec::try_from(time).map_err(io::Error::other)?;
    let mut next = begin + interval;
    while next < end {
        clock_nanosleep_absolute(ClockId::Monotonic, &next)?;
        let now = now();
        counts.add(late_us(now, next));
        worst_us.store(counts.max_us, Ordering::Relaxed);
        // One wake-up that is later than the next is due stands for both.
        while next <= now {
            next += interval;
        }
    }
    let class = if denied.is_some() { Class::Other } else { settings.class };
    Ok(Latency {
        class,
        priority: if denied.is_some() { 0 } else { settings.priority },
        denied,
        wake_ups: counts.wake_ups,
        p50_us: counts.per_mille(500),
        p99_us: counts.per_mille(990),
        p999_us: counts.per_mille(999),
        max_us: counts.max_us,
    })
}

fn now() -> Timespec {
    clock_gettime(ClockId::Monotonic)
}

fn late_us(now: Timespec, due: Timespec) -> u64 {
    let late = Duration::try_from(now - due).unwrap_or(Duration::ZERO);
    u64::try_from(late.as_micros()).unwrap_or(u64::MAX)
}

/// Schedules this thread as the cycle is to be; why not, if the class is denied. Where it runs and how exact its
/// timer is are tried: processors that are not there are a finding of their own.
fn apply(settings: &Settings) -> Option<String> {
    if !settings.cpus.is_empty() {
        let mut set = CpuSet::new();
        let possible = settings.cpus.iter().map(|&cpu| usize::from(cpu));
        possible.filter(|&cpu| cpu < CpuSet::MAX_CPU).for_each(|cpu| set.set(cpu));
        let _ = sched_setaffinity(None, &set);
    }
    if let Some(us) = settings.timer_slack_us {
        let _ = set_current_timer_slack(std::num::NonZeroU64::new(u64::from(us) * 1000));
    }
    let class = match settings.class {
        Class::Other => return None,
        Class::Fifo => RealtimeThreadSchedulePolicy::Fifo,
        Class::Rr => RealtimeThreadSchedulePolicy::RoundRobin,
    };
    let why = |error: &dyn std::fmt::Display| {
        format!("{} {} is denied to this user ({error})", settings.class, settings.priority)
    };
    let priority = match ThreadPriorityValue::try_from(settings.priority) {
        Ok(value) => ThreadPriority::Crossplatform(value),
        Err(error) => return Some(why(&error)),
    };
    let policy = ThreadSchedulePolicy::Realtime(class);
    match set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        Ok(()) => None,
        Err(thread_priority::Error::OS(code)) => Some(why(&io::Error::from_raw_os_error(code))),
        Err(other) => Some(why(&format!("{other:?}"))),
    }
}

impl Latency {
    /// What it means for a program of this period. Without real time a late wake-up is no fault of the machine.
    pub(crate) fn judge(&self, period: Option<Duration>) -> Vec<Finding> {
        const TOPIC: &str = "wake-up";
        let period = period.unwrap_or(INTERVAL);
        let period_us = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        let value = format!(
            "worst {}, p99.9 {}, p99 {}, half within {}; {} wake-ups in the class {}",
            microseconds(self.max_us),
            microseconds(self.p999_us),
            microseconds(self.p99_us),
            microseconds(self.p50_us),
            self.wake_ups,
            self.class,
        );
        let next = "improve what is listed above, and measure again under load";
        let lateness = if self.max_us <= period_us / 10 {
            Finding::good(TOPIC, value)
        } else if self.max_us < period_us || self.class == Class::Other {
            Finding::of(Verdict::Improve, TOPIC, value, next)
        } else {
            let value = format!("{value}: cycles of {} are missed", microseconds(period_us));
            Finding::of(Verdict::Problem, TOPIC, value, next)
        };
        let denied = self.denied.as_ref().map(|why| {
            let next = "as the program runs it is measured by: sudo plcctl check";
            Finding::of(Verdict::Unknown, "measured as", format!("other: {why}"), next)
        });
        denied.into_iter().chain([lateness]).collect()
    }
}

/// A time in the unit that suits it.
fn microseconds(us: u64) -> String {
    if us < 1000 {
        format!("{us} µs")
    } else {
        let text = format!("{}.{:02}", us / 1000, us % 1000 / 10);
        format!("{} ms", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank_and_the_worst_is_exact() {
        let mut counts = Counts::new();
        (1..=1000).for_each(|us| counts.add(us));
        assert_eq!((counts.per_mille(500), counts.per_mille(990)), (500, 990));
        counts.add(7_000_000);
        assert_eq!((counts.max_us, counts.wake_ups), (7_000_000, 1001));
        assert_eq!(Counts::new().per_mille(999), 0);
    }

    #[test]
    fn lateness_is_judged_by_the_period_and_only_real_time_has_promised_anything() {
        let verdict = |class, max_us, period: Option<u64>| {
            let latency = Latency { class, max_us, ..Latency::default() };
            latency.judge(period.map(Duration::from_millis))[0].verdict
        };
        assert_eq!(verdict(Class::Fifo, 100, None), Verdict::Good);
        assert_eq!(verdict(Class::Fifo, 101, None), Verdict::Improve);
        assert_eq!(verdict(Class::Fifo, 1000, None), Verdict::Problem);
        assert_eq!(verdict(Class::Fifo, 1000, Some(10)), Verdict::Good);
        assert_eq!(verdict(Class::Other, 9000, None), Verdict::Improve);
    }

    #[test]
    fn a_time_is_told_in_its_unit() {
        assert_eq!(microseconds(999), "999 µs");
        assert_eq!(microseconds(1000), "1 ms");
        assert_eq!(microseconds(12_345), "12.34 ms");
    }

    #[tokio::test]
    async fn what_is_denied_is_measured_otherwise_and_said() {
        // No priority above 99 is given to anybody.
        let settings = Settings { class: Class::Fifo, priority: 200, ..Settings::default() };
        let latency = measure(Duration::from_millis(50), &settings).await.unwrap();
        assert_eq!(latency.class, Class::Other);
        assert!(latency.wake_ups > 0);
        let findings = latency.judge(None);
        assert_eq!(findings[0].verdict, Verdict::Unknown);
        assert!(findings[0].value.contains("fifo 200 is denied"), "{findings:?}");
    }
}
