// SPDX-License-Identifier: MIT OR Apache-2.0
//! WAMP (wamp-proto.org): the PLC among many at a router, and an IDE that comes straight to one PLC.
//!
//! [`message`] and [`serializer`] are the protocol's words, pure functions between bytes and messages. [`callee`] is
//! this PLC as a client of a router, [`dealer`] a router for a single IDE; both are sessions without I/O, and share
//! [`procedure`] (what can be called) and [`auth`] (who is who). [`direct`] waits for what the dealer decides about. What is
//! called is carried out in [`lanes`], what is told unasked comes from [`events`].
#![forbid(unsafe_code)]

pub mod auth;
pub mod backoff;
pub mod callee;
pub mod dealer;
pub mod direct;
pub mod events;
pub mod lanes;
pub mod link;
pub mod message;
pub mod procedure;
mod quote;
pub mod serializer;
pub mod tls;
pub mod websocket;
