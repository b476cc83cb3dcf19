// SPDX-License-Identifier: MIT OR Apache-2.0
//! An async client of the API: greeting, calls matched by id, and the latest snapshot at hand.

use std::{collections::HashMap, io, path::Path, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    API_VERSION, RELEASE,
    frame::{self, FrameError},
    key::ApiKey,
    limits,
    message::{
        ApiError, ClientMessage, ConnectorSettings, Hello, HelloReply, Refusal, Reply, Request,
        ServerMessage, Welcome,
    },
    plc::Snapshot,
};

/// Why a call has no reply.
#[derive(Debug, Error)]
pub enum CallError {
    /// The supervisor answered no.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The supervisor does not serve this client.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The supervisor cannot be reached, or the connection ended.
    #[error("the runtime cannot be reached")]
    Lost(#[source] io::Error),
    /// What came does not belong to the conversation.
    #[error("the runtime's answer cannot be understood")]
    Malformed(#[source] FrameError),
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<FrameError> for CallError {
    fn from(error: FrameError) -> Self {
        Self::Malformed(error)
    }
}

type Waiting = oneshot::Sender<Result<Reply, CallError>>;

/// One connection to the supervisor. Dropping it ends the connection.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::Sender<(Request, Waiting)>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    welcome: Welcome,
    pump: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Client {
    /// Connects to the socket at `path` and speaks for `peer`, who has shown to have `key`. Of `client`, the program
    /// that connects, and of `peer` the first [`limits::NAME_CHARS`] characters are kept.
    ///
    /// # Errors
    /// [`CallError::Lost`] when nobody serves the socket, [`CallError::Refused`] when this client is not served,
    /// [`CallError::Malformed`] when something else answers.
    pub async fn connect(
        path: &Path,
        client: &str,
        peer: &str,
        key: Option<&ApiKey>,
    ) -> Result<Self, CallError> {
        Self::connect_for(path, client, peer, None, key).await
    }

    /// The same for a peer that is a process of this user (its uid), on this machine; `None`: of another machine.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_for(
        path: &Path,
        client: &str,
        peer: &str,
        local_user: Option<u32>,
        key: Option<&ApiKey>,
    ) -> Result<Self, CallError> {
        let (reader, mut writer) = UnixStream::connect(path).await?.into_split();
        let mut reader = BufReader::new(reader);
        let hello = Hello {
            api_version: API_VERSION,
            release: RELEASE.to_owned(),
            client: client.to_owned(),
            peer: peer.to_owned(),
            identity: key.map(|key| key.id.clone()).unwrap_or_default(),
            secret: key.map(|key| key.secret.clone()),
            local_user,
        };
        write_frame(&mut writer, &hello).await?;
        let welcome = match read_frame(&mut reader).await? {
            HelloReply::Welcome(welcome) => welcome,
            HelloReply::Refused(refusal) => return Err(refusal.into()),
        };
        let ServerMessage::Snapshot(first) = read_frame(&mut reader).await? else {
            return Err(CallError::Lost(io::Error::other("no snapshot after the greeting")));
        };
        let (publish, snapshots) = watch::channel(Arc::from(first));
        let (requests, queue) = mpsc::channel(16);
        let pump = tokio::spawn(pump(reader, writer, queue, publish));
        Ok(Self { requests, snapshots, welcome, pump })
    }

    /// Release of the supervisor, such as `0.1.0`.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.welcome.release
    }

    /// What the configuration said to connectors when this connection was made.
    #[must_use]
    pub const fn settings(&self) -> ConnectorSettings {
        self.welcome.settings
    }

    /// The newest snapshot this connection has received; never older than the last reply.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// A receiver that sees every later snapshot; it closes when the connection ends.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`CallError::Api`] with the supervisor's reason, [`CallError::Lost`] when the connection ends first.
    ///
    /// # Cancel safety
    /// A call that is dropped may still be carried out; its reply is thrown away.
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        let (reply, wait) = oneshot::channel();
        self.requests.send((request, reply)).await.map_err(|_| lost())?;
        wait.await.map_err(|_| lost())?
    }
}

