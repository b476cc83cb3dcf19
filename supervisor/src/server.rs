// SPDX-License-Identifier: MIT OR Apache-2.0
//! The API sockets: one task for each peer, one request of a peer at a time.
//!
//! Status, log and samples are answered from what is published and kept; only operations on the PLC wait for the
//! driver. While one runs, its client still receives every snapshot.

use std::{
    collections::BTreeMap,
    future::Future,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plc_api::{
    API_VERSION, RELEASE,
    client::{CallError, read_frame, write_frame},
    limits,
    log::LogLevel,
    message::{
        ApiError, ClientMessage, Hello, HelloReply, InstallRequest, Refusal, Reply, Request,
        ServerMessage, Welcome, WhenRunning,
    },
    plc::{ConnectionInfo, PlcStatus, Snapshot, Stats},
};
use tokio::{
    io::BufReader,
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    access::Door,
    driver::{self, Command},
    gauge::Gauge,
    program::{
        blobs::{BlobError, Blobs, TransferArea},
        store::{StageError, Store},
    },
    state::{CommandError, Done, IS_RUNNING},
    trace::Read,
    worker_link::Sinks,
};

/// How long the program may take to accept a trace list.
const TRACE_DEADLINE: Duration = Duration::from_secs(5);
/// How long to wait after accepting failed for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all peers share.
#[derive(Debug)]
pub struct Services {
    /// The driver's queue.
    pub driver: mpsc::Sender<driver::Request>,
    /// Snapshot, samples, log.
    pub sinks: Sinks,
    /// Figures of the running program.
    pub gauge: Arc<Mutex<Gauge>>,
    /// Installed programs.
    pub store: Arc<Store>,
    /// Programs under way.
    pub transfers: Arc<TransferArea>,
    /// Who is connected.
    pub connections: Connections,
}

/// The list of connected clients.
#[derive(Debug)]
pub struct Connections {
    room: Arc<Semaphore>,
    list: Mutex<(u64, BTreeMap<u64, ConnectionInfo>)>,
}

impl Default for Connections {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(limits::API_CONNECTIONS));
        Self { room, list: Mutex::default() }
    }
}

