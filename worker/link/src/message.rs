// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages of both channels.

use std::path::PathBuf;

use plc_api::{
    log::LogLevel,
    program::ProgramMd5,
    trace::{TraceRefusal, TraceSample, TraceVariable},
};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::ended::Ended;

/// Supervisor to worker, control channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToWorker {
    /// Chosen by the supervisor, another one for each order; the outcome carries it back.
    pub id: u64,
    /// What to do.
    pub order: Order,
}

/// What a worker can be told to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Load the program. First and once. Outcome: [`Outcome::Loaded`] or [`Outcome::LoadFailed`].
    Load(Box<LoadOrder>),
    /// Run it. Outcome: [`Outcome::Started`] or [`Outcome::StartFailed`]; after a failure the process ends.
    Start,
    /// Stop it if it runs, and end the process. Outcome: [`Outcome::Stopped`], the worker's last message.
    Stop,
    /// Replace the traced and forced variables, in ascending index, and switch tracing on; an empty list
    /// switches it off and releases all forces. Outcome: [`Outcome::Done`] or [`Outcome::TraceRefused`], where
    /// [`TraceRefusal::NotPossible`] says that it did not reach the program.
    SetTrace(Vec<TraceVariable>),
    /// Stop sampling; forces stay. Outcome: [`Outcome::Done`].
    PauseTrace,
    /// Sample again. Outcome: [`Outcome::Done`].
    ResumeTrace,
}

/// All that a worker needs to know before it maps a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadOrder {
    /// Immutable directory with `program.so` and `extra/`.
    pub program_dir: PathBuf,
    /// Our own name of the program, for the log.
    pub program_id: String,
    /// The text that becomes the program's `PLC_ID`.
    pub md5: ProgramMd5,
    /// The md5 text of the program's second library, the logic; `None`: there is one library. No release serves two
    /// yet: such an order has the outcome [`Outcome::LoadFailed`].
    #[serde(default)]
    pub logic_md5: Option<ProgramMd5>,
    /// How long stopping may take before the worker ends itself, when the supervisor is gone; milliseconds.
    pub stop_timeout_ms: u64,
    /// Address space of the process may grow to this many bytes; `None`: no bound of ours.
    pub memory_max_bytes: Option<u64>,
    /// Scheduling and memory of the program's threads.
    pub realtime: Realtime,
}

/// Real-time settings, applied for the time of the call that starts the program; its threads inherit them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Realtime {
    /// The scheduling class.
    pub policy: SchedulingPolicy,
    /// Priority 1 to 99 in the classes `fifo` and `rr`; 0 with `other`.
    pub priority: u8,
    /// Numbers of the processors that the program may run on; empty: all.
    pub cpus: Vec<u16>,
    /// Keep all memory of the process in RAM.
    pub lock_memory: bool,
    /// Stack of each thread, bytes; `None`: the system's default, or 1 MiB with locked memory.
    pub stack_size_bytes: Option<u64>,
    /// Timer slack of normally scheduled threads, nanoseconds; `None`: the kernel's default.
    pub timer_slack_ns: Option<u64>,
}

/// A scheduling class of the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SchedulingPolicy {
    /// `SCHED_OTHER`: no real time.
    #[default]
    Other,
    /// `SCHED_FIFO`.
    Fifo,
    /// `SCHED_RR`.
    Rr,
}

/// Worker to supervisor, control channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromWorker {
    /// First message, after the lock was taken.
    Hello(Hello),
    /// What came of one order.
    Outcome {
        /// The order's id.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// A sign of life, at least every [`crate::BEAT_PERIOD`].
    Beat(Beat),
    /// Something people should know, such as a denied priority; goes to the PLC log and the journal.
    Notice {
        /// How bad.
        level: LogLevel,
        /// A sentence with the next step.
        text: String,
    },
    /// A fatal signal has come. No beat comes while the kernel writes the core dump, which may take long.
    Dying,
    /// How the process ended, sent by the service manager's side of it. Read with [`Ended::find`].
    Ended(Ended),
}

/// Who the worker is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::LINK_VERSION`] of the worker.
    pub link_version: u16,
    /// Release of the worker program.
    pub release: String,
    /// Its process id; the pidfd in the greeting is what signals and death go by.
    pub pid: u32,
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was done.
    Done,
    /// The program is mapped and waits for its start.
    Loaded(Loaded),
    /// It could not be loaded; the process ends.
    LoadFailed(LoadFailure),
    /// The program runs.
    Started,
    /// It did not start; the process ends.
    StartFailed(StartFailure),
    /// The program has stopped, or never ran; the process ends now.
    Stopped,
    /// The list was not accepted; nothing is traced or forced now.
    TraceRefused(TraceRefusal),
    /// The order does not fit: a second Load, a Start before a Load.
    Misplaced(String),
}

/// What the worker found out about the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Loaded {
    /// The cycle the program asks for, nanoseconds; 0 if it does not say.
    pub period_ns: u64,
    /// It can trace and force.
    pub traceable: bool,
    /// It has a log of its own.
    pub logs: bool,
    /// It wants Python, which this worker answers with errors.
    pub wants_python: bool,
    /// Bytes that a TIME, DATE, TOD or DT has in it, as [`plc_api::plc::Stats::time_bytes`]; 255: 255 or more.
    pub time_bytes: u8,
}

/// Why a program could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadFailure {
    /// The loader's words, or the name of the missing symbol, and the next step.
    pub reason: String,
}

/// Why a program did not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    /// What `startPLC` returned; never 0.
    pub code: i32,
    /// In words, with the limit to raise if that is the likely cause.
    pub reason: String,
}

/// A sign of life with the program's own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beat {
    /// The program's cycle counter; wraps at 2^32 or at the program's own bound. `None` before the start
    /// and from the beginning of the stop on.
    pub tick: Option<u32>,
    /// Monotonic time of the reading, nanoseconds.
    pub at_ns: u64,
    /// Processor time that the program's threads have used so far, nanoseconds.
    pub program_cpu_ns: u64,
    /// Run time of the cycle's thread alone per cycle, nanoseconds, smoothed; `None` where that thread cannot be told.
    pub cycle_run_ns: Option<u64>,
    /// Trace samples dropped in the worker so far because the data channel was full.
    pub trace_dropped: u64,
}

/// Worker to supervisor, data channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Data {
    /// Samples in the order the program gave them. An empty list marks a change of the trace list: what came
    /// before belongs to the old one. Each `SetTrace` that reached the program sends one, refused or not.
    Trace(Vec<TraceSample>),
    /// Messages of the program's log in the order of their ids.
    Log(Vec<LoggedMessage>),
}

/// A message as the program wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedMessage {
    /// Its level.
    pub level: LogLevel,
    /// The PLC's cycle counter when it was written; wraps.
    pub tick: u32,
    /// When, microseconds since the epoch.
    pub time_us: u64,
    /// Any bytes, at most [`plc_api::limits::LOG_MESSAGE_BYTES`].
    pub text: ByteBuf,
}
