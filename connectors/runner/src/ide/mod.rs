// SPDX-License-Identifier: MIT OR Apache-2.0
//! What IDEs say, whatever carries it: their methods by name, Python values, and the way between those and a
//! [`PlcCall`](crate::call::PlcCall) and its outcome.
//!
//! [`value`] holds what Python values become and the bounds on reading one, [`msgpack`] reads and writes them,
//! [`arguments`] makes calls of them and `force.rs` a variable's bytes. [`answer`] decides what an IDE gets when a call
//! is refused, in one table for all protocols.

pub mod answer;
pub mod arguments;
mod force;
pub mod method;
pub mod msgpack;
pub mod value;

use thiserror::Error;

/// Bytes that do not belong to the protocol; the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("malformed: {0}")]
pub struct Malformed(pub &'static str);
