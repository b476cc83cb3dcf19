// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the conversation expects of a protocol.

use plc_connector::{
    call::{CallRefused, PlcCall},
    intake::Measure,
};

pub use plc_connector::ide::Malformed;

use crate::{answer::Outcome, method::Method};

/// What one frame of the peer asks for.
#[derive(Debug)]
pub enum Received<T> {
    /// Nothing of the PLC: send these bytes (which may be none) and go on.
    Reply(Vec<u8>),
    /// Send these bytes, then end the connection, for this reason.
    Farewell(Vec<u8>, &'static str),
    /// A call; carry it out and have [`Codec::answer`] write what came of it.
    Call {
        /// The method, which decides the shape of the answer.
        method: Method,
        /// The call; a refusal if its arguments already tell that it cannot be carried out.
        call: Result<PlcCall, CallRefused>,
        /// What the codec has to remember until the answer.
        ticket: T,
    },
}

/// One connection's protocol: bytes in, calls out, and back. Does no I/O.
pub trait Codec {
    /// Whatever connects an answer with its request.
    type Ticket;

    /// How long the frame is that begins here.
    ///
    /// # Errors
    /// [`Malformed`] when it is too long, or no frame of this protocol.
    fn measure(&mut self, bytes: &[u8]) -> Result<Measure, Malformed>;

    /// Understands one whole frame.
    ///
    /// # Errors
    /// [`Malformed`] when there is no way to answer it.
    fn receive(&mut self, frame: &[u8]) -> Result<Received<Self::Ticket>, Malformed>;

    /// Writes the answer to a call; nothing if the peer wants none.
    fn answer(&mut self, method: Method, outcome: Outcome, ticket: Self::Ticket) -> Vec<u8>;
}
