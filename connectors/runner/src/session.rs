// SPDX-License-Identifier: MIT OR Apache-2.0
//! One IDE's connection to the supervisor: carries out its [`PlcCall`]s.
//!
//! The connection is made at the first call and made again when it was lost, so an IDE stays connected while the
//! supervisor restarts; its unfinished blobs are lost then, and the next chunk is told that its blob is unknown.
//! A call that was under way when the connection broke is never repeated: nobody knows whether it was carried out.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use plc_api::{
    RELEASE,
    client::{CallError, Client},
    key::ApiKey,
    limits,
    log::{LogLevel, LogMessage},
    message::{ApiError, ExtraFile, InstallRequest, Refusal, Reply, Request, WhenRunning},
    plc::{PlcStatus, Snapshot},
    program::{BlobId, FileName, ProgramMd5},
    trace::{TraceRefusal, TraceVariable},
    wamp::WampSettings,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tracing::debug;

use crate::{
    call::{CallRefused, GET_VERSIONS, PlcAnswer, PlcCall, Program, ProgramFiles},
    cycle::CycleStatistics,
    limited,
    places::Standing,
    upload::Upload,
    view::{self, View},
};

/// The longest a call may take. Loading, starting and stopping a program have shorter deadlines of their own in the
/// supervisor; this one is for a supervisor that hangs.
const CALL_DEADLINE: Duration = Duration::from_secs(120);

/// How long a call waits for a supervisor that is away: one that crashed is back within a fraction of this.
const RECONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is tried meanwhile.
const RECONNECT_PAUSE: Duration = Duration::from_millis(20);
/// After all that was in vain, or the supervisor has said no, calls are refused at once for this long.
const RETRY_PAUSE: Duration = Duration::from_millis(1000);

/// Takes what is inside the one reply that fits.
macro_rules! fitting {
    ($fits:pat => $inside:expr) => {
        |reply| {
            if let $fits = reply { Some($inside) } else { None }
        }
    };
}

/// Where the supervisor is, and which connector asks.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The connector's socket.
    pub socket: PathBuf,
    /// The connector's name, such as `pyro`.
    pub connector: String,
}

/// Carries out the calls of one IDE, one after the other.
#[derive(Debug)]
pub struct Session {
    supervisor: Arc<Supervisor>,
    peer: String,
    user: Option<u32>,
    key: Option<ApiKey>,
    client: Option<Client>,
    no_attempt_before: Option<Instant>,
    /// The supervisor's answer to the last attempt, if that was no.
    refusal: Option<Refusal>,
    view: View,
    upload: Option<Upload>,
    has_called: bool,
    /// Until a call of the peer is let in by the supervisor.
    unsettled: Option<Standing>,
}

impl Session {
    /// A session for the IDE at `peer`, a process of `user` if that is on this machine, with the key that it has shown
    /// to have. Nothing is connected yet.
    #[must_use]
    pub fn new(
        supervisor: Arc<Supervisor>,
        peer: String,
        user: Option<u32>,
        key: Option<ApiKey>,
    ) -> Self {
        Self {
            supervisor,
            peer,
            user,
            key,
            client: None,
            no_attempt_before: None,
            refusal: None,
            view: View::default(),
            upload: None,
            has_called: false,
            unsettled: None,
        }
    }

    /// Another session for the same peer, with this key. Nothing is connected yet.
    #[must_use]
    pub fn with_key(&self, key: Option<ApiKey>) -> Self {
        Self::new(self.supervisor.clone(), self.peer.clone(), self.user, key)
    }

    /// Lets the first call that the supervisor lets in settle the peer that has this standing.
    pub(crate) fn settling(mut self, standing: Standing) -> Self {
        self.unsettled = Some(standing);
        self
    }

    /// Whom this session speaks for: address and port.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What this session sees of the PLC.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// The snapshots of the connection that there is now, or is made now; they close with it.
    ///
    /// # Errors
    /// [`CallRefused::Unreachable`].
    pub async fn snapshots(&mut self) -> Result<watch::Receiver<Arc<Snapshot>>, CallRefused> {
        Ok(self.connected().await.map_err(refused)?.snapshots())
    }

