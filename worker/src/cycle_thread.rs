// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long the program's cycle runs, for programs of any age: measured from outside, with nothing on the cycle's thread.
//!
//! A program does not say which of its threads is the cycle's. That thread is put on a processor once for each cycle,
//! and the program's counter counts cycles; so of the threads that the program has, it is the one whose times on a
//! processor are as many as the cycles in the same window. It is chosen when it alone was so in [`WINDOWS`] windows one
//! after the other, and kept until it ends or another one is chosen in the same way: a cycle that takes longer than its
//! period does not sleep, and must not lose its measure then.
//!
//! Programs of Beremiz before 2019 make a thread for each cycle. Those threads are gone before they are looked at, so
//! time that no thread accounts for shows them; then nothing is chosen, above all not the helper that makes them.
//!
//! Pure: the figures come from `heartbeat.rs`.

use std::collections::BTreeMap;

/// Windows in a row in which a thread must stand out.
const WINDOWS: u32 = 3;

/// Cycles in a window. With fewer, a thread that is put on a processor now and then looks like the cycle's.
const CYCLES: u32 = 8;

/// Time in a window that no thread needs to account for: threads are read one after the other, while they run. So a
/// program that makes a thread for each cycle can be off by so much of a window of 400 ms, half a percent.
const UNACCOUNTED_NS: u64 = 2_000_000;

/// Weight of a new window, as the reference runtime smooths.
const SMOOTHING: f64 = 0.2;

/// What the kernel says of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Time on a processor so far, nanoseconds.
    pub(crate) run_ns: u64,
    /// How often it was put on one.
    pub(crate) slices: u64,
}

/// The program's threads at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    /// The program's cycle counter.
    pub(crate) tick: u32,
    /// Time on a processor of all threads that there ever were, ours too, nanoseconds.
    pub(crate) process_ns: u64,
    /// The same of our own threads.
    pub(crate) ours_ns: u64,
    /// The threads that are not ours, by their ids.
    pub(crate) threads: BTreeMap<i32, Usage>,
}

/// Measures one program's cycle.
#[derive(Debug, Default)]
pub(crate) struct CycleThread {
    begin: Option<Moment>,
    /// Who stood out in the last windows, and in how many in a row.
    candidate: Option<(i32, u32)>,
    chosen: Option<i32>,
    mean_ns: Option<f64>,
}

impl CycleThread {
    /// Takes a look at the program; the run time of its cycle, nanoseconds, smoothed, if it is known.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    pub(crate) fn take(&mut self, now: Moment) -> Option<u64> {
        let Some(begin) = self.begin.take() else {
            self.begin = Some(now);
            return None;
        };
        match now.tick.checked_sub(begin.tick) {
            Some(cycles) if cycles < CYCLES => self.begin = Some(begin),
            Some(cycles) => {
                self.window(&begin, &now, cycles);
                self.begin = Some(now);
            }
            // The counter began anew, at a bound of the program's own: nobody knows how many cycles it were.
            None => self.begin = Some(now),
        }
        self.mean_ns.map(|mean| (mean as u64).max(1))
    }

    fn window(&mut self, begin: &Moment, now: &Moment, cycles: u32) {
        let passed: BTreeMap<i32, Usage> = now
            .threads
            .iter()
            .map(|(id, usage)| (*id, usage.since(begin.threads.get(id))))
            .collect();
        self.choose(&passed, cycles, unaccounted_ns(begin, now, &passed));
        let Some(usage) = self.chosen.and_then(|id| passed.get(&id)) else {
            (self.chosen, self.mean_ns) = (None, None);
            return;
        };
        let mean = mean(usage.run_ns, cycles);
        let smoothed = self.mean_ns.map_or(mean, |before| before + SMOOTHING * (mean - before));
        self.mean_ns = Some(smoothed);
    }

    /// Chooses the thread that stands out, if it has done so for long enough.
    fn choose(&mut self, passed: &BTreeMap<i32, Usage>, cycles: u32, unaccounted_ns: u64) {
        let stands_out = standing_out(passed, cycles);
        let Some(id) = stands_out.filter(|_| unaccounted_ns <= UNACCOUNTED_NS) else {
            self.candidate = None;
            return;
        };
        let windows = match self.candidate {
            Some((same, windows)) if same == id => windows.saturating_add(1),
            _ => 1,
        };
        self.candidate = Some((id, windows));
        if windows >= WINDOWS && self.chosen != Some(id) {
            (self.chosen, self.mean_ns) = (Some(id), None);
        }
    }
}

impl Usage {
    /// What was added since; all of it for a thread that is new.
    fn since(self, before: Option<&Self>) -> Self {
        let before = before.copied().unwrap_or_default();
        Self {
            run_ns: self.run_ns.saturating_sub(before.run_ns),
            slices: self.slices.saturating_sub(before.slices),
        }
    }
}

/// Time on a processor that no thread accounts for which there was at the end.
fn unaccounted_ns(begin: &Moment, now: &Moment, passed: &BTreeMap<i32, Usage>) -> u64 {
    let known: u64 = passed.values().map(|usage| usage.run_ns).sum();
    let ours = now.ours_ns.saturating_sub(begin.ours_ns);
    let spent = now.process_ns.saturating_sub(begin.process_ns);
    spent.saturating_sub(ours).saturating_sub(known)
}

