// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an invocation's values to a call, and from its outcome to a value or an exception.

use plc_connector::call::{CallRefused, PlcCall};

use crate::{answer::Outcome, arguments, method::Method, value::Value};

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
        // Extended calls came after this protocol.
        PLC_OBJECT => Method::ALL
            .into_iter()
            .filter(|method| *method != Method::ExtendedCall)
            .map(|method| Value::text(method.name()))
            .collect(),
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
            let call = arguments::plc_call(method, arguments);
            let call = match call.ok_or_else(|| wrong_arguments(&name))? {
                // Nobody is to be told, so nobody is asked.
                Ok(PlcCall::Identity) => Err(CallRefused::NoIdentity),
                call => call,
            };
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

/// The value that the method returns.
///
/// # Errors
/// The exception that the IDE survives, with the reason.
pub fn result(outcome: Outcome) -> Result<Value, Exception> {
    // An IDE of this generation that is told a key fails over it.
    if matches!(outcome, Outcome::Identity(_)) {
        return Ok(Value::None);
    }
    outcome.into_value().map_err(Exception::protocol)
}
