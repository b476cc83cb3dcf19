// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a connection to a WebSocket.

use std::io;

use plc_connector::{
    api::client::CallError,
    intake::{self, FIRST_BYTES_DEADLINE},
    limited,
};
use plc_journal::message_id::ACCESS_REFUSED;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    time::timeout,
};
use tokio_tungstenite::tungstenite::handshake::server::Request;

use super::{
    handshake::{self, Refused},
    watch::Watch,
};
use crate::{lanes::Reader, serializer::Serializer};

/// Why there is no WebSocket.
pub(super) enum NotOpened {
    Left,
    Io(io::Error),
    Refused(Refused),
}

impl From<io::Error> for NotOpened {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Refused> for NotOpened {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// The HTTP part of a connection; what came behind it belongs to the WebSocket.
pub(super) async fn open<S>(
    stream: &mut S,
    reader: Reader,
) -> Result<(Watch, Serializer, Vec<u8>), NotOpened>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let head = timeout(FIRST_BYTES_DEADLINE, head(stream)).await;
    let (request, rest) = head.unwrap_or_else(|_| Err(Refused::too_late().into()))?;
    let watch = Watch::begin(reader).await.map_err(|error| match error {
        CallError::Refused(refusal) => Refused::forbidden(refusal.reason),
        CallError::Lost(source) => Refused::unavailable(format!(
            "the runtime cannot be reached: {source}; is plc-runtime.service running?"
        )),
        error @ (CallError::Api(_) | CallError::Malformed(_)) => {
            Refused::unavailable(error.to_string())
        }
    })?;
    let (response, serializer) = handshake::grant(&request, &watch.settings)?;
    intake::send(stream, &response).await?;
    Ok((watch, serializer, rest))
}

/// The request, and what came behind it.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(Request, Vec<u8>), NotOpened> {
    let mut bytes = Vec::with_capacity(handshake::HEAD_BYTES);
    let mut stream = stream.take(handshake::HEAD_BYTES as u64);
    loop {
        if let Some((length, request)) = handshake::request(&bytes)? {
            return Ok((request, bytes.split_off(length)));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(NotOpened::Left);
        }
    }
}

pub(super) fn tell(peer: &str, refused: &Refused) {
    let reason = &refused.reason;
    if refused.is_attack {
        limited!(warn, message_id = ACCESS_REFUSED, %peer, "{peer} refused: {reason}");
    } else {
        limited!(info, %peer, "{peer} refused: {reason}");
    }
}
