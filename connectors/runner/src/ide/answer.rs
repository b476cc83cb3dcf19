// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an IDE gets for an answer, above all when there is none.
//!
//! An IDE drops its connection, and with it the user's debugging session, on most kinds of error. So wherever a
//! method has a value that means "no", that value is the answer; for the rest each protocol has one error that
//! the IDE survives, here called [`Outcome::Soft`]. In the table, `soft` is in Pyro3 the exception
//! `Pyro.errors.ProtocolError` with the reason and in Pyro5 `Pyro5.errors.ProtocolError`, in eRPC result code 2 with
//! empty outputs; the reason is also in our log. All make the IDE log a line and go on with a default of its own.
//!
//! | method | refused because | answer | Pyro3, Pyro5 | eRPC |
//! | --- | --- | --- | --- | --- |
//! | `GetPLCID` | no key on this connection, and pairing is not open | missing | `None` | soft, nothing is enrolled |
//! | `GetLogMessage` | gone, or never was | missing | `None` | soft, or the text `<empty>` where the IDE expects that |
//! | `GetLogMessage(0xFF)` | any | no statistics | empty text | empty text |
//! | `ExtendedCall` | any | no answer: in WAMP an IDE leaves at any error | empty bytes | result 2 |
//! | `AppendChunkToBlob` | unknown blob, too large, disk full | no blob | `None` | empty id |
//! | `NewPLC` | running, blob unknown, does not load | false | `False` | false |
//! | `NewPLC` | a bad name or md5 text | soft | exception | result 2 |
//! | `StopPLC` | did not stop | false | `False` | false |
//! | `StartPLC`, `RepairPLC`, `PurgeBlobs`, `ResetLogCount` | any but unreachable | done: no IDE looks at the result | `None` | result 0 |
//! | `SetTraceVariablesList` | refused list | `-1` to `-5` | `-n` | `-n` |
//! | `SetTraceVariablesList` | anything else | `-5`, debugging not possible | `-5` | `-5` |
//! | `GetTraceVariables` | any | `Broken` and no samples: the IDE stops polling | same | same |
//! | `RemoteExec` | any | `(-1, reason)` | same | does not exist |
//! | any other, and `SeedBlob` | any, such as an unreachable supervisor | soft | exception | result 2 |
//!
//! A request that cannot be understood at all: an unknown method is `AttributeError` in Pyro5, wrong arguments are
//! `TypeError`, in Pyro3 both are `ProtocolError`; eRPC has no answer that fits an unknown method's outputs, so its
//! connection is closed.

use crate::{
    api::{
        key::ApiKey,
        log::{LogCounts, LogMessage},
        plc::PlcStatus,
        program::BlobId,
        trace::{TraceRefusal, TraceSample},
    },
    call::{CallRefused, PlcAnswer},
    cycle::CycleStatistics,
};

use super::{method::Method, value::Value};

/// An answer in a shape that every protocol can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// Whose key, and the key.
    Identity(ApiKey),
    /// Yes or no.
    Flag(bool),
    /// The blob's id, or that there is no such blob.
    Blob(Option<BlobId>),
    /// State and counts.
    Status(PlcStatus, LogCounts),
    /// A message of the PLC log.
    Log(LogMessage),
    /// What the cycle costs.
    Cycle(CycleStatistics),
    /// What an extended call answers; `None`: there is no such call.
    Extended(Option<Vec<u8>>),
    /// There is nothing to tell.
    Missing,
    /// The debug token, above 0, or -1 to -5: the number of a [`plc_api::trace::TraceRefusal`], negated.
    Token(i32),
    /// State and samples.
    Trace(PlcStatus, Vec<TraceSample>),
    /// Exit code and text of a script; none is run, so -1 and the reason.
    Executed(i32, String),
    /// An error the IDE survives, with the reason.
    Soft(String),
}

