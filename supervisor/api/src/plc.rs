// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC as everybody sees it: status, snapshot, statistics.

use serde::{Deserialize, Serialize};

use crate::{
    log::LogCounts,
    program::ProgramInfo,
    wamp::{RouterAsked, RouterLink},
};

/// The state of the PLC in the words every IDE knows.
///
/// `Disconnected`, the fifth word of the protocol, is a client's own view and never ours to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PlcStatus {
    /// No program is installed.
    #[default]
    Empty,
    /// A program is installed and does not run.
    Stopped,
    /// The program runs.
    Started,
    /// The program could not be loaded or started, or ended by itself; the reason says how.
    Broken,
}

impl PlcStatus {
    /// The word as the IDEs spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Stopped => "Stopped",
            Self::Started => "Started",
            Self::Broken => "Broken",
        }
    }
}

impl std::fmt::Display for PlcStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether the PLC is meant to run; kept on disk, decided by Start and Stop alone, never by how a program ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Somebody started it and nobody stopped it since.
    Run,
    /// Somebody stopped it, or nobody ever started it.
    #[default]
    Stop,
}

/// When a boot starts the PLC; an integrator's decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Autostart {
    /// As the [`Wish`] is.
    #[default]
    Wish,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What the supervisor knows at one moment. Published on every change, read without waiting.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Counts the changes since the supervisor started; a larger number is newer.
    pub revision: u64,
    /// The state in the protocol's words.
    pub status: PlcStatus,
    /// What is going on in more detail, for people: `empty`, `loading`, `stopped`, `starting`, `started`,
    /// `stopping`, `broken`.
    pub phase: String,
    /// Why it is as it is, and the next step, when that needs saying. One or two sentences.
    pub reason: Option<String>,
    /// The installed program.
    pub program: Option<ProgramInfo>,
    /// Messages ever logged per level since the last reset; all 0 before the first.
    pub log_counts: LogCounts,
    /// When the running program was started, microseconds since the epoch; `None`: none runs.
    pub started_at_us: Option<u64>,
    /// The worker's process id while there is one.
    pub worker_pid: Option<u32>,
    /// How often a program ended by itself, or had to be killed, since the supervisor started.
    pub crashes: u32,
    /// The last time a program ended by itself since the supervisor started.
    pub last_crash: Option<Crash>,
    /// Whether the PLC is meant to run.
    pub wish: Wish,
    /// Whether a boot follows the wish.
    pub autostart: Autostart,
    /// Release of the supervisor, such as `0.1.0`.
    pub release: String,
    /// A newer supervisor is installed and takes over as soon as no program runs.
    pub upgrade_waits: bool,
    /// While pairing is open: when it ends, microseconds since the epoch.
    pub pairing_until_us: Option<u64>,
    /// The WAMP router that the configuration or the installed program asks for.
    pub router_asked: RouterAsked,
    /// The link to a WAMP router, while its connector is connected.
    pub router: Option<RouterLink>,
    /// Counts the changes of what connectors can ask about the configuration, since the supervisor started.
    pub settings_revision: u64,
}

/// A program that ended by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Crash {
    /// When it was noticed, microseconds since the epoch.
    pub time_us: u64,
    /// How it ended, for people.
    pub reason: String,
    /// Where its core dump is, or why there is none; for people.
    pub core: String,
}

/// One connected client of the API, an IDE behind a connector or a person's `plcctl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionInfo {
    /// Which program speaks: `pyro`, `plcctl`, ...
    pub connector: String,
    /// Where its own peer sits: address and port, or user name.
    pub peer: String,
    /// Whose key it used; empty without keys.
    pub identity: String,
}

/// Figures that are read on demand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Cycles since the program was started, as its own counter tells them; does not wrap.
    pub ticks: u64,
    /// The period the program asks for, nanoseconds; 0 when unknown.
    pub period_ns: u64,
    /// Bytes of a TIME, DATE, TOD or DT in samples and forced values of the program that was loaded last, for
    /// [`TimeLayout::from_bytes`](crate::trace::TimeLayout::from_bytes); 0: none was loaded since the supervisor started.
    pub time_bytes: u8,
    /// The period measured over the last second or so, nanoseconds; 0 when unknown.
    pub measured_period_ns: u64,
    /// Processor time per cycle of the program's threads, microseconds, as averages over windows of half a
    /// second: the smallest, the mean, the largest window since the start.
    pub cycle_cpu_us: CycleTime,
    /// Run time of the cycle's thread alone per cycle, nanoseconds, smoothed; 0 while it is not known, and for programs
    /// that make a thread for each cycle.
    pub cycle_run_ns: u64,
    /// Trace samples received from the worker since the program was started.
    pub trace_samples: u64,
    /// Trace samples dropped since then because nobody fetched them in time.
    pub trace_dropped: u64,
    /// The clients connected now.
    pub connections: Vec<ConnectionInfo>,
}

/// Smallest, mean and largest of a time, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CycleTime {
    /// Smallest, microseconds.
    pub min: f64,
    /// Mean, microseconds.
    pub avg: f64,
    /// Largest, microseconds.
    pub max: f64,
}

impl Eq for CycleTime {}
