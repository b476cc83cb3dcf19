// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be asked of the supervisor, whatever door the question came through: the API sockets and D-Bus call
//! the same functions. Who may ask is decided before, by `access.rs`.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use plc_api::{
    limits,
    log::LogLevel,
    message::{ApiError, ConnectorSettings, InstallRequest, Reply, WhenRunning},
    plc::{ConnectionInfo, PlcStatus, Snapshot, Stats},
    trace::{TraceRefusal, TraceVariable},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    driver::{self, Command},
    gauge::Gauge,
    keys::KeyRing,
    program::{
        blobs::{BlobError, Blobs, TransferArea},
        parcel::ParcelError,
        store::{StageError, Store},
    },
    state::{CommandError, Done, IS_RUNNING},
    trace::Read,
    wamp::Wamp,
    worker_link::Sinks,
};

/// How long the program may take to accept a trace list.
const TRACE_DEADLINE: Duration = Duration::from_secs(5);

/// What all doors share.
#[derive(Debug)]
pub(crate) struct Services {
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
    /// Keys, and pairing.
    pub keys: Arc<KeyRing>,
    /// What the configuration says to connectors.
    pub settings: watch::Receiver<ConnectorSettings>,
    /// What the WAMP connector is told, and its link.
    pub wamp: Arc<Wamp>,
}

impl Services {
    /// The snapshot now.
    #[must_use]
    pub(crate) fn now(&self) -> Arc<Snapshot> {
        self.sinks.published.get()
    }

    /// The figures now.
    #[must_use]
    pub(crate) fn stats(&self) -> Stats {
        let (trace_samples, trace_dropped, time_bytes) = {
            let trace = lock(&self.sinks.trace);
            let (samples, dropped) = trace.totals();
            (samples, dropped, trace.time_bytes())
        };
        let gauge = lock(&self.gauge);
        let (period_ns, measured_period_ns) = gauge.periods_ns();
        Stats {
            ticks: gauge.ticks(),
            period_ns,
            time_bytes,
            measured_period_ns,
            cycle_cpu_us: gauge.cpu(),
            cycle_run_ns: gauge.run_ns(),
            trace_samples,
            trace_dropped,
            connections: self.connections.list(),
        }
    }

