// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `tests/programs/wakeup.c` says about itself in its variables, traced as an IDE does.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};

use crate::{
    erpc::{Client, Sample},
    figures::number,
};

/// The program.
pub(crate) const PROGRAM: &str = "wakeup";

/// How many variables it has; all are traced.
pub(crate) const VARIABLES: u32 = 8;

/// From one poll of an IDE to the next.
const POLL: Duration = Duration::from_millis(100);

/// A program that has just started is left alone for this time; `bare_loader.c` does the same.
const WARM_UP: Duration = Duration::from_millis(200);

/// Numbers for RESET: never one that a library has seen, which may stay loaded while its program is stopped.
static NEXT_RESET: AtomicU32 = AtomicU32::new(1000);

/// The variables after one cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    pub(crate) tick: u32,
    pub(crate) seen_reset: u32,
    /// Cycles that ran since the program was loaded.
    pub(crate) cycles: u32,
    /// Wake-ups since the reset that the percentiles are made of.
    pub(crate) counted: u32,
    pub(crate) p50_us: u32,
    pub(crate) p99_us: u32,
    pub(crate) max_us: u32,
}

impl Reading {
    fn of(sample: &Sample) -> anyhow::Result<Self> {
        let word = |bytes: &[u8]| bytes.try_into().map(u32::from_ne_bytes);
        let words: Result<Vec<u32>, _> = sample.data.chunks(4).map(word).collect();
        let [_, seen_reset, cycles, counted, p50_us, p99_us, max_us, _] = words?[..] else {
            anyhow::bail!("a sample has {} bytes and not all variables", sample.data.len());
        };
        Ok(Self { tick: sample.tick, seen_reset, cycles, counted, p50_us, p99_us, max_us })
    }
}

/// A row of samples: the two at its ends, and how many there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traced {
    first: Reading,
    last: Reading,
    samples: u32,
}

impl Traced {
    pub(crate) fn new(first: &Sample, last: &Sample, samples: u32) -> anyhow::Result<Self> {
        Ok(Self { first: Reading::of(first)?, last: Reading::of(last)?, samples })
    }

    /// Ticks between first and last sample without a sample, in percent of all.
    pub(crate) fn missed_ticks(&self) -> f64 {
        let ticks = self.last.tick.wrapping_sub(self.first.tick);
        self.missed_of(ticks)
    }

    /// The same of the cycles that ran: what was missed at the library's slot or lost behind it, and not what the
    /// program itself skipped because it woke up too late.
    pub(crate) fn missed_cycles(&self) -> f64 {
        let cycles = self.last.cycles.wrapping_sub(self.first.cycles);
        self.missed_of(cycles)
    }

    /// The lateness of wake-ups since `reset`.
    ///
    /// # Errors
    /// There are no figures of it.
    pub(crate) fn lateness(&self, reset: u32) -> anyhow::Result<Reading> {
        ensure!(self.last.seen_reset == reset, "the program did not see the forced variable");
        ensure!(self.last.counted > 0, "the program ran too few cycles for figures");
        Ok(self.last)
    }

    fn missed_of(&self, all: u32) -> f64 {
        let missed = all.saturating_add(1).saturating_sub(self.samples);
        100.0 * number(missed) / number(all.saturating_add(1))
    }
}

/// Resets the running program's figures and polls its samples for a time, as an IDE does. Gives the reset's number.
pub(crate) fn watch(client: &mut Client, duration: Duration) -> anyhow::Result<(Traced, u32)> {
    thread::sleep(WARM_UP);
    let reset = NEXT_RESET.fetch_add(1, Ordering::Relaxed);
    let force = reset.to_ne_bytes();
    let list: Vec<(u32, &[u8])> =
        (0..VARIABLES).map(|index| (index, if index == 0 { &force[..] } else { &[] })).collect();
    let token = client.set_trace(&list)?;
    let (mut first, mut last, mut samples) = (None, None, 0_u32);
    let begin = Instant::now();
    while begin.elapsed() < duration {
        let poll = Instant::now();
        let batch = client.read_trace(token)?;
        samples += u32::try_from(batch.len())?;
        first = first.or_else(|| batch.first().cloned());
        last = batch.last().cloned().or(last);
        let taken = poll.elapsed();
        thread::sleep(POLL.saturating_sub(taken).max(taken / 5));
    }
    let (first, last) = first.zip(last).context("no samples came")?;
    Ok((Traced::new(&first, &last, samples)?, reset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(tick: u32, cycles: u32) -> Sample {
        let words = [7, 7, cycles, 100, 50, 99, 120, 3];
        Sample { tick, data: words.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect() }
    }

    #[test]
    fn missed_are_ticks_without_a_sample() {
        // Ticks 11 to 110; the program skipped 50 of them, and 30 of the 50 that ran have a sample.
        let traced = Traced::new(&sample(11, 1), &sample(110, 50), 30).unwrap();
        assert_eq!(traced.missed_ticks(), 70.0);
        assert_eq!(traced.missed_cycles(), 40.0);
    }

    #[test]
    fn nothing_is_missed_where_every_tick_has_a_sample_even_if_the_tick_wraps() {
        let traced = Traced::new(&sample(u32::MAX - 4, 1), &sample(5, 11), 11).unwrap();
        assert_eq!(traced.missed_ticks(), 0.0);
        assert_eq!(traced.missed_cycles(), 0.0);
    }

    #[test]
    fn lateness_is_that_since_the_reset_or_none() {
        let traced = Traced::new(&sample(1, 1), &sample(2, 2), 2).unwrap();
        assert_eq!(traced.lateness(7).unwrap().p99_us, 99);
        assert!(traced.lateness(8).is_err());
    }

    #[test]
    fn a_sample_that_was_cut_is_an_error() {
        let mut cut = sample(1, 1);
        cut.data.pop();
        assert!(Traced::new(&cut, &cut, 1).is_err());
    }
}
