// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Pyro3 codec: the IDEs of 2013 to 2022, which run on Python 2.
//!
//! The server speaks first, with a challenge; the client answers with CONNECT and is granted. It then asks the daemon
//! for the id of the object (`ResolvePYROLOC`), for each method before its first use whether it is one (`_r_ha`), and
//! calls it. Requests and answers are pickles, one after the other, without numbers. Specified by: Pyro 3.16,
//! `Pyro/protocol.py`, `Pyro/core.py`.
//!
//! Everything refused is a `Pyro.errors.ProtocolError` in its capsule: the one exception after which these IDEs stay
//! connected. A request that no IDE could have sent is told so and ends the connection.

mod answers;
pub mod header;
pub mod shared;

use plc_connector::{
    api::{limits, program::BlobId},
    call::{CallRefused, PlcCall, ProgramFiles},
    intake::Measure,
};

use crate::{
    answer::Outcome,
    arguments,
    codec::{Codec, Malformed, Received},
    method::Method,
    pickle::{self, Writer},
    value::Value,
};
use header::{HEADER_BYTES, Header, WireVersion, flags, message};
use shared::{OwnToken, ProgramRoom, Shared};

/// Most bytes of an ordinary call: a chunk of 1 MiB and its envelope.
pub const MAX_CALL_BYTES: usize = limits::CHUNK_BYTES + (64 << 10);

/// Most bytes of a call with a whole program in it, of which there is only one at a time.
pub const MAX_PROGRAM_BYTES: usize = 32 << 20;

/// Most bytes of CONNECT, whose token has 16.
const MAX_CONNECT_BYTES: usize = 256;

/// The one object that IDEs call, and how they ask for it.
const PLC_OBJECT: &str = "PLCObject";
/// The id that every Pyro3 daemon has.
const DAEMON: &str = "c0000000011000001000000010000001";

/// Bits of a request's flags.
const VARARGS: i128 = 1;
const KEYWORDS: i128 = 2;
const ONEWAY: i128 = 4;

/// What the client reads after CONNECT: seven bytes without a header.
const GRANTED: &[u8] = b"GRANTED";

/// The answer to `_r_ha`: "this is a method". Whether it is one of ours is told when it is called, because what would
/// be raised instead makes an IDE drop the connection.
const IS_METHOD: i64 = 1;

/// The Pyro3 side of one connection.
#[derive(Debug)]
pub struct Pyro3 {
    version: WireVersion,
    /// What `ResolvePYROLOC` answers on this connection.
    object: String,
    shared: &'static Shared,
    connected: bool,
    room: Option<ProgramRoom>,
    own: Option<OwnToken>,
}

/// What an answer needs of its request.
#[derive(Debug)]
pub struct Ticket {
    /// The object id that was called.
    object: String,
    wants_answer: bool,
    /// Held until a whole program is dealt with.
    _room: Option<ProgramRoom>,
}

/// A request as it is spelled out.
struct Request {
    object: String,
    method: String,
    oneway: bool,
    arguments: Vec<Value>,
    has_keywords: bool,
}

/// The first message, by which the client knows that it may speak. Its answer proves nothing, because IDEs have no
/// identification; so the challenge is no secret.
#[must_use]
pub fn greeting(version: WireVersion, challenge: [u8; 16]) -> Vec<u8> {
    message(version, &challenge)
}

impl Pyro3 {
    /// A codec for a client that has been sent the [`greeting`]. `id` tells its IDE from others: nobody else may have
    /// it.
    #[must_use]
    pub fn new(version: WireVersion, id: [u8; 16], shared: &'static Shared) -> Self {
        let object = format!("{:032x}", u128::from_be_bytes(id));
        Self { version, object, shared, connected: false, room: None, own: None }
    }

    fn reply(&self, wanted: bool, body: &[u8]) -> Vec<u8> {
        if wanted { message(self.version, body) } else { Vec::new() }
    }

    fn refusal(&self, wanted: bool, reason: &str) -> Vec<u8> {
        self.reply(wanted, &Writer::pickle(|out| out.protocol_error(reason)))
    }

    fn request(&self, request: Request, room: Option<ProgramRoom>) -> Received<Ticket> {
        let wants_answer = !request.oneway;
        let refuse = |reason: &str| Received::Reply(self.refusal(wants_answer, reason));
        let Request { object, method: name, arguments, .. } = request;
        if object == DAEMON {
            let wanted = arguments.into_iter().next().and_then(arguments::text);
            return match (name.as_str(), wanted.as_deref()) {
                ("ResolvePYROLOC", Some(PLC_OBJECT)) => {
                    let id = Writer::pickle(|out| out.str(&self.object));
                    Received::Reply(self.reply(wants_answer, &id))
                }
                ("ResolvePYROLOC", _) => refuse("there is only the object PLCObject"),
                _ => refuse("the daemon only resolves names"),
            };
        }
        // One that was remembered from before a restart of ours is as good.
        if !is_object_id(&object) {
            let reason = "unknown object ID";
            return Received::Farewell(self.refusal(wants_answer, reason), reason);
        }
        if name == "_r_ha" {
            let is_method = Writer::pickle(|out| out.int(IS_METHOD));
            return Received::Reply(self.reply(wants_answer, &is_method));
        }
        let Some(method) = Method::from_name(&name) else {
            let shown: String = name.chars().take(40).collect();
            return refuse(&format!("no method {shown}"));
        };
        // A script's own names come as keywords.
        let call = match request.has_keywords && method != Method::RemoteExec {
            true => None,
            false => self.call(&object, method, arguments),
        };
        match call {
            Some(call) => {
                let ticket = Ticket { object, wants_answer, _room: room };
                Received::Call { method, call, ticket }
            }
            None => refuse(&format!("wrong arguments for {name}")),
        }
    }

