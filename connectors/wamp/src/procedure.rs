// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be called, by its name after the PLC's `ID.`, and what a call and its outcome look like in messages.

use plc_connector::{
    api::RELEASE,
    call::{CallRefused, PlcCall},
    ide::{answer::Outcome, arguments, method::Method, value::Value},
    limited,
};

/// A procedure of the PLC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Procedure {
    /// A method of the IDE's `PLCObject`.
    Plc(Method),
    /// The release of this runtime, as a text.
    GetVersions,
}

/// Why a call was not carried out: the answer is an `ERROR`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallError {
    /// The error's name in WAMP.
    pub uri: &'static str,
    /// The reason, for people.
    pub text: String,
}

impl CallError {
    /// An error with this name.
    #[must_use]
    pub fn new(uri: &'static str, text: impl Into<String>) -> Self {
        Self { uri, text: text.into() }
    }
}

/// Names of errors in WAMP (wamp-proto.org, "Predefined URIs").
pub(crate) mod uri {
    /// Any error of an application, by the name that autobahn gives it.
    pub(crate) const RUNTIME_ERROR: &str = "wamp.error.runtime_error";
    /// The arguments do not fit the procedure.
    pub(crate) const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
    /// Not now.
    pub(crate) const UNAVAILABLE: &str = "wamp.error.unavailable";
    /// Nobody registered that procedure.
    pub(crate) const NO_SUCH_PROCEDURE: &str = "wamp.error.no_such_procedure";
    /// Somebody else did.
    pub(crate) const PROCEDURE_ALREADY_EXISTS: &str = "wamp.error.procedure_already_exists";
    /// Somebody else did, and how calls are spread over its sessions is settled already (Crossbar).
    pub(crate) const PROCEDURE_EXISTS_WITH_OTHER_POLICY: &str =
        "wamp.error.procedure_exists_with_different_invocation_policy";
    /// Those who did cannot be called.
    pub(crate) const NO_ELIGIBLE_CALLEE: &str = "wamp.error.no_eligible_callee";
    /// A call was ended before its answer came.
    pub(crate) const CANCELED: &str = "wamp.error.canceled";
    /// The same, for it took too long.
    pub(crate) const TIMEOUT: &str = "wamp.error.timeout";
    /// The session's rights do not allow it.
    pub(crate) const NOT_AUTHORIZED: &str = "wamp.error.not_authorized";
    /// There is no such realm.
    pub(crate) const NO_SUCH_REALM: &str = "wamp.error.no_such_realm";
    /// A message that cannot be, or cannot be now.
    pub(crate) const PROTOCOL_VIOLATION: &str = "wamp.error.protocol_violation";
    /// None of the ways in which the peer can show who it is counts here.
    pub(crate) const NO_MATCHING_AUTH_METHOD: &str = "wamp.error.no_matching_auth_method";
    /// It did not show who it is.
    pub(crate) const AUTHENTICATION_FAILED: &str = "wamp.error.authentication_failed";
    /// Nothing is registered by that id.
    pub(crate) const NO_SUCH_REGISTRATION: &str = "wamp.error.no_such_registration";
    /// Nothing is subscribed by that id.
    pub(crate) const NO_SUCH_SUBSCRIPTION: &str = "wamp.error.no_such_subscription";
    /// An option that is not served.
    pub(crate) const OPTION_NOT_ALLOWED: &str = "wamp.error.option_not_allowed";
    /// A name that is none.
    pub(crate) const INVALID_URI: &str = "wamp.error.invalid_uri";
    /// A side leaves because it has to.
    pub(crate) const SYSTEM_SHUTDOWN: &str = "wamp.close.system_shutdown";
    /// A side leaves because it wants to.
    pub(crate) const CLOSE_NORMAL: &str = "wamp.close.normal";
    /// The answer to a `GOODBYE`.
    pub(crate) const GOODBYE_AND_OUT: &str = "wamp.close.goodbye_and_out";
}

