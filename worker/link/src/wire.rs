// SPDX-License-Identifier: MIT OR Apache-2.0
//! Frames over a blocking stream, for the worker's plain threads.

use std::io::{self, Read, Write};

use plc_api::frame::{self, FrameError};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Why a frame did not pass.
#[derive(Debug, Error)]
pub enum WireError {
    /// The other side is gone, or the descriptor is.
    #[error("the channel ended")]
    Io(#[from] io::Error),
    /// What came is not a message of this conversation.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Writes one message, waiting until the channel takes it.
///
/// # Errors
/// [`WireError::Io`] when the channel ended, [`WireError::Frame`] when the message is too long.
pub fn send<T: Serialize>(mut channel: impl Write, message: &T) -> Result<(), WireError> {
    Ok(channel.write_all(&frame::encode(message)?)?)
}

/// Reads one message, waiting for it.
///
/// # Errors
/// [`WireError::Io`] at the end of the channel, [`WireError::Frame`] when the bytes are no message.
pub fn receive<T: DeserializeOwned>(mut channel: impl Read) -> Result<T, WireError> {
    let mut header = [0; frame::HEADER_BYTES];
    channel.read_exact(&mut header)?;
    let mut body = vec![0; frame::body_length(header)?];
    channel.read_exact(&mut body)?;
    Ok(frame::decode(&body)?)
}
