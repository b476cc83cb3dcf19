// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be called, by its name after the PLC's `ID.`, and what a call and its outcome look like in messages.

use plc_connector::{
    api::RELEASE,
    call::{CallRefused, PlcCall},
    ide::{answer::Outcome, arguments, method::Method, value::Value},
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

/// The one value that answers a call.
///
/// # Errors
/// The reason, where the method has no value for "no".
pub fn answer(outcome: Outcome) -> Result<Value, CallError> {
    outcome.into_value().map_err(|reason| CallError::new(uri::RUNTIME_ERROR, reason))
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
}