impl Procedure {
    /// How many there are.
    pub const COUNT: usize = Method::ALL.len() + 1;

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Method::ALL.into_iter().map(Self::Plc).chain([Self::GetVersions])
    }

    /// Its name, without the PLC's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plc(method) => method.name(),
            Self::GetVersions => "GetVersions",
        }
    }

    /// The procedure with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|procedure| procedure.name() == name)
    }
}

/// The text that [`Procedure::GetVersions`] answers.
#[must_use]
pub fn versions() -> Value {
    Value::Text(format!("plc-runtime {RELEASE}"))
}

/// The call of `method` with these arguments.
///
/// # Errors
/// When the arguments do not fit the method.
pub fn plc_call(
    method: Method,
    arguments: Vec<Value>,
) -> Result<Result<PlcCall, CallRefused>, CallError> {
    arguments::plc_call(method, arguments).ok_or_else(|| {
        let text = format!("wrong arguments for {}", method.name());
        CallError::new(uri::INVALID_ARGUMENT, text)
    })
}

/// The one value that answers a call. IDEs since 2025 end their session at any `ERROR`, so where a method has a value for
/// "no" or "nothing", that value is the answer; the reason is in our log.
///
/// # Errors
/// The reason, where the method has no such value, and the caller would take any for a success.
pub fn answer(method: Method, outcome: Outcome) -> Result<Value, CallError> {
    let no = match method {
        Method::MatchMd5 | Method::NewPlc | Method::StopPlc => Some(false.into()),
        Method::GetLogMessage | Method::GetPlcId | Method::SeedBlob => Some(Value::None),
        Method::AppendChunkToBlob
        | Method::ExtendedCall
        | Method::GetPlcStatus
        | Method::GetTraceVariables
        | Method::PurgeBlobs
        | Method::RemoteExec
        | Method::RepairPlc
        | Method::ResetLogCount
        | Method::SetTraceVariablesList
        | Method::StartPlc => None,
    };
    match (outcome.into_value(), no) {
        (Ok(value), _) => Ok(value),
        (Err(reason), Some(no)) => {
            limited!(info, method = method.name(), "{} is refused: {reason}", method.name());
            Ok(no)
        }
        (Err(reason), None) => Err(CallError::new(uri::RUNTIME_ERROR, reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_procedure_is_found_by_its_name() {
        assert_eq!(Procedure::all().count(), Procedure::COUNT);
        for procedure in Procedure::all() {
            assert_eq!(Procedure::from_name(procedure.name()), Some(procedure));
        }
        assert_eq!(Procedure::from_name("ForceReload"), None);
    }

    #[test]
    fn arguments_that_do_not_fit_are_named_as_such() {
        let error = plc_call(Method::SeedBlob, vec![]).unwrap_err();
        assert_eq!(error.uri, uri::INVALID_ARGUMENT);
        assert_eq!(error.text, "wrong arguments for SeedBlob");
    }

    #[test]
    fn only_an_order_that_was_not_carried_out_is_an_error() {
        let soft = |method| answer(method, Outcome::Soft("away".to_owned()));
        for method in [Method::MatchMd5, Method::NewPlc, Method::StopPlc] {
            assert_eq!(soft(method), Ok(false.into()), "{method:?}");
        }
        for method in [Method::GetLogMessage, Method::GetPlcId, Method::SeedBlob] {
            assert_eq!(soft(method), Ok(Value::None), "{method:?}");
        }
        for method in [Method::StartPlc, Method::RepairPlc, Method::PurgeBlobs] {
            assert_eq!(soft(method).unwrap_err().uri, uri::RUNTIME_ERROR, "{method:?}");
        }
        let unknown = answer(Method::ExtendedCall, Outcome::Extended(None));
        assert_eq!(unknown, Ok(Value::Bytes(vec![])));
    }
}
