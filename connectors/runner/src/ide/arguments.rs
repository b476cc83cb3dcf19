// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a method's arguments, as Python values, to a call: the same for every Pyro.
//!
//! Python 2 has one type for texts and bytes, and its `unicode` beside it; so a text is taken wherever bytes are wanted,
//! and the other way round.

use crate::{
    api::{
        limits,
        program::BlobId,
        trace::{TraceRefusal, TraceVariable},
    },
    call::{CallRefused, PlcCall, Program},
};

use super::{force, method::Method, value::Value};

/// The text in this value, whether it came as text or as bytes; `None` if there is none.
#[must_use]
pub fn text(value: Value) -> Option<String> {
    if let Value::Bytes(bytes) = value { String::from_utf8(bytes).ok() } else { value.into_text() }
}

/// The bytes in this value, whether they came as bytes or as text; `None` if there are none.
#[must_use]
pub fn bytes(value: Value) -> Option<Vec<u8>> {
    if let Value::Text(text) = value { Some(text.into_bytes()) } else { value.into_bytes() }
}

/// The call of `method`; `None` if the arguments do not fit it.
#[must_use]
pub fn plc_call(method: Method, arguments: Vec<Value>) -> Option<Result<PlcCall, CallRefused>> {
    let mut arguments = arguments.into_iter();
    let call = match method {
        Method::AppendChunkToBlob => {
            let data = bytes(arguments.next()?)?;
            let blob = blob_id(arguments.next()?)?;
            blob.map(|blob| PlcCall::AppendChunk { blob, data })
        }
        Method::GetLogMessage => {
            let (level, id) = (arguments.next()?.as_int()?, arguments.next()?.as_int()?);
            // What is no number of a level or message is one that has no message.
            let level = u8::try_from(level).unwrap_or(NO_LEVEL);
            Ok(log_message(level, u32::try_from(id).unwrap_or(u32::MAX)))
        }
        Method::ExtendedCall => {
            let (method, argument) = (text(arguments.next()?)?, bytes(arguments.next()?)?);
            Ok(PlcCall::ExtendedCall { method, argument })
        }
        Method::GetPlcId => Ok(PlcCall::Identity),
        Method::GetPlcStatus => Ok(PlcCall::Status),
        Method::GetTraceVariables => {
            let token = arguments.next()?.as_int();
            // A client that keeps the error it got for a token, or got none, owns nothing.
            read_trace(token.and_then(|token| u32::try_from(token).ok()))
        }
        Method::MatchMd5 => Ok(PlcCall::MatchMd5(text(arguments.next()?)?)),
        Method::NewPlc => {
            let (md5, library) = (text(arguments.next()?)?, arguments.next()?);
            program(md5, library, arguments.next()?.into_list()?)?.map(PlcCall::Install)
        }
        Method::PurgeBlobs => Ok(PlcCall::PurgeBlobs),
        Method::RemoteExec => return Some(Ok(PlcCall::RemoteExec)),
        Method::RepairPlc => Ok(PlcCall::Repair),
        Method::ResetLogCount => Ok(PlcCall::ResetLog),
        Method::SeedBlob => Ok(PlcCall::SeedBlob(bytes(arguments.next()?)?)),
        Method::SetTraceVariablesList => {
            trace_list(arguments.next()?.into_list()?)?.map(PlcCall::SetTrace)
        }
        Method::StartPlc => Ok(PlcCall::Start),
        Method::StopPlc => Ok(PlcCall::Stop),
    };
    match arguments.next() {
        None => Some(call),
        Some(_) => None,
    }
}

fn program(md5: String, library: Value, files: Vec<Value>) -> Option<Result<Program, CallRefused>> {
    let library = blob_id(library)?;
    let mut extra_files = Vec::with_capacity(files.len());
    for file in files {
        let [name, blob] = file.into_list()?.try_into().ok()?;
        match (file_name(name)?, blob_id(blob)?) {
            (Ok(name), Ok(blob)) => extra_files.push((name, blob)),
            (Err(refused), _) | (_, Err(refused)) => return Some(Err(refused)),
        }
    }
    Some(library.map(|library| Program { md5, library, extra_files }))
}

/// The level by which an IDE since 2026 asks `GetLogMessage` for the statistics of the cycle.
pub const STATISTICS_LEVEL: u8 = 0xff;

/// A level that no message has.
const NO_LEVEL: u8 = 4;

