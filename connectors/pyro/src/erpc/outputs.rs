// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a reply says after its header: the outputs of the method, all of them whatever happened, and the result code.

use plc_connector::api::{limits, plc::PlcStatus, trace::TraceSample};

use super::{
    dialect::{Dialect, GoneMessage, LogSeconds},
    frame::MAX_MESSAGE_BYTES,
    wire::Writer,
};
use crate::{answer::Outcome, method::Method};

/// Result codes, the last value of a reply.
pub(super) const SUCCESS: u32 = 0;
/// "The call is not there": the one failure that leaves every IDE connected.
pub(super) const MISSING_CALL: u32 = 2;

/// Message header, state, count of samples, result.
pub(super) const TRACE_ENVELOPE_BYTES: usize = 8 + 4 + 4 + 4;
/// Tick and length in front of each sample's data; less than the API counts for a sample, so a reply always fits.
const SAMPLE_HEADER_BYTES: usize = 8;
const _: () = assert!(SAMPLE_HEADER_BYTES <= limits::TRACE_SAMPLE_OVERHEAD);
/// Message header, length, result.
const EXTENDED_ENVELOPE_BYTES: usize = 8 + 4 + 4;
/// Message header, length, tick, seconds, nanoseconds, result.
const LOG_ENVELOPE_BYTES: usize = 8 + 4 + 4 + 8 + 4 + 4;

/// How the time of a log message is laid out for one client, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LogTime {
    /// Seconds with 32 bits.
    Short,
    /// With 64 bits, and nothing below a second.
    LongWhole,
    /// With 64 bits.
    Long,
}

impl LogTime {
    /// For a client of this dialect, which has asked for the statistics of the cycle or not.
    pub(super) const fn of(dialect: Dialect, asked_statistics: bool) -> Self {
        match (dialect.log_seconds, asked_statistics) {
            (LogSeconds::Short, _) => Self::Short,
            (LogSeconds::Long, false) => Self::LongWhole,
            (LogSeconds::Long, true) => Self::Long,
        }
    }
}

/// Writes the outputs of `method`; its result code.
pub(super) fn outputs(
    method: Method,
    outcome: Outcome,
    dialect: Dialect,
    time: LogTime,
    reply: &mut Writer,
) -> u32 {
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
        Outcome::Log(message) => log(&message.text, message.tick, message.time_us, time, reply),
        Outcome::Cycle(statistics) => log(&statistics.text, 0, statistics.time_us, time, reply),
        Outcome::Missing if is_placeholder(method, dialect) => log("<empty>", 0, 0, time, reply),
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
            no_outputs(method, time, reply);
            return MISSING_CALL;
        }
    }
    SUCCESS
}

fn is_placeholder(method: Method, dialect: Dialect) -> bool {
    method == Method::GetLogMessage && dialect.gone_message == GoneMessage::Placeholder
}

/// The outputs that go with a result code other than success: nobody looks at them, but they must be there.
fn no_outputs(method: Method, time: LogTime, reply: &mut Writer) {
    match method {
        Method::AppendChunkToBlob | Method::ExtendedCall | Method::SeedBlob => reply.binary(&[]),
        Method::GetLogMessage => no_log(time, reply),
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
fn log(text: &str, tick: u32, time_us: u64, time: LogTime, reply: &mut Writer) {
    reply.binary(cut(text, MAX_MESSAGE_BYTES - LOG_ENVELOPE_BYTES).as_bytes());
    reply.u32(tick);
    let seconds = time_us / 1_000_000;
    // Less than 10^9.
    let nanoseconds = u32::try_from(time_us % 1_000_000 * 1000).unwrap_or_default();
    match time {
        LogTime::Short => reply.u32(u32::try_from(seconds).unwrap_or(u32::MAX)),
        LogTime::LongWhole | LogTime::Long => reply.u64(seconds),
    }
    reply.u32(if time == LogTime::LongWhole { 0 } else { nanoseconds });
}

/// The outputs of a message that is refused. Who reads 32 bits of seconds finds the result code where others find the
/// nanoseconds, so it stands there too.
fn no_log(time: LogTime, reply: &mut Writer) {
    reply.binary(&[]);
    reply.u32(0);
    match time {
        LogTime::Short => [0; 2].into_iter().for_each(|zero| reply.u32(zero)),
        LogTime::LongWhole | LogTime::Long => {
            reply.u64(0);
            reply.u32(MISSING_CALL);
        }
    }
}

/// Writes the samples. The request's bound lets all of them fit; what does not is left out rather than spoil the reply.
pub(super) fn trace(samples: &[TraceSample], reply: &mut Writer) {
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