    /// Messages of the PLC log, from this id on, at most so many; oldest first.
    ///
    /// # Errors
    /// [`CallRefused::Unreachable`], [`CallRefused::Refused`].
    pub async fn read_log(
        &mut self,
        level: LogLevel,
        from: u32,
        max: u32,
    ) -> Result<Vec<LogMessage>, CallRefused> {
        self.ask(Request::ReadLog { level, from, max }, fitting!(Reply::Log(x) => x)).await
    }

    /// What the configuration says to the WAMP connector.
    ///
    /// # Errors
    /// When it cannot be asked, or does not serve this peer.
    pub async fn wamp_settings(&mut self) -> Result<WampSettings, CallError> {
        self.try_ask(Request::WampSettings, fitting!(Reply::Wamp(x) => *x)).await
    }

    /// Carries out one call.
    ///
    /// # Errors
    /// Every [`CallRefused`]; the session goes on after each of them.
    ///
    /// # Cancel safety
    /// A call that is dropped may still be carried out.
    pub async fn execute(&mut self, call: PlcCall) -> Result<PlcAnswer, CallRefused> {
        let (name, begun) = (call.name(), Instant::now());
        self.has_called = true;
        let result = self.dispatch(call).await;
        let elapsed_ms = begun.elapsed().as_millis();
        match &result {
            Ok(_) => debug!(call = name, peer = %self.peer, elapsed_ms, "call"),
            // Expected in an ordinary conversation, so nothing to report.
            Err(CallRefused::NoIdentity | CallRefused::TokenLost) => {
                debug!(call = name, peer = %self.peer, elapsed_ms, "nothing to tell");
            }
            Err(error) => {
                limited!(info, call = name, peer = %self.peer, %error, elapsed_ms, "{name} of {} refused: {error}", self.peer);
            }
        }
        result
    }

    async fn dispatch(&mut self, call: PlcCall) -> Result<PlcAnswer, CallRefused> {
        match call {
            PlcCall::Identity => self.identity().await,
            PlcCall::Status => match self.snapshot().await {
                Ok(snapshot) => Ok(view::status(&snapshot)),
                // IDEs cannot do without an answer here; nothing is known but that something is broken.
                Err(error) => {
                    limited!(warn, peer = %self.peer, %error, "the PLC's state is not known: {error}");
                    let counts = self.view.last_counts();
                    Ok(PlcAnswer::Status { status: PlcStatus::Broken, counts })
                }
            },
            PlcCall::MatchMd5(text) => Ok(view::matches(&*self.snapshot().await?, &text)),
            PlcCall::CycleStatistics => Ok(PlcAnswer::Cycle(self.cycle_statistics().await)),
            PlcCall::LogMessage { level, id } => self.log_message(level, id).await,
            PlcCall::ResetLog => self.order(Request::ResetLog).await,
            PlcCall::PurgeBlobs => self.purge().await,
            PlcCall::SeedBlob(seed) => self.seed(seed).await,
            PlcCall::AppendChunk { blob, data } => self.append(blob, data).await,
            PlcCall::Install(program) => self.install(program).await,
            PlcCall::InstallFiles(files) => self.install_files(files).await,
            PlcCall::Start => self.order(Request::Start).await,
            PlcCall::Stop => {
                self.order(Request::Stop).await?;
                let status = self.snapshot().await?.status;
                Ok(PlcAnswer::Stopped(status == PlcStatus::Stopped))
            }
            PlcCall::Repair => self.order(Request::Repair).await,
            PlcCall::SetTrace(list) => self.set_trace(list).await,
            PlcCall::ReadTrace { token, max_bytes } => {
                let request = Request::ReadTrace { token, max_bytes };
                let batch = self.ask(request, fitting!(Reply::Trace(x) => x));
                Ok(PlcAnswer::Trace(batch.await?))
            }
            PlcCall::ExtendedCall { method, .. } if method == GET_VERSIONS => {
                Ok(PlcAnswer::Extended(versions().into_bytes()))
            }
            PlcCall::ExtendedCall { .. } => {
                Err(CallRefused::NotOffered("this runtime has no extended call of that name"))
            }
            PlcCall::RemoteExec => {
                Err(CallRefused::NotOffered("this runtime does not execute Python scripts"))
            }
        }
    }

