// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation on an API socket.
//!
//! The client says [`Hello`], the supervisor answers [`Welcome`] or [`Refusal`]; then the client sends
//! [`ClientMessage`]s and the supervisor [`ServerMessage`]s. One connection stands for one IDE or one person, so
//! its blobs end with it. The first server message is a snapshot; every change follows, always before the reply
//! of the call that caused it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    key::{ApiKey, KeyList, SecretText},
    log::{LogLevel, LogMessage},
    plc::{Snapshot, Stats},
    program::{BlobId, FileName, ProgramMd5},
    trace::{TraceBatch, TraceRefusal, TraceVariable},
    wamp::{RouterLink, WampSettings},
};

/// The client's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`crate::API_VERSION`] of the client.
    pub api_version: u16,
    /// Release of the client program, for the log.
    pub release: String,
    /// The client program: `pyro`, `plcctl`, ...; cut to [`crate::limits::NAME_CHARS`], as the next two are.
    pub client: String,
    /// Whom it speaks for: address and port of an IDE, or a user's name.
    pub peer: String,
    /// Whose key that peer used; empty without keys.
    #[serde(default)]
    pub identity: String,
    /// The secret that the peer has shown to have. A connection lasts no longer than that key.
    #[serde(default)]
    pub secret: Option<SecretText>,
    /// The user (uid) behind that peer, if it is a process of this machine.
    #[serde(default)]
    pub local_user: Option<u32>,
}

/// The supervisor's first frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelloReply {
    /// Go on.
    Welcome(Welcome),
    /// The connection ends here.
    Refused(Refusal),
}

/// What the supervisor tells an accepted client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// [`crate::API_VERSION`] of the supervisor.
    pub api_version: u16,
    /// Release of the supervisor.
    pub release: String,
    /// For connectors, which cannot read the configuration themselves.
    #[serde(default)]
    pub settings: ConnectorSettings,
}

/// What the configuration says to connectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectorSettings {
    /// `pyros.legacy_tls`: whether IDEs that speak TLS 1.0 alone are let in.
    pub legacy_tls: bool,
    /// `pyro.local_peers`. The supervisor holds them to it.
    pub local_peers: LocalPeers,
}

/// Which users of this machine may come in at the port without TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalPeers {
    /// All but those that the connector refuses.
    #[default]
    Any,
    /// Root and the members of the group `plc`.
    Plc,
}

/// Why a client is not served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
#[error("{reason}")]
pub struct Refusal {
    /// A sentence for people, with the next step.
    pub reason: String,
}

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientMessage {
    /// Chosen by the client, another one for each request under way; the reply carries it back.
    pub id: u64,
    /// What is asked.
    pub request: Request,
}