impl Outcome {
    /// The outcome of a call by `method`; the module's table.
    #[must_use]
    pub fn of(method: Method, result: Result<PlcAnswer, CallRefused>) -> Self {
        match result {
            // The one order whose success the IDE wants to hear.
            Ok(PlcAnswer::Done) if method == Method::NewPlc => Self::Flag(true),
            Ok(answer) => Self::of_answer(answer),
            Err(refused) => Self::of_refusal(method, &refused),
        }
    }

    fn of_answer(answer: PlcAnswer) -> Self {
        match answer {
            PlcAnswer::Done => Self::Done,
            PlcAnswer::Identity(key) => Self::Identity(key),
            PlcAnswer::Status { status, counts } => Self::Status(status, counts),
            PlcAnswer::LogMessage(Some(message)) => Self::Log(message),
            PlcAnswer::LogMessage(None) => Self::Missing,
            PlcAnswer::Cycle(statistics) => Self::Cycle(statistics),
            PlcAnswer::Extended(answer) => Self::Extended(Some(answer)),
            PlcAnswer::Matches(yes) | PlcAnswer::Stopped(yes) => Self::Flag(yes),
            PlcAnswer::Blob(id) => Self::Blob(Some(id)),
            // A token that looks negative would be taken for an error, so it is one.
            PlcAnswer::Token(token) => Self::Token(
                i32::try_from(token).unwrap_or_else(|_| -TraceRefusal::NotPossible.number()),
            ),
            PlcAnswer::Trace(batch) => Self::Trace(batch.status, batch.samples),
        }
    }

    /// The Python value that says it.
    ///
    /// # Errors
    /// The reason of [`Outcome::Soft`], which has no value.
    pub fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Done | Self::Missing | Self::Blob(None) => Value::None,
            Self::Identity(key) => {
                Value::List(vec![Value::Text(key.id), Value::text(key.secret.reveal())])
            }
            Self::Flag(yes) => yes.into(),
            Self::Blob(Some(id)) => Value::Bytes(id.0.to_vec()),
            Self::Status(status, counts) => Value::List(vec![
                Value::text(status.as_str()),
                Value::List(counts.map(Value::from).into()),
            ]),
            Self::Log(message) => Value::List(vec![
                Value::Text(message.text),
                message.tick.into(),
                Value::Int((message.time_us / 1_000_000).into()),
                Value::Int((message.time_us % 1_000_000 * 1000).into()),
            ]),
            Self::Cycle(statistics) => Value::List(vec![
                Value::Text(statistics.text),
                0.into(),
                Value::Int((statistics.time_us / 1_000_000).into()),
                Value::Int((statistics.time_us % 1_000_000 * 1000).into()),
            ]),
            Self::Extended(answer) => Value::Bytes(answer.unwrap_or_default()),
            Self::Token(token) => token.into(),
            Self::Trace(status, samples) => Value::List(vec![
                Value::text(status.as_str()),
                Value::List(samples.into_iter().map(sample).collect()),
            ]),
            Self::Executed(code, text) => Value::List(vec![code.into(), Value::Text(text)]),
            Self::Soft(reason) => return Err(reason),
        })
    }

    fn of_refusal(method: Method, refused: &CallRefused) -> Self {
        let soft = || Self::Soft(refused.to_string());
        let unreachable = matches!(refused, CallRefused::Unreachable(_));
        match method {
            Method::GetPlcId if *refused == CallRefused::NoIdentity => Self::Missing,
            Method::AppendChunkToBlob => Self::Blob(None),
            Method::NewPlc if matches!(refused, CallRefused::BadRequest(_)) => soft(),
            Method::NewPlc | Method::StopPlc if !unreachable => Self::Flag(false),
            Method::StartPlc | Method::RepairPlc | Method::PurgeBlobs | Method::ResetLogCount
                if !unreachable =>
            {
                Self::Done
            }
            Method::SetTraceVariablesList => {
                let refusal = if let CallRefused::Trace(refusal) = refused {
                    *refusal
                } else {
                    TraceRefusal::NotPossible
                };
                Self::Token(-refusal.number())
            }
            Method::GetTraceVariables => Self::Trace(PlcStatus::Broken, Vec::new()),
            Method::ExtendedCall => Self::Extended(None),
            Method::RemoteExec => Self::Executed(-1, refused.to_string()),
            Method::GetLogMessage
            | Method::GetPlcId
            | Method::GetPlcStatus
            | Method::MatchMd5
            | Method::NewPlc
            | Method::PurgeBlobs
            | Method::RepairPlc
            | Method::ResetLogCount
            | Method::SeedBlob
            | Method::StartPlc
            | Method::StopPlc => soft(),
        }
    }
}

