// SPDX-License-Identifier: MIT OR Apache-2.0
//! One conversation with the supervisor, its errors told in an operator's words.

use std::{
    env, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use plc_api::{
    client::{CallError, Client},
    limits,
    message::{Reply, Request},
    plc::Snapshot,
};
use tokio::{sync::watch, time::timeout};

use crate::failure::Failure;

/// An open connection and the socket it goes through.
#[derive(Debug)]
pub(crate) struct Session {
    client: Client,
    socket: PathBuf,
}

impl Session {
    /// Connects and greets.
    pub(crate) async fn open(socket: &Path) -> Result<Self, Failure> {
        let user = env::var("USER").unwrap_or_else(|_| {
            let uid = rustix::process::getuid().as_raw();
            format!("uid {uid}")
        });
        let connecting = Client::connect(socket, "plcctl", &user, "");
        let client = match timeout(limits::HELLO_DEADLINE, connecting).await {
            Ok(result) => result,
            Err(_) => Err(CallError::Lost(io::ErrorKind::TimedOut.into())),
        }
        .map_err(|error| Failure::of_call(error, socket))?;
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

/// The runtime answered, but not to what was asked.
pub(crate) fn unexpected() -> Failure {
    Failure::Failed("the runtime's answer does not fit the question; is it another release?".into())
}
