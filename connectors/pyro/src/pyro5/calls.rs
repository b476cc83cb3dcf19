// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an invocation's values to a call, and from its outcome to a value or an exception.

use plc_connector::{
    api::{
        limits,
        program::BlobId,
        trace::{TraceRefusal, TraceSample, TraceVariable},
    },
    call::{CallRefused, PlcCall, Program},
};

use crate::{answer::Outcome, force, method::Method, value::Value};

/// The one object that IDEs call.
const PLC_OBJECT: &str = "PLCObject";
/// Pyro's own object.
const DAEMON: &str = "Pyro.Daemon";

/// A Python exception for the client to raise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    class: &'static str,
    text: String,
}

impl Exception {
    fn new(class: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { class, text }
    }

    /// The exception after which an IDE goes on.
    #[must_use]
    pub fn protocol(text: impl Into<String>) -> Self {
        Self::new("Pyro5.errors.ProtocolError", text)
    }

    /// In the form in which Pyro5 sends exceptions.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::map([
            ("__class__", Value::text(self.class)),
            ("__exception__", true.into()),
            ("args", Value::List(vec![Value::text(&self.text)])),
            ("attributes", Value::map([])),
        ])
    }
}

/// What is invoked.
#[derive(Debug, PartialEq)]
pub enum Invoked {
    /// A method of the PLC.
    Plc {
        /// Which.
        method: Method,
        /// The call, or why it cannot be carried out.
        call: Result<PlcCall, CallRefused>,
    },
    /// A method of Pyro's own object; this is the answer.
    Daemon(Value),
}

/// What a client learns about an object; `None` if there is no such object.
#[must_use]
pub fn metadata(object: &str) -> Option<Value> {
    let names = match object {
        PLC_OBJECT => Method::ALL.map(|m| Value::text(m.name())).into(),
        DAEMON => ["get_metadata", "ping"].map(Value::text).into(),
        _ => return None,
    };
    let nothing = || Value::List(Vec::new());
    Some(Value::map([("methods", Value::List(names)), ("oneway", nothing()), ("attrs", nothing())]))
}

/// Understands an invocation: object, method, arguments, keyword arguments.
///
/// # Errors
/// The exception to answer with, when there is no such method or its arguments do not fit.
pub fn invoked(invocation: Value) -> Result<Invoked, Exception> {
    let parts = invocation.into_list();
    let parts = parts.and_then(|parts| <[Value; 4]>::try_from(parts).ok());
    let Some([Value::Text(object), Value::Text(name), Value::List(arguments), keywords]) = parts
    else {
        return Err(Exception::protocol("not an invocation"));
    };
    match object.as_str() {
        PLC_OBJECT => {
            let method = Method::from_name(&name).ok_or_else(|| no_attribute(&name))?;
            let no_keywords = matches!(&keywords, Value::Map(entries) if entries.is_empty());
            // A script's own names come as keywords.
            if !no_keywords && method != Method::RemoteExec {
                return Err(wrong_arguments(&name));
            }
            let call = plc_call(method, arguments).ok_or_else(|| wrong_arguments(&name))?;
            Ok(Invoked::Plc { method, call })
        }
        DAEMON => daemon(&name, &arguments).map(Invoked::Daemon),
        _ => Err(unknown_object()),
    }
}

fn daemon(name: &str, arguments: &[Value]) -> Result<Value, Exception> {
    match (name, arguments) {
        ("ping", []) => Ok(Value::None),
        ("get_metadata", [Value::Text(object)]) => metadata(object).ok_or_else(unknown_object),
        ("ping" | "get_metadata", _) => Err(wrong_arguments(name)),
        _ => Err(no_attribute(name)),
    }
}

fn unknown_object() -> Exception {
    Exception::new("Pyro5.errors.DaemonError", "unknown object")
}

fn no_attribute(name: &str) -> Exception {
    let shown: String = name.chars().take(40).collect();
    Exception::new("builtins.AttributeError", format!("no method {shown}"))
}

fn wrong_arguments(name: &str) -> Exception {
    Exception::new("builtins.TypeError", format!("wrong arguments for {name}"))
}

