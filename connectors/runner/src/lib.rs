// SPDX-License-Identifier: MIT OR Apache-2.0
//! What every connector shares.
//!
//! A connector stands between IDEs, which speak the protocol of their generation, and the supervisor, which speaks
//! [`plc_api`]. Its own part is a codec and a conversation; this crate holds the rest, in the order a connection
//! meets it: [`options`] (command line), [`listen`] (whence the listening sockets), [`serve`] (accepting, ending),
//! [`places`] (how many, and who gives way), [`admission`] (who not), [`intake`] (reading frames with bounds and
//! deadlines), [`call`] (what an IDE can ask), [`cycle`] (what it sees of the cycle) and [`session`] (asking the supervisor). [`ide`] is the language of the
//! protocols that carry Python values. [`logging`] limits what a remote peer can write to the log.
//!
//! A connector's `main` is one call of [`run::run`].
#![forbid(unsafe_code)]

pub mod admission;
pub mod call;
pub mod cycle;
pub mod ide;
pub mod intake;
pub mod listen;
mod local_peer;
pub mod logging;
pub mod options;
pub mod places;
pub mod run;
pub mod serve;
pub mod session;
pub mod stop;
mod upload;
pub mod view;

pub use plc_api as api;
