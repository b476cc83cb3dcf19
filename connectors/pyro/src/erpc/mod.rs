// SPDX-License-Identifier: MIT OR Apache-2.0
//! The eRPC codec: service 1 of the IDE's interface, in either framing.
//!
//! A message begins with type, request, service, version (one byte each) and a sequence number; then the arguments, or
//! in a reply the outputs and a result code. An IDE without a reply waits for ever, so whatever can be answered is.

pub mod frame;
pub mod wire;

use plc_connector::{
    api::{limits, plc::PlcStatus, program::BlobId, trace::TraceSample, trace::TraceVariable},
    call::{CallRefused, PlcCall, Program},
    intake::Measure,
};

use crate::{
    answer::Outcome,
    arguments::log_message,
    codec::{Codec, Malformed, Received},
    method::Method,
};
use frame::{Framing, MAX_MESSAGE_BYTES};
use wire::{Reader, Writer};

const VERSION: u8 = 1;
const SERVICE: u8 = 1;
const INVOCATION: u8 = 0;
const ONEWAY: u8 = 1;
const REPLY: u8 = 2;

/// Result codes, the last value of a reply.
const SUCCESS: u32 = 0;
/// "The call is not there": the one failure that leaves the IDE connected.
const MISSING_CALL: u32 = 2;
/// The IDEs with erpc 1.11 stumble over that result code and drop the connection (corrected in the reference IDE
/// after its change to erpc 1.12). A reply in a version of the codec that does not exist is one warning to them.
const UNSUPPORTED_VERSION: u8 = 2;

/// Message header, state, count of samples, result.
const TRACE_ENVELOPE_BYTES: usize = 8 + 4 + 4 + 4;
/// Tick and length in front of each sample's data; less than the API counts for a sample, so a reply always fits.
const SAMPLE_HEADER_BYTES: usize = 8;
const _: () = assert!(SAMPLE_HEADER_BYTES <= limits::TRACE_SAMPLE_OVERHEAD);
/// Message header, length, result.
const EXTENDED_ENVELOPE_BYTES: usize = 8 + 4 + 4;
/// Message header, length, tick, seconds, nanoseconds, result.
const LOG_ENVELOPE_BYTES: usize = 8 + 4 + 4 + 4 + 4 + 4;

/// The eRPC side of one connection.
#[derive(Debug)]
pub struct Erpc {
    framing: Framing,
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
        Self { framing }
    }
}

impl Codec for Erpc {
    type Ticket = Ticket;

