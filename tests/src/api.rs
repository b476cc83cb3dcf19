// SPDX-License-Identifier: MIT OR Apache-2.0
//! The API as a test sees it: blocking calls, and waiting for a state.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plc_api::{
    client::{CallError, Client},
    limits,
    log::{LogLevel, LogMessage},
    message::{ExtraFile, InstallRequest, Reply, Request, WhenRunning},
    plc::{PlcStatus, Snapshot, Stats},
    program::{BlobId, FileName, ProgramMd5},
    trace::{TraceBatch, TraceVariable},
};
use tokio::{runtime::Handle, sync::oneshot, time::timeout};

use crate::PATIENCE;

/// An md5 text for programs whose text does not matter.
pub const MD5: &str = "0123456789abcdef0123456789abcdef";

/// How often [`Api::wait`] looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One API connection, served by a thread of its own.
#[derive(Debug)]
pub struct Api {
    runtime: Handle,
    client: Client,
    _served_while_this_lives: oneshot::Sender<()>,
}

impl Api {
    /// Connects to an API socket.
    ///
    /// # Errors
    /// Nobody serves it.
    pub fn connect(socket: &Path) -> Result<Self, CallError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (served, until) = oneshot::channel::<()>();
        std::thread::spawn(move || runtime.block_on(until));
        let client = handle.block_on(Client::connect(socket, "test", "test", None))?;
        Ok(Self { runtime: handle, client, _served_while_this_lives: served })
    }

    /// One call.
    ///
    /// # Errors
    /// What the supervisor says.
    ///
    /// # Panics
    /// No answer within [`PATIENCE`].
    pub fn call(&self, request: Request) -> Result<Reply, CallError> {
        let call = async { timeout(PATIENCE, self.client.call(request)).await };
        self.runtime.block_on(call).expect("an answer within the test's patience")
    }

    /// The snapshot now, asked for.
    ///
    /// # Panics
    /// The supervisor is gone.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        match self.call(Request::Snapshot) {
            Ok(Reply::Snapshot(snapshot)) => *snapshot,
            other => panic!("no snapshot: {other:?}"),
        }
    }

    /// What this connection has been told so far: never older than its last reply.
    #[must_use]
    pub fn known(&self) -> Arc<Snapshot> {
        self.client.snapshot()
    }

    /// Waits until a snapshot fits; looks at each new one, and now and then at the last, for what is in no snapshot.
    ///
    /// # Panics
    /// None does within [`PATIENCE`]; shows the last one.
    pub fn wait(&self, what: &str, mut fits: impl FnMut(&Snapshot) -> bool) -> Arc<Snapshot> {
        let begin = Instant::now();
        let mut snapshots = self.client.snapshots();
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            if fits(&snapshot) {
                return snapshot;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "waited in vain for: {what}; the last was {snapshot:?}"
            );
            let changed = async { timeout(LOOK_AGAIN, snapshots.changed()).await };
            let ended = matches!(self.runtime.block_on(changed), Ok(Err(_)));
            assert!(
                !ended,
                "the supervisor is gone while waiting for: {what}; the last was {snapshot:?}"
            );
        }
    }

    /// Waits for a status.
    ///
    /// # Panics
    /// As [`Self::wait`].
    pub fn wait_status(&self, status: PlcStatus) -> Arc<Snapshot> {
        self.wait(status.as_str(), |snapshot| snapshot.status == status)
    }

    /// Transfers and installs a program with extra files; its id.
    ///
    /// # Errors
    /// What the supervisor says.
    ///
    /// # Panics
    /// An extra file's name is not one.
    pub fn install(
        &self,
        md5: &str,
        library: &[u8],
        extra: &[(&str, &[u8])],
        when_running: WhenRunning,
    ) -> Result<String, CallError> {
        self.call(Request::PurgeBlobs)?;
        let mut extra_files = Vec::new();
        for (name, data) in extra {
            let blob = self.upload(name.as_bytes(), data)?;
            extra_files.push(ExtraFile { name: FileName::new(name).expect("a file name"), blob });
        }
        let library = self.upload(md5.as_bytes(), library)?;
        let md5 = ProgramMd5::new(md5).expect("an md5 text");
        match self.call(Request::Install(InstallRequest {
            md5,
            library,
            extra_files,
            when_running,
        }))? {
            Reply::Installed { program_id } => Ok(program_id),
            other => panic!("not an installation's reply: {other:?}"),
        }
    }

    /// Transfers one blob.
    ///
    /// # Errors
    /// What the supervisor says.
    pub fn upload(&self, seed: &[u8], data: &[u8]) -> Result<BlobId, CallError> {
        let mut id = blob(self.call(Request::SeedBlob { seed: seed.to_vec() })?);
        for chunk in data.chunks(limits::CHUNK_BYTES) {
            id = blob(self.call(Request::AppendChunk { blob: id, data: chunk.to_vec() })?);
        }
        Ok(id)
    }

    /// Starts the program.
    ///
    /// # Errors
    /// What the supervisor says.
    pub fn start(&self) -> Result<(), CallError> {
        self.call(Request::Start).map(drop)
    }

    /// Stops the program.
    ///
    /// # Errors
    /// What the supervisor says.
    pub fn stop(&self) -> Result<(), CallError> {
        self.call(Request::Stop).map(drop)
    }

    /// Figures.
    ///
    /// # Panics
    /// The supervisor is gone.
    #[must_use]
    pub fn stats(&self) -> Stats {
        match self.call(Request::Stats) {
            Ok(Reply::Stats(stats)) => *stats,
            other => panic!("no figures: {other:?}"),
        }
    }

    /// All messages of a level that are kept.
    ///
    /// # Panics
    /// The supervisor is gone.
    #[must_use]
    pub fn log(&self, level: LogLevel) -> Vec<LogMessage> {
        let mut all: Vec<LogMessage> = Vec::new();
        loop {
            let from = all.last().map_or(0, |last| last.id + 1);
            match self.call(Request::ReadLog { level, from, max: limits::LOG_REPLY_MESSAGES }) {
                Ok(Reply::Log(messages)) if messages.is_empty() => return all,
                Ok(Reply::Log(messages)) => all.extend(messages),
                other => panic!("no log: {other:?}"),
            }
        }
    }

    /// Waits until a message of the program begins so; the rest of it.
    ///
    /// # Panics
    /// None does within [`PATIENCE`].
    pub fn wait_log(&self, level: LogLevel, prefix: &str) -> String {
        let mut found = None;
        self.wait(&format!("the message {prefix:?}"), |_| {
            let messages = self.log(level);
            found = messages.iter().find_map(|m| m.text.strip_prefix(prefix).map(str::to_owned));
            found.is_some()
        });
        found.unwrap_or_default()
    }

    /// Sets a trace list; its token.
    ///
    /// # Errors
    /// What the supervisor says.
    ///
    /// # Panics
    /// Not a token.
    pub fn set_trace(&self, indices: impl IntoIterator<Item = u32>) -> Result<u32, CallError> {
        let list = indices.into_iter().map(|index| TraceVariable { index, force: None }).collect();
        match self.call(Request::SetTrace(list))? {
            Reply::Token(token) => Ok(token),
            other => panic!("not a token: {other:?}"),
        }
    }

    /// Takes samples.
    ///
    /// # Errors
    /// What the supervisor says.
    ///
    /// # Panics
    /// Not samples.
    pub fn read_trace(&self, token: u32) -> Result<TraceBatch, CallError> {
        match self.call(Request::ReadTrace { token: Some(token), max_bytes: u32::MAX })? {
            Reply::Trace(batch) => Ok(batch),
            other => panic!("not samples: {other:?}"),
        }
    }
}

fn blob(reply: Reply) -> BlobId {
    match reply {
        Reply::Blob(id) => id,
        other => panic!("not a blob: {other:?}"),
    }
}
