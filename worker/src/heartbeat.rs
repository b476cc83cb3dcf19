// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signs of life, also while the program's thread is stuck inside the program.

use std::{
    fs, io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::Sender,
    },
    thread,
};

use plc_abi::TickCounter;
use plc_worker_link::{BEAT_PERIOD, Beat, FromWorker};
use rustix::time::{ClockId, clock_gettime};
use sd_notify::NotifyState;

use crate::{
    channel::Supervisor,
    control::{Cause, Event},
    cycle_thread::{CycleThread, Moment, Usage},
    deadline::Deadline,
    threads,
};

/// What a beat tells, collected from several threads.
#[derive(Clone, Debug)]
pub(crate) struct Vitals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tick: OnceLock<TickCounter>,
    stops: AtomicBool,
    trace_dropped: AtomicU64,
}

impl Vitals {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            tick: OnceLock::new(),
            stops: AtomicBool::new(false),
            trace_dropped: AtomicU64::new(0),
        }))
    }

    /// The program is about to start; from here on its counter counts.
    pub(crate) fn starts(&self, tick: Option<TickCounter>) {
        if let Some(tick) = tick {
            // A second start is refused before it comes here.
            let _ = self.0.tick.set(tick);
        }
    }

    /// The program is about to stop, ordered or not: a cycle that stands still now is no stall.
    pub(crate) fn stops(&self) {
        self.0.stops.store(true, Ordering::Relaxed);
    }

    /// A sample could not be kept.
    pub(crate) fn sample_dropped(&self) {
        self.0.trace_dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The program's cycle counter while it runs.
    fn tick(&self) -> Option<u32> {
        let tick = self.0.tick.get().filter(|_| !self.0.stops.load(Ordering::Relaxed));
        tick.map(|tick| tick.read())
    }

    fn beat(&self, tick: Option<u32>, program_cpu_ns: u64, cycle_run_ns: Option<u64>) -> Beat {
        Beat {
            tick,
            at_ns: monotonic_ns(),
            program_cpu_ns,
            cycle_run_ns,
            trace_dropped: self.0.trace_dropped.load(Ordering::Relaxed),
        }
    }
}

/// Sends beats until the channel fails, which ends the program: the reader of orders may not notice, if the
/// program has closed the descriptor under it.
///
/// # Errors
/// The thread cannot be made.
pub(crate) fn begin(
    supervisor: Supervisor,
    vitals: Vitals,
    events: Sender<Event>,
    deadline: Deadline,
) -> io::Result<()> {
    threads::spawn("plc-beat", move || {
        let mut cpu_ns = 0;
        let mut cycle = CycleThread::default();
        loop {
            let tick = vitals.tick();
            let moment = look(tick.unwrap_or(0));
            // A thread that ended takes its figure with it; the sum must not shrink.
            let sum = moment.threads.values().map(|usage| usage.run_ns).sum();
            cpu_ns = cpu_ns.max(sum);
            let cycle_run_ns = tick.and_then(|_| cycle.take(moment));
            let beat = vitals.beat(tick, cpu_ns, cycle_run_ns);
            if let Err(error) = supervisor.send(&FromWorker::Beat(beat)) {
                tracing::debug!(error = error.to_string(), "no beat");
                break;
            }
            live_on();
        }
        deadline.arm();
        // The receiver lives as long as the process.
        let _ = events.send(Event::End(Cause::ChannelEnded));
        // A program that stops slowly is not frozen: how long it may take is the deadline's to say.
        loop {
            live_on();
        }
    })
    .map(drop)
}

/// One sign of life for `WatchdogSec=` of the unit, which means nothing elsewhere, and the pause until the next.
fn live_on() {
    let _ = sd_notify::notify(false, &[NotifyState::Watchdog]);
    thread::sleep(BEAT_PERIOD);
}

fn monotonic_ns() -> u64 {
    clock_ns(ClockId::Monotonic)
}

fn clock_ns(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let sec = u64::try_from(now.tv_sec).unwrap_or(0);
    let nsec = u64::try_from(now.tv_nsec).unwrap_or(0);
    sec * 1_000_000_000 + nsec
}

/// What the process's threads have used so far; nothing where the kernel keeps no such figures.
fn look(tick: u32) -> Moment {
    let mut moment =
        Moment { tick, process_ns: clock_ns(ClockId::ProcessCPUTime), ..Moment::default() };
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let id = task.file_name().to_str().and_then(|id| id.parse::<i32>().ok());
        // A thread may end meanwhile.
        let stat = fs::read_to_string(task.path().join("schedstat")).ok();
        let (Some(id), Some(usage)) = (id, stat.as_deref().and_then(usage)) else { continue };
        if threads::is_ours(id) {
            moment.ours_ns += usage.run_ns;
        } else {
            moment.threads.insert(id, usage);
        }
    }
    moment
}

/// Reads time on the processor, time waiting for it, time slices: kernel, sched-stats.rst.
fn usage(schedstat: &str) -> Option<Usage> {
    let mut figures = schedstat.split_whitespace().map(str::parse::<u64>);
    let run_ns = figures.next()?.ok()?;
    Some(Usage { run_ns, slices: figures.nth(1)?.ok()? })
}
