// SPDX-License-Identifier: MIT OR Apache-2.0
//! The header of a Pyro5 message: 40 bytes, big-endian.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | `PYRO` |
//! | 4 | 2 | protocol version, 502 |
//! | 6 | 1 | kind |
//! | 7 | 1 | serializer |
//! | 8 | 2 | flags |
//! | 10 | 2 | sequence number |
//! | 12 | 4 | bytes of data |
//! | 16 | 4 | bytes of annotations, which stand before the data |
//! | 20 | 16 | correlation id |
//! | 36 | 2 | 0 |
//! | 38 | 2 | magic number |

use crate::codec::Malformed;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 40;

const TAG: &[u8; 4] = b"PYRO";
const VERSION: u16 = 502;
const MAGIC: u16 = 0x4dc5;

/// Bits of the flags field.
pub mod flags {
    /// The data is an exception.
    pub const EXCEPTION: u16 = 1;
    /// The data is compressed.
    pub const COMPRESSED: u16 = 2;
    /// The client wants no answer.
    pub const ONEWAY: u16 = 4;
    /// The data is a list of calls.
    pub const BATCH: u16 = 8;
    /// An argument is serialized once more.
    pub const KEEP_SERIALIZED: u16 = 32;
    /// There is a correlation id.
    pub const CORRELATION_ID: u16 = 64;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A client introduces itself.
    Connect,
    /// It is welcome.
    ConnectOk,
    /// It is not.
    ConnectFail,
    /// A call.
    Invoke,
    /// What came of it.
    Result,
    /// A sign of life, and the answer to one.
    Ping,
}

impl Kind {
    const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Connect,
            2 => Self::ConnectOk,
            3 => Self::ConnectFail,
            4 => Self::Invoke,
            5 => Self::Result,
            6 => Self::Ping,
            _ => return None,
        })
    }

    const fn number(self) -> u8 {
        match self {
            Self::Connect => 1,
            Self::ConnectOk => 2,
            Self::ConnectFail => 3,
            Self::Invoke => 4,
            Self::Result => 5,
            Self::Ping => 6,
        }
    }
}

/// The fields of a header that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message is.
    pub kind: Kind,
    /// Number of the serializer.
    pub serializer: u8,
    /// See [`flags`].
    pub flags: u16,
    /// Counts the client's calls; an answer carries its request's.
    pub sequence: u16,
    /// Bytes of data.
    pub data_bytes: u32,
    /// Bytes of annotations.
    pub annotation_bytes: u32,
    /// Chosen by the client, if it uses one.
    pub correlation_id: [u8; 16],
}

impl Header {
    /// Reads a header.
    ///
    /// # Errors
    /// When tag, version, magic number or kind are not Pyro5's.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Malformed> {
        let mut rest = Fields(bytes);
        if rest.take() != *TAG || rest.u16() != VERSION {
            return Err(Malformed("not a message of Pyro5, version 502"));
        }
        let [kind, serializer] = rest.take();
        let header = Self {
            kind: Kind::from_number(kind).ok_or(Malformed("unknown kind of message"))?,
            serializer,
            flags: rest.u16(),
            sequence: rest.u16(),
            data_bytes: rest.u32(),
            annotation_bytes: rest.u32(),
            correlation_id: rest.take(),
        };
        let _reserved = rest.u16();
        if rest.u16() != MAGIC {
            return Err(Malformed("wrong magic number"));
        }
        Ok(header)
    }

    /// How many bytes follow the header; `None` if that is more than can be.
    #[must_use]
    pub fn body_bytes(&self) -> Option<usize> {
        usize::try_from(self.data_bytes.checked_add(self.annotation_bytes)?).ok()
    }

    /// The data in what follows the header.
    ///
    /// # Errors
    /// When it is not as long as the header says.
    pub fn data<'a>(&self, body: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let annotations = usize::try_from(self.annotation_bytes).unwrap_or(usize::MAX);
        match body.get(annotations..) {
            Some(data) if self.body_bytes() == Some(body.len()) => Ok(data),
            _ => Err(Malformed("wrong length")),
        }
    }

    /// The header of an answer to a message with this one; its lengths are still to be set.
    #[must_use]
    pub const fn reply(&self, kind: Kind, serializer: u8, with_flags: u16) -> Self {
        Self {
            kind,
            serializer,
            flags: with_flags | (self.flags & flags::CORRELATION_ID),
            sequence: self.sequence,
            data_bytes: 0,
            annotation_bytes: 0,
            correlation_id: self.correlation_id,
        }
    }

    /// The whole message with this header and `data`, without annotations.
    #[must_use]
    pub fn message(&self, data: &[u8]) -> Vec<u8> {
        // Our longest answer, a batch of trace samples, is far shorter than the field can say.
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let mut message = Vec::with_capacity(HEADER_BYTES + data.len());
        message.extend(TAG);
        message.extend(VERSION.to_be_bytes());
        message.extend([self.kind.number(), self.serializer]);
        message.extend(self.flags.to_be_bytes());
        message.extend(self.sequence.to_be_bytes());
        message.extend(length.to_be_bytes());
        message.extend(0_u32.to_be_bytes());
        message.extend(self.correlation_id);
        message.extend(0_u16.to_be_bytes());
        message.extend(MAGIC.to_be_bytes());
        message.extend(data);
        message
    }
}

/// Takes fields from the front of a header, whose length is known to hold them all.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *taken
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }
}
