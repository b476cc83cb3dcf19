// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor of a few lines: the server side of the API with a PLC that only pretends.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
};

use md5::{Digest as _, Md5};
use plc_api::{
    API_VERSION,
    client::{read_frame, write_frame},
    key::{ApiKey, KeyInfo, KeyKind, KeyList, SecretText},
    log::{LogLevel, LogMessage},
    message::{
        ApiError, ClientMessage, ConnectorSettings, Hello, HelloReply, Reply, Request,
        ServerMessage, Welcome, WhenRunning,
    },
    plc::{ConnectionInfo, PlcStatus, Snapshot, Stats},
    program::{BlobId, ProgramInfo},
    trace::{TraceBatch, TraceSample, TraceVariable},
};
use tokio::{
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, Command},
    sync::watch,
    task::JoinSet,
};

/// What the pretended PLC is like.
#[derive(Debug, Default)]
pub(crate) struct Plc {
    pub(crate) snapshot: Snapshot,
    pub(crate) log: Vec<LogMessage>,
    pub(crate) connections: Vec<ConnectionInfo>,
    /// Every trace list that was set.
    pub(crate) lists: Vec<Vec<TraceVariable>>,
    /// Batches still to be handed out.
    pub(crate) batches: Vec<Result<TraceBatch, ApiError>>,
    /// Finished blobs of the last installation, by name; the library is `library`.
    pub(crate) installed: HashMap<String, Vec<u8>>,
    /// Answer the next chunk with a wrong id.
    pub(crate) damage: bool,
    pub(crate) requests: usize,
    pub(crate) keys: Vec<ApiKey>,
}

/// A served socket. The directory, the server and its connections end with it.
#[derive(Debug)]
pub(crate) struct Stub {
    pub(crate) plc: Arc<Mutex<Plc>>,
    changes: watch::Sender<Snapshot>,
    dir: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stub {
    pub(crate) fn serve(plc: Plc) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("api.sock")).unwrap();
        let changes = watch::Sender::new(plc.snapshot.clone());
        let plc = Arc::new(Mutex::new(plc));
        let (served, told) = (plc.clone(), changes.clone());
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(converse(stream, served.clone(), told.subscribe()));
            }
        });
        Self { plc, changes, dir, server }
    }

    /// Changes the PLC and tells every client.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Plc)) {
        let mut plc = self.plc.lock().unwrap();
        change(&mut plc);
        self.changes.send_replace(plc.snapshot.clone());
    }

    /// A file beside the socket.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plcctl"));
        command
            .env("PLC_RUNTIME_SOCKET", self.dir.path().join("api.sock"))
            .current_dir(self.dir.path())
            .args(line)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the command line to its end.
    pub(crate) async fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().await.unwrap()
    }

    /// Starts the command line, its stdout to be read.
    pub(crate) fn begin(&self, line: &[&str]) -> Child {
        self.command(line).stdout(Stdio::piped()).spawn().unwrap()
    }
}

/// One connection: replies, and every change.
async fn converse(
    mut stream: UnixStream,
    plc: Arc<Mutex<Plc>>,
    mut changes: watch::Receiver<Snapshot>,
) {
    let hello: Hello = read_frame(&mut stream).await.unwrap();
    assert_eq!(hello.client, "plcctl");
    let welcome = HelloReply::Welcome(Welcome {
        api_version: API_VERSION,
        release: "test".into(),
        settings: ConnectorSettings::default(),
    });
    write_frame(&mut stream, &welcome).await.unwrap();
    let first = changes.borrow_and_update().clone();
    let (reader, mut writer) = stream.into_split();
    tell(&mut writer, first).await;
    let writer = tokio::sync::Mutex::new(writer);
    let told = async {
        while changes.changed().await.is_ok() {
            let change = changes.borrow_and_update().clone();
            tell(&mut *writer.lock().await, change).await;
        }
    };
    tokio::select! {
        () = told => (),
        () = serve_calls(reader, &writer, plc) => (),
    }
}

