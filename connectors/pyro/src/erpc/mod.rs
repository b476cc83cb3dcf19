// SPDX-License-Identifier: MIT OR Apache-2.0
//! The eRPC codec: service 1 of the IDE's interface, in the framing of each IDE.
//!
//! A message begins with type, request, service, version (one byte each) and a sequence number; then the arguments, or
//! in a reply the outputs and a result code. An IDE without a reply waits for ever, so whatever can be answered is.
//! [`dialect`] says in what the generations of IDEs differ.

pub mod dialect;
pub mod frame;
mod outputs;
pub mod wire;

use plc_connector::{
    api::{program::BlobId, trace::TraceVariable},
    call::{CallRefused, PlcCall, Program},
    intake::Measure,
};

use crate::{
    answer::Outcome,
    arguments::log_message,
    codec::{Codec, Malformed, Received},
    method::Method,
};
use dialect::Dialect;
use frame::{Framing, MAX_MESSAGE_BYTES};
use outputs::{LogTime, MISSING_CALL, TRACE_ENVELOPE_BYTES, outputs};
use wire::{Reader, Writer};

const VERSION: u8 = 1;
const SERVICE: u8 = 1;
const INVOCATION: u8 = 0;
const ONEWAY: u8 = 1;
const REPLY: u8 = 2;

/// The eRPC side of one connection.
#[derive(Debug)]
pub struct Erpc {
    dialect: Dialect,
    /// Whether the client has asked for the statistics of the cycle, which only those do that read 64-bit seconds.
    asked_statistics: bool,
}

/// What an answer needs of its request.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    /// The number of the method as the request spelled it.
    request: u8,
    sequence: u32,
    wants_answer: bool,
}

impl Erpc {
    /// A codec for a client that frames like this.
    #[must_use]
    pub const fn new(framing: Framing) -> Self {
        Self { dialect: Dialect::of(framing), asked_statistics: false }
    }
}

impl Codec for Erpc {
    type Ticket = Ticket;

    fn measure(&mut self, bytes: &[u8]) -> Result<Measure, Malformed> {
        frame::measure(self.dialect.framing, bytes)
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Received<Ticket>, Malformed> {
        let mut reader = Reader(frame::message(self.dialect.framing, frame)?);
        let (kind, request) = (reader.u8()?, reader.u8()?);
        let (service, version) = (reader.u8()?, reader.u8()?);
        let sequence = reader.u32()?;
        if version != VERSION || service != SERVICE || !matches!(kind, INVOCATION | ONEWAY) {
            return Err(Malformed("not a call of the PLC service"));
        }
        let method = Method::from_erpc_id(request).ok_or(Malformed("unknown method"))?;
        let call = arguments(method, &mut reader)?;
        reader.end()?;
        self.asked_statistics |= call == Ok(PlcCall::CycleStatistics);
        let ticket = Ticket { request, sequence, wants_answer: kind == INVOCATION };
        Ok(Received::Call { method, call, ticket })
    }

    fn answer(&mut self, method: Method, outcome: Outcome, ticket: Ticket) -> Vec<u8> {
        if !ticket.wants_answer {
            return Vec::new();
        }
        let mut body = Writer::default();
        let time = LogTime::of(self.dialect, self.asked_statistics);
        let result = outputs(method, outcome, self.dialect, time, &mut body);
        body.u32(result);
        let version = if result == MISSING_CALL { self.dialect.refusal_version } else { VERSION };
        let mut reply = Writer::default();
        for byte in [REPLY, ticket.request, SERVICE, version] {
            reply.u8(byte);
        }
        reply.u32(ticket.sequence);
        reply.0.extend(body.0);
        // The outputs were made to fit, so there always is a frame.
        frame::frame(self.dialect.framing, &reply.0).unwrap_or_default()
    }
}

/// Reads the arguments of `method`.
fn arguments(
    method: Method,
    reader: &mut Reader<'_>,
) -> Result<Result<PlcCall, CallRefused>, Malformed> {
    Ok(Ok(match method {
        Method::AppendChunkToBlob => {
            let data = reader.binary()?.to_vec();
            match blob_id(reader)? {
                Some(blob) => PlcCall::AppendChunk { blob, data },
                None => return Ok(Err(CallRefused::UnknownBlob)),
            }
        }
        Method::ExtendedCall => {
            PlcCall::ExtendedCall { method: reader.string()?, argument: reader.binary()?.to_vec() }
        }
        Method::GetLogMessage => log_message(reader.u8()?, reader.u32()?),
        Method::GetPlcId => PlcCall::Identity,
        Method::GetPlcStatus => PlcCall::Status,
        Method::GetTraceVariables => PlcCall::ReadTrace {
            token: Some(reader.u32()?),
            max_bytes: u32::try_from(MAX_MESSAGE_BYTES - TRACE_ENVELOPE_BYTES)
                .map_err(|_| Malformed("impossible bound"))?,
        },
        Method::MatchMd5 => PlcCall::MatchMd5(reader.string()?),
        Method::NewPlc => {
            let (md5, library) = (reader.string()?, blob_id(reader)?);
            let files = reader.list(|r| Ok((r.string()?, blob_id(r)?)))?;
            let files = files.into_iter().map(|(name, blob)| Some((name, blob?)));
            match (library, files.collect()) {
                (Some(library), Some(extra_files)) => {
                    PlcCall::Install(Program { md5, library, extra_files })
                }
                _ => return Ok(Err(CallRefused::UnknownBlob)),
            }
        }
        Method::PurgeBlobs => PlcCall::PurgeBlobs,
        Method::RepairPlc => PlcCall::Repair,
        Method::ResetLogCount => PlcCall::ResetLog,
        Method::SeedBlob => PlcCall::SeedBlob(reader.binary()?.to_vec()),
        Method::SetTraceVariablesList => PlcCall::SetTrace(reader.list(|r| {
            let (index, force) = (r.u32()?, r.binary()?);
            let force = (!force.is_empty()).then(|| force.to_vec().into());
            Ok(TraceVariable { index, force })
        })?),
        Method::StartPlc => PlcCall::Start,
        Method::StopPlc => PlcCall::Stop,
        Method::RemoteExec => return Err(Malformed("unknown method")),
    }))
}

/// A blob id; `None` if what is sent for one cannot be one.
fn blob_id(reader: &mut Reader<'_>) -> Result<Option<BlobId>, Malformed> {
    reader.binary().map(BlobId::from_slice)
}

#[cfg(test)]
mod tests;
