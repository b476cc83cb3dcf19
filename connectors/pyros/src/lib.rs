// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDE port for the network: TLS with pre-shared keys (RFC 4279, RFC 8446), and inside it all that
//! [`plc_connector_pyro`] understands.
//!
//! In the order a connection meets it: [`client_hello`] looks at the first bytes, [`pace`] bounds failed handshakes,
//! [`context`] holds what OpenSSL may negotiate and answers it with keys, [`port`] joins them. A peer without a valid
//! key reaches none of our protocols, and cannot tell an unknown ID from a wrong secret.
#![forbid(unsafe_code)]

pub mod client_hello;
pub mod context;
pub mod pace;
pub mod port;