fn lost() -> CallError {
    CallError::Lost(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection ended"))
}

/// Moves requests out and replies in until either side ends; then every waiting call is told by the drop.
async fn pump(
    reader: BufReader<OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    mut queue: mpsc::Receiver<(Request, Waiting)>,
    publish: watch::Sender<Arc<Snapshot>>,
) {
    let waiting = Arc::new(Mutex::new(HashMap::new()));
    let incoming = receive(reader, waiting.clone(), publish);
    let outgoing = async {
        let mut id = 0;
        while let Some((request, reply)) = queue.recv().await {
            id += 1;
            waiting.lock().await.insert(id, reply);
            let frame = frame::encode(&ClientMessage { id, request });
            match frame {
                Ok(frame) if writer.write_all(&frame).await.is_ok() => {}
                Ok(_) => break,
                // This request is too long; the others are not to suffer for it.
                Err(error) => {
                    if let Some(reply) = waiting.lock().await.remove(&id) {
                        let _ = reply.send(Err(error.into()));
                    }
                }
            }
        }
    };
    tokio::select! {
        () = incoming => (),
        () = outgoing => (),
    }
}

async fn receive(
    mut reader: BufReader<OwnedReadHalf>,
    waiting: Arc<Mutex<HashMap<u64, Waiting>>>,
    publish: watch::Sender<Arc<Snapshot>>,
) {
    while let Ok(body) = read_body(&mut reader).await {
        match frame::decode(&body) {
            Ok(message) => take(message, &waiting, &publish).await,
            // A newer supervisor's: the answer to one call, or nothing that concerns this release.
            Err(error @ FrameError::Unknown(_)) => {
                let Ok(Answered::Reply { id }) = frame::decode(&body) else { continue };
                if let Some(reply) = waiting.lock().await.remove(&id) {
                    let _ = reply.send(Err(error.into()));
                }
            }
            Err(_) => return,
        }
    }
}

/// Of a reply, whose it is.
#[derive(Deserialize)]
enum Answered {
    Reply { id: u64 },
}

async fn take(
    message: ServerMessage,
    waiting: &Mutex<HashMap<u64, Waiting>>,
    publish: &watch::Sender<Arc<Snapshot>>,
) {
    match message {
        ServerMessage::Snapshot(snapshot) => {
            publish.send_replace(Arc::from(snapshot));
        }
        ServerMessage::Reply { id, result } => {
            if let Some(reply) = waiting.lock().await.remove(&id) {
                // The caller may have given up; then nobody wants the reply.
                let _ = reply.send(result.map_err(CallError::from));
            }
        }
    }
}

/// Writes one frame.
///
/// # Errors
/// [`CallError::Malformed`] when the message is too long, [`CallError::Lost`] when the peer is gone.
pub async fn write_frame<T: Serialize + Sync>(
    writer: &mut (impl AsyncWrite + Unpin),
    message: &T,
) -> Result<(), CallError> {
    let frame = frame::encode(message)?;
    Ok(writer.write_all(&frame).await?)
}

/// Reads one frame: waits for its first byte as long as it takes, for the rest no longer than
/// [`limits::FRAME_DEADLINE`].
///
/// # Errors
/// [`CallError::Malformed`] when it is too long or not a `T`, [`CallError::Lost`] at the end of the stream or when
/// the frame does not come to an end. After [`FrameError::Unknown`] the next frame can be read.
///
/// # Cancel safety
/// Not cancel safe: a frame read in part is lost, and the stream with it.
pub async fn read_frame<T: DeserializeOwned>(
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<T, CallError> {
    Ok(frame::decode(&read_body(reader).await?)?)
}

/// Reads one frame and leaves its body as it is; all else as [`read_frame`].
///
/// # Errors
/// [`CallError::Malformed`] when it is too long, [`CallError::Lost`].
pub async fn read_body(reader: &mut (impl AsyncRead + Unpin)) -> Result<Vec<u8>, CallError> {
    let first = reader.read_u8().await?;
    let rest = async {
        let mut header = [first; frame::HEADER_BYTES];
        let (_, others) = header.split_at_mut(1);
        reader.read_exact(others).await?;
        let mut body = vec![0; frame::body_length(header)?];
        reader.read_exact(&mut body).await?;
        Ok(body)
    };
    match timeout(limits::FRAME_DEADLINE, rest).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    }
}
