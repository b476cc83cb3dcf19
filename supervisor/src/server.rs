// SPDX-License-Identifier: MIT OR Apache-2.0
//! The API sockets: one task for each peer, one request of a peer at a time.
//!
//! Status, log and samples are answered from what is published and kept; only operations on the PLC wait for the
//! driver. While one runs, its client still receives every snapshot.

use std::{future::Future, io, sync::Arc, time::Duration};

use plc_api::{
    API_VERSION, RELEASE,
    client::{CallError, read_body, read_frame, write_frame},
    frame::{self, FrameError},
    key::ApiKey,
    limits,
    message::{
        ApiError, ClientMessage, ConnectorSettings, Hello, HelloReply, Refusal, Reply, Request,
        ServerMessage, Welcome,
    },
    plc::{ConnectionInfo, Snapshot},
};
use tokio::{
    io::BufReader,
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::timeout,
};

use crate::{
    access::{self, Door},
    driver::Command,
    operators::is_operator,
    refusals,
    services::{Services, Transfer},
};

/// How long to wait after accepting failed for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts peers at one socket for ever.
pub(crate) async fn serve(listener: UnixListener, door: Door, services: Arc<Services>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match services.connections.room() {
                Some(room) => {
                    tokio::spawn(peer(stream, door, services.clone(), room));
                }
                None => refusals::tell_crowded(door),
            },
            Err(error) => {
                tracing::error!(%error, connector = door.name(), "no API connection can be accepted: {error}");
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
    let mut stay = Stay::new(door, &services);
    let greeting = greet(&mut reader, &mut writer, &mut stay);
    let hello = match timeout(limits::HELLO_DEADLINE, greeting).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(error)) => return refusals::tell_not_let_in(&error, door, uid),
        Err(_) => return refusals::tell_silent(door, uid),
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
    let id = services.connections.enter(info.clone());
    let transfer = Transfer::new(&services.transfers);
    let session = Session { id, door, uid, info, transfer, services: &services };
    match session.serve(reader, &mut writer, stay.over(&hello)).await {
        Err(CallError::Refused(refusal)) => {
            tracing::info!(connector = door.name(), "an API connection was ended: {refusal}");
        }
        Err(error) => tracing::debug!(%error, connector = door.name(), "API connection ended"),
        Ok(()) => {}
    }
    // An IDE may come back over another connection and expects its variables as it left them; a person's command is over.
    if door == Door::People {
        services.release_trace(id).await;
    }
    services.connections.leave(id);
    services.wamp.left(id);
}

async fn greet(
    reader: &mut BufReader<OwnedReadHalf>,
    writer: &mut OwnedWriteHalf,
    stay: &mut Stay<'_>,
) -> Result<Hello, CallError> {
    let hello: Hello = read_frame(reader).await?;
    if let Err(refusal) = stay.may_begin(&hello).await {
        write_frame(writer, &HelloReply::Refused(refusal.clone())).await?;
        return Err(refusal.into());
    }
    let settings = *stay.settings.borrow();
    let welcome = Welcome { api_version: API_VERSION, release: RELEASE.to_owned(), settings };
    write_frame(writer, &HelloReply::Welcome(welcome)).await?;
    Ok(hello)
}

/// Whether a client may come in at a door, and how long it may stay.
struct Stay<'a> {
    door: Door,
    /// Those that it came in by have been seen, so that no change of them is missed.
    settings: watch::Receiver<ConnectorSettings>,
    services: &'a Services,
}

impl<'a> Stay<'a> {
    fn new(door: Door, services: &'a Services) -> Self {
        Self { door, settings: services.settings.clone(), services }
    }

    async fn may_begin(&mut self, hello: &Hello) -> Result<(), Refusal> {
        if hello.api_version != API_VERSION {
            let reason = format!(
                "the program of release {} speaks version {} of the API, this supervisor of release {RELEASE} version \
                 {API_VERSION}: restart the service after an upgrade",
                printable(&hello.release),
                hello.api_version
            );
            return Err(Refusal { reason });
        }
        self.local_user_may(hello).await?;
        match key(hello) {
            Some(key) => self.services.keys.admit(&key).await,
            None if hello.identity.is_empty() => Ok(()),
            None => Err(Refusal { reason: "an identity counts only with its secret".to_owned() }),
        }
    }

