// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDE port: every IDE generation on one listener, told apart by its first bytes.
//!
//! [`detect`] names the protocol; [`pyro3`], [`pyro5`] and [`erpc`] are its codecs, pure functions between bytes and
//! [`PlcCall`](plc_connector::call::PlcCall)s behind the one trait [`codec::Codec`]; [`conversation`] alone does I/O.
//! [`pickle`] reads and writes the values of Pyro3. What all of them say is in [`plc_connector::ide`].
#![forbid(unsafe_code)]

pub mod codec;
pub mod conversation;
pub mod detect;
pub mod erpc;
mod log_ids;
pub mod pickle;
pub mod pyro3;
pub mod pyro5;
#[cfg(test)]
mod vectors;

use plc_connector::ide::{answer, arguments, method, value};
