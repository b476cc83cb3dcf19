// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only place of this crate that does I/O: frames in, calls to the session, answers out.
//!
//! Works over any stream of bytes, so that a front end may put TLS before it.

use std::io;

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
    pyro5::Pyro5,
};

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
    #[error("{0}")]
    Dismissed(&'static str),
    /// The peer waits for us to speak first, as the IDEs of before 2022 do, or does nothing at all.
    #[error("the peer is silent; IDEs of the Pyro3 generation are not served by this release")]
    Silent,
    /// The peer speaks TLS, which this port does not.
    #[error("the peer speaks TLS, which is not served on this port")]
    Tls,
    /// The peer speaks something else.
    #[error("the peer speaks none of the IDE protocols")]
    UnknownProtocol,
}

/// Talks with the IDE at the other end of `stream` until it closes the connection.
///
/// # Errors
/// Every [`ConversationError`]; the connection is of no use then.
pub async fn converse<S>(stream: S, session: Session) -> Result<(), ConversationError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (reader, writer) = tokio::io::split(stream);
    let mut wire = Wire { intake: Intake::new(reader), writer, session };
    let detected = timeout(FIRST_BYTES_DEADLINE, wire.first_bytes())
        .await
        .unwrap_or(Ok(Some(Detected::Need(0))))?;
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

    async fn talk<C: Codec>(&mut self, mut codec: C) -> Result<(), ConversationError> {
        while let Some(frame) = self.intake.frame(|bytes| codec.measure(bytes)).await? {
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
                        Ok(call) => self.session.execute(call).await,
                        Err(refused) => Err(refused),
                    };
                    let answer = codec.answer(method, Outcome::of(method, result), ticket);
                    self.send(&answer).await?;
                }
            }
        }
        Ok(())
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