    /// Its own key for who has one; for others the device's, while pairing is open.
    async fn identity(&mut self) -> Result<PlcAnswer, CallRefused> {
        if let Some(key) = self.key.clone() {
            let id = &key.id;
            limited!(info, peer = %self.peer, identity = %id, "the key of {id} is told to {}, who has it", self.peer);
            return Ok(PlcAnswer::Identity(key));
        }
        match self.try_ask(Request::DeviceKey, fitting!(Reply::Key(x) => x)).await {
            Ok(key) => Ok(PlcAnswer::Identity(key)),
            Err(CallError::Api(ApiError::NotAllowed(_))) => Err(CallRefused::NoIdentity),
            Err(error) => Err(refused(error)),
        }
    }

    /// Waits until the supervisor lets this peer in no more, and says why; for ever while one without a key has made no call.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn revoked(&mut self) -> String {
        if self.key.is_none() && self.client.is_none() {
            return std::future::pending().await;
        }
        loop {
            match self.connected().await {
                Ok(client) => {
                    let mut snapshots = client.snapshots();
                    while snapshots.changed().await.is_ok() {}
                }
                Err(CallError::Refused(refusal)) => return refusal.reason,
                Err(_) => sleep(RETRY_PAUSE).await,
            }
        }
    }

    /// Why the supervisor does not let this peer in, if that was its answer. It is asked now where the peer has come with a
    /// key and there is no connection: a peer whose calls leave no time for [`Self::revoked`] does not outlive its key.
    pub async fn refusal(&mut self) -> Option<String> {
        if self.key.is_some() {
            // Only what it says about the peer counts here.
            let _ = self.connected().await;
        }
        self.refusal.as_ref().map(|refusal| refusal.reason.clone())
    }

    async fn purge(&mut self) -> Result<PlcAnswer, CallRefused> {
        self.upload = None;
        self.order(Request::PurgeBlobs).await
    }

    async fn seed(&mut self, seed: Vec<u8>) -> Result<PlcAnswer, CallRefused> {
        at_most("the seed", seed.len(), limits::SEED_BYTES)?;
        self.hand_over().await?;
        let blob = self.blob(Request::SeedBlob { seed: seed.clone() }).await?;
        self.upload = Upload::begin(&seed, blob);
        Ok(PlcAnswer::Blob(blob))
    }

    async fn append(&mut self, blob: BlobId, data: Vec<u8>) -> Result<PlcAnswer, CallRefused> {
        at_most("the chunk", data.len(), limits::CHUNK_BYTES)?;
        let continues = self.upload.as_ref().is_some_and(|upload| upload.is(blob));
        let taken = self.upload.as_mut().and_then(|upload| upload.take(blob, &data));
        if let Some(id) = taken {
            return Ok(PlcAnswer::Blob(id));
        }
        self.hand_over().await?;
        // Now there is room, unless the chunk alone is too long for collecting.
        if let (true, Some(upload)) = (continues, &mut self.upload) {
            if let Some(id) = upload.take(blob, &data) {
                return Ok(PlcAnswer::Blob(id));
            }
            self.upload = None;
        }
        Ok(PlcAnswer::Blob(self.blob(Request::AppendChunk { blob, data }).await?))
    }

    /// Sends the supervisor what has been collected.
    async fn hand_over(&mut self) -> Result<(), CallRefused> {
        let Some((request, expected)) = self.upload.as_mut().and_then(Upload::hand_over) else {
            return Ok(());
        };
        let stored = self.blob(request).await;
        if stored.as_ref() != Ok(&expected) {
            self.upload = None;
        }
        stored.map(drop)
    }

    async fn log_message(&mut self, level: u8, id: u32) -> Result<PlcAnswer, CallRefused> {
        let Some(level) = LogLevel::from_number(level) else {
            return Ok(PlcAnswer::LogMessage(None));
        };
        let messages = self.read_log(level, id, 1).await?;
        // Ids that are gone are passed over, so the first message may be a later one.
        let first = messages.into_iter().next();
        Ok(PlcAnswer::LogMessage(first.filter(|found| found.id == id)))
    }

    /// An IDE asks twice a second and would show a refusal each time, so nobody to ask means nothing to show.
    async fn cycle_statistics(&mut self) -> CycleStatistics {
        let stats = self.ask(Request::Stats, fitting!(Reply::Stats(x) => x)).await;
        match (self.snapshot().await, stats) {
            (Ok(snapshot), Ok(stats)) => CycleStatistics::of(snapshot.status, &stats),
            (Err(error), _) | (_, Err(error)) => {
                debug!(peer = %self.peer, %error, "no statistics of the cycle");
                CycleStatistics::default()
            }
        }
    }

    async fn install(&mut self, program: Program) -> Result<PlcAnswer, CallRefused> {
        let bad = |error: &dyn std::fmt::Display| CallRefused::BadRequest(error.to_string());
        let md5 = ProgramMd5::new(&program.md5).map_err(|error| bad(&error))?;
        few_enough(program.extra_files.len())?;
        let extra_files = program
            .extra_files
            .into_iter()
            .map(|(name, blob)| {
                let name = FileName::new(&name).map_err(|error| bad(&error))?;
                Ok(ExtraFile { name, blob })
            })
            .collect::<Result<_, CallRefused>>()?;
        self.hand_over().await?;
        let request = Request::Install(InstallRequest {
            md5,
            library: program.library,
            extra_files,
            when_running: WhenRunning::Refuse,
        });
        self.ask(request, fitting!(Reply::Installed { .. } => PlcAnswer::Done)).await
    }

    /// Makes blobs of the files, then installs as if the IDE had sent blobs.
    async fn install_files(&mut self, files: ProgramFiles) -> Result<PlcAnswer, CallRefused> {
        let ProgramFiles { md5, library, extra_files } = files;
        // Before anything is stored.
        few_enough(extra_files.len())?;
        self.purge().await?;
        let library = self.store(0, library).await?;
        let mut stored = Vec::with_capacity(extra_files.len());
        for (index, (name, data)) in extra_files.into_iter().enumerate() {
            stored.push((name, self.store(index + 1, data).await?));
        }
        self.install(Program { md5, library, extra_files: stored }).await
    }

    /// Makes a blob of one file. Its seed is its number, so that no two have the same id.
    async fn store(&mut self, number: usize, data: Vec<u8>) -> Result<BlobId, CallRefused> {
        let seed = number.to_le_bytes().to_vec();
        let mut blob = self.blob(Request::SeedBlob { seed }).await?;
        for chunk in data.chunks(limits::CHUNK_BYTES) {
            let data = chunk.to_vec();
            blob = self.blob(Request::AppendChunk { blob, data }).await?;
        }
        Ok(blob)
    }

    async fn set_trace(&mut self, list: Vec<TraceVariable>) -> Result<PlcAnswer, CallRefused> {
        if list.len() > limits::TRACE_VARIABLES {
            return Err(CallRefused::Trace(TraceRefusal::TooManyTraced));
        }
        let too_long = |variable: &TraceVariable| {
            let force = variable.force.as_ref();
            force.is_some_and(|bytes| bytes.len() > limits::FORCE_BYTES)
        };
        if list.iter().any(too_long) {
            return Err(CallRefused::Trace(TraceRefusal::ForceSize));
        }
        // An empty list is one too: it takes debugging over and ends what was forced. The reference runtime answers -5,
        // at which IDEs stop polling; of a token they make the same, and who polls with it is answered, while -5 sent back
        // as a token is an error inside the IDE.
        let request = Request::SetTrace(list);
        self.ask(request, fitting!(Reply::Token(x) => PlcAnswer::Token(x))).await
    }

    async fn order(&mut self, request: Request) -> Result<PlcAnswer, CallRefused> {
        self.ask(request, fitting!(Reply::Done => PlcAnswer::Done)).await
    }

    async fn blob(&mut self, request: Request) -> Result<BlobId, CallRefused> {
        self.ask(request, fitting!(Reply::Blob(x) => x)).await
    }

    async fn snapshot(&mut self) -> Result<Arc<Snapshot>, CallRefused> {
        Ok(self.connected().await.map_err(refused)?.snapshot())
    }

    /// Asks, and takes out of the reply what `pick` is waiting for.
    async fn ask<T>(
        &mut self,
        request: Request,
        pick: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, CallRefused> {
        self.try_ask(request, pick).await.map_err(refused)
    }

    async fn try_ask<T>(
        &mut self,
        request: Request,
        pick: impl FnOnce(Reply) -> Option<T>,
    ) -> Result<T, CallError> {
        let client = self.connected().await?;
        let error = match timeout(CALL_DEADLINE, client.call(request)).await {
            Ok(Ok(reply)) => match pick(reply) {
                Some(answer) => return Ok(answer),
                // Nothing on that connection can be trusted any more.
                None => lost("its answer does not fit the question"),
            },
            Ok(Err(error @ CallError::Api(_))) => return Err(error),
            Ok(Err(error)) => error,
            Err(_) => lost("it does not answer"),
        };
        self.client = None;
        self.upload = None;
        Err(error)
    }

    /// The live connection, made now if there is none.
    async fn connected(&mut self) -> Result<&Client, CallError> {
        let client = match self.client.take().filter(is_alive) {
            Some(client) => client,
            None => {
                // The new connection knows nothing of blobs.
                self.upload = None;
                let client = self.connect().await?;
                self.view.look_at(client.snapshots());
                client
            }
        };
        if let Some(standing) = self.unsettled.take_if(|_| self.has_called) {
            standing.settle();
        }
        Ok(self.client.insert(client))
    }

    async fn connect(&mut self) -> Result<Client, CallError> {
        if self.no_attempt_before.is_some_and(|t| Instant::now() < t) {
            let refusal = self.refusal.clone();
            return Err(refusal.map_or_else(|| lost("tried a moment ago"), CallError::from));
        }
        self.refusal = None;
        let give_up = Instant::now() + RECONNECT_PATIENCE;
        let Supervisor { socket, connector } = &*self.supervisor;
        let error = loop {
            let key = self.key.as_ref();
            let attempt = Client::connect_for(socket, connector, &self.peer, self.user, key);
            match timeout(limits::HELLO_DEADLINE, attempt).await {
                Ok(Ok(client)) => {
                    debug!(peer = %self.peer, release = client.release(), "connected to the supervisor");
                    self.no_attempt_before = None;
                    return Ok(client);
                }
                Ok(Err(CallError::Lost(source))) if Instant::now() >= give_up => {
                    break lost(&format!("{} ({source})", socket.display()));
                }
                Ok(Err(CallError::Lost(_))) => sleep(RECONNECT_PAUSE).await,
                // It is there, and its word counts.
                Ok(Err(CallError::Refused(refusal))) => {
                    self.refusal = Some(refusal.clone());
                    break refusal.into();
                }
                Ok(Err(error)) => break error,
                Err(_) => break lost("it does not answer the greeting"),
            }
        };
        self.no_attempt_before = Some(Instant::now() + RETRY_PAUSE);
        Err(error)
    }
}

