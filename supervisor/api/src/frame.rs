// SPDX-License-Identifier: MIT OR Apache-2.0
//! One frame: a little-endian `u32` length and that many bytes of MessagePack with named fields.
//!
//! Named fields let two releases of these programs understand each other: what one side does not know it
//! ignores, what is missing gets its default. Pure: the sockets belong to the callers.
//!
//! ```
//! use plc_api::{frame, log::LogLevel};
//!
//! let frame = frame::encode(&LogLevel::Warning)?;
//! let (header, body) = frame.split_first_chunk().expect("a frame has a header");
//! assert_eq!(frame::body_length(*header)?, body.len());
//! assert_eq!(frame::decode::<LogLevel>(body)?, LogLevel::Warning);
//! # Ok::<(), frame::FrameError>(())
//! ```

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use crate::limits;

/// Bytes of the length field in front of a frame.
pub const HEADER_BYTES: usize = 4;

/// A frame that cannot be made or understood.
#[derive(Debug, Error)]
pub enum FrameError {
    /// Longer than [`limits::FRAME_BYTES`]: it has so many bytes.
    #[error("a frame of {0} bytes is over the limit of {limit}", limit = limits::FRAME_BYTES)]
    TooLong(usize),
    /// The message could not be written as MessagePack.
    #[error("the message cannot be encoded")]
    Encode(#[source] rmp_serde::encode::Error),
    /// A well-formed message with a word that this release does not know: the peer is newer.
    #[error("the message is not known to this release ({0})")]
    Unknown(String),
    /// The bytes are not the message they should be.
    #[error("the frame is malformed")]
    Malformed(#[source] rmp_serde::decode::Error),
}

/// Writes `message` as one whole frame, header included.
///
/// # Errors
/// [`FrameError::TooLong`], [`FrameError::Encode`].
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut frame = vec![0; HEADER_BYTES];
    let mut serializer = rmp_serde::Serializer::new(&mut frame).with_struct_map();
    message.serialize(&mut serializer).map_err(FrameError::Encode)?;
    let length = frame.len() - HEADER_BYTES;
    if length > limits::FRAME_BYTES {
        return Err(FrameError::TooLong(length));
    }
    let header = u32::try_from(length).map_err(|_| FrameError::TooLong(length))?.to_le_bytes();
    frame.splice(..HEADER_BYTES, header);
    Ok(frame)
}

/// How many bytes follow this header.
///
/// # Errors
/// [`FrameError::TooLong`]: the peer means more than [`limits::FRAME_BYTES`].
pub fn body_length(header: [u8; HEADER_BYTES]) -> Result<usize, FrameError> {
    let length = usize::try_from(u32::from_le_bytes(header)).unwrap_or(usize::MAX);
    if length > limits::FRAME_BYTES { Err(FrameError::TooLong(length)) } else { Ok(length) }
}

/// Reads one message from a frame's body.
///
/// # Errors
/// [`FrameError::Unknown`], [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    rmp_serde::from_slice(body).map_err(|error| match unknown_word(&error) {
        Some(word) => FrameError::Unknown(word.to_owned()),
        None => FrameError::Malformed(error),
    })
}

/// What `serde::de::Error::unknown_variant` complains of; only its text tells it from other errors.
fn unknown_word(error: &rmp_serde::decode::Error) -> Option<&str> {
    let rmp_serde::decode::Error::Syntax(text) = error else { return None };
    text.strip_prefix("unknown variant ")?.split(',').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plc::Snapshot;

    #[test]
    fn a_message_survives_its_frame() {
        let before = Snapshot { phase: "started".into(), crashes: 3, ..Snapshot::default() };
        let frame = encode(&before).unwrap();
        let length = body_length(frame[..HEADER_BYTES].try_into().unwrap()).unwrap();
        assert_eq!(length, frame.len() - HEADER_BYTES);
        assert_eq!(decode::<Snapshot>(&frame[HEADER_BYTES..]).unwrap(), before);
    }

    #[test]
    fn an_older_peer_s_shorter_message_gets_defaults_and_a_newer_one_s_extra_field_is_ignored() {
        #[derive(serde::Serialize)]
        struct Other {
            crashes: u32,
            colour_of_the_cabinet: &'static str,
        }
        let frame = encode(&Other { crashes: 7, colour_of_the_cabinet: "grey" }).unwrap();
        let read: Snapshot = decode(&frame[HEADER_BYTES..]).unwrap();
        assert_eq!(read, Snapshot { crashes: 7, ..Snapshot::default() });
    }

    #[test]
    fn a_newer_peer_s_message_is_told_from_a_malformed_one() {
        #[derive(serde::Serialize)]
        enum Other {
            Start,
            PaintTheCabinet { colour: String },
        }
        #[derive(serde::Serialize)]
        struct Message {
            id: u64,
            request: Other,
        }
        let body = |request| encode(&Message { id: 7, request }).unwrap().split_off(HEADER_BYTES);
        let newer = body(Other::PaintTheCabinet { colour: "grey".into() });
        let error = decode::<crate::message::ClientMessage>(&newer).unwrap_err();
        assert!(
            matches!(&error, FrameError::Unknown(word) if word.contains("PaintTheCabinet")),
            "{error}"
        );
        let known = body(Other::Start);
        assert!(decode::<crate::message::ClientMessage>(&known).is_ok());
        let error = decode::<crate::message::ClientMessage>(&known[..known.len() - 1]).unwrap_err();
        assert!(matches!(error, FrameError::Malformed(_)), "{error}");
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_anything_is_read() {
        assert!(matches!(body_length([0xff; 4]), Err(FrameError::TooLong(_))));
    }
}