    /// Puts a command through the driver's queue and waits for its end.
    ///
    /// # Errors
    /// [`ApiError::Refused`]: not in this state, or the supervisor ends; [`ApiError::Failed`]: it was tried.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, ApiError> {
        match self.ask(|reply| driver::Request::Command(command, reply)).await? {
            Ok(Done::AsWanted) => Ok(Reply::Done),
            Ok(Done::Installed(program)) => Ok(Reply::Installed { program_id: program.id }),
            Err(CommandError::Refused(reason)) => Err(ApiError::Refused(reason)),
            Err(CommandError::Failed(reason)) => Err(ApiError::Failed(reason)),
        }
    }

    /// Reads the configuration again, looks at the key files, and for a newer supervisor.
    ///
    /// # Errors
    /// [`ApiError::Failed`] with file and key; then nothing has changed. [`ApiError::Refused`]: the supervisor ends.
    pub(crate) async fn reload(&self) -> Result<Reply, ApiError> {
        self.keys.refresh().await;
        let reloaded = self.ask(driver::Request::Reload).await?;
        reloaded.map(|()| Reply::Done).map_err(ApiError::Failed)
    }

    /// What the WAMP connector is to do now.
    ///
    /// # Errors
    /// [`ApiError::Failed`]: reading the files ended in a defect of ours.
    pub(crate) async fn wamp_settings(&self) -> Result<Reply, ApiError> {
        let wamp = self.wamp.clone();
        let settings = tokio::task::spawn_blocking(move || wamp.settings()).await;
        settings
            .map(|settings| Reply::Wamp(Box::new(settings)))
            .map_err(|error| ApiError::Failed(error.to_string()))
    }

    /// Installs a program from the blobs of one transfer, and empties it when that is done.
    ///
    /// # Errors
    /// [`ApiError`] but for [`ApiError::NotAllowed`] and those of tracing.
    pub(crate) async fn install(
        &self,
        request: InstallRequest,
        transfer: &mut Transfer,
    ) -> Result<Reply, ApiError> {
        let installed = self.stage_and_commit(request, transfer).await;
        installed.inspect_err(|error| self.tell_refusal(error))
    }

    async fn stage_and_commit(
        &self,
        request: InstallRequest,
        transfer: &mut Transfer,
    ) -> Result<Reply, ApiError> {
        let when_running = request.when_running;
        self.may_install(when_running)?;
        let store = self.store.clone();
        let program = transfer.on_disk(move |blobs| store.stage(&request, blobs)).await??;
        let reply = self.command(Command::Install(program, when_running)).await;
        if reply.is_ok() {
            transfer.blobs()?.purge();
        }
        reply
    }

    /// Whether an installation has a chance. The machine decides; asking first only saves the disk the work.
    ///
    /// # Errors
    /// [`ApiError::Refused`]: a program runs and is not to be stopped.
    pub(crate) fn may_install(&self, when_running: WhenRunning) -> Result<(), ApiError> {
        let running = self.now().status == PlcStatus::Started;
        if running && when_running == WhenRunning::Refuse {
            return Err(ApiError::Refused(IS_RUNNING.into()));
        }
        Ok(())
    }

    /// An IDE shows of a refused installation only that there was one; the reason is in the log that it shows.
    fn tell_refusal(&self, error: &ApiError) {
        // What failed was told by the driver.
        if !matches!(error, ApiError::Failed(_)) {
            let text = format!("the program was not installed: {error}");
            self.sinks.journal.own(LogLevel::Warning, &text);
            self.sinks.published.log_counts(self.sinks.journal.counts());
        }
    }

    /// Empties the PLC log.
    pub(crate) fn reset_log(&self) {
        self.sinks.journal.reset();
        self.sinks.published.log_counts(self.sinks.journal.counts());
    }

    /// Sets the trace list of this connection and takes the debug token.
    ///
    /// # Errors
    /// [`ApiError::Trace`]: too many variables, too long a value, what the program says, or none runs.
    pub(crate) async fn set_trace(
        &self,
        list: Vec<TraceVariable>,
        owner: u64,
    ) -> Result<Reply, ApiError> {
        let too_large = |entry: &TraceVariable| {
            entry.force.as_ref().is_some_and(|force| force.len() > limits::FORCE_BYTES)
        };
        if list.len() > limits::TRACE_VARIABLES {
            return Err(ApiError::Trace(TraceRefusal::TooManyTraced));
        }
        if list.iter().any(too_large) {
            return Err(ApiError::Trace(TraceRefusal::ForceSize));
        }
        let asked = self.ask(|reply| driver::Request::SetTrace { list, owner, reply });
        match timeout(TRACE_DEADLINE, asked).await {
            Ok(Ok(result)) => result.map(Reply::Token).map_err(ApiError::Trace),
            Ok(Err(_)) | Err(_) => Err(ApiError::Trace(TraceRefusal::NotPossible)),
        }
    }

    /// Ends the tracing and forcing of a connection that is gone, unless another one has set a list since.
    pub(crate) async fn release_trace(&self, owner: u64) {
        // If the driver is gone the program is too.
        let _ = self.driver.send(driver::Request::ReleaseTrace(owner)).await;
    }

    /// Takes the collected samples.
    ///
    /// # Errors
    /// [`ApiError::TokenLost`]: another client has set a list since, or another program is installed.
    pub(crate) async fn read_trace(
        &self,
        token: Option<u32>,
        max_bytes: u32,
    ) -> Result<Reply, ApiError> {
        let status = self.now().status;
        let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX);
        let read = lock(&self.sinks.trace).read(token, max_bytes, status, Instant::now());
        match read {
            Read::Batch(batch) => Ok(Reply::Trace(batch)),
            Read::Resume(batch) => {
                // If the driver is gone there is nothing left to resume.
                let _ = self.driver.send(driver::Request::ResumeTrace).await;
                Ok(Reply::Trace(batch))
            }
            Read::TokenLost => Err(ApiError::TokenLost),
        }
    }

    /// Asks the driver and waits for its answer.
    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> driver::Request,
    ) -> Result<T, ApiError> {
        let ending = || ApiError::Refused("the runtime is shutting down".into());
        let (reply, wait) = oneshot::channel();
        self.driver.send(request(reply)).await.map_err(|_| ending())?;
        wait.await.map_err(|_| ending())
    }
}