/// The one thread that was put on a processor once for each cycle; failing that the one that was nearly so: a busy machine
/// interrupts a cycle that has no real-time priority, and lets it miss some.
fn standing_out(passed: &BTreeMap<i32, Usage>, cycles: u32) -> Option<i32> {
    let cycles = u64::from(cycles);
    // The counter and the threads are not read at the same instant.
    let tolerance = 1 + cycles / 16;
    let exact = cycles.saturating_sub(tolerance)..=cycles + tolerance;
    let interrupted = cycles - cycles / 4..=cycles * 2;
    let only = |range: std::ops::RangeInclusive<u64>| {
        let mut among = passed.iter().filter(|(_, usage)| range.contains(&usage.slices));
        match (among.next(), among.next()) {
            (Some((id, _)), None) => Some(*id),
            _ => None,
        }
    };
    only(exact).or_else(|| only(interrupted))
}

#[expect(clippy::cast_precision_loss, reason = "a mean of nanoseconds")]
fn mean(run_ns: u64, cycles: u32) -> f64 {
    run_ns as f64 / f64::from(cycles)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CYCLE: i32 = 10;
    const OTHER: i32 = 11;

    /// A program whose threads do so much in a window of 40 cycles: id, microseconds, times on a processor.
    struct Program {
        measure: CycleThread,
        moment: Moment,
    }

    impl Program {
        fn new() -> Self {
            Self { measure: CycleThread::default(), moment: Moment::default() }
        }

        fn window(&mut self, threads: &[(i32, u64, u64)]) -> Option<u64> {
            self.window_of(40, threads, 0)
        }

        fn window_of(
            &mut self,
            cycles: u32,
            threads: &[(i32, u64, u64)],
            ended_us: u64,
        ) -> Option<u64> {
            self.moment.tick += cycles;
            self.moment.threads.retain(|id, _| threads.iter().any(|(there, ..)| there == id));
            for (id, us, slices) in threads {
                let usage = self.moment.threads.entry(*id).or_default();
                usage.run_ns += us * 1000;
                usage.slices += slices;
                self.moment.process_ns += us * 1000;
            }
            self.moment.process_ns += ended_us * 1000;
            self.measure.take(self.moment.clone())
        }
    }

    #[test]
    fn the_thread_that_runs_once_a_cycle_is_measured_alone() {
        let mut program = Program::new();
        let threads = [(CYCLE, 32_000, 40), (OTHER, 90_000, 7)];
        let shown: Vec<_> = (0..5).map(|_| program.window(&threads)).collect();
        // The first look begins a window.
        assert_eq!(shown, [None, None, None, Some(800_000), Some(800_000)]);
    }

    #[test]
    fn a_change_is_smoothed() {
        let mut program = Program::new();
        for _ in 0..5 {
            program.window(&[(CYCLE, 40_000, 40)]);
        }
        assert_eq!(program.window(&[(CYCLE, 80_000, 40)]), Some(1_200_000));
        for _ in 0..40 {
            program.window(&[(CYCLE, 80_000, 40)]);
        }
        assert_eq!(program.window(&[(CYCLE, 80_000, 40)]).unwrap() / 1000, 1999);
    }

    #[test]
    fn two_threads_at_the_same_pace_cannot_be_told_apart() {
        let mut program = Program::new();
        for _ in 0..9 {
            assert_eq!(program.window(&[(CYCLE, 32_000, 40), (OTHER, 9_000, 41)]), None);
        }
    }

    #[test]
    fn an_interrupted_cycle_is_found_where_no_other_thread_is_like_it() {
        let mut program = Program::new();
        let threads = [(CYCLE, 32_000, 70), (OTHER, 900, 12)];
        let last = (0..5).map(|_| program.window(&threads)).last().flatten();
        assert_eq!(last, Some(800_000));
    }

    #[test]
    fn a_cycle_that_no_longer_sleeps_keeps_its_measure() {
        let mut program = Program::new();
        for _ in 0..5 {
            program.window(&[(CYCLE, 40_000, 40), (OTHER, 1000, 3)]);
        }
        for _ in 0..40 {
            program.window(&[(CYCLE, 400_000, 2), (OTHER, 1000, 3)]);
        }
        let share = program.window(&[(CYCLE, 400_000, 2), (OTHER, 1000, 3)]).unwrap();
        assert!((9_900_000..=10_000_000).contains(&share), "{share}");
    }

    #[test]
    fn threads_that_end_within_a_window_are_the_cycle_perhaps() {
        let mut program = Program::new();
        // The helper that makes a thread for each cycle, and what those threads have used.
        for _ in 0..9 {
            assert_eq!(program.window_of(40, &[(OTHER, 2_000, 40)], 30_000), None);
        }
        // Who was chosen before is not given up for one thread of another kind that has ended.
        let mut program = Program::new();
        for _ in 0..5 {
            program.window(&[(CYCLE, 40_000, 40)]);
        }
        assert_eq!(program.window_of(40, &[(CYCLE, 40_000, 40)], 30_000), Some(1_000_000));
    }

    #[test]
    fn a_slow_cycle_is_looked_at_for_longer() {
        let mut program = Program::new();
        let mut shown = Vec::new();
        for _ in 0..33 {
            shown.push(program.window_of(1, &[(CYCLE, 50, 1), (OTHER, 500, 5)], 0));
        }
        assert_eq!(shown.iter().position(Option::is_some), Some(24));
        assert_eq!(shown.last(), Some(&Some(50_000)));
    }

    #[test]
    fn a_thread_that_ended_and_a_counter_that_began_anew_are_survived() {
        let mut program = Program::new();
        for _ in 0..5 {
            program.window(&[(CYCLE, 40_000, 40)]);
        }
        assert_eq!(program.window(&[(OTHER, 900, 3)]), None);
        for _ in 0..5 {
            program.window(&[(CYCLE, 40_000, 40)]);
        }
        program.moment.tick = 0;
        assert_eq!(program.window_of(0, &[(CYCLE, 1, 1)], 0), Some(1_000_000));
        assert_eq!(program.window(&[(CYCLE, 40_000, 40)]), Some(1_000_000));
    }
}
