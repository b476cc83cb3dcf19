// SPDX-License-Identifier: MIT OR Apache-2.0
//! One conversation with the supervisor, its errors told in an operator's words.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use plc_api::{
    client::{CallError, Client},
    limits,
    message::{Reply, Request},
    paths::HANDOVER_FILE,
    plc::Snapshot,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{failure::Failure, user};

/// How long a newer supervisor may take to appear.
const CHANGE: Duration = Duration::from_secs(5);
/// How often it is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// An open connection and the socket it goes through.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    socket: PathBuf,
}

impl Session {
    /// Connects and greets.
    pub(crate) async fn open(socket: &Path) -> Result<Self, Failure> {
        let mut connected = connect(socket).await;
        if matches!(connected, Err(CallError::Lost(_))) && is_changing(socket) {
            let give_up = Instant::now() + CHANGE;
            while matches!(connected, Err(CallError::Lost(_))) && Instant::now() < give_up {
                sleep(LOOK_AGAIN).await;
                connected = connect(socket).await;
            }
        }
        let client = connected.map_err(|error| Failure::of_call(error, socket))?;
        Ok(Self { client, socket: socket.to_owned() })
    }

    /// Asks and waits for the answer, however long the supervisor's own deadlines let it take.
    pub(crate) async fn call(&self, request: Request) -> Result<Reply, Failure> {
        self.ask(request).await.map_err(|error| Failure::of_call(error, &self.socket))
    }

    /// Like [`Session::call`], for callers that decide by the error.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply, CallError> {
        self.client.call(request).await
    }

    /// What an error of [`Session::ask`] means.
    pub(crate) fn failure(&self, error: CallError) -> Failure {
        Failure::of_call(error, &self.socket)
    }

    /// The newest snapshot; a change is in it before the reply to the call that caused it.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.client.snapshot()
    }

    /// Every later snapshot.
    pub(crate) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.client.snapshots()
    }

    /// Waits for the next snapshot.
    pub(crate) async fn changed(
        &self,
        snapshots: &mut watch::Receiver<Arc<Snapshot>>,
    ) -> Result<Arc<Snapshot>, Failure> {
        if snapshots.changed().await.is_err() {
            let ended = io::Error::new(io::ErrorKind::ConnectionAborted, "the runtime ended");
            return Err(self.failure(CallError::Lost(ended)));
        }
        Ok(snapshots.borrow_and_update().clone())
    }
}

async fn connect(socket: &Path) -> Result<Client, CallError> {
    let user = user::name();
    let connecting = Client::connect(socket, "plcctl", &user, None);
    match timeout(limits::HELLO_DEADLINE, connecting).await {
        Ok(result) => result,
        Err(_) => Err(CallError::Lost(io::ErrorKind::TimedOut.into())),
    }
}

/// Whether one supervisor has just made way for a newer one.
fn is_changing(socket: &Path) -> bool {
    socket.with_file_name(HANDOVER_FILE).exists()
}

/// The runtime answered, but not to what was asked.
pub(crate) fn unexpected() -> Failure {
    Failure::Failed("the runtime's answer does not fit the question; is it another release?".into())
}
