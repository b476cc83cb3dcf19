// SPDX-License-Identifier: MIT OR Apache-2.0
//! Between WAMP messages and WebSocket messages (RFC 6455), for either side of the connection.

use plc_connector::ide::Malformed;
use tokio_tungstenite::tungstenite::{
    Error, Message as Frame,
    error::{CapacityError, ProtocolError},
    protocol::{CloseFrame, WebSocketConfig, frame::coding::CloseCode},
};

use crate::{
    message::{self, MESSAGE_BYTES, Message},
    serializer::Serializer,
};

/// Bytes of each connection's buffer for reading; most messages are a few dozen bytes, and one process may have
/// hundreds of connections.
const READ_BUFFER_BYTES: usize = 8 << 10;

/// The bounds of a connection, before anything is allocated.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        // What is written is to leave at once.
        .write_buffer_size(0)
        // A message that is leaving, and the next; further pongs replace each other.
        .max_write_buffer_size(2 * MESSAGE_BYTES)
        .max_message_size(Some(MESSAGE_BYTES))
        .max_frame_size(Some(MESSAGE_BYTES))
}

/// What a peer may not do: the connection is closed with a code that says so (RFC 6455, 7.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The kind.
    pub code: CloseCode,
    /// What it did, for people.
    pub reason: String,
}

impl Violation {
    /// A violation of this kind.
    #[must_use]
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// What a failed read says of the peer; `None` if the connection itself failed.
    #[must_use]
    pub(crate) fn of_error(error: &Error) -> Option<Self> {
        let code = match error {
            Error::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::Size,
            Error::Utf8(_) => CloseCode::Invalid,
            // That is how most connections end when a process does.
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
            Error::Protocol(_) | Error::Capacity(_) | Error::AttackAttempt => CloseCode::Protocol,
            Error::ConnectionClosed
            | Error::AlreadyClosed
            | Error::Io(_)
            | Error::Tls(_)
            | Error::WriteBufferFull(_)
            | Error::Url(_)
            | Error::Http(_)
            | Error::HttpFormat(_) => return None,
        };
        Some(Self::new(code, error.to_string()))
    }

    /// The frame that closes the connection.
    #[must_use]
    pub(crate) fn close_frame(&self) -> CloseFrame {
        // A control frame holds 125 bytes, two of them the code; the texts are ASCII.
        let reason: String = self.reason.chars().filter(char::is_ascii).take(120).collect();
        CloseFrame { code: self.code, reason: reason.into() }
    }
}

impl From<Malformed> for Violation {
    fn from(malformed: Malformed) -> Self {
        Self::new(CloseCode::Invalid, malformed.to_string())
    }
}

/// The WebSocket message that carries `message`.
#[must_use]
pub fn frame(serializer: Serializer, message: Message) -> Frame {
    let bytes = message::write(serializer, message);
    match serializer {
        Serializer::MessagePack => Frame::Binary(bytes.into()),
        Serializer::Json => Frame::Text(String::from_utf8_lossy(&bytes).into_owned().into()),
    }
}

/// The WAMP message in a WebSocket message; `None` for those that carry none: ping, pong, close.
///
/// # Errors
/// When the message is of the wrong kind, or cannot be read.
pub fn message(serializer: Serializer, frame: &Frame) -> Result<Option<Message>, Violation> {
    let bytes = match (serializer, frame) {
        (Serializer::MessagePack, Frame::Binary(bytes)) => &bytes[..],
        (Serializer::Json, Frame::Text(text)) => text.as_bytes(),
        (Serializer::MessagePack, Frame::Text(_)) | (Serializer::Json, Frame::Binary(_)) => {
            let wrong = format!("a message that is not of {}", serializer.subprotocol());
            return Err(Violation::new(CloseCode::Unsupported, wrong));
        }
        (_, Frame::Ping(_) | Frame::Pong(_) | Frame::Close(_) | Frame::Frame(_)) => {
            return Ok(None);
        }
    };
    Ok(Some(message::read(serializer, bytes)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Dict;

    fn goodbye() -> Message {
        Message::Goodbye { details: Dict::default(), reason: "x".to_owned() }
    }

    #[test]
    fn each_serializer_has_its_kind_of_frame() {
        for serializer in Serializer::ALL {
            let frame = frame(serializer, goodbye());
            assert_eq!(message(serializer, &frame).unwrap(), Some(goodbye()));
            let other = Serializer::ALL.into_iter().find(|s| *s != serializer).unwrap();
            assert_eq!(message(other, &frame).unwrap_err().code, CloseCode::Unsupported);
        }
        assert_eq!(message(Serializer::Json, &Frame::Ping(Vec::new().into())).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_read_is_invalid() {
        let error = message(Serializer::MessagePack, &Frame::Binary(vec![0xc1].into()));
        assert_eq!(error.unwrap_err().code, CloseCode::Invalid);
    }

    #[test]
    fn a_close_frame_s_reason_fits_into_it() {
        let long = Violation::new(CloseCode::Protocol, "ä".repeat(20) + &"x".repeat(200));
        assert_eq!(long.close_frame().reason.len(), 120);
    }
}