/// The call that `GetLogMessage` is: one method for two questions.
#[must_use]
pub const fn log_message(level: u8, id: u32) -> PlcCall {
    if level == STATISTICS_LEVEL {
        return PlcCall::CycleStatistics;
    }
    PlcCall::LogMessage { level, id }
}

/// The name of an extra file, which Python 2 may send in the encoding of its system.
#[must_use]
pub fn file_name(value: Value) -> Option<Result<String, CallRefused>> {
    let name = String::from_utf8(bytes(value)?).map_err(|_| {
        let advice = "the name of an extra file is not UTF-8; name the file in plain letters";
        CallRefused::BadRequest(advice.to_owned())
    });
    Some(name)
}

/// Asks for the samples of the trace list that has this token; `None` owns no list.
///
/// # Errors
/// [`CallRefused::TokenLost`] without a token.
pub fn read_trace(token: Option<u32>) -> Result<PlcCall, CallRefused> {
    let max_bytes = u32::try_from(limits::TRACE_REPLY_BYTES).unwrap_or(u32::MAX);
    match token {
        Some(_) => Ok(PlcCall::ReadTrace { token, max_bytes }),
        None => Err(CallRefused::TokenLost),
    }
}

/// A list of index, name of the IEC type, and the value to force or `None`; since 2024 without the type, and with the
/// value's bytes.
fn trace_list(entries: Vec<Value>) -> Option<Result<Vec<TraceVariable>, CallRefused>> {
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        let mut entry = entry.into_list()?;
        let (index, value) = match entry.len() {
            2 | 3 => (entry.remove(0), entry.pop()?),
            _ => return None,
        };
        let Ok(index) = u32::try_from(index.as_int()?) else {
            return Some(Err(CallRefused::Trace(TraceRefusal::Invalid)));
        };
        let iec_type = match entry.pop() {
            Some(iec_type) => Some(text(iec_type)?),
            None => None,
        };
        let force = match (iec_type, value) {
            (_, Value::None) => None,
            (Some(iec_type), value) => match force::bytes_of(&iec_type, &value) {
                None => return Some(Err(CallRefused::Trace(TraceRefusal::ForceSize))),
                bytes => bytes,
            },
            (None, value) => Some(bytes(value)?).filter(|bytes| !bytes.is_empty()),
        };
        variables.push(TraceVariable { index, force: force.map(Into::into) });
    }
    Some(Ok(variables))
}

/// A blob id; a refusal if what is sent for one cannot be one, such as the `None` of a failed transfer.
fn blob_id(value: Value) -> Option<Result<BlobId, CallRefused>> {
    if value == Value::None {
        return Some(Err(CallRefused::UnknownBlob));
    }
    let id = bytes(value)?;
    Some(BlobId::from_slice(&id).ok_or(CallRefused::UnknownBlob))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: Vec<Vec<Value>>) -> Option<Result<PlcCall, CallRefused>> {
        let entries = entries.into_iter().map(Value::List).collect();
        plc_call(Method::SetTraceVariablesList, vec![Value::List(entries)])
    }

    fn set(variables: &[(u32, Option<&[u8]>)]) -> Option<Result<PlcCall, CallRefused>> {
        let variable = |&(index, force): &(u32, Option<&[u8]>)| TraceVariable {
            index,
            force: force.map(|bytes| bytes.to_vec().into()),
        };
        Some(Ok(PlcCall::SetTrace(variables.iter().map(variable).collect())))
    }

    #[test]
    fn a_variable_comes_with_its_type_and_a_value_or_with_the_value_s_bytes_alone() {
        let typed = list(vec![
            vec![7.into(), Value::text("BOOL"), true.into()],
            vec![8.into(), Value::Bytes(b"INT".to_vec()), Value::None],
        ]);
        assert_eq!(typed, set(&[(7, Some(&[1])), (8, None)]));
        let untyped = list(vec![
            vec![7.into(), Value::Bytes(vec![1, 2])],
            vec![8.into(), Value::None],
            vec![9.into(), Value::Bytes(vec![])],
        ]);
        assert_eq!(untyped, set(&[(7, Some(&[1, 2])), (8, None), (9, None)]));
    }

    #[test]
    fn what_is_no_variable_is_no_list() {
        for entry in [
            vec![],
            vec![7.into()],
            vec![7.into(), 8.into()],
            vec![7.into(), 8.into(), Value::None],
            vec![7.into(), Value::text("BOOL"), Value::None, Value::None],
        ] {
            assert_eq!(list(vec![entry.clone()]), None, "{entry:?}");
        }
    }
}
