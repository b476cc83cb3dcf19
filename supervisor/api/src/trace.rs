// SPDX-License-Identifier: MIT OR Apache-2.0
//! Traced and forced variables.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::plc::PlcStatus;

/// How a program keeps a TIME, DATE, TOD or DT: seconds, then nanoseconds, in target byte order without padding. It is a
/// property of the program, whatever the machine.
///
/// A time below zero may come with both parts negative, as programs compute it, or with the seconds rounded down, as
/// IDEs force it: in either case the time is the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLayout {
    /// 32 and 32 bits: 32-bit programs from before December 2025.
    Long32,
    /// 64 and 64 bits: 64-bit programs from before December 2025.
    Long64,
    /// 64 and 32 bits: programs since.
    Packed,
}

impl TimeLayout {
    /// That of this machine's programs from before December 2025: two C `long`s.
    pub const TWO_LONGS: Self =
        if size_of::<std::ffi::c_long>() == 8 { Self::Long64 } else { Self::Long32 };

    /// The layout that takes so many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u8) -> Option<Self> {
        match bytes {
            8 => Some(Self::Long32),
            12 => Some(Self::Packed),
            16 => Some(Self::Long64),
            _ => None,
        }
    }

    /// How many bytes it takes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::Long32 => 8,
            Self::Packed => 12,
            Self::Long64 => 16,
        }
    }
}

/// One entry of a trace list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceVariable {
    /// The variable's number in the program's debug table, as the IDE knows it.
    pub index: u32,
    /// Raw bytes of the C type in target byte order to force it to, at most [`crate::limits::FORCE_BYTES`]; `None`
    /// leaves it alone.
    pub force: Option<serde_bytes::ByteBuf>,
}

/// The traced variables as they were at the end of one PLC cycle.
///
/// # Layout
/// `data`: the values packed without padding in target byte order, in ascending index; a STRING is one length
/// byte and that many bytes. At most [`crate::limits::TRACE_SAMPLE_BYTES`].
/// Specified by: reference runtime, `runtime/typemapping.py`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceSample {
    /// The PLC's cycle counter at the moment of the snapshot; wraps at 2^32 or at the program's own bound.
    pub tick: u32,
    /// Packed values, see Layout.
    #[serde(with = "serde_bytes")]
    pub data: Vec<u8>,
}

/// What a client gets when it asks for its samples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceBatch {
    /// The PLC's state when the samples were taken out.
    pub status: PlcStatus,
    /// Oldest first; each sample is handed out once.
    pub samples: Vec<TraceSample>,
    /// Samples lost since the last batch because they were not fetched in time.
    pub dropped: u64,
    /// Whether more samples wait than fitted.
    pub more: bool,
}

/// Why a trace list was not accepted. The numbers are what an IDE gets, negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum TraceRefusal {
    /// 1: the program cannot trace that many variables.
    #[error("more variables than the program can trace")]
    TooManyTraced,
    /// 2: the program cannot force that many variables.
    #[error("more variables than the program can force")]
    TooManyForced,
    /// 3: the forced values do not fit, or one has the wrong size for its variable.
    #[error(
        "the forced values are too large for the program, or one has the wrong size for its variable"
    )]
    ForceSize,
    /// 4: the program refused the list for another reason.
    #[error("the program refused the trace list")]
    Invalid,
    /// 5: nothing is there that could be traced.
    #[error("no program runs that can be traced, or the one that runs was built without debugging")]
    NotPossible,
}

impl TraceRefusal {
    /// The positive error number of the protocol, 1 to 5.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::TooManyTraced => 1,
            Self::TooManyForced => 2,
            Self::ForceSize => 3,
            Self::Invalid => 4,
            Self::NotPossible => 5,
        }
    }

    /// The refusal behind a PLC library's return code.
    #[must_use]
    pub const fn from_library(code: i32) -> Self {
        match code {
            1 => Self::TooManyTraced,
            2 => Self::TooManyForced,
            3 => Self::ForceSize,
            5 => Self::NotPossible,
            _ => Self::Invalid,
        }
    }
}
