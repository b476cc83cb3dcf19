// SPDX-License-Identifier: MIT OR Apache-2.0
//! How messages are written: as MessagePack or as JSON.

mod json;

use plc_connector::ide::{Malformed, msgpack, value::Value};

/// A way to write messages; the WebSocket handshake settles on one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// In binary WebSocket messages.
    MessagePack,
    /// In text messages; bytes are base64 after a NUL.
    Json,
}

impl Serializer {
    /// All, the preferred one first.
    pub const ALL: [Self; 2] = [Self::MessagePack, Self::Json];

    /// Its name as a WebSocket subprotocol.
    #[must_use]
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::MessagePack => "wamp.2.msgpack",
            Self::Json => "wamp.2.json",
        }
    }

    /// The serializer of this subprotocol.
    #[must_use]
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|serializer| serializer.subprotocol() == name)
    }

    /// Reads the one value in `bytes`.
    ///
    /// # Errors
    /// When there is not exactly one, or it is over the bounds of [`plc_connector::ide::value::Budget`].
    pub fn read(self, bytes: &[u8]) -> Result<Value, Malformed> {
        match self {
            Self::MessagePack => msgpack::read(bytes),
            Self::Json => json::read(bytes),
        }
    }

    /// Writes `value`. What the format cannot hold becomes nil.
    #[must_use]
    pub fn write(self, value: &Value) -> Vec<u8> {
        match self {
            Self::MessagePack => msgpack::write(value),
            Self::Json => json::write(value),
        }
    }
}
