// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lane of what is only read: one API connection for a peer's questions and for what we tell it unasked.

use std::sync::Arc;

use plc_connector::{
    api::{
        client::CallError,
        log::{LogLevel, LogMessage},
        plc::Snapshot,
        wamp::WampSettings,
    },
    call::CallRefused,
    session::Session,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

use super::{Busy, CALLS_IN_FLIGHT, Job, execute};

/// The snapshots of an API connection; they close with it.
pub type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// Room for our own questions besides the peer's calls; each of the few who ask has one at a time.
const OWN_QUESTIONS: usize = 4;

/// Asks through that lane. Clones use the same.
#[derive(Clone, Debug)]
pub struct Reader {
    jobs: mpsc::Sender<Question>,
}

#[derive(Debug)]
enum Question {
    Call(Job),
    Snapshots(oneshot::Sender<Result<Snapshots, CallRefused>>),
    Log {
        level: LogLevel,
        from: u32,
        max: u32,
        reply: oneshot::Sender<Result<Vec<LogMessage>, CallRefused>>,
    },
    Settings(oneshot::Sender<Result<WampSettings, CallError>>),
}

impl Reader {
    /// A lane for this session; it ends with `tasks`.
    pub(crate) fn begin(session: Session, tasks: &mut JoinSet<()>) -> Self {
        let (jobs, questions) = mpsc::channel(CALLS_IN_FLIGHT + OWN_QUESTIONS);
        tasks.spawn(lane(session, questions));
        Self { jobs }
    }

    /// The snapshots of the connection that there is now, or is made now.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn snapshots(&self) -> Result<Snapshots, CallRefused> {
        self.ask(Question::Snapshots).await.unwrap_or_else(|| Err(over()))
    }

    /// Messages of the PLC log, from this id on, at most so many; oldest first.
    ///
    /// # Errors
    /// When the supervisor cannot be asked.
    pub async fn log(
        &self,
        level: LogLevel,
        from: u32,
        max: u32,
    ) -> Result<Vec<LogMessage>, CallRefused> {
        let messages = self.ask(|reply| Question::Log { level, from, max, reply }).await;
        messages.unwrap_or_else(|| Err(over()))
    }

    /// What the configuration says to this connector.
    ///
    /// # Errors
    /// When the supervisor cannot be asked, or does not serve the peer.
    pub async fn settings(&self) -> Result<WampSettings, CallError> {
        let lost = || CallError::Lost(std::io::Error::other("the lane has ended"));
        self.ask(Question::Settings).await.unwrap_or_else(|| Err(lost()))
    }

    pub(super) fn execute(&self, job: Job) -> Result<(), Busy> {
        self.jobs.try_send(Question::Call(job)).map_err(|_| Busy)
    }

    async fn ask<T>(&self, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.jobs.send(question(reply)).await.ok()?;
        answer.await.ok()
    }
}

fn over() -> CallRefused {
    CallRefused::Unreachable("the lane has ended".to_owned())
}

async fn lane(mut session: Session, mut questions: mpsc::Receiver<Question>) {
    while let Some(question) = questions.recv().await {
        // Whoever asked may have gone; then nobody wants the answer.
        match question {
            Question::Call(job) => execute(&mut session, job).await,
            Question::Snapshots(reply) => drop(reply.send(session.snapshots().await)),
            Question::Log { level, from, max, reply } => {
                drop(reply.send(session.read_log(level, from, max).await));
            }
            Question::Settings(reply) => drop(reply.send(session.wamp_settings().await)),
        }
    }
}