/// The kernel and this runtime, with their releases. The reference runtime names the kernel alone.
fn versions() -> String {
    let system = rustix::system::uname();
    // A kernel's builder chooses it; it has less than 65 bytes.
    let kernel = system.release().to_string_lossy();
    let kernel: String = kernel.chars().filter(char::is_ascii_graphic).collect();
    format!("Linux {kernel}, plc-runtime {RELEASE}")
}

fn lost(how: &str) -> CallError {
    CallError::Lost(io::Error::other(how.to_owned()))
}

/// What an error means to the IDE.
fn refused(error: CallError) -> CallRefused {
    match error {
        CallError::Api(error) => error.into(),
        CallError::Lost(source) => CallRefused::Unreachable(source.to_string()),
        error @ (CallError::Refused(_) | CallError::Malformed(_)) => {
            CallRefused::Unreachable(error.to_string())
        }
    }
}

fn is_alive(client: &Client) -> bool {
    view::is_live(&client.snapshots())
}

fn few_enough(extra_files: usize) -> Result<(), CallRefused> {
    if extra_files <= limits::EXTRA_FILES {
        return Ok(());
    }
    Err(CallRefused::BadRequest(format!("{extra_files} extra files are too many")))
}

fn at_most(what: &str, length: usize, limit: usize) -> Result<(), CallRefused> {
    if length <= limit {
        return Ok(());
    }
    let text = format!("{what} of {length} bytes is over the limit of {limit}");
    Err(CallRefused::BadRequest(text))
}