fn sample(sample: TraceSample) -> Value {
    Value::List(vec![sample.tick.into(), Value::Bytes(sample.data)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(method: Method, refused: CallRefused) -> Outcome {
        Outcome::of(method, Err(refused))
    }

    fn is_soft(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Soft(_))
    }

    #[test]
    fn a_method_with_a_value_for_no_answers_with_it() {
        let failed = || CallRefused::Failed("x".to_owned());
        let bad = CallRefused::BadRequest("x".to_owned());
        for (method, outcome) in [
            (Method::AppendChunkToBlob, Outcome::Blob(None)),
            (Method::NewPlc, Outcome::Flag(false)),
            (Method::StopPlc, Outcome::Flag(false)),
            (Method::StartPlc, Outcome::Done),
            (Method::RepairPlc, Outcome::Done),
            (Method::PurgeBlobs, Outcome::Done),
            (Method::ResetLogCount, Outcome::Done),
            (Method::SetTraceVariablesList, Outcome::Token(-5)),
            (Method::GetTraceVariables, Outcome::Trace(PlcStatus::Broken, vec![])),
            (Method::RemoteExec, Outcome::Executed(-1, "x".to_owned())),
            (Method::ExtendedCall, Outcome::Extended(None)),
        ] {
            assert_eq!(refused(method, failed()), outcome, "{method:?}");
        }
        assert!(is_soft(&refused(Method::SeedBlob, failed())));
        assert!(is_soft(&refused(Method::NewPlc, bad)));
    }

    #[test]
    fn each_refused_trace_list_has_its_number() {
        for (refusal, number) in [
            (TraceRefusal::TooManyTraced, -1),
            (TraceRefusal::TooManyForced, -2),
            (TraceRefusal::ForceSize, -3),
            (TraceRefusal::Invalid, -4),
            (TraceRefusal::NotPossible, -5),
        ] {
            let outcome = refused(Method::SetTraceVariablesList, CallRefused::Trace(refusal));
            assert_eq!(outcome, Outcome::Token(number));
        }
        let huge = Outcome::of(Method::SetTraceVariablesList, Ok(PlcAnswer::Token(u32::MAX)));
        assert_eq!(huge, Outcome::Token(-5));
    }

    #[test]
    fn an_unreachable_supervisor_is_told_wherever_an_ide_survives_it() {
        for method in [
            Method::GetLogMessage,
            Method::GetPlcId,
            Method::GetPlcStatus,
            Method::MatchMd5,
            Method::NewPlc,
            Method::SeedBlob,
            Method::StartPlc,
            Method::StopPlc,
        ] {
            let outcome = refused(method, CallRefused::Unreachable("x".to_owned()));
            assert!(is_soft(&outcome), "{method:?}: {outcome:?}");
        }
    }

    #[test]
    fn only_an_installation_reports_its_success() {
        let of = |method| Outcome::of(method, Ok(PlcAnswer::Done));
        assert_eq!(of(Method::NewPlc), Outcome::Flag(true));
        assert_eq!(of(Method::StartPlc), Outcome::Done);
    }

    #[test]
    fn what_is_not_there_is_missing() {
        let identity = refused(Method::GetPlcId, CallRefused::NoIdentity);
        let message = Outcome::of(Method::GetLogMessage, Ok(PlcAnswer::LogMessage(None)));
        assert_eq!((identity, message), (Outcome::Missing, Outcome::Missing));
    }
}
