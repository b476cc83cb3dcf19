// SPDX-License-Identifier: MIT OR Apache-2.0
//! The front contract: what connectors and `plcctl` may ask of the supervisor, and what it says back.
//!
//! The nouns ([`plc`], [`program`], [`trace`], [`log`], [`key`], [`wamp`]) are shared by every process; [`message`] holds the
//! conversation on an API socket, [`frame`] its bytes, [`limits`] every bound, [`paths`] every name on disk.
//! With the feature `client` there is an async [`client`] too. Nothing here does I/O but that client.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
pub mod frame;
pub mod key;
pub mod limits;
pub mod log;
pub mod message;
pub mod paths;
pub mod plc;
pub mod program;
pub mod trace;
pub mod wamp;

/// The version of the API conversation. Both sides name theirs first; they talk only if the numbers agree.
///
/// A field added to a message does not change it (messages are maps, unknown keys are ignored and missing
/// ones have defaults); a changed meaning does.
pub const API_VERSION: u16 = 1;

/// The release these programs were built from.
pub const RELEASE: &str = env!("CARGO_PKG_VERSION");
