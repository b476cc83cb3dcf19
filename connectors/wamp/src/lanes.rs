// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carrying out the calls of one WebSocket peer: many at once, bounded, and none that need not wait behind one that
//! must.
//!
//! Two lanes, each a task with an API connection of its own: one for *orders* and all that belongs to them (transfers,
//! start, stop, the trace list), in the order in which they came, and one for what is only *read* (log messages, trace
//! samples). Status and md5 go through neither while there is a connection: they are answered at once, from what the
//! orders' connection has seen last. So a status is told while a start hangs, and is never older than the answer to that
//! start.

mod reader;

use std::sync::Arc;

use plc_connector::{
    call::{CallRefused, PlcAnswer, PlcCall},
    ide::{answer::Outcome, method::Method},
    session::{Session, Supervisor},
    view::View,
};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, OwnedPermit},
    },
    task::JoinSet,
};

pub use reader::{Reader, Snapshots};

/// Calls of one peer that may be in flight.
pub const CALLS_IN_FLIGHT: usize = 64;

/// Bytes of arguments that may wait: a few chunks, of which an IDE sends one after the other, of several IDEs.
pub const WAITING_BYTES: usize = 8 << 20;

/// A call to carry out.
#[derive(Debug)]
pub struct Asked {
    /// Comes back with the outcome.
    pub ticket: u64,
    /// What was called.
    pub method: Method,
    /// What that means, or why it means nothing.
    pub call: Result<PlcCall, CallRefused>,
}

/// What came of a call.
#[derive(Debug)]
pub struct Finished {
    /// From [`Asked`].
    pub ticket: u64,
    /// What was called.
    pub method: Method,
    /// The answer.
    pub outcome: Outcome,
}

/// The peer has as many calls in flight as it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many calls are under way; wait for their answers")]
pub struct Busy;

/// The lanes of one peer. Calls that wait are forgotten with it; one that the supervisor has received is carried out.
#[derive(Debug)]
pub struct Lanes {
    orders: mpsc::Sender<Job>,
    reader: Reader,
    /// Of the orders' session.
    view: View,
    finished: mpsc::Sender<Finished>,
    room: Arc<Semaphore>,
    _tasks: JoinSet<()>,
}

/// A call in its lane.
#[derive(Debug)]
struct Job {
    call: PlcCall,
    place: Place,
    /// What its arguments take up.
    _room: OwnedSemaphorePermit,
}

/// Where the outcome of a call goes. Nobody else can take it, so a lane never waits for a peer that does not read.
#[derive(Debug)]
struct Place {
    ticket: u64,
    method: Method,
    permit: OwnedPermit<Finished>,
}

impl Place {
    fn finish(self, result: Result<PlcAnswer, CallRefused>) {
        let Self { ticket, method, permit } = self;
        permit.send(Finished { ticket, method, outcome: Outcome::of(method, result) });
    }
}

impl Lanes {
    /// Lanes for the peer at `peer`, a process of `user` if that is on this machine. Nothing is connected yet.
    ///
    /// The receiver yields every outcome, in the order in which the calls were finished.
    #[must_use]
    pub fn new(
        supervisor: Arc<Supervisor>,
        peer: String,
        user: Option<u32>,
    ) -> (Self, mpsc::Receiver<Finished>) {
        let orders = Session::new(supervisor.clone(), peer.clone(), user, None);
        Self::of(orders, Session::new(supervisor, peer, user, None))
    }

    /// Lanes that use these two sessions of one peer.
    #[must_use]
    pub fn of(orders: Session, reads: Session) -> (Self, mpsc::Receiver<Finished>) {
        let (finished, outcomes) = mpsc::channel(CALLS_IN_FLIGHT);
        let mut tasks = JoinSet::new();
        let reader = Reader::begin(reads, &mut tasks);
        let view = orders.view();
        let (queue, jobs) = mpsc::channel(CALLS_IN_FLIGHT);
        tasks.spawn(lane(orders, jobs));
        let room = Arc::new(Semaphore::new(WAITING_BYTES));
        let lanes = Self { orders: queue, reader, view, finished, room, _tasks: tasks };
        (lanes, outcomes)
    }

