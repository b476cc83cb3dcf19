// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker's own stop deadline.
//!
//! As long as the supervisor lives the deadline of a Stop is its business. When it is gone, or when somebody
//! else ends the worker (SIGTERM), there is nobody left to kill a program that will not stop: then this does.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, SyncSender},
    },
    thread,
    time::Duration,
};

use plc_worker_link::CORE_DUMP;
use sd_notify::NotifyState;

use crate::threads;

/// Until a program is loaded, whose order says another one.
const DEFAULT_MS: u64 = 5000;

/// Ends the process if it has not ended by itself in time after [`Deadline::arm`].
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    armed: SyncSender<()>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    timeout_ms: AtomicU64,
    at_rest: AtomicBool,
}

impl Deadline {
    /// Starts the thread that waits. It is there from the beginning, because a process that has run out of
    /// memory cannot make one.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub(crate) fn begin() -> io::Result<Self> {
        let (armed, wait) = mpsc::sync_channel(1);
        let state = Arc::new(State {
            timeout_ms: AtomicU64::new(DEFAULT_MS),
            at_rest: AtomicBool::new(false),
        });
        let mine = Arc::clone(&state);
        threads::spawn("plc-deadline", move || {
            if wait.recv().is_ok() {
                mine.enforce();
            }
        })?;
        Ok(Self { armed, state })
    }

    /// From here on the time runs. Arming again changes nothing.
    pub(crate) fn arm(&self) {
        // Full or closed: it is armed already.
        let _ = self.armed.try_send(());
    }

    /// How long stopping may take.
    pub(crate) fn set_timeout_ms(&self, timeout_ms: u64) {
        self.state.timeout_ms.store(timeout_ms, Ordering::Release);
    }

    /// The program has stopped: what may take too long from here on is only the end of our own talk.
    pub(crate) fn program_is_at_rest(&self) {
        self.state.at_rest.store(true, Ordering::Release);
    }
}

impl State {
    fn enforce(&self) {
        let timeout_ms = self.timeout_ms.load(Ordering::Acquire);
        let timeout = Duration::from_millis(timeout_ms);
        let micros = u32::try_from((timeout + CORE_DUMP).as_micros()).unwrap_or(u32::MAX);
        // So that TimeoutStopSec= of the unit cuts off neither the program's time nor the core dump; nothing happens
        // elsewhere.
        let _ = sd_notify::notify(false, &[NotifyState::ExtendTimeoutUsec(micros)]);
        thread::sleep(timeout);
        if self.at_rest.load(Ordering::Acquire) {
            plc_abi::process_end::end_process(0);
        }
        tracing::error!("the program did not stop within {timeout_ms} ms; the worker aborts");
        // A signal, not an exit code: the core dump shows where the program hangs.
        std::process::abort();
    }
}