/// The call of `method`; `None` if the arguments do not fit it.
fn plc_call(method: Method, arguments: Vec<Value>) -> Option<Result<PlcCall, CallRefused>> {
    let mut arguments = arguments.into_iter();
    let call = match method {
        Method::AppendChunkToBlob => {
            let data = arguments.next()?.into_bytes()?;
            let blob = blob_id(arguments.next()?)?;
            blob.map(|blob| PlcCall::AppendChunk { blob, data })
        }
        Method::GetLogMessage => {
            let (level, id) = (arguments.next()?.as_int()?, arguments.next()?.as_int()?);
            // What is no number of a level or message is one that has no message.
            Ok(PlcCall::LogMessage {
                level: u8::try_from(level).unwrap_or(u8::MAX),
                id: u32::try_from(id).unwrap_or(u32::MAX),
            })
        }
        Method::GetPlcId => Ok(PlcCall::Identity),
        Method::GetPlcStatus => Ok(PlcCall::Status),
        Method::GetTraceVariables => {
            let token = arguments.next()?.as_int();
            match token.and_then(|token| u32::try_from(token).ok()) {
                token @ Some(_) => Ok(PlcCall::ReadTrace {
                    token,
                    max_bytes: u32::try_from(limits::TRACE_REPLY_BYTES).unwrap_or(u32::MAX),
                }),
                // A client that keeps the error it got for a token, or got none, owns nothing.
                None => Err(CallRefused::TokenLost),
            }
        }
        Method::MatchMd5 => Ok(PlcCall::MatchMd5(arguments.next()?.into_text()?)),
        Method::NewPlc => {
            let (md5, library) = (arguments.next()?.into_text()?, arguments.next()?);
            program(md5, library, arguments.next()?.into_list()?)?.map(PlcCall::Install)
        }
        Method::PurgeBlobs => Ok(PlcCall::PurgeBlobs),
        Method::RemoteExec => return Some(Ok(PlcCall::RemoteExec)),
        Method::RepairPlc => Ok(PlcCall::Repair),
        Method::ResetLogCount => Ok(PlcCall::ResetLog),
        Method::SeedBlob => Ok(PlcCall::SeedBlob(seed(arguments.next()?)?)),
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
        match blob_id(blob)? {
            Ok(blob) => extra_files.push((name.into_text()?, blob)),
            Err(refused) => return Some(Err(refused)),
        }
    }
    Some(library.map(|library| Program { md5, library, extra_files }))
}

/// A list of index, name of the IEC type, and the value to force or `None`.
fn trace_list(entries: Vec<Value>) -> Option<Result<Vec<TraceVariable>, CallRefused>> {
    let mut variables = Vec::with_capacity(entries.len());
    for entry in entries {
        let [index, iec_type, value] = entry.into_list()?.try_into().ok()?;
        let Ok(index) = u32::try_from(index.as_int()?) else {
            return Some(Err(CallRefused::Trace(TraceRefusal::Invalid)));
        };
        let iec_type = iec_type.into_text()?;
        let mut force = None;
        if value != Value::None {
            let Some(bytes) = force::bytes_of(&iec_type, &value) else {
                return Some(Err(CallRefused::Trace(TraceRefusal::ForceSize)));
            };
            force = Some(bytes.into());
        }
        variables.push(TraceVariable { index, force });
    }
    Some(Ok(variables))
}

/// A blob id; a refusal if what is sent for one cannot be one, such as the `None` of a failed transfer.
fn blob_id(value: Value) -> Option<Result<BlobId, CallRefused>> {
    if value == Value::None {
        return Some(Err(CallRefused::UnknownBlob));
    }
    let id = value.into_bytes()?;
    Some(BlobId::from_slice(&id).ok_or(CallRefused::UnknownBlob))
}

/// A seed is text in the serpent generation, bytes in the msgpack one.
fn seed(value: Value) -> Option<Vec<u8>> {
    if let Value::Text(text) = value { Some(text.into_bytes()) } else { value.into_bytes() }
}

/// The value that the method returns.
///
/// # Errors
/// The exception that the IDE survives, with the reason.
pub fn result(outcome: Outcome) -> Result<Value, Exception> {
    Ok(match outcome {
        Outcome::Done | Outcome::Missing | Outcome::Blob(None) => Value::None,
        Outcome::Flag(yes) => yes.into(),
        Outcome::Blob(Some(id)) => Value::Bytes(id.0.to_vec()),
        Outcome::Status(status, counts) => Value::List(vec![
            Value::text(status.as_str()),
            Value::List(counts.map(Value::from).into()),
        ]),
        Outcome::Log(message) => Value::List(vec![
            Value::Text(message.text),
            message.tick.into(),
            Value::Int((message.time_us / 1_000_000).into()),
            Value::Int((message.time_us % 1_000_000 * 1000).into()),
        ]),
        Outcome::Token(token) => token.into(),
        Outcome::Trace(status, samples) => Value::List(vec![
            Value::text(status.as_str()),
            Value::List(samples.into_iter().map(sample).collect()),
        ]),
        Outcome::Executed(code, text) => Value::List(vec![code.into(), Value::Text(text)]),
        Outcome::Soft(reason) => return Err(Exception::protocol(reason)),
    })
}

fn sample(sample: TraceSample) -> Value {
    Value::List(vec![sample.tick.into(), Value::Bytes(sample.data)])
}