/// Accepts peers at one socket for ever.
pub async fn serve(listener: UnixListener, door: Door, services: Arc<Services>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match services.connections.room.clone().try_acquire_owned() {
                Ok(room) => {
                    tokio::spawn(peer(stream, door, services.clone(), room));
                }
                Err(_) => tracing::warn!(
                    connector = door.name(),
                    "too many API connections; one was refused"
                ),
            },
            Err(error) => {
                tracing::error!(%error, connector = door.name(), "no connection can be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn peer(
    stream: UnixStream,
    door: Door,
    services: Arc<Services>,
    _room: OwnedSemaphorePermit,
) {
    let uid = stream.peer_cred().map(|credentials| credentials.uid()).ok();
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let hello = match timeout(limits::HELLO_DEADLINE, greet(&mut reader, &mut writer)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => {
            return tracing::warn!(%error, connector = door.name(), uid, "API greeting failed");
        }
        Err(_) => {
            return tracing::warn!(connector = door.name(), uid, "an API peer did not say hello");
        }
    };
    let info = ConnectionInfo {
        connector: match door {
            Door::Connector(name) => name.to_owned(),
            Door::People => printable(&hello.client),
        },
        peer: printable(&hello.peer),
        identity: printable(&hello.identity),
    };
    tracing::debug!(connector = %info.connector, peer = %info.peer, uid, "API connection");
    let id = services.connections.enter(info);
    let session =
        Session { door, blobs: Some(Blobs::new(services.transfers.clone())), services: &services };
    if let Err(error) = session.serve(reader, &mut writer).await {
        tracing::debug!(%error, connector = door.name(), "API connection ended");
    }
    services.connections.leave(id);
}

async fn greet(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
) -> Result<Hello, CallError> {
    let hello: Hello = read_frame(reader).await?;
    if hello.api_version == API_VERSION {
        let welcome = Welcome { api_version: API_VERSION, release: RELEASE.to_owned() };
        write_frame(writer, &HelloReply::Welcome(welcome)).await?;
        return Ok(hello);
    }
    let reason = format!(
        "the program of release {} speaks version {} of the API, this supervisor of release {RELEASE} version \
         {API_VERSION}: restart the service after an upgrade",
        printable(&hello.release),
        hello.api_version
    );
    let refusal = Refusal { reason };
    write_frame(writer, &HelloReply::Refused(refusal.clone())).await?;
    Err(refusal.into())
}

/// One greeted peer.
struct Session<'a> {
    door: Door,
    /// Absent while a blocking task has them.
    blobs: Option<Blobs>,
    services: &'a Services,
}

impl Session<'_> {
    async fn serve(
        mut self,
        reader: BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
    ) -> Result<(), CallError> {
        let mut snapshots = self.services.sinks.published.subscribe();
        send_snapshot(&mut snapshots, writer).await?;
        let mut incoming = Incoming::new(reader);
        loop {
            let message = tokio::select! {
                message = incoming.next() => message?,
                changed = snapshots.changed() => {
                    changed.map_err(|_| io::Error::other("the supervisor is ending"))?;
                    send_snapshot(&mut snapshots, writer).await?;
                    continue;
                }
            };
            let ClientMessage { id, request } = message;
            let result = match self.door.allows(&request) {
                Ok(()) => pushing(&mut snapshots, writer, self.answer(request)).await,
                Err(error) => Err(error),
            };
            // What the call changed comes before its reply.
            if snapshots.has_changed().unwrap_or(false) {
                send_snapshot(&mut snapshots, writer).await?;
            }
            send(writer, &ServerMessage::Reply { id, result }).await?;
        }
    }

    async fn answer(&mut self, request: Request) -> Result<Reply, ApiError> {
        let sinks = &self.services.sinks;
        match request {
            Request::Snapshot => {
                Ok(Reply::Snapshot(Box::new(Snapshot::clone(&sinks.published.get()))))
            }
            Request::Stats => Ok(Reply::Stats(Box::new(self.services.stats()))),
            Request::Start => self.command(Command::Start).await,
            Request::Stop => self.command(Command::Stop).await,
            Request::Repair => self.command(Command::Repair).await,
            Request::Rollback => self.command(Command::Rollback).await,
            Request::PurgeBlobs => {
                self.blobs()?.purge();
                Ok(Reply::Done)
            }
            Request::SeedBlob { seed } => Ok(Reply::Blob(self.blobs()?.seed(&seed)?)),
            Request::AppendChunk { blob, data } => {
                if !self.blobs()?.would_write(blob, data.len()) {
                    return Ok(Reply::Blob(self.blobs()?.append(blob, &data)?));
                }
                let blob = self.with_blobs(move |blobs| blobs.append(blob, &data)).await?;
                Ok(Reply::Blob(blob?))
            }
            Request::Install(request) => {
                self.install(request).await.inspect_err(|error| self.tell_refusal(error))
            }
            Request::SetTrace(list) => self.set_trace(list).await,
            Request::ReadTrace { token, max_bytes } => self.read_trace(token, max_bytes).await,
            Request::ReadLog { level, from, max } => {
                Ok(Reply::Log(sinks.journal.read(level, from, max)))
            }
            Request::ResetLog => {
                sinks.journal.reset();
                sinks.published.log_counts(sinks.journal.counts());
                Ok(Reply::Done)
            }
        }
    }

    async fn install(&mut self, request: InstallRequest) -> Result<Reply, ApiError> {
        let when_running = request.when_running;
        // The machine decides; asking first only saves the disk the work.
        let running = self.services.sinks.published.get().status == PlcStatus::Started;
        if running && when_running == WhenRunning::Refuse {
            return Err(ApiError::Refused(IS_RUNNING.into()));
        }
        let store = self.services.store.clone();
        let program = self.with_blobs(move |blobs| store.stage(&request, blobs)).await??;
        let reply = self.command(Command::Install(program, when_running)).await;
        if reply.is_ok() {
            self.blobs()?.purge();
        }
        reply
    }

    /// An IDE shows of a refused installation only that there was one; the reason is in the log that it shows.
    fn tell_refusal(&self, error: &ApiError) {
        // What failed was told by the driver.
        if !matches!(error, ApiError::Failed(_)) {
            let sinks = &self.services.sinks;
            sinks
                .journal
                .own(LogLevel::Warning, &format!("the program was not installed: {error}"));
            sinks.published.log_counts(sinks.journal.counts());
        }
    }

    async fn command(&self, command: Command) -> Result<Reply, ApiError> {
        let (reply, wait) = oneshot::channel();
        let sent = self.services.driver.send(driver::Request::Command(command, reply)).await;
        let done = match sent {
            Ok(()) => wait.await.ok(),
            Err(_) => None,
        };
        match done {
            Some(Ok(Done::AsWanted)) => Ok(Reply::Done),
            Some(Ok(Done::Installed(program))) => Ok(Reply::Installed { program_id: program.id }),
            Some(Err(CommandError::Refused(reason))) => Err(ApiError::Refused(reason)),
            Some(Err(CommandError::Failed(reason))) => Err(ApiError::Failed(reason)),
            None => Err(ApiError::Refused("the runtime is shutting down".into())),
        }
    }

    async fn set_trace(&self, list: Vec<plc_api::trace::TraceVariable>) -> Result<Reply, ApiError> {
        let too_large = |entry: &plc_api::trace::TraceVariable| {
            entry.force.as_ref().is_some_and(|force| force.len() > limits::FORCE_BYTES)
        };
        if list.len() > limits::TRACE_VARIABLES {
            return Err(ApiError::Trace(plc_api::trace::TraceRefusal::TooManyTraced));
        }
        if list.iter().any(too_large) {
            return Err(ApiError::Trace(plc_api::trace::TraceRefusal::ForceSize));
        }
        let (reply, wait) = oneshot::channel();
        let sent = self.services.driver.send(driver::Request::SetTrace(list, reply)).await;
        let not_possible = ApiError::Trace(plc_api::trace::TraceRefusal::NotPossible);
        sent.map_err(|_| not_possible.clone())?;
        match timeout(TRACE_DEADLINE, wait).await {
            Ok(Ok(result)) => result.map(Reply::Token).map_err(ApiError::Trace),
            Ok(Err(_)) | Err(_) => Err(not_possible),
        }
    }

    async fn read_trace(&self, token: Option<u32>, max_bytes: u32) -> Result<Reply, ApiError> {
        let sinks = &self.services.sinks;
        let status = sinks.published.get().status;
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let read = lock(&sinks.trace).read(token, max_bytes, status, std::time::Instant::now());
        match read {
            Read::Batch(batch) => Ok(Reply::Trace(batch)),
            Read::Resume(batch) => {
                // If the driver is gone there is nothing left to resume.
                let _ = self.services.driver.send(driver::Request::ResumeTrace).await;
                Ok(Reply::Trace(batch))
            }
            Read::TokenLost => Err(ApiError::TokenLost),
        }
    }

    fn blobs(&mut self) -> Result<&mut Blobs, ApiError> {
        self.blobs.as_mut().ok_or_else(lost_blobs)
    }

    /// Does what may wait for the disk where it holds up nobody else.
    async fn with_blobs<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Blobs) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let mut blobs = self.blobs.take().ok_or_else(lost_blobs)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = act(&mut blobs);
            (blobs, result)
        });
        let (blobs, result) = done.await.map_err(|_| lost_blobs())?;
        self.blobs = Some(blobs);
        Ok(result)
    }
}

