// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDE port: every IDE generation on one listener, told apart by its first bytes.
//!
//! [`detect`] names the protocol; [`pyro3`], [`pyro5`] and [`erpc`] are its codecs, pure functions between bytes and
//! [`PlcCall`](plc_connector::call::PlcCall)s behind the one trait [`codec::Codec`]; [`conversation`] alone does I/O.
//! [`answer`] decides what an IDE gets when a call is refused, in one table for all protocols; [`value`] holds what
//! Python values become, [`pickle`] reads and writes those of Pyro3, [`arguments`] makes calls of them, [`force`] a
//! variable's bytes.
#![forbid(unsafe_code)]

pub mod answer;
pub mod arguments;
pub mod codec;
pub mod conversation;
pub mod detect;
pub mod erpc;
pub mod force;
pub mod method;
pub mod pickle;
pub mod pyro3;
pub mod pyro5;
pub mod value;
#[cfg(test)]
mod vectors;
