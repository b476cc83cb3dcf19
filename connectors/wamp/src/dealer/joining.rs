// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a peer joins: by the realm that is set, and by WAMP-CRA if it has to show a secret or a key.
//!
//! Where nothing is to be shown, everybody is let in without a challenge, also an IDE since 2025 that offers nothing but
//! WAMP-CRA: it takes that for a yes.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, prelude::BASE64_STANDARD};
use plc_connector::{
    api::key::{ApiKey, SecretText},
    ide::value::Value,
};

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
        if self.settings.secret.is_none() && !self.settings.keys {
            let authid = authid.unwrap_or_else(|| "anonymous".to_owned());
            return vec![self.welcome(&realm, authid, "anonymous")];
        }
        let offered = match details.get("authmethods") {
            Some(Value::List(methods)) => methods.contains(&Value::text(CRA)),
            _ => false,
        };
        if !offered {
            let reason = "this PLC is joined by WAMP-CRA alone, which Beremiz can since 2025, with WAMP:// and not with \
                          WAMP-ANNON://; connect other IDEs by ERPC:// or PYRO://";
            return self.abort(uri::NO_MATCHING_AUTH_METHOD, reason.to_owned());
        }
        let authid = authid.unwrap_or_default();
        let challenge = self.challenge(&authid);
        let extra = Dict::of([("challenge", Value::text(&challenge))]);
        self.state = State::Challenged { challenge, realm, authid };
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
        let State::Challenged { challenge, realm, authid } =
            std::mem::replace(&mut self.state, State::Over)
        else {
            return Vec::new();
        };
        // Both are looked at, a stranger's too, so that the answer takes as long whatever is known of the name.
        let key = self.keys.secret(&authid).filter(|_| self.settings.keys);
        let nobodys = BASE64_STANDARD.encode(self.fresh.nonce);
        let with_key = key.map_or(nobodys.as_str(), |secret| secret.reveal());
        let shows_key =
            auth::is_signed(with_key.as_bytes(), &challenge, signature) && key.is_some();
        let secret = self.settings.secret.as_ref();
        let with_secret = secret.map_or(nobodys.as_str(), |secret| secret.reveal());
        let shows_secret = auth::is_signed(with_secret.as_bytes(), &challenge, signature)
            && secret.is_some()
            && self.settings.id.as_ref().is_none_or(|id| *id == authid);
        if shows_key {
            let secret = SecretText::new(with_key);
            self.shown = Some(ApiKey { id: authid.clone(), secret });
        }
        if shows_key || shows_secret {
            return vec![self.welcome(&realm, authid, CRA)];
        }
        self.abort(
            uri::AUTHENTICATION_FAILED,
            "the name is not known here, or the secret is wrong".to_owned(),
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
