// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor for tests: speaks the API on a socket, answers as the test says, and tells what it was asked.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use plc_connector::api::{
    API_VERSION, RELEASE,
    client::{CallError, read_frame, write_frame},
    message::{
        ApiError, ClientMessage, ConnectorSettings, Hello, HelloReply, Refusal, Reply, Request,
        ServerMessage, Welcome,
    },
    plc::Snapshot,
};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinSet,
};

type Answer = dyn Fn(&Request, &mut Snapshot) -> Result<Reply, ApiError> + Send + Sync;

/// The supervisor; its socket goes with it.
pub(crate) struct Stub {
    dir: TempDir,
    seen: Arc<Seen>,
    answer: Arc<Answer>,
    tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    hellos: Mutex<Vec<Hello>>,
    requests: Mutex<Vec<Request>>,
    snapshot: Mutex<Snapshot>,
    refusal: Mutex<Option<Refusal>>,
}

impl Stub {
    /// Begins to serve. `answer` gets each request, and may change the snapshot, which is sent before the reply.
    pub(crate) fn new(
        answer: impl Fn(&Request, &mut Snapshot) -> Result<Reply, ApiError> + Send + Sync + 'static,
    ) -> Self {
        let mut stub = Self {
            dir: TempDir::new().unwrap(),
            seen: Arc::default(),
            answer: Arc::new(answer),
            tasks: JoinSet::new(),
        };
        stub.serve();
        stub
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("api.sock")
    }

    /// How the clients introduced themselves.
    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.seen.hellos.lock().unwrap().clone()
    }

    /// What it was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// From now on lets nobody in, and sends away who is there.
    pub(crate) async fn refuse(&mut self, reason: &str) {
        *self.seen.refusal.lock().unwrap() = Some(Refusal { reason: reason.to_owned() });
        self.die().await;
        self.serve();
    }

    /// Dies: the socket and all connections close.
    pub(crate) async fn die(&mut self) {
        self.tasks.shutdown().await;
        std::fs::remove_file(self.socket()).unwrap();
    }

    /// Serves (again).
    pub(crate) fn serve(&mut self) {
        let listener = UnixListener::bind(self.socket()).unwrap();
        let (seen, answer) = (self.seen.clone(), self.answer.clone());
        self.tasks.spawn(async move {
            let mut clients = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer) = (seen.clone(), answer.clone());
                // A client that leaves is no failure.
                clients.spawn(async move { talk(stream, &seen, &*answer).await.ok() });
            }
        });
    }
}

async fn talk(mut stream: UnixStream, seen: &Seen, answer: &Answer) -> Result<(), CallError> {
    let hello = read_frame(&mut stream).await?;
    seen.hellos.lock().unwrap().push(hello);
    let refusal = seen.refusal.lock().unwrap().clone();
    if let Some(refusal) = refusal {
        return write_frame(&mut stream, &HelloReply::Refused(refusal)).await;
    }
    let welcome = HelloReply::Welcome(Welcome {
        api_version: API_VERSION,
        release: RELEASE.to_owned(),
        settings: ConnectorSettings::default(),
    });
    write_frame(&mut stream, &welcome).await?;
    let publish = || ServerMessage::Snapshot(Box::new(seen.snapshot.lock().unwrap().clone()));
    write_frame(&mut stream, &publish()).await?;
    loop {
        let ClientMessage { id, request } = read_frame(&mut stream).await?;
        let result = answer(&request, &mut seen.snapshot.lock().unwrap());
        seen.requests.lock().unwrap().push(request);
        write_frame(&mut stream, &publish()).await?;
        write_frame(&mut stream, &ServerMessage::Reply { id, result }).await?;
    }
}
