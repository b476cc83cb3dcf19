// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC log: messages of the program and, about it, of the runtime, in four levels.

use serde::{Deserialize, Serialize};

/// How many messages were ever logged per level since the last reset, indexed by [`LogLevel`]; wraps at 2^32.
pub type LogCounts = [u32; 4];

/// Level of a PLC log message, as the IDE numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum LogLevel {
    /// 0, `CRITICAL` at the IDE.
    Critical = 0,
    /// 1, `WARNING`.
    Warning = 1,
    /// 2, `INFO`.
    Info = 2,
    /// 3, `DEBUG`.
    Debug = 3,
}

impl LogLevel {
    /// All four, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Warning, Self::Info, Self::Debug];

    /// The level with this number, 0 to 3.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Critical),
            1 => Some(Self::Warning),
            2 => Some(Self::Info),
            3 => Some(Self::Debug),
            _ => None,
        }
    }

    /// The level's number, an index into [`LogCounts`].
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Lower-case name, as `plcctl log --level` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

impl std::fmt::Display for LogLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// One message of the PLC log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogMessage {
    /// How grave it is.
    pub level: LogLevel,
    /// Counts from 0 within the level since the last reset.
    pub id: u32,
    /// The PLC's cycle counter when it was written; wraps.
    pub tick: u32,
    /// When it was written, microseconds since the epoch.
    pub time_us: u64,
    /// The text, at most [`crate::limits::LOG_MESSAGE_BYTES`]; bytes that are not UTF-8 were replaced.
    pub text: String,
}
