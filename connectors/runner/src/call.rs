// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything an IDE can ask of a PLC, free of any protocol: the one meeting point of all codecs.
//!
//! A codec turns bytes into a [`PlcCall`], the [`Session`](crate::session::Session) turns that into a
//! [`PlcAnswer`] or a [`CallRefused`], and the codec says either in the words of its protocol.

use plc_api::{
    key::ApiKey,
    log::{LogCounts, LogMessage},
    message::ApiError,
    plc::PlcStatus,
    program::BlobId,
    trace::{TraceBatch, TraceRefusal, TraceVariable},
};
use thiserror::Error;

use crate::cycle::CycleStatistics;

/// One question or order of an IDE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlcCall {
    /// The key that this connection uses; without one the device's, while pairing is open. Answer:
    /// [`PlcAnswer::Identity`], otherwise [`CallRefused::NoIdentity`].
    Identity,
    /// State and log counts. Answer: [`PlcAnswer::Status`], from the connector's own copy of the snapshot.
    Status,
    /// What the cycle costs, for the IDE's status line. Answer: [`PlcAnswer::Cycle`].
    CycleStatistics,
    /// One message of the PLC log. Answer: [`PlcAnswer::LogMessage`].
    LogMessage {
        /// 0 (critical) to 3 (debug); other numbers have no messages.
        level: u8,
        /// Counts from 0 within the level.
        id: u32,
    },
    /// Empty the PLC log. Answer: [`PlcAnswer::Done`].
    ResetLog,
    /// Whether the installed program carries this md5 text. Answer: [`PlcAnswer::Matches`].
    MatchMd5(String),
    /// Drop this connection's unfinished blobs. Answer: [`PlcAnswer::Done`].
    PurgeBlobs,
    /// Begin a blob with this seed, at most [`plc_api::limits::SEED_BYTES`]. Answer: [`PlcAnswer::Blob`].
    SeedBlob(Vec<u8>),
    /// Add to a blob. Answer: [`PlcAnswer::Blob`] with its new id.
    AppendChunk {
        /// The blob's id as it is now.
        blob: BlobId,
        /// Bytes to add, at most [`plc_api::limits::CHUNK_BYTES`].
        data: Vec<u8>,
    },
    /// Install a program whose parts were transferred as blobs. Answer: [`PlcAnswer::Done`].
    Install(Program),
    /// Install a program that comes whole in this call. Answer: [`PlcAnswer::Done`].
    InstallFiles(ProgramFiles),
    /// Run the program. Answer: [`PlcAnswer::Done`] when it runs.
    Start,
    /// Stop the program. Answer: [`PlcAnswer::Stopped`].
    Stop,
    /// Forget the program. Answer: [`PlcAnswer::Done`].
    Repair,
    /// Replace the list of traced and forced variables. Answer: [`PlcAnswer::Token`].
    SetTrace(Vec<TraceVariable>),
    /// Take the collected samples. Answer: [`PlcAnswer::Trace`].
    ReadTrace {
        /// The debug token; `None` from the generations that had none.
        token: Option<u32>,
        /// Most bytes of samples, each counted as its data and [`plc_api::limits::TRACE_SAMPLE_OVERHEAD`].
        max_bytes: u32,
    },
    /// A call by its name. Answer: [`PlcAnswer::Extended`] to [`GET_VERSIONS`], to others [`CallRefused::NotOffered`].
    ExtendedCall {
        /// What is called.
        method: String,
        /// Its argument.
        argument: Vec<u8>,
    },
    /// Run a Python script inside the runtime. Answer: [`CallRefused::NotOffered`].
    RemoteExec,
}

/// The one [`PlcCall::ExtendedCall`] that is answered: which system this is, as a text that the IDE prints.
pub const GET_VERSIONS: &str = "GetVersions";

impl PlcCall {
    /// The call's name in the log.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Status => "status",
            Self::CycleStatistics => "cycle_statistics",
            Self::LogMessage { .. } => "log_message",
            Self::ResetLog => "reset_log",
            Self::MatchMd5(_) => "match_md5",
            Self::PurgeBlobs => "purge_blobs",
            Self::SeedBlob(_) => "seed_blob",
            Self::AppendChunk { .. } => "append_chunk",
            Self::Install(_) | Self::InstallFiles(_) => "install",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Repair => "repair",
            Self::SetTrace(_) => "set_trace",
            Self::ReadTrace { .. } => "read_trace",
            Self::ExtendedCall { .. } => "extended_call",
            Self::RemoteExec => "remote_exec",
        }
    }
}

/// A program as an IDE names its parts; nothing in it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The IDE's name for the build.
    pub md5: String,
    /// The shared object.
    pub library: BlobId,
    /// Name and content of each file the program finds in its working directory.
    pub extra_files: Vec<(String, BlobId)>,
}

/// A program with all its bytes; nothing in it is checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramFiles {
    /// The IDE's name for the build.
    pub md5: String,
    /// The shared object.
    pub library: Vec<u8>,
    /// Name and content of each file the program finds in its working directory.
    pub extra_files: Vec<(String, Vec<u8>)>,
}

/// What came of a [`PlcCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlcAnswer {
    /// It was done.
    Done,
    /// Whose key, and the key.
    Identity(ApiKey),
    /// The state of the PLC.
    Status {
        /// In the words of the protocol.
        status: PlcStatus,
        /// Messages ever logged per level.
        counts: LogCounts,
    },
    /// The message, unless it is gone or never was.
    LogMessage(Option<LogMessage>),
    /// What the cycle costs.
    Cycle(CycleStatistics),
    /// What an extended call answers.
    Extended(Vec<u8>),
    /// Whether the md5 text is that of the installed program.
    Matches(bool),
    /// The blob's id now.
    Blob(BlobId),
    /// Whether the PLC is stopped now.
    Stopped(bool),
    /// The debug token, 1 to 2^31 - 1.
    Token(u32),
    /// The samples.
    Trace(TraceBatch),
}

/// Why a call was not carried out. Each codec has its own way to say so; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CallRefused {
    /// Not in this state, or not for this connector.
    #[error("{0}")]
    Refused(String),
    /// It was tried and failed: a program that does not load, start or stop, a full disk.
    #[error("{0}")]
    Failed(String),
    /// The request itself is wrong: a name that is a path, an md5 text that is none, too much of something.
    #[error("{0}")]
    BadRequest(String),
    /// No blob of this connection has that id.
    #[error("no blob of this connection has that id")]
    UnknownBlob,
    /// The trace list was not accepted.
    #[error("{0}")]
    Trace(TraceRefusal),
    /// The debug token is no longer this client's.
    #[error("another client has taken over debugging")]
    TokenLost,
    /// This connection has no key, and pairing is not open.
    #[error("this connection uses no key, and pairing is not open")]
    NoIdentity,
    /// This runtime does not do that.
    #[error("{0}")]
    NotOffered(&'static str),
    /// The supervisor cannot be asked at the moment.
    #[error("the runtime cannot be reached: {0}")]
    Unreachable(String),
}

impl From<ApiError> for CallRefused {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Refused(reason) | ApiError::NotAllowed(reason) => Self::Refused(reason),
            ApiError::Failed(reason) => Self::Failed(reason),
            ApiError::BadRequest(reason) => Self::BadRequest(reason),
            ApiError::UnknownBlob(_) => Self::UnknownBlob,
            ApiError::Trace(refusal) => Self::Trace(refusal),
            ApiError::TokenLost => Self::TokenLost,
        }
    }
}
