// SPDX-License-Identifier: MIT OR Apache-2.0
//! One way to write a PLC log message: into the ring that IDEs read, and into the system's journal.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU32, Ordering},
};

use plc_api::log::{LogCounts, LogLevel, LogMessage};

use crate::plc_log::PlcLog;

/// The PLC log, shared by all who write and read it.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    log: Arc<Mutex<PlcLog>>,
    tick: Arc<AtomicU32>,
}

impl Journal {
    /// A message that the program wrote.
    pub fn program(&self, level: LogLevel, tick: u32, time_us: u64, text: &[u8]) {
        // More often than beats come; a message just before a crash says when that was.
        self.set_tick(tick);
        let message = self.lock().push(level, tick, time_us, text);
        tell("program", &message);
    }

    /// A message of the runtime about the program.
    pub fn own(&self, level: LogLevel, text: &str) {
        let message = self.lock().push_own(level, self.tick.load(Ordering::Relaxed), text);
        tell("runtime", &message);
    }

    /// The program's cycle counter, for messages of the runtime.
    pub fn set_tick(&self, tick: u32) {
        self.tick.store(tick, Ordering::Relaxed);
    }

    /// Messages per level since the last reset.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        self.lock().counts()
    }

    /// See [`PlcLog::read`].
    #[must_use]
    pub fn read(&self, level: LogLevel, from: u32, max: u32) -> Vec<LogMessage> {
        self.lock().read(level, from, max)
    }

    /// Empties the log.
    pub fn reset(&self) {
        self.lock().reset();
    }

    fn lock(&self) -> MutexGuard<'_, PlcLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(source: &str, message: &LogMessage) {
    let (tick, text) = (message.tick, message.text.trim_end());
    match message.level {
        LogLevel::Critical => tracing::error!(target: "plc", source, tick, "{text}"),
        LogLevel::Warning => tracing::warn!(target: "plc", source, tick, "{text}"),
        LogLevel::Info => tracing::info!(target: "plc", source, tick, "{text}"),
        LogLevel::Debug => tracing::debug!(target: "plc", source, tick, "{text}"),
    }
}