/// What a client may ask. Which of these exist depends on the socket it came through.
///
/// # Errors
/// Any may be answered with [`ApiError::NotAllowed`] (not on that socket, or not for this user) and, by a supervisor
/// that is older than the client, [`ApiError::BadRequest`]; what goes to the PLC also with [`ApiError::Refused`] while
/// the supervisor ends. What else comes stands with each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The current snapshot. Reply: [`Reply::Snapshot`].
    Snapshot,
    /// Figures read on demand. Reply: [`Reply::Stats`].
    Stats,
    /// Run the installed program, and wish it to run. Reply: [`Reply::Done`] when it runs. [`ApiError::Refused`]: there
    /// is none, one is being loaded or ended, the machine goes to sleep; [`ApiError::Failed`]: it did not load or start.
    Start,
    /// Stop it, and wish it stopped. Harmless when it is stopped already. Reply: [`Reply::Done`]. [`ApiError::Failed`]:
    /// it did not stop in time and was killed.
    Stop,
    /// Stop it if it runs, then forget the installed program: the state becomes Empty. Reply: [`Reply::Done`].
    /// [`ApiError::Refused`]: a program is being loaded or ended; [`ApiError::Failed`]: the disk.
    Repair,
    /// Go back to the program before the installed one; runs it again if one ran. Reply: [`Reply::Installed`].
    /// [`ApiError::Refused`]: there is none, or a program is being loaded or ended; [`ApiError::Failed`]: it did not load
    /// or start.
    Rollback,
    /// Drop this connection's unfinished blobs. Reply: [`Reply::Done`].
    PurgeBlobs,
    /// Begin a blob. Reply: [`Reply::Blob`]. [`ApiError::BadRequest`]: a bound of [`crate::limits`];
    /// [`ApiError::Failed`]: the disk.
    SeedBlob {
        /// Hashed, not stored; the file's name or the md5 text, at most [`crate::limits::SEED_BYTES`].
        #[serde(with = "serde_bytes")]
        seed: Vec<u8>,
    },
    /// Add to a blob; its id changes. Reply: [`Reply::Blob`]. [`ApiError::UnknownBlob`]; [`ApiError::BadRequest`]: a bound
    /// of [`crate::limits`]; [`ApiError::Failed`]: the disk, and the blob is gone.
    AppendChunk {
        /// The blob as it is now. [`BlobId::EMPTY`], if unknown, begins a blob without a seed.
        blob: BlobId,
        /// At most [`crate::limits::CHUNK_BYTES`].
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
    },
    /// Install and load a program from blobs. Reply: [`Reply::Installed`] when it is on disk and loaded.
    /// [`ApiError::Refused`]: a program runs and is to be left alone, or one is being loaded or ended;
    /// [`ApiError::UnknownBlob`]; [`ApiError::BadRequest`]: two files of one name, too many; [`ApiError::Failed`]: it did
    /// not load, or the disk. Then the program before it stays installed.
    Install(InstallRequest),
    /// Replace the list of traced and forced variables, at most [`crate::limits::TRACE_VARIABLES`], and take the debug
    /// token. Reply: [`Reply::Token`]. [`ApiError::Trace`]. With the end of an operator's connection its list ends too;
    /// an IDE's stays.
    SetTrace(Vec<TraceVariable>),
    /// Take the collected samples. Reply: [`Reply::Trace`]. [`ApiError::TokenLost`]: another client
    /// owns them, or the list was set for another program.
    ReadTrace {
        /// From [`Reply::Token`]; `None` for the clients of the time before tokens: whoever owns it.
        token: Option<u32>,
        /// Most bytes of samples, each counted as its data and [`crate::limits::TRACE_SAMPLE_OVERHEAD`]; never more than
        /// [`crate::limits::TRACE_REPLY_BYTES`] come.
        max_bytes: u32,
    },
    /// Read the PLC log. Reply: [`Reply::Log`].
    ReadLog {
        /// Of this level.
        level: LogLevel,
        /// From this id on; ids that are gone are passed over.
        from: u32,
        /// At most this many, and never more than [`crate::limits::LOG_REPLY_MESSAGES`].
        max: u32,
    },
    /// Empty the PLC log; counts and ids begin at 0 again. Reply: [`Reply::Done`].
    ResetLog,
    /// Read the configuration again, and see whether a newer supervisor was installed: it takes over at once if no
    /// program runs. Reply: [`Reply::Done`]; [`ApiError::Failed`] with file and key, and then nothing has changed.
    Reload,
    /// Tell the device's key to those who ask for it, for a while. Reply: [`Reply::Paired`]. [`ApiError::BadRequest`]: out
    /// of range; [`ApiError::Failed`]: there is no key, and none can be made.
    Pair {
        /// How long, seconds within [`crate::limits::PAIRING_SECONDS`].
        seconds: u32,
    },
    /// The device's key, for an IDE without one. Reply: [`Reply::Key`]; [`ApiError::NotAllowed`] unless pairing is open.
    DeviceKey,
    /// Make a client's key. Reply: [`Reply::Key`] when it is on disk. [`ApiError::BadRequest`]: the ID or the secret is
    /// none; [`ApiError::Refused`]: that ID has a key, or there are [`crate::limits::CLIENT_KEYS`]; [`ApiError::Failed`]:
    /// the disk.
    AddKey {
        /// Whose.
        id: String,
        /// The secret; `None`: a new one.
        secret: Option<SecretText>,
    },
    /// All keys, without their secrets. Reply: [`Reply::Keys`].
    ListKeys,
    /// Take a key away, and end the connections that were made with it; the device's is replaced by a new one. Reply:
    /// [`Reply::Done`]. [`ApiError::Refused`]: there is none, or the integrator has brought it; [`ApiError::Failed`]: the
    /// disk.
    RevokeKey {
        /// Whose.
        id: String,
    },
    /// A key with its secret; for root, and at a desk its owner. Reply: [`Reply::Key`]. [`ApiError::Refused`]: there is
    /// none.
    ShowKey {
        /// Whose.
        id: String,
    },
    /// What the WAMP connector is to do now; worth asking again when [`Snapshot::settings_revision`] has changed.
    /// Reply: [`Reply::Wamp`].
    WampSettings,
    /// How the WAMP connector's link to its router is; told to everybody by [`Snapshot::router`] until that connection
    /// ends. Reply: [`Reply::Done`].
    ReportRouter(Box<RouterLink>),
}

