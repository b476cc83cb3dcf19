// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the worker's beats tell: cycles, period, processor time; and whether the cycle stands still.
//! Pure: the beats carry their own time.

use std::time::Duration;

use plc_api::plc::CycleTime;
use plc_worker_link::Beat;

/// The shortest time without a cycle that counts as standing still: a worker beats every 400 ms.
const SHORTEST_STALL: Duration = Duration::from_secs(2);

/// The figures of one program from its start on.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    period_ns: u64,
    last: Option<Beat>,
    moved_at_ns: u64,
    ticks: u64,
    measured_period_ns: u64,
    cpu: CycleTime,
    run_ns: u64,
    windows: u32,
    reported: bool,
}

impl Gauge {
    /// Figures of a program that asks for this period; 0: unknown.
    #[must_use]
    pub(crate) fn new(period_ns: u64) -> Self {
        Self { period_ns, ..Self::default() }
    }

    /// Takes a beat in. If the cycle has stood still for `periods` of its periods (0: never mind), says so in
    /// words, once until it moves again.
    pub(crate) fn take(&mut self, beat: Beat, periods: u32) -> Option<String> {
        let tick = beat.tick?;
        self.run_ns = beat.cycle_run_ns.unwrap_or(0);
        let Some(last) = self.last.replace(beat) else {
            self.moved_at_ns = beat.at_ns;
            self.ticks = tick.into();
            return None;
        };
        let last_tick = last.tick.unwrap_or(tick);
        if tick != last_tick {
            // Programs wrap their counter at a bound of their own, so a smaller one has begun anew.
            let passed = u64::from(if tick > last_tick { tick - last_tick } else { tick });
            self.moved(passed, &last, beat);
            return None;
        }
        let stood = Duration::from_nanos(beat.at_ns.saturating_sub(self.moved_at_ns));
        let allowed =
            Duration::from_nanos(self.period_ns.saturating_mul(periods.into())).max(SHORTEST_STALL);
        if periods == 0 || self.period_ns == 0 || stood < allowed || self.reported {
            return None;
        }
        self.reported = true;
        Some(format!("the cycle has stood still at tick {tick} for {:.1} s", stood.as_secs_f64()))
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds for people")]
    fn moved(&mut self, passed: u64, last: &Beat, beat: Beat) {
        self.ticks += passed;
        self.moved_at_ns = beat.at_ns;
        self.reported = false;
        if passed == 0 {
            return;
        }
        self.measured_period_ns = beat.at_ns.saturating_sub(last.at_ns) / passed;
        let cpu_ns = beat.program_cpu_ns.saturating_sub(last.program_cpu_ns);
        let cpu_us = cpu_ns as f64 / passed as f64 / 1000.0;
        self.windows = self.windows.saturating_add(1);
        if self.windows == 1 {
            self.cpu = CycleTime { min: cpu_us, avg: cpu_us, max: cpu_us };
        } else {
            self.cpu.min = self.cpu.min.min(cpu_us);
            self.cpu.max = self.cpu.max.max(cpu_us);
            self.cpu.avg += (cpu_us - self.cpu.avg) / f64::from(self.windows);
        }
    }

    /// Cycles since the start.
    #[must_use]
    pub(crate) fn ticks(&self) -> u64 {
        self.ticks
    }

    /// Asked and measured period, nanoseconds; 0: unknown.
    #[must_use]
    pub(crate) fn periods_ns(&self) -> (u64, u64) {
        (self.period_ns, self.measured_period_ns)
    }

    /// Run time of the cycle's thread per cycle, nanoseconds, smoothed by the worker; 0: unknown.
    #[must_use]
    pub(crate) fn run_ns(&self) -> u64 {
        self.run_ns
    }

    /// Processor time per cycle, microseconds, over windows between two beats.
    #[must_use]
    pub(crate) fn cpu(&self) -> CycleTime {
        self.cpu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(ms: u64, tick: u32) -> Beat {
        Beat {
            tick: Some(tick),
            at_ns: ms * 1_000_000,
            program_cpu_ns: u64::from(tick) * 5_000,
            cycle_run_ns: Some(5_000),
            trace_dropped: 0,
        }
    }

    #[test]
    fn a_moving_cycle_is_measured() {
        let mut gauge = Gauge::new(1_000_000);
        for n in 0..5 {
            assert_eq!(gauge.take(beat(u64::from(n) * 400, n * 400), 100), None);
        }
        assert_eq!(gauge.ticks(), 1600);
        assert_eq!(gauge.periods_ns(), (1_000_000, 1_000_000));
        assert_eq!(gauge.run_ns(), 5_000);
        assert!((gauge.cpu().avg - 5.0).abs() < 1e-9, "{:?}", gauge.cpu());
    }

    #[test]
    fn a_standing_cycle_is_told_once_and_again_after_it_moved() {
        let mut gauge = Gauge::new(1_000_000);
        gauge.take(beat(0, 7), 100);
        assert_eq!(gauge.take(beat(1999, 7), 100), None);
        assert!(gauge.take(beat(2000, 7), 100).unwrap().contains("tick 7"));
        assert_eq!(gauge.take(beat(2400, 7), 100), None);
        assert_eq!(gauge.take(beat(2800, 8), 100), None);
        assert!(gauge.take(beat(4800, 8), 100).is_some());
    }

    #[test]
    fn a_slow_program_has_its_own_measure_and_zero_means_never() {
        let mut gauge = Gauge::new(1_000_000_000);
        gauge.take(beat(0, 7), 100);
        assert_eq!(gauge.take(beat(99_000, 7), 100), None);
        assert_eq!(gauge.take(beat(100_000, 7), 0), None);
        assert!(gauge.take(beat(100_000, 7), 100).is_some());
    }

    #[test]
    fn a_counter_that_begins_anew_is_no_jump() {
        let mut gauge = Gauge::new(1_000_000);
        gauge.take(beat(0, 1000), 100);
        gauge.take(beat(400, 3), 100);
        assert_eq!(gauge.ticks(), 1003);
    }
}