    fn measure(&mut self, bytes: &[u8]) -> Result<Measure, Malformed> {
        frame::measure(self.framing, bytes)
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Received<Ticket>, Malformed> {
        let mut reader = Reader(frame::message(self.framing, frame)?);
        let (kind, request) = (reader.u8()?, reader.u8()?);
        let (service, version) = (reader.u8()?, reader.u8()?);
        let sequence = reader.u32()?;
        if version != VERSION || service != SERVICE || !matches!(kind, INVOCATION | ONEWAY) {
            return Err(Malformed("not a call of the PLC service"));
        }
        let method = Method::from_erpc_id(request).ok_or(Malformed("unknown method"))?;
        let call = arguments(method, &mut reader)?;
        reader.end()?;
        let ticket = Ticket { request, sequence, wants_answer: kind == INVOCATION };
        Ok(Received::Call { method, call, ticket })
    }

    fn answer(&mut self, method: Method, outcome: Outcome, ticket: Ticket) -> Vec<u8> {
        if !ticket.wants_answer {
            return Vec::new();
        }
        let mut body = Writer::default();
        let result = outputs(method, outcome, &mut body);
        body.u32(result);
        let version = match (self.framing, result) {
            (Framing::FourBytes, MISSING_CALL) => UNSUPPORTED_VERSION,
            (Framing::FourBytes | Framing::SixBytes, _) => VERSION,
        };
        let mut reply = Writer::default();
        for byte in [REPLY, ticket.request, SERVICE, version] {
            reply.u8(byte);
        }
        reply.u32(ticket.sequence);
        reply.0.extend(body.0);
        // The outputs were made to fit, so there always is a frame.
        frame::frame(self.framing, &reply.0).unwrap_or_default()
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

/// Writes the outputs of `method`, all of them whatever happened; its result code.
fn outputs(method: Method, outcome: Outcome, reply: &mut Writer) -> u32 {
    match outcome {
        Outcome::Done | Outcome::Executed(..) => {}
        Outcome::Identity(key) => {
            reply.binary(key.id.as_bytes());
            reply.binary(key.secret.reveal().as_bytes());
        }
        Outcome::Flag(yes) => reply.u8(yes.into()),
        Outcome::Blob(Some(id)) => reply.binary(&id.0),
        Outcome::Blob(None) => reply.binary(&[]),
        Outcome::Status(status, counts) => {
            reply.i32(status_number(status));
            counts.into_iter().for_each(|count| reply.u32(count));
        }
        Outcome::Log(message) => log(&message.text, message.tick, message.time_us, reply),
        Outcome::Cycle(statistics) => log(&statistics.text, 0, statistics.time_us, reply),
        Outcome::Extended(Some(answer)) => {
            let most = MAX_MESSAGE_BYTES - EXTENDED_ENVELOPE_BYTES;
            reply.binary(answer.get(..most).unwrap_or(&answer));
        }
        Outcome::Token(token) => reply.i32(token),
        Outcome::Trace(status, samples) => {
            reply.i32(status_number(status));
            trace(&samples, reply);
        }
        Outcome::Missing | Outcome::Soft(_) | Outcome::Extended(None) => {
            no_outputs(method, reply);
            return MISSING_CALL;
        }
    }
    SUCCESS
}

/// The outputs that go with a result code other than success: nobody looks at them, but they must be there.
fn no_outputs(method: Method, reply: &mut Writer) {
    match method {
        Method::AppendChunkToBlob | Method::ExtendedCall | Method::SeedBlob => reply.binary(&[]),
        Method::GetLogMessage => [0; 4].into_iter().for_each(|zero| reply.u32(zero)),
        Method::GetPlcId => [0; 2].into_iter().for_each(|zero| reply.u32(zero)),
        Method::GetPlcStatus => [0; 5].into_iter().for_each(|zero| reply.u32(zero)),
        Method::GetTraceVariables => [0; 2].into_iter().for_each(|zero| reply.u32(zero)),
        Method::MatchMd5 | Method::NewPlc | Method::StopPlc => reply.u8(0),
        Method::SetTraceVariablesList => reply.u32(0),
        Method::PurgeBlobs
        | Method::RemoteExec
        | Method::RepairPlc
        | Method::ResetLogCount
        | Method::StartPlc => {}
    }
}

/// Writes a message of the log.
fn log(text: &str, tick: u32, time_us: u64, reply: &mut Writer) {
    reply.binary(cut(text, MAX_MESSAGE_BYTES - LOG_ENVELOPE_BYTES).as_bytes());
    reply.u32(tick);
    let (seconds, us) = (time_us / 1_000_000, time_us % 1_000_000);
    reply.u32(u32::try_from(seconds).unwrap_or(u32::MAX));
    reply.u32(u32::try_from(us * 1000).unwrap_or_default());
}

/// Writes the samples. The request's bound lets all of them fit; what does not is left out rather than spoil the reply.
fn trace(samples: &[TraceSample], reply: &mut Writer) {
    let mut room = MAX_MESSAGE_BYTES - TRACE_ENVELOPE_BYTES;
    let fitting = samples.iter().take_while(|sample| {
        let left = room.checked_sub(SAMPLE_HEADER_BYTES + sample.data.len());
        room = left.unwrap_or_default();
        left.is_some()
    });
    let fitting: Vec<_> = fitting.collect();
    reply.u32(u32::try_from(fitting.len()).unwrap_or_default());
    for sample in fitting {
        reply.u32(sample.tick);
        reply.binary(&sample.data);
    }
}

/// The longest beginning of `text` with at most `limit` bytes.
fn cut(text: &str, limit: usize) -> &str {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

const fn status_number(status: PlcStatus) -> i32 {
    match status {
        PlcStatus::Empty => 0,
        PlcStatus::Stopped => 1,
        PlcStatus::Started => 2,
        PlcStatus::Broken => 3,
    }
}

#[cfg(test)]
mod tests;