/// The blobs of one client, lent to blocking tasks.
#[derive(Debug)]
pub(crate) struct Transfer {
    /// Absent while a blocking task has them.
    blobs: Option<Blobs>,
}

impl Transfer {
    /// Without blobs.
    #[must_use]
    pub(crate) fn new(area: &Arc<TransferArea>) -> Self {
        Self { blobs: Some(Blobs::new(area.clone())) }
    }

    /// The blobs.
    ///
    /// # Errors
    /// They were lost with a task that failed.
    pub(crate) fn blobs(&mut self) -> Result<&mut Blobs, ApiError> {
        self.blobs.as_mut().ok_or_else(lost_blobs)
    }

    /// Does what may wait for the disk where it holds up nobody else.
    ///
    /// # Errors
    /// As [`Self::blobs`].
    pub(crate) async fn on_disk<T: Send + 'static>(
        &mut self,
        act: impl FnOnce(&mut Blobs) -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let mut blobs = self.blobs.take().ok_or_else(lost_blobs)?;
        let busy = blobs.busy();
        let done = tokio::task::spawn_blocking(move || {
            let _busy = busy;
            let result = act(&mut blobs);
            (blobs, result)
        });
        let (blobs, result) = done.await.map_err(|_| lost_blobs())?;
        self.blobs = Some(blobs);
        Ok(result)
    }
}

/// The list of connected clients.
#[derive(Debug)]
pub(crate) struct Connections {
    room: Arc<Semaphore>,
    list: watch::Sender<(u64, BTreeMap<u64, ConnectionInfo>)>,
}

impl Default for Connections {
    fn default() -> Self {
        let room = Arc::new(Semaphore::new(limits::API_CONNECTIONS));
        Self { room, list: watch::Sender::default() }
    }
}

impl Connections {
    /// Room for one more, unless there are too many.
    #[must_use]
    pub(crate) fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.room.clone().try_acquire_owned().ok()
    }

    /// Adds a client; the number is for [`Self::leave`].
    pub(crate) fn enter(&self, info: ConnectionInfo) -> u64 {
        let mut id = 0;
        self.list.send_modify(|list| {
            list.0 += 1;
            id = list.0;
            list.1.insert(id, info);
        });
        id
    }

    /// Removes a client.
    pub(crate) fn leave(&self, id: u64) {
        self.list.send_modify(|list| {
            list.1.remove(&id);
        });
    }

    /// All of them.
    #[must_use]
    pub(crate) fn list(&self) -> Vec<ConnectionInfo> {
        self.list.borrow().1.values().cloned().collect()
    }

    /// Wakes whenever somebody comes or goes.
    #[must_use]
    pub(crate) fn subscribe(&self) -> watch::Receiver<impl Sized + use<>> {
        self.list.subscribe()
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

impl From<ParcelError> for ApiError {
    fn from(error: ParcelError) -> Self {
        match error {
            ParcelError::Blob(error) => error.into(),
            // What the caller opened and cannot be read is the caller's to change, as well.
            ParcelError::Bad(_) | ParcelError::Read(..) => Self::BadRequest(error.to_string()),
        }
    }
}

fn lost_blobs() -> ApiError {
    ApiError::Failed("the transfer was lost; send the program again".into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transfer_that_is_worked_on_is_never_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let area = TransferArea::open(&dir.path().join("transfer")).unwrap();
        let mut transfer = Transfer::new(&area);
        let seen = area.clone();
        let work = move |_: &mut Blobs| {
            let begin = Instant::now();
            assert!(seen.touched().is_some_and(|touched| touched >= begin));
            Instant::now()
        };
        let end = transfer.on_disk(work).await.unwrap();
        let touched = area.touched().unwrap();
        assert!(touched >= end, "the silence begins when the work is done");
        assert_eq!(area.touched(), Some(touched));
    }
}