/// Answers requests; what a call has changed is told before its reply.
async fn serve_calls(
    mut reader: OwnedReadHalf,
    writer: &tokio::sync::Mutex<OwnedWriteHalf>,
    plc: Arc<Mutex<Plc>>,
) {
    let mut blobs = HashMap::new();
    while let Ok(message) = read_frame::<ClientMessage>(&mut reader).await {
        let (before, result, after) = {
            let mut plc = plc.lock().unwrap();
            plc.requests += 1;
            let before = plc.snapshot.clone();
            let result = plc.answer(message.request, &mut blobs);
            (before, result, plc.snapshot.clone())
        };
        let mut writer = writer.lock().await;
        if before != after {
            tell(&mut writer, after).await;
        }
        let id = message.id;
        let reply = ServerMessage::Reply { id, result };
        write_frame(&mut *writer, &reply).await.unwrap();
    }
}

async fn tell(writer: &mut OwnedWriteHalf, snapshot: Snapshot) {
    let message = ServerMessage::Snapshot(Box::new(snapshot));
    // A client that has got its answer may be gone.
    let _ = write_frame(writer, &message).await;
}

/// Seed, content and digest of each blob.
type Blobs = HashMap<BlobId, (Vec<u8>, Md5)>;

impl Plc {
    #[expect(clippy::too_many_lines, reason = "a table of answers")]
    fn answer(&mut self, request: Request, blobs: &mut Blobs) -> Result<Reply, ApiError> {
        match request {
            Request::Snapshot => Ok(Reply::Snapshot(Box::new(self.snapshot.clone()))),
            Request::Stats => Ok(Reply::Stats(Box::new(Stats {
                ticks: 5,
                period_ns: 10_000_000,
                connections: self.connections.clone(),
                ..Stats::default()
            }))),
            Request::Start if self.snapshot.program.is_none() => {
                Err(ApiError::Refused("no program is installed; install one first".into()))
            }
            Request::Start => Ok(self.become_status(PlcStatus::Started)),
            Request::Stop => Ok(self.become_status(PlcStatus::Stopped)),
            Request::Repair => {
                self.snapshot.program = None;
                Ok(self.become_status(PlcStatus::Empty))
            }
            Request::Rollback => Ok(Reply::Installed { program_id: "1-before".into() }),
            Request::PurgeBlobs => Ok(Reply::Done),
            Request::SeedBlob { seed } => {
                let digest = Md5::new_with_prefix(seed);
                Ok(Reply::Blob(keep(blobs, Vec::new(), digest)))
            }
            Request::AppendChunk { blob, data } => self.append(blob, &data, blobs),
            Request::Install(request) => self.install(request, blobs),
            Request::SetTrace(list) => {
                self.lists.push(list);
                Ok(Reply::Token(7))
            }
            Request::ReadTrace { token, .. } => {
                assert_eq!(token, Some(7));
                if self.batches.is_empty() {
                    return Ok(Reply::Trace(batch(self.snapshot.status, &[])));
                }
                self.batches.remove(0).map(Reply::Trace)
            }
            Request::ReadLog { level, from, max } => {
                Ok(Reply::Log(self.read_log(level, from, max)))
            }
            Request::Reload if self.snapshot.reason.is_some() => {
                Err(ApiError::Failed("plc-runtime.toml: bad".into()))
            }
            Request::Reload => Ok(Reply::Done),
            Request::Pair { seconds } => {
                self.snapshot.pairing_until_us = Some(u64::from(seconds));
                Ok(Reply::Paired { id: "plc-test".into() })
            }
            Request::DeviceKey
            | Request::ShowKey { .. }
            | Request::WampSettings
            | Request::ReportRouter(_) => Err(ApiError::NotAllowed("this is for others".into())),
            Request::AddKey { id, secret } => {
                let secret = secret.unwrap_or_else(|| SecretText::new("a-new-secret-it-is"));
                let key = ApiKey { id, secret };
                self.keys.push(key.clone());
                Ok(Reply::Key(key))
            }
            Request::ListKeys => {
                let keys = self.keys.iter().map(key_info).collect();
                Ok(Reply::Keys(KeyList { keys, problems: Vec::new() }))
            }
            Request::RevokeKey { id } => {
                self.keys.retain(|key| key.id != id);
                Ok(Reply::Done)
            }
            Request::ResetLog => {
                self.log.clear();
                self.snapshot.log_counts = [0; 4];
                Ok(Reply::Done)
            }
        }
    }