    /// Whether the settings let in the user of this machine who is behind the client.
    async fn local_user_may(&mut self, hello: &Hello) -> Result<(), Refusal> {
        let local_peers = self.settings.borrow_and_update().local_peers;
        if let Some(uid) = self.door.must_be_operator(local_peers, hello.local_user) {
            let group = Door::People.group();
            let asked = tokio::task::spawn_blocking(move || is_operator(uid, &group, None)).await;
            if !matches!(asked, Ok(Ok(true))) {
                return Err(access::no_local_peer(uid));
            }
        }
        Ok(())
    }

    /// Waits until the client may stay no longer: its key counts no more, or other settings keep it out.
    async fn over(mut self, hello: &Hello) -> Refusal {
        let key = key(hello);
        let services = self.services;
        let kept_out = async {
            // It fails only when the settings can change no more.
            while self.settings.changed().await.is_ok() {
                if let Err(refusal) = self.local_user_may(hello).await {
                    return refusal;
                }
            }
            std::future::pending().await
        };
        tokio::select! {
            refusal = lost(services, key.as_ref()) => refusal,
            refusal = kept_out => refusal,
        }
    }
}

/// The key that the client speaks for.
fn key(hello: &Hello) -> Option<ApiKey> {
    let secret = hello.secret.clone()?;
    Some(ApiKey { id: hello.identity.clone(), secret })
}

/// Waits until the key of a client counts no more; for ever if it has none.
async fn lost(services: &Services, key: Option<&ApiKey>) -> Refusal {
    match key {
        Some(key) => services.keys.lost(key).await,
        None => std::future::pending().await,
    }
}

/// One greeted peer.
struct Session<'a> {
    /// Its number among the connections.
    id: u64,
    door: Door,
    uid: Option<u32>,
    info: ConnectionInfo,
    transfer: Transfer,
    services: &'a Services,
}