/// A program to install, named by blobs of the same connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallRequest {
    /// The IDE's name for the build.
    pub md5: ProgramMd5,
    /// The shared object.
    pub library: BlobId,
    /// Files that the program finds in its working directory, at most [`crate::limits::EXTRA_FILES`].
    pub extra_files: Vec<ExtraFile>,
    /// What to do if a program runs.
    pub when_running: WhenRunning,
}

/// A file that comes with a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraFile {
    /// Bare name.
    pub name: FileName,
    /// Its content.
    pub blob: BlobId,
}

/// What an installation does with a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WhenRunning {
    /// Refuse (an IDE stops it first).
    Refuse,
    /// Stop it, install, and start the new one.
    Restart,
}

/// What the supervisor sends after the greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to one request.
    Reply {
        /// The request's id.
        id: u64,
        /// What came of it.
        result: Result<Reply, ApiError>,
    },
    /// Something changed.
    Snapshot(Box<Snapshot>),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// It was done, or was so already.
    Done,
    /// To [`Request::Snapshot`].
    Snapshot(Box<Snapshot>),
    /// To [`Request::Stats`].
    Stats(Box<Stats>),
    /// The blob's id now.
    Blob(BlobId),
    /// The program's own id, `SEQ-HASH`.
    Installed {
        /// See [`crate::program::ProgramInfo::id`].
        program_id: String,
    },
    /// The debug token, 1 to 2^31 - 1: IDEs take other numbers for errors.
    Token(u32),
    /// The samples.
    Trace(TraceBatch),
    /// The messages, oldest first.
    Log(Vec<LogMessage>),
    /// Pairing is open; until when is in the snapshot.
    Paired {
        /// Whose key is told: the device's ID.
        id: String,
    },
    /// A key.
    Key(ApiKey),
    /// To [`Request::ListKeys`].
    Keys(KeyList),
    /// To [`Request::WampSettings`].
    Wamp(Box<WampSettings>),
}

/// Why a request was not carried out; each text is a sentence for people and names the next step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum ApiError {
    /// Not in this state.
    #[error("{0}")]
    Refused(String),
    /// Not on this socket, or not for this user.
    #[error("{0}")]
    NotAllowed(String),
    /// The request was accepted and could not be done: a program that does not load, start or stop, a full disk.
    #[error("{0}")]
    Failed(String),
    /// The request itself is wrong.
    #[error("{0}")]
    BadRequest(String),
    /// No blob of this connection has that id.
    #[error("no blob of this connection has the id {0}")]
    UnknownBlob(BlobId),
    /// The trace list was not accepted.
    #[error("{0}")]
    Trace(TraceRefusal),
    /// The debug token is no longer this client's, or its program is no longer installed.
    #[error("another client has taken over debugging, or another program is installed")]
    TokenLost,
}
