// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only place of this crate that does I/O: frames in, calls to the session, answers out.
//!
//! Works over any stream of bytes, so that a front end may put TLS before it.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    time::Duration,
};

use plc_connector::{
    api::limits,
    intake::{self, FIRST_BYTES_DEADLINE, Intake, IntakeError},
    session::Session,
};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf},
    time::timeout,
};
use tracing::debug;

use crate::{
    answer::Outcome,
    codec::{Codec, Malformed, Received},
    detect::{Detected, detect},
    erpc::Erpc,
    log_ids::LogIds,
    pyro3::{
        self, Pyro3,
        header::{self, WireVersion},
        shared::Shared,
    },
    pyro5::Pyro5,
};

/// What the peer's bytes come through. It decides how long a peer may be silent before it counts as one that waits for us
/// to speak, as those of Pyro3 do: every other client speaks as soon as it is connected, but its bytes may be under way
/// for a while. Who waits pays for it with each connection; an IDE of Pyro3 makes one or two in a session, and waits for
/// a minute or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// TCP. A tunnel may be behind it: that of SSH connects here a round trip before it lets its client speak, and by
    /// satellite this is more than half a second.
    Plain,
    /// TLS 1.2 or later. Our side of a handshake may end a round trip before the peer's, whose first bytes may be lost
    /// and sent again. Of Pyro3 is here only who comes through stunnel.
    Tls,
    /// TLS 1.0, which only IDEs of Pyro3 speak.
    LegacyTls,
}

impl Line {
    const fn silence(self) -> Duration {
        Duration::from_millis(match self {
            Self::Plain => 1200,
            Self::Tls => 3000,
            Self::LegacyTls => 300,
        })
    }
}

/// An IDE's two connections meet nowhere else than in its connector's process.
static SHARED: Shared = Shared::new();

/// Why a conversation ended before the peer closed it.
#[derive(Debug, Error)]
pub enum ConversationError {
    /// The peer's frames cannot be had.
    #[error(transparent)]
    Intake(#[from] IntakeError<Malformed>),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// Bytes that are not the protocol's.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The peer was answered and is not to be listened to any longer.
    #[error("its message is refused: {0}")]
    Dismissed(&'static str),
    /// The peer does nothing, even when it was spoken to.
    #[error("the peer is silent")]
    Silent,
    /// The supervisor does not serve this peer, or its key counts no more.
    #[error("the runtime does not let it in: {0}")]
    Refused(String),
    /// The peer began only when it had been taken for one of Pyro3, or answered what is none.
    #[error(
        "it said nothing for {} ms and was greeted in Pyro3, which it does not speak ({detected:?}): on so slow a line \
         nothing else can be told from Pyro3",
        silence.as_millis()
    )]
    Late {
        /// How long it was waited for.
        silence: Duration,
        /// What its bytes look like.
        detected: Detected,
    },
    /// The peer speaks TLS, which this port does not.
    #[error("the peer speaks TLS, which is not served on this port")]
    Tls,
    /// The peer speaks something else.
    #[error("the peer speaks none of the IDE protocols")]
    UnknownProtocol,
}

/// Talks with the IDE at the other end of `stream`, which came through this `line`, until it closes the connection.
///
/// # Errors
/// Every [`ConversationError`]; the connection is of no use then.
pub async fn converse<S>(line: Line, stream: S, session: Session) -> Result<(), ConversationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    converse_with(WireVersion::default(), line, stream, session).await
}

/// The same, with Pyro3 in this wire version.
///
/// # Errors
/// As [`converse`].
pub async fn converse_with<S>(
    pyro3: WireVersion,
    line: Line,
    stream: S,
    session: Session,
) -> Result<(), ConversationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    let mut wire = Wire { intake: Intake::new(reader), writer, session };
    let silence = line.silence();
    let detected = match timeout(silence, wire.first_bytes()).await {
        Ok(detected) => detected?,
        Err(_) if wire.intake.buffered().is_empty() => {
            return wire.speak_first(pyro3, silence).await;
        }
        Err(_) => wire.first_bytes_in_time().await?,
    };
    debug!(peer = wire.session.peer(), ?detected, "protocol");
    match detected {
        None => Ok(()),
        Some(Detected::Pyro5) => wire.talk(Pyro5::default()).await,
        Some(Detected::Erpc(framing)) => wire.talk(Erpc::new(framing)).await,
        Some(Detected::Tls) => Err(ConversationError::Tls),
        Some(Detected::Unknown) => Err(ConversationError::UnknownProtocol),
        Some(Detected::Need(_)) => Err(ConversationError::Silent),
    }
}