    /// Has a call carried out.
    ///
    /// # Errors
    /// [`Busy`] with [`CALLS_IN_FLIGHT`] calls whose outcome was not received yet, or [`WAITING_BYTES`] of arguments.
    pub fn submit(&self, asked: Asked) -> Result<(), Busy> {
        let Asked { ticket, method, call } = asked;
        let permit = self.finished.clone().try_reserve_owned().map_err(|_| Busy)?;
        let place = Place { ticket, method, permit };
        let call = match call {
            Ok(call) => call,
            Err(refused) => {
                place.finish(Err(refused));
                return Ok(());
            }
        };
        if let Some(answer) = self.view.answer(&call) {
            place.finish(Ok(answer));
            return Ok(());
        }
        let bytes = u32::try_from(weight(&call)).map_err(|_| Busy)?;
        let room = self.room.clone().try_acquire_many_owned(bytes).map_err(|_| Busy)?;
        let is_order = is_order(&call);
        let job = Job { call, place, _room: room };
        if is_order {
            self.orders.try_send(job).map_err(|_| Busy)
        } else {
            self.reader.execute(job)
        }
    }

    /// What there is to read for others than the peer, through the lane of what is only read.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }
}

/// Carries out one call after the other.
async fn lane(mut session: Session, mut jobs: mpsc::Receiver<Job>) {
    while let Some(job) = jobs.recv().await {
        execute(&mut session, job).await;
    }
}

async fn execute(session: &mut Session, job: Job) {
    let result = session.execute(job.call).await;
    job.place.finish(result);
}

/// Whether a call changes something, or has to be seen after what does.
const fn is_order(call: &PlcCall) -> bool {
    match call {
        PlcCall::Identity
        | PlcCall::CycleStatistics
        | PlcCall::LogMessage { .. }
        | PlcCall::ReadTrace { .. }
        | PlcCall::ExtendedCall { .. } => false,
        PlcCall::Status
        | PlcCall::MatchMd5(_)
        | PlcCall::ResetLog
        | PlcCall::PurgeBlobs
        | PlcCall::SeedBlob(_)
        | PlcCall::AppendChunk { .. }
        | PlcCall::Install(_)
        | PlcCall::InstallFiles(_)
        | PlcCall::Start
        | PlcCall::Stop
        | PlcCall::Repair
        | PlcCall::SetTrace(_)
        | PlcCall::RemoteExec => true,
    }
}

/// Bytes that a call takes up while it waits.
fn weight(call: &PlcCall) -> usize {
    let more = match call {
        PlcCall::MatchMd5(text) => text.len(),
        PlcCall::SeedBlob(data) | PlcCall::AppendChunk { data, .. } => data.len(),
        PlcCall::Install(program) => {
            let names = program.extra_files.iter();
            names.map(|(name, blob)| name.len() + size_of_val(blob)).sum()
        }
        PlcCall::InstallFiles(files) => {
            let contents = files.extra_files.iter().map(|(name, data)| name.len() + data.len());
            files.library.len() + contents.sum::<usize>()
        }
        PlcCall::ExtendedCall { method, argument } => method.len() + argument.len(),
        PlcCall::SetTrace(list) => {
            let forced = list.iter().filter_map(|variable| variable.force.as_ref());
            size_of_val(list.as_slice()) + forced.map(|bytes| bytes.len()).sum::<usize>()
        }
        PlcCall::Identity
        | PlcCall::Status
        | PlcCall::CycleStatistics
        | PlcCall::LogMessage { .. }
        | PlcCall::ResetLog
        | PlcCall::PurgeBlobs
        | PlcCall::Start
        | PlcCall::Stop
        | PlcCall::Repair
        | PlcCall::ReadTrace { .. }
        | PlcCall::RemoteExec => 0,
    };
    size_of::<PlcCall>() + more
}