    fn become_status(&mut self, status: PlcStatus) -> Reply {
        self.snapshot.status = status;
        self.snapshot.phase = status.as_str().to_lowercase();
        Reply::Done
    }

    fn append(&mut self, blob: BlobId, data: &[u8], blobs: &mut Blobs) -> Result<Reply, ApiError> {
        let (mut content, mut digest) = blobs.remove(&blob).ok_or(ApiError::UnknownBlob(blob))?;
        content.extend_from_slice(data);
        digest.update(data);
        let id = keep(blobs, content, digest);
        Ok(Reply::Blob(if self.damage { BlobId::EMPTY } else { id }))
    }

    fn install(
        &mut self,
        request: plc_api::message::InstallRequest,
        blobs: &Blobs,
    ) -> Result<Reply, ApiError> {
        let runs = self.snapshot.status == PlcStatus::Started;
        assert!(!runs || request.when_running == WhenRunning::Restart);
        let content = |id: BlobId| blobs.get(&id).map(|blob| blob.0.clone());
        let library = content(request.library).ok_or(ApiError::UnknownBlob(request.library))?;
        self.installed.insert("library".into(), library);
        for file in request.extra_files {
            let data = content(file.blob).ok_or(ApiError::UnknownBlob(file.blob))?;
            self.installed.insert(file.name.to_string(), data);
        }
        self.snapshot.program =
            Some(ProgramInfo { id: "2-cafe".into(), md5: request.md5, since_us: 1 });
        if !runs {
            self.become_status(PlcStatus::Stopped);
        }
        Ok(Reply::Installed { program_id: "2-cafe".into() })
    }

    fn read_log(&self, level: LogLevel, from: u32, max: u32) -> Vec<LogMessage> {
        let wanted = self.log.iter().filter(|m| m.level == level && m.id >= from);
        wanted.take(max.try_into().unwrap()).cloned().collect()
    }

    /// Logs a message, as a program would.
    pub(crate) fn log(&mut self, level: LogLevel, time_us: u64, text: &str) {
        let count = &mut self.snapshot.log_counts[usize::from(level.number())];
        self.log.push(LogMessage { level, id: *count, tick: *count, time_us, text: text.into() });
        *count += 1;
    }
}

fn key_info(key: &ApiKey) -> KeyInfo {
    KeyInfo {
        id: key.id.clone(),
        kind: KeyKind::Client,
        source: "clients".into(),
        since_us: 0,
        hex_looking: key.secret.reveal().bytes().all(|byte| byte.is_ascii_hexdigit()),
    }
}

fn keep(blobs: &mut Blobs, content: Vec<u8>, digest: Md5) -> BlobId {
    let id = BlobId(digest.clone().finalize().into());
    blobs.insert(id, (content, digest));
    id
}

/// A batch of samples, whole as the first reply has them.
pub(crate) fn batch(status: PlcStatus, samples: &[(u32, &[u8])]) -> TraceBatch {
    TraceBatch {
        status,
        samples: samples
            .iter()
            .map(|(tick, data)| TraceSample { tick: *tick, data: data.to_vec() })
            .collect(),
        dropped: 0,
        more: false,
    }
}
