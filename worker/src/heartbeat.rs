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

    fn beat(&self, program_cpu_ns: u64) -> Beat {
        let tick = self.0.tick.get().filter(|_| !self.0.stops.load(Ordering::Relaxed));
        Beat {
            tick: tick.map(|tick| tick.read()),
            at_ns: monotonic_ns(),
            program_cpu_ns,
            cycle_run_ns: None,
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
        loop {
            // A thread that ended takes its figure with it; the sum must not shrink.
            cpu_ns = program_cpu_ns().max(cpu_ns);
            if let Err(error) = supervisor.send(&FromWorker::Beat(vitals.beat(cpu_ns))) {
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
    let now = clock_gettime(ClockId::Monotonic);
    let sec = u64::try_from(now.tv_sec).unwrap_or(0);
    let nsec = u64::try_from(now.tv_nsec).unwrap_or(0);
    sec * 1_000_000_000 + nsec
}

/// Processor time of all threads that are not ours; 0 where the kernel keeps no such figures.
fn program_cpu_ns() -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    tasks
        .filter_map(|task| {
            let task = task.ok()?;
            let id = task.file_name().to_str()?.parse().ok()?;
            if threads::is_ours(id) {
                return None;
            }
            // Time on the processor, time waiting for it, time slices: kernel, sched-stats.rst.
            let stat = fs::read_to_string(task.path().join("schedstat")).ok()?;
            stat.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum()
}
