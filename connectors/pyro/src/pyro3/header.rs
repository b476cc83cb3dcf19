// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a Pyro3 message: 18 bytes, big-endian.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | `PYRO` |
//! | 4 | 2 | wire version |
//! | 6 | 2 | bytes of the header, 18 |
//! | 8 | 4 | bytes of the body, signed |
//! | 12 | 2 | flags |
//! | 14 | 4 | checksum of the body, if a flag says so; TCP has its own, so it is passed over |

use crate::codec::Malformed;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 18;

/// How every message begins.
pub const TAG: &[u8; 4] = b"PYRO";

/// Bits of the flags field.
pub mod flags {
    /// The body is compressed.
    pub const COMPRESSED: u16 = 1;
    /// The body is XML.
    pub const XML: u16 = 4;
}

/// The number that both sides must agree on. The server speaks first, so it can serve only one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WireVersion {
    /// Pyro up to 3.9.1, of 2009 and before.
    Four,
    /// Pyro 3.10 to 3.16.
    #[default]
    Five,
}

impl WireVersion {
    /// The version with this number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            4 => Some(Self::Four),
            5 => Some(Self::Five),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Four => 4,
            Self::Five => 5,
        }
    }
}

/// The fields that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow.
    pub body_bytes: usize,
    /// See [`flags`].
    pub flags: u16,
}

impl Header {
    /// Reads the header of a message in this version.
    ///
    /// # Errors
    /// When it is not one, or of the other version.
    pub fn parse(bytes: &[u8; HEADER_BYTES], version: WireVersion) -> Result<Self, Malformed> {
        let [t0, t1, t2, t3, v0, v1, h0, h1, b0, b1, b2, b3, f0, f1, ..] = *bytes;
        let number = u16::from_be_bytes([v0, v1]);
        let size = u16::from_be_bytes([h0, h1]);
        if [t0, t1, t2, t3] != *TAG || usize::from(size) != HEADER_BYTES {
            return Err(Malformed("not a message of Pyro3"));
        }
        if number != version.number() {
            return Err(Malformed(match WireVersion::from_number(number) {
                Some(WireVersion::Four) => {
                    "the client speaks wire version 4 of Pyro3; start the connector with --pyro3-version 4"
                }
                Some(WireVersion::Five) => {
                    "the client speaks wire version 5 of Pyro3; start the connector with --pyro3-version 5"
                }
                None => "an unknown wire version of Pyro3",
            }));
        }
        let length = i32::from_be_bytes([b0, b1, b2, b3]);
        let body_bytes = usize::try_from(length).map_err(|_| Malformed("a negative length"))?;
        Ok(Self { body_bytes, flags: u16::from_be_bytes([f0, f1]) })
    }
}

/// The whole message with this body.
#[must_use]
pub fn message(version: WireVersion, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + body.len());
    message.extend(TAG);
    message.extend(version.number().to_be_bytes());
    message.extend([0, 18]);
    // Our longest answer, a batch of trace samples, is far shorter than the field can say.
    message.extend(i32::try_from(body.len()).unwrap_or(i32::MAX).to_be_bytes());
    message.extend([0; 6]);
    message.extend(body);
    message
}