    /// The call of `method`; `None` if the arguments do not fit it.
    fn call(
        &self,
        object: &str,
        method: Method,
        arguments: Vec<Value>,
    ) -> Option<Result<PlcCall, CallRefused>> {
        match (method, arguments.as_slice()) {
            // Until 2019 IDEs had no token.
            (Method::GetTraceVariables, []) => {
                Some(arguments::read_trace(self.shared.token(object)))
            }
            // Until 2018 they sent whole files.
            (Method::NewPlc, [_, Value::Bytes(library), _])
                if BlobId::from_slice(library).is_none() =>
            {
                whole_program(arguments)
            }
            _ => arguments::plc_call(method, arguments),
        }
    }
}

impl Codec for Pyro3 {
    type Ticket = Ticket;

    fn measure(&mut self, bytes: &[u8]) -> Result<Measure, Malformed> {
        let Some(head) = bytes.first_chunk() else {
            return Ok(Measure::Need(HEADER_BYTES));
        };
        let body = Header::parse(head, self.version)?.body_bytes;
        let limit = if self.connected { MAX_PROGRAM_BYTES } else { MAX_CONNECT_BYTES };
        if body > limit {
            return Err(Malformed(
                "message too long; a program and its files must be below 32 MiB",
            ));
        }
        if body > MAX_CALL_BYTES && self.room.is_none() {
            let room = self.shared.program_room();
            let busy = Malformed("another program is being transferred; try again after it");
            self.room = Some(room.ok_or(busy)?);
        }
        Ok(Measure::Frame(HEADER_BYTES + body))
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Received<Ticket>, Malformed> {
        let room = self.room.take();
        let (head, body) = frame.split_first_chunk().ok_or(Malformed("no header"))?;
        let header = Header::parse(head, self.version)?;
        if header.body_bytes != body.len() {
            return Err(Malformed("wrong length"));
        }
        if !self.connected {
            // Whoever answers the challenge is let in, as by the reference runtime.
            self.connected = body.starts_with(b"CONNECT");
            return match self.connected {
                true => Ok(Received::Reply(GRANTED.to_vec())),
                false => Err(Malformed("the client does not say CONNECT")),
            };
        }
        let reason = "compressed and XML messages are not read; switch PYRO_COMPRESSION and PYRO_XML_PICKLE off";
        if header.flags & (flags::COMPRESSED | flags::XML) != 0 {
            return Ok(Received::Reply(self.refusal(true, reason)));
        }
        let request = pickle::read(body)
            .and_then(|value| Request::parse(value).ok_or(Malformed("not a request")));
        Ok(match request {
            Ok(request) => self.request(request, room),
            Err(Malformed(reason)) => Received::Farewell(self.refusal(true, reason), reason),
        })
    }

    fn answer(&mut self, _method: Method, outcome: Outcome, ticket: Ticket) -> Vec<u8> {
        if let Outcome::Token(token) = outcome {
            // The one before it goes first: it may look the same.
            self.own = None;
            let token = u32::try_from(token).ok();
            self.own = token.map(|token| self.shared.set_token(ticket.object, token));
        }
        self.reply(ticket.wants_answer, &answers::body(&outcome))
    }
}

impl Request {
    /// Object, method, flags, arguments.
    fn parse(value: Value) -> Option<Self> {
        let [object, method, flags, arguments] = value.into_list()?.try_into().ok()?;
        let (flags, mut arguments) = (flags.as_int()?, arguments.into_list()?);
        let mut has_keywords = false;
        if flags & KEYWORDS != 0 {
            let Value::Map(keywords) = arguments.pop()? else {
                return None;
            };
            has_keywords = !keywords.is_empty();
        }
        if flags & VARARGS != 0 {
            let more = arguments.pop()?.into_list()?;
            arguments.extend(more);
        }
        Some(Self {
            object: arguments::text(object)?,
            method: arguments::text(method)?,
            oneway: flags & ONEWAY != 0,
            arguments,
            has_keywords,
        })
    }
}

/// Whether this may be an id that `ResolvePYROLOC` has answered, now or before.
fn is_object_id(text: &str) -> bool {
    (16..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `NewPLC` with whole files: md5 text, library, names and contents.
fn whole_program(arguments: Vec<Value>) -> Option<Result<PlcCall, CallRefused>> {
    let [md5, library, files] = arguments.try_into().ok()?;
    let mut extra_files = Vec::new();
    for file in files.into_list()? {
        let [name, content] = file.into_list()?.try_into().ok()?;
        match arguments::file_name(name)? {
            Ok(name) => extra_files.push((name, arguments::bytes(content)?)),
            Err(refused) => return Some(Err(refused)),
        }
    }
    let (md5, library) = (arguments::text(md5)?, arguments::bytes(library)?);
    Some(Ok(PlcCall::InstallFiles(ProgramFiles { md5, library, extra_files })))
}

#[cfg(test)]
mod tests;
