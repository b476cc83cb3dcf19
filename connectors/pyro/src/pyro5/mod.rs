// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Pyro5 codec, protocol version 502, with the serializers serpent and msgpack.
//!
//! A client first sends CONNECT and learns the names of the methods, then INVOKEs them one by one. Refusals that have
//! no value of their own are exceptions; see [`plc_connector::ide::answer`].

pub mod calls;
pub mod header;
pub mod serpent;

use plc_connector::{ide::msgpack, intake::Measure};

use crate::{
    answer::Outcome,
    codec::{Codec, Malformed, Received},
    method::Method,
    value::Value,
};
use calls::{Exception, Invoked};
use header::{HEADER_BYTES, Header, Kind, flags};

/// Most bytes of data and annotations in one message: a chunk of 1 MiB, each byte of which serpent may write as
/// four characters, and its envelope.
pub const MAX_MESSAGE_BYTES: usize = (4 << 20) + (64 << 10);

/// The same before the client has introduced itself.
const MAX_CONNECT_BYTES: usize = 64 << 10;

/// How values are written; the client chooses with each message, and is answered alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serializer {
    /// Python literals; IDEs of 2022 to 2023.
    Serpent,
    /// MessagePack; later ones.
    Msgpack,
}

impl Serializer {
    const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Serpent),
            4 => Some(Self::Msgpack),
            _ => None,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Serpent => 1,
            Self::Msgpack => 4,
        }
    }

    fn read(self, bytes: &[u8]) -> Result<Value, Malformed> {
        match self {
            Self::Serpent => serpent::read(bytes),
            Self::Msgpack => msgpack::read(bytes),
        }
    }

    fn write(self, value: &Value) -> Vec<u8> {
        match self {
            Self::Serpent => serpent::write(value),
            Self::Msgpack => msgpack::write(value),
        }
    }
}

/// The Pyro5 side of one connection.
#[derive(Debug, Default)]
pub struct Pyro5 {
    connected: bool,
}

/// What an answer needs of its request.
#[derive(Clone, Debug)]
pub struct Ticket {
    request: Header,
    serializer: Serializer,
}

impl Codec for Pyro5 {
    type Ticket = Ticket;

    fn measure(&mut self, bytes: &[u8]) -> Result<Measure, Malformed> {
        let Some(head) = bytes.first_chunk() else {
            return Ok(Measure::Need(HEADER_BYTES));
        };
        let header = Header::parse(head)?;
        let limit = match self.connected {
            true => MAX_MESSAGE_BYTES,
            false => MAX_CONNECT_BYTES,
        };
        match header.body_bytes() {
            Some(body) if body <= limit => Ok(Measure::Frame(HEADER_BYTES + body)),
            _ => Err(Malformed("message too long")),
        }
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Received<Ticket>, Malformed> {
        let (head, body) = frame.split_first_chunk().ok_or(Malformed("no header"))?;
        let request = Header::parse(head)?;
        let data = request.data(body)?;
        let Some(serializer) = Serializer::from_number(request.serializer) else {
            return Err(Malformed("a serializer other than serpent and msgpack"));
        };
        let ticket = Ticket { request, serializer };
        match (ticket.request.kind, self.connected) {
            (Kind::Connect, false) => Ok(self.connect(&ticket, data)),
            (Kind::Invoke, true) => Ok(invoke(ticket, data)),
            (Kind::Ping, true) => Ok(Received::Reply(ticket.reply(Kind::Ping, 0, b"pong"))),
            _ => Err(Malformed("a message out of turn")),
        }
    }

    fn answer(&mut self, _method: Method, outcome: Outcome, ticket: Ticket) -> Vec<u8> {
        match calls::result(outcome) {
            Ok(value) => ticket.result(&value),
            Err(exception) => ticket.exception(&exception),
        }
    }
}

impl Pyro5 {
    fn connect(&mut self, ticket: &Ticket, data: &[u8]) -> Received<Ticket> {
        let refuse = |reason| {
            let data = ticket.serializer.write(&Value::text(reason));
            Received::Farewell(ticket.reply(Kind::ConnectFail, 0, &data), reason)
        };
        let greeting = match ticket.readable().and_then(|()| ticket.serializer.read(data)) {
            Ok(greeting) => greeting,
            Err(Malformed(reason)) => return refuse(reason),
        };
        let object = match greeting.get("object") {
            Some(Value::Text(object)) => calls::metadata(object),
            _ => None,
        };
        let Some(metadata) = object else {
            return refuse("unknown object");
        };
        self.connected = true;
        let welcome = Value::map([("handshake", Value::text("hello")), ("meta", metadata)]);
        let data = ticket.serializer.write(&welcome);
        Received::Reply(ticket.reply(Kind::ConnectOk, 0, &data))
    }
}

fn invoke(ticket: Ticket, data: &[u8]) -> Received<Ticket> {
    let invocation = ticket.readable().and_then(|()| ticket.serializer.read(data));
    let invoked = match invocation {
        Ok(invocation) => calls::invoked(invocation),
        Err(Malformed(reason)) => Err(Exception::protocol(reason)),
    };
    match invoked {
        Ok(Invoked::Plc { method, call }) => Received::Call { method, call, ticket },
        Ok(Invoked::Daemon(value)) => Received::Reply(ticket.result(&value)),
        Err(exception) => Received::Reply(ticket.exception(&exception)),
    }
}

impl Ticket {
    /// Whether the data can be read as one plain value.
    const fn readable(&self) -> Result<(), Malformed> {
        if self.request.flags & flags::COMPRESSED != 0 {
            Err(Malformed("compressed messages are not read; switch COMPRESSION off"))
        } else if self.request.flags & (flags::BATCH | flags::KEEP_SERIALIZED) != 0 {
            Err(Malformed("batches and serialized blobs are not read"))
        } else {
            Ok(())
        }
    }

    fn result(&self, value: &Value) -> Vec<u8> {
        self.reply(Kind::Result, 0, &self.serializer.write(value))
    }

    fn exception(&self, exception: &Exception) -> Vec<u8> {
        let data = self.serializer.write(&exception.to_value());
        self.reply(Kind::Result, flags::EXCEPTION, &data)
    }

    /// The whole message; nothing if the client said that it wants no answer.
    fn reply(&self, kind: Kind, with_flags: u16, data: &[u8]) -> Vec<u8> {
        if self.request.flags & flags::ONEWAY != 0 {
            return Vec::new();
        }
        self.request.reply(kind, self.serializer.number(), with_flags).message(data)
    }
}

#[cfg(test)]
mod tests;
