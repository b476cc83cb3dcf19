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
    plc::{PlcStatus, Snapshot},
};
use tempfile::TempDir;
use tokio::{
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::{Mutex as AsyncMutex, watch},
    task::JoinSet,
};

/// Does everything it is asked: what was started runs, and what was stopped does not.
pub(crate) fn obey(request: &Request, snapshot: &mut Snapshot) -> Result<Reply, ApiError> {
    match request {
        Request::Start => snapshot.status = PlcStatus::Started,
        Request::Stop => snapshot.status = PlcStatus::Stopped,
        _ => {}
    }
    Ok(Reply::Done)
}

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
    /// Says that the snapshot has changed by itself.
    changed: watch::Sender<()>,
    /// While set, this request is not answered.
    held: watch::Sender<Option<Request>>,
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

    /// Changes the snapshot, and tells everybody.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.seen.snapshot.lock().unwrap());
        self.seen.changed.send_replace(());
    }

    /// Does not answer this request until [`Self::release`].
    pub(crate) fn hold(&self, request: Request) {
        self.seen.held.send_replace(Some(request));
    }

    /// Answers what was held.
    pub(crate) fn release(&self) {
        self.seen.held.send_replace(None);
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

async fn talk(stream: UnixStream, seen: &Seen, answer: &Answer) -> Result<(), CallError> {
    let (mut reader, mut writer) = stream.into_split();
    let hello = read_frame(&mut reader).await?;
    seen.hellos.lock().unwrap().push(hello);
    let refusal = seen.refusal.lock().unwrap().clone();
    if let Some(refusal) = refusal {
        return write_frame(&mut writer, &HelloReply::Refused(refusal)).await;
    }
    let welcome = HelloReply::Welcome(Welcome {
        api_version: API_VERSION,
        release: RELEASE.to_owned(),
        settings: ConnectorSettings::default(),
    });
    write_frame(&mut writer, &welcome).await?;
    let writer = AsyncMutex::new(writer);
    let mut changed = seen.changed.subscribe();
    seen.publish(&writer).await?;
    let publishing = async {
        while changed.changed().await.is_ok() {
            seen.publish(&writer).await?;
        }
        Ok(())
    };
    let answering = async {
        loop {
            let ClientMessage { id, request } = read_frame(&mut reader).await?;
            seen.requests.lock().unwrap().push(request.clone());
            let mut held = seen.held.subscribe();
            let _ = held.wait_for(|held| held.as_ref() != Some(&request)).await;
            let result = answer(&request, &mut seen.snapshot.lock().unwrap());
            seen.publish(&writer).await?;
            let reply = ServerMessage::Reply { id, result };
            write_frame(&mut *writer.lock().await, &reply).await?;
        }
    };
    tokio::select! {
        end = publishing => end,
        end = answering => end,
    }
}

impl Seen {
    async fn publish(&self, writer: &AsyncMutex<OwnedWriteHalf>) -> Result<(), CallError> {
        let mut writer = writer.lock().await;
        let snapshot = self.snapshot.lock().unwrap().clone();
        write_frame(&mut *writer, &ServerMessage::Snapshot(Box::new(snapshot))).await
    }
}