/// Bytes that no other connection has.
fn unique() -> [u8; 16] {
    // Each has a key of its own, begun from the system's randomness.
    let half = || u128::from(RandomState::new().hash_one(()));
    ((half() << 64) | half()).to_be_bytes()
}

struct Wire<S> {
    intake: Intake<ReadHalf<S>>,
    writer: WriteHalf<S>,
    session: Session,
}

impl<S: AsyncRead + AsyncWrite> Wire<S> {
    /// Waits until the protocol is known; `None` if the peer closes before.
    async fn first_bytes(&mut self) -> io::Result<Option<Detected>> {
        while self.intake.more().await? {
            let detected = detect(self.intake.buffered());
            if !matches!(detected, Detected::Need(_)) {
                return Ok(Some(detected));
            }
        }
        Ok(None)
    }

    /// The same, for a peer that had its chance; [`Detected::Need`] if that is over.
    async fn first_bytes_in_time(&mut self) -> io::Result<Option<Detected>> {
        let first = timeout(FIRST_BYTES_DEADLINE, self.first_bytes()).await;
        first.unwrap_or(Ok(Some(Detected::Need(0))))
    }

    /// Speaks to a peer that waits for it, as those of Pyro3 do, after so long a silence.
    async fn speak_first(
        mut self,
        version: WireVersion,
        silence: Duration,
    ) -> Result<(), ConversationError> {
        debug!(peer = self.session.peer(), "protocol of those who wait to be spoken to: Pyro3");
        self.send(&pyro3::greeting(version, unique())).await?;
        match self.first_bytes_in_time().await? {
            None => Ok(()),
            Some(Detected::Need(_)) => Err(ConversationError::Silent),
            // Those of Pyro3 never speak first, so they are unknown there.
            Some(Detected::Unknown) if self.intake.buffered().starts_with(header::TAG) => {
                self.talk(Pyro3::new(version, unique(), &SHARED)).await
            }
            Some(detected) => Err(ConversationError::Late { silence, detected }),
        }
    }

    async fn talk<C: Codec>(&mut self, mut codec: C) -> Result<(), ConversationError> {
        let mut log_ids = LogIds::default();
        loop {
            let frame = tokio::select! {
                frame = self.intake.frame(|bytes| codec.measure(bytes)) => frame?,
                reason = self.session.revoked() => return Err(ConversationError::Refused(reason)),
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            match codec.receive(&frame)? {
                Received::Reply(bytes) => self.send(&bytes).await?,
                Received::Farewell(bytes, reason) => {
                    self.send(&bytes).await?;
                    return Err(ConversationError::Dismissed(reason));
                }
                Received::Call { method, call, ticket } => {
                    // A chunk may be large, and it is in the call now.
                    drop(frame);
                    let result = match call {
                        Ok(mut call) => {
                            log_ids.ask(&mut call);
                            self.session.execute(call).await
                        }
                        Err(refused) => Err(refused),
                    };
                    let mut outcome = Outcome::of(method, result);
                    log_ids.tell(&mut outcome);
                    let answer = codec.answer(method, outcome, ticket);
                    self.send(&answer).await?;
                }
            }
            if let Some(reason) = self.session.refusal().await {
                return Err(ConversationError::Refused(reason));
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        intake::send(&mut self.writer, bytes).await
    }
}

// The longest chunk must fit into a frame of every protocol that carries it whole.
const _: () = assert!(crate::pyro5::MAX_MESSAGE_BYTES > 4 * limits::CHUNK_BYTES);
const _: () = assert!(pyro3::MAX_CALL_BYTES > limits::CHUNK_BYTES);
