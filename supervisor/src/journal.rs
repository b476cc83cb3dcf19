// SPDX-License-Identifier: MIT OR Apache-2.0
//! One way to write a PLC log message: into the ring that IDEs read, and into the system's journal; and what else the
//! journal says of the PLC.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Instant,
};

use plc_api::{
    log::{LogCounts, LogLevel, LogMessage},
    program::ProgramInfo,
};
use plc_journal::message_id;

use crate::{
    crash::{Facts, LAST_MESSAGES},
    flood::Flood,
    plc_log::PlcLog,
};

/// The PLC log, shared by all who write and read it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
    tick: Arc<AtomicU32>,
}

#[derive(Debug, Default)]
struct Inner {
    log: PlcLog,
    program_id: Option<String>,
    /// The log counts when this program's process was asked for.
    begin: LogCounts,
    floods: [Flood; LogLevel::ALL.len()],
}

/// Whose words a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Program,
    Runtime,
}

impl Journal {
    /// A message that the program wrote. All of them are in the PLC log; the system's journal gets as many as
    /// [`crate::flood`] allows.
    pub(crate) fn program(&self, level: LogLevel, tick: u32, time_us: u64, text: &[u8]) {
        // More often than beats come; a message just before a crash says when that was.
        self.set_tick(tick);
        let message = self.lock().log.push(level, tick, time_us, text);
        self.bounded(Source::Program, &message);
    }

    /// A message of the runtime that came from the worker, where the program may have forged it.
    pub(crate) fn worker(&self, level: LogLevel, text: &str) {
        let message = self.push_own(level, text);
        self.bounded(Source::Runtime, &message);
    }

    /// A message of the runtime about the program.
    pub(crate) fn own(&self, level: LogLevel, text: &str) {
        self.own_as(message_id::PLC_MESSAGE, level, text);
    }

    /// The same of a kind of its own.
    pub(crate) fn own_as(&self, message_id: &str, level: LogLevel, text: &str) {
        let message = self.push_own(level, text);
        tell(message_id, Source::Runtime, self.lock().program_id.as_deref(), &message);
    }

    /// The program failed: one entry with all that is known.
    pub(crate) fn crash(&self, facts: &Facts) {
        self.push_own(LogLevel::Critical, &facts.reason);
        facts.tell();
    }

    /// From here on messages are those of this program.
    pub(crate) fn begin_program(&self, program: &ProgramInfo) {
        self.set_tick(0);
        let inner = &mut *self.lock();
        inner.program_id = Some(program.id.clone());
        inner.begin = inner.log.counts();
    }

    /// The program's process has ended: says at once what was left out.
    pub(crate) fn end_program(&self) {
        let inner = &mut *self.lock();
        for (level, flood) in LogLevel::ALL.into_iter().zip(&mut inner.floods) {
            tell_left_out(level, flood.finish());
        }
    }

    /// The program's cycle counter, for messages of the runtime. Comes with each beat of the worker.
    pub(crate) fn set_tick(&self, tick: u32) {
        self.tick.store(tick, Ordering::Relaxed);
        let now = Instant::now();
        let inner = &mut *self.lock();
        for (level, flood) in LogLevel::ALL.into_iter().zip(&mut inner.floods) {
            tell_left_out(level, flood.settle(now));
        }
    }

    /// The program's cycle counter as last known.
    #[must_use]
    pub(crate) fn tick(&self) -> u32 {
        self.tick.load(Ordering::Relaxed)
    }

    /// Messages per level since the last reset.
    #[must_use]
    pub(crate) fn counts(&self) -> LogCounts {
        self.lock().log.counts()
    }

    /// See [`PlcLog::read`].
    #[must_use]
    pub(crate) fn read(&self, level: LogLevel, from: u32, max: u32) -> Vec<LogMessage> {
        self.lock().log.read(level, from, max)
    }

    /// The newest messages since this program's process was asked for, as many as a crash is told with; oldest first.
    #[must_use]
    pub(crate) fn newest(&self) -> Vec<LogMessage> {
        let inner = self.lock();
        inner.log.newest(inner.begin, LAST_MESSAGES)
    }

    /// Empties the log.
    pub(crate) fn reset(&self) {
        let inner = &mut *self.lock();
        inner.log.reset();
        inner.begin = LogCounts::default();
    }

    fn push_own(&self, level: LogLevel, text: &str) -> LogMessage {
        self.lock().log.push_own(level, self.tick(), text)
    }

    fn bounded(&self, source: Source, message: &LogMessage) {
        let inner = &mut *self.lock();
        let flood = inner.floods.get_mut(usize::from(message.level.number()));
        if flood.is_some_and(|flood| flood.admit(Instant::now(), message.text.len())) {
            tell(message_id::PLC_MESSAGE, source, inner.program_id.as_deref(), message);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line for each change of the PLC's state.
pub(crate) fn tell_state(phase: &str, program: Option<&ProgramInfo>, reason: Option<&str>) {
    let id = program.map(|program| program.id.as_str());
    let md5 = program.map(|program| program.md5.as_str());
    let of = id.map(|id| format!(" (program {id})")).unwrap_or_default();
    let why = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let message_id = message_id::STATE;
    if phase == "broken" {
        tracing::error!(
            message_id,
            plc_state = phase,
            program_id = id,
            program_md5 = md5,
            "PLC {phase}{of}{why}"
        );
    } else {
        tracing::info!(
            message_id,
            plc_state = phase,
            program_id = id,
            program_md5 = md5,
            "PLC {phase}{of}{why}"
        );
    }
}

fn tell(message_id: &str, source: Source, program_id: Option<&str>, message: &LogMessage) {
    // What the program says is marked, so that it cannot pass for the runtime's words.
    let (plc_source, mark) = match source {
        Source::Program => ("program", "program: "),
        Source::Runtime => ("runtime", ""),
    };
    let (tick, text) = (message.tick, message.text.trim_end());
    macro_rules! event {
        ($event:ident, $target:expr) => {
            tracing::$event!(
                target: $target,
                message_id,
                plc_source,
                plc_level = message.level.as_str(),
                plc_tick = tick,
                program_id,
                "{mark}{text}"
            )
        };
    }
    match (message.level, source) {
        (LogLevel::Critical, _) => event!(error, plc_journal::PROGRAM),
        (LogLevel::Warning, _) => event!(warn, plc_journal::PROGRAM),
        (LogLevel::Info, _) => event!(info, plc_journal::PROGRAM),
        (LogLevel::Debug, Source::Program) => event!(debug, plc_journal::PROGRAM),
        // The changes of the state, which the journal has anyway.
        (LogLevel::Debug, Source::Runtime) => event!(debug, module_path!()),
    }
}

fn tell_left_out(level: LogLevel, left_out: Option<u32>) {
    if let Some(left_out) = left_out {
        tracing::warn!(
            message_id = message_id::LEFT_OUT,
            plc_level = level.as_str(),
            left_out,
            "the program wrote too many messages of level {level}: {left_out} are not shown here; `plcctl log` has the newest"
        );
    }
}