/// Carries out a call to its end, whether or not its client is still there, and sends every snapshot meanwhile.
async fn pushing<T>(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    writer: &mut OwnedWriteHalf,
    call: impl Future<Output = T>,
) -> T {
    tokio::pin!(call);
    loop {
        tokio::select! {
            result = &mut call => return result,
            changed = snapshots.changed() => {
                if changed.is_err() || send_snapshot(snapshots, writer).await.is_err() {
                    return call.await;
                }
            }
        }
    }
}

async fn send_snapshot(
    snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    writer: &mut OwnedWriteHalf,
) -> Result<(), CallError> {
    let snapshot = Snapshot::clone(&snapshots.borrow_and_update());
    send(writer, &ServerMessage::Snapshot(Box::new(snapshot))).await
}

/// A peer that does not read its replies is not waited for for ever.
async fn send(writer: &mut OwnedWriteHalf, message: &ServerMessage) -> Result<(), CallError> {
    match timeout(limits::FRAME_DEADLINE, write_frame(writer, message)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}

/// Reads frames in a task of its own, so that waiting for one can be given up and taken up again.
struct Incoming {
    queue: mpsc::Receiver<Result<ClientMessage, CallError>>,
    task: tokio::task::JoinHandle<()>,
}

impl Incoming {
    fn new(mut reader: BufReader<OwnedReadHalf>) -> Self {
        let (sender, queue) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                let message = read_frame(&mut reader).await;
                let ended = message.is_err();
                if sender.send(message).await.is_err() || ended {
                    return;
                }
            }
        });
        Self { queue, task }
    }

    async fn next(&mut self) -> Result<ClientMessage, CallError> {
        match self.queue.recv().await {
            Some(message) => message,
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Services {
    fn stats(&self) -> Stats {
        let (trace_samples, trace_dropped) = lock(&self.sinks.trace).totals();
        let gauge = lock(&self.gauge);
        let (period_ns, measured_period_ns) = gauge.periods_ns();
        Stats {
            ticks: gauge.ticks(),
            period_ns,
            measured_period_ns,
            cycle_cpu_us: gauge.cpu(),
            trace_samples,
            trace_dropped,
            connections: lock(&self.connections.list).1.values().cloned().collect(),
        }
    }
}

impl Connections {
    fn enter(&self, info: ConnectionInfo) -> u64 {
        let mut list = lock(&self.list);
        list.0 += 1;
        let id = list.0;
        list.1.insert(id, info);
        id
    }

    fn leave(&self, id: u64) {
        lock(&self.list).1.remove(&id);
    }
}

impl From<BlobError> for ApiError {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Unknown(id) => Self::UnknownBlob(id),
            BlobError::TooMuch(_) => Self::BadRequest(error.to_string()),
            BlobError::Disk(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<StageError> for ApiError {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Blob(error) => error.into(),
            StageError::BadRequest(_) => Self::BadRequest(error.to_string()),
            StageError::Disk(_) => Self::Failed(error.to_string()),
        }
    }
}

fn lost_blobs() -> ApiError {
    ApiError::Failed("the transfer was lost; send the program again".into())
}

/// A text from a peer, fit for the log and for a terminal.
fn printable(text: &str) -> String {
    text.chars().take(limits::NAME_CHARS).filter(|c| !c.is_control()).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
