// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a peer joins: by the realm that is set, and by WAMP-CRA if there is a secret.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use plc_connector::ide::value::Value;

use super::{Dealer, Left, State, Step};
use crate::{
    auth,
    message::{Dict, Message},
    procedure::uri,
    quote::quotable,
};

/// The one way for a peer to show who it is.
pub(super) const CRA: &str = "wampcra";

impl Dealer {
    pub(super) fn hello(&mut self, realm: String, details: &Dict) -> Vec<Step> {
        if self.settings.realm.as_ref().is_some_and(|own| *own != realm) {
            let reason = format!("there is no realm \"{}\" here", quotable(&realm));
            return self.abort(uri::NO_SUCH_REALM, reason);
        }
        let authid = details.text("authid");
        let Some(secret) = self.settings.secret.clone() else {
            let authid = authid.unwrap_or_else(|| "anonymous".to_owned());
            return vec![self.welcome(&realm, authid, "anonymous")];
        };
        let offered = match details.get("authmethods") {
            Some(Value::List(methods)) => methods.contains(&Value::text(CRA)),
            _ => false,
        };
        if !offered {
            let reason = "this PLC is joined with WAMP-CRA and its secret alone, which no Beremiz IDE can show; for IDEs \
                          leave wamp.direct_secret_file out, or connect by ERPC:// or PYRO://";
            return self.abort(uri::NO_MATCHING_AUTH_METHOD, reason.to_owned());
        }
        let authid = authid.unwrap_or_default();
        let challenge = self.challenge(&authid);
        let extra = Dict::of([("challenge", Value::text(&challenge))]);
        self.state = State::Challenged { secret, challenge, realm, authid };
        vec![Step::Send(Message::Challenge { method: CRA.to_owned(), extra })]
    }

    /// The text to sign; what is in it beyond the nonce is custom.
    fn challenge(&self, authid: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        serde_json::json!({
            "authid": authid,
            "authmethod": CRA,
            "authprovider": "static",
            "authrole": "ide",
            "nonce": BASE64_STANDARD.encode(self.fresh.nonce),
            "session": self.fresh.session,
            "timestamp": now.as_secs(),
        })
        .to_string()
    }

    pub(super) fn authenticate(&mut self, signature: &str) -> Vec<Step> {
        let State::Challenged { secret, challenge, realm, authid } =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return Vec::new();
        };
        let known = self.settings.id.as_ref().is_none_or(|id| *id == authid);
        // Looked at even for a stranger, so that the answer takes as long.
        if auth::is_signed(secret.reveal().as_bytes(), &challenge, signature) && known {
            return vec![self.welcome(&realm, authid, CRA)];
        }
        self.abort(
            uri::AUTHENTICATION_FAILED,
            "the name is not this PLC's, or the secret is wrong".to_owned(),
        )
    }

    fn welcome(&mut self, realm: &str, authid: String, method: &str) -> Step {
        self.state = State::Joined;
        let role = || Value::map([("features", Value::map([]))]);
        let details = Dict::of([
            ("realm", Value::text(realm)),
            ("authid", Value::Text(authid)),
            ("authrole", Value::text("ide")),
            ("authmethod", Value::text(method)),
            ("authprovider", Value::text("static")),
            ("roles", Value::map([("broker", role()), ("dealer", role())])),
        ]);
        Step::Send(Message::Welcome { session: self.fresh.session, details })
    }

    fn abort(&mut self, uri: &str, reason: String) -> Vec<Step> {
        let details = Dict::of([("message", Value::text(&reason))]);
        let mut steps = vec![Step::Send(Message::Abort { details, reason: uri.to_owned() })];
        steps.append(&mut self.over(Left::Refused(reason)));
        steps
    }
}