impl Session<'_> {
    async fn serve(
        mut self,
        reader: BufReader<OwnedReadHalf>,
        writer: &mut OwnedWriteHalf,
        over: impl Future<Output = Refusal>,
    ) -> Result<(), CallError> {
        // Asked in every round, and kept over all of them: requests without a pause do not make it begin anew.
        tokio::pin!(over);
        let mut snapshots = self.services.sinks.published.subscribe();
        send_snapshot(&mut snapshots, writer).await?;
        let mut incoming = Incoming::new(reader);
        loop {
            let asked = tokio::select! {
                biased;
                refusal = &mut over => return Err(refusal.into()),
                asked = incoming.next() => asked?,
                changed = snapshots.changed() => {
                    changed.map_err(|_| io::Error::other("the supervisor is ending"))?;
                    send_snapshot(&mut snapshots, writer).await?;
                    continue;
                }
            };
            let (id, result) = match asked {
                Asked::Known(ClientMessage { id, request }) => match self.allows(&request) {
                    Ok(()) => (id, pushing(&mut snapshots, writer, self.answer(request)).await),
                    Err(error) => {
                        refusals::tell(&error, self.door.name(), self.uid);
                        (id, Err(error))
                    }
                },
                Asked::Unknown(id) => (id, Err(unknown())),
            };
            // What the call changed comes before its reply.
            if snapshots.has_changed().unwrap_or(false) {
                send_snapshot(&mut snapshots, writer).await?;
            }
            send(writer, &ServerMessage::Reply { id, result }).await?;
        }
    }

    fn allows(&self, request: &Request) -> Result<(), ApiError> {
        self.door.allows(request)?;
        if let Request::ShowKey { .. } = request {
            access::may_see_secrets(self.uid)
        } else {
            Ok(())
        }
    }

    async fn answer(&mut self, request: Request) -> Result<Reply, ApiError> {
        let services = self.services;
        match request {
            Request::Snapshot => Ok(Reply::Snapshot(Box::new(Snapshot::clone(&services.now())))),
            Request::Stats => Ok(Reply::Stats(Box::new(services.stats()))),
            Request::Start => services.command(Command::Start).await,
            Request::Stop => services.command(Command::Stop).await,
            Request::Repair => services.command(Command::Repair).await,
            Request::Rollback => services.command(Command::Rollback).await,
            Request::PurgeBlobs => {
                self.transfer.blobs()?.purge();
                Ok(Reply::Done)
            }
            Request::SeedBlob { seed } => Ok(Reply::Blob(self.transfer.blobs()?.seed(&seed)?)),
            Request::AppendChunk { blob, data } => {
                let blobs = self.transfer.blobs()?;
                if !blobs.would_write(blob, data.len()) {
                    return Ok(Reply::Blob(blobs.append(blob, &data)?));
                }
                let blob = self.transfer.on_disk(move |blobs| blobs.append(blob, &data)).await?;
                Ok(Reply::Blob(blob?))
            }
            Request::Install(request) => services.install(request, &mut self.transfer).await,
            Request::SetTrace(list) => services.set_trace(list, self.id).await,
            Request::ReadTrace { token, max_bytes } => services.read_trace(token, max_bytes).await,
            Request::ReadLog { level, from, max } => {
                Ok(Reply::Log(services.sinks.journal.read(level, from, max)))
            }
            Request::ResetLog => {
                services.reset_log();
                Ok(Reply::Done)
            }
            Request::Reload => services.reload().await,
            Request::DeviceKey => Ok(Reply::Key(services.keys.device(&self.info).await?)),
            Request::ListKeys => Ok(Reply::Keys(services.keys.list().await?)),
            Request::Pair { seconds } => {
                Ok(Reply::Paired { id: services.keys.pair(seconds, &self.who()).await? })
            }
            Request::AddKey { id, secret } => {
                Ok(Reply::Key(services.keys.add(id, secret, &self.who()).await?))
            }
            Request::RevokeKey { id } => {
                services.keys.revoke(id, &self.who()).await.map(|_| Reply::Done)
            }
            Request::ShowKey { id } => Ok(Reply::Key(services.keys.show(id, &self.who()).await?)),
            Request::WampSettings => services.wamp_settings().await,
            Request::ReportRouter(link) => {
                services.wamp.report(self.id, *link);
                Ok(Reply::Done)
            }
        }
    }

    fn who(&self) -> String {
        access::who(self.uid, self.door.name())
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

/// What a client has asked.
enum Asked {
    Known(ClientMessage),
    /// With this id, something that this release does not know.
    Unknown(u64),
}

/// Of a client's message, its id.
#[derive(serde::Deserialize)]
struct Numbered {
    id: u64,
}

fn understood(body: &[u8]) -> Result<Asked, FrameError> {
    match frame::decode(body) {
        Err(FrameError::Unknown(_)) => Ok(Asked::Unknown(frame::decode::<Numbered>(body)?.id)),
        known => known.map(Asked::Known),
    }
}

fn unknown() -> ApiError {
    ApiError::BadRequest(format!(
        "the supervisor, of release {RELEASE}, does not know this request: it is older than the program that asks; \
         restart the service after an upgrade: systemctl restart plc-runtime"
    ))
}

/// Reads frames in a task of its own, so that waiting for one can be given up and taken up again.
struct Incoming {
    queue: mpsc::Receiver<Result<Asked, CallError>>,
    task: tokio::task::JoinHandle<()>,
}

impl Incoming {
    fn new(mut reader: BufReader<OwnedReadHalf>) -> Self {
        let (sender, queue) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                let body = read_body(&mut reader).await;
                let asked = body.and_then(|body| Ok(understood(&body)?));
                let ended = asked.is_err();
                if sender.send(asked).await.is_err() || ended {
                    return;
                }
            }
        });
        Self { queue, task }
    }

    async fn next(&mut self) -> Result<Asked, CallError> {
        match self.queue.recv().await {
            Some(asked) => asked,
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A text from a peer, fit for the log and for a terminal.
fn printable(text: &str) -> String {
    text.chars().take(limits::NAME_CHARS).filter(|c| !c.is_control()).collect()
}
