// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a router's refusals mean to a person: the reason, and the next step.

use plc_connector::api::wamp::{Authentication, RouterSettings};

use super::{probe::METHOD, registering::is_held};
use crate::{
    procedure::{Procedure, uri},
    quote::quotable,
};

/// Why the router does not let us in, or ends the session.
pub(super) fn of_session(
    settings: &RouterSettings,
    error: &str,
    message: Option<String>,
) -> String {
    let RouterSettings { realm, id, source, .. } = settings;
    let said = said(error, message);
    if error == uri::NO_SUCH_REALM {
        return format!(
            "the router has no realm \"{realm}\" ({said}); create it at the router, or correct the realm in {source}"
        );
    }
    // "not_authorized", "authentication_failed", "no_such_principal", "no_auth_method": routers differ.
    if ["auth", "principal", "role"].iter().any(|word| error.contains(word)) {
        let step = match settings.authentication {
            Authentication::Anonymous => {
                format!(
                    "allow anonymous clients in realm \"{realm}\", or set a secret for {source}"
                )
            }
            Authentication::Cra(_) | Authentication::Ticket(_) => format!(
                "compare the secret of {source} with the router's for \"{id}\" in realm \"{realm}\""
            ),
            Authentication::Certificate(_) => format!(
                "let the router know the certificate of {source} as that of \"{id}\" in realm \"{realm}\""
            ),
        };
        return format!("the router does not let \"{id}\" in ({said}); {step}");
    }
    format!("the router ended the session ({said}); see the router's log")
}

/// Why a session that was there is over.
pub(super) fn of_goodbye(reason: &str, message: Option<String>) -> String {
    format!("the router has ended the session ({}); it is tried again", said(reason, message))
}

/// Why this challenge cannot be answered.
pub(super) fn of_challenge(settings: &RouterSettings, method: &str) -> String {
    let method = quotable(method);
    let RouterSettings { source, .. } = settings;
    format!(
        "the router wants to know by \"{method}\" who this is, and {source} does not say so; \
         set authentication there to what the router wants: anonymous, wampcra, ticket or tls"
    )
}

/// Why this procedure, and `count` in all, could not be registered.
pub(super) fn of_registration(
    settings: &RouterSettings,
    procedure: Procedure,
    error: &str,
    count: usize,
) -> String {
    let RouterSettings { id, realm, source, .. } = settings;
    let name = format!("{id}.{}", procedure.name());
    match error {
        error if is_held(error) => format!(
            "\"{name}\" is registered by another session, which this PLC may not displace: either the router has not \
             noticed yet that the last link of this PLC is gone, or another PLC in realm \"{realm}\" is called \"{id}\" too; \
             it is tried again until that session ends; if it stays, give one of them another id in {source}, and allow \
             \"{id}\" at the router to call \"{id}.{}\"",
            METHOD.name()
        ),
        uri::NOT_AUTHORIZED => format!(
            "the router does not allow \"{id}\" to register {}; allow it at the router for the role of \"{id}\"",
            if count > 1 {
                format!("\"{name}\" and {} more", count - 1)
            } else {
                format!("\"{name}\"")
            }
        ),
        other => format!(
            "the router does not register \"{name}\" ({}); see the router's log",
            quotable(other)
        ),
    }
}

/// Why a PLC does not register although nobody forbids it: another one with its name answers, with these words.
pub(super) fn of_living(settings: &RouterSettings, words: &str) -> String {
    let RouterSettings { id, realm, source, .. } = settings;
    format!(
        "another PLC in realm \"{realm}\" is called \"{id}\" too and answers ({}); this one registers nothing until that \
         one is gone; give one of them another id in {source}",
        quotable(words)
    )
}

/// Why a PLC gives up what it had registered: another one has taken its name.
pub(super) fn of_displacement(settings: &RouterSettings, words: &str) -> String {
    let RouterSettings { id, realm, source, .. } = settings;
    format!(
        "another PLC has taken the name \"{id}\" in realm \"{realm}\" ({}): IDEs reached that one; give one of them \
         another id in {source}",
        quotable(words)
    )
}

fn said(error: &str, message: Option<String>) -> String {
    match message.filter(|message| !message.is_empty()) {
        Some(message) => format!("{}: {}", quotable(error), quotable(&message)),
        None => quotable(error),
    }
}
