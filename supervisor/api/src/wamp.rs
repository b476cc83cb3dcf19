// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the WAMP connector is told, and what it tells of its link to a router.

use serde::{Deserialize, Serialize};

use crate::key::SecretText;

/// What the configuration, or the installed program, says to the WAMP connector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WampSettings {
    /// The router to join; `None`: none is configured.
    pub router: Option<RouterSettings>,
    /// Why there is none although somebody asked for one, or what of the settings could not be used; sentences.
    pub problems: Vec<String>,
    /// How IDEs come in without a router.
    pub direct: DirectSettings,
}

/// A WAMP router, and how to join it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouterSettings {
    /// `ws://` or `wss://`, host, port, path; at most [`crate::limits::URL_BYTES`].
    pub url: String,
    /// The realm.
    pub realm: String,
    /// The PLC's name there: prefix of its procedures and topics, and the authid. `%H` and `%m` are resolved already.
    pub id: String,
    /// How to show who it is.
    pub authentication: Authentication,
    /// Who the router must show to be, with `wss://`.
    pub verify: Verify,
    /// A ping is sent after this long, milliseconds; 1000 to 3 600 000.
    pub ping_interval_ms: u32,
    /// The link is dead if no pong came within this, milliseconds; 1000 to 3 600 000.
    pub ping_timeout_ms: u32,
    /// Pause before the second attempt, milliseconds, 100 to 600 000; it grows with each.
    pub initial_delay_ms: u32,
    /// The longest pause between two attempts, milliseconds; 1000 to 86 400 000.
    pub max_delay_ms: u32,
    /// Where this was found: `plc-runtime.toml`, or `wampconf.json` of the program.
    pub source: String,
}

/// How a client shows a router who it is (WAMP, "Authentication Methods").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Authentication {
    /// Not at all.
    Anonymous,
    /// By a challenge that only who knows the secret can answer.
    Cra(SecretText),
    /// By the secret itself.
    Ticket(SecretText),
    /// By a certificate in the TLS handshake, so with `wss://` alone (`tls`): PEM, the certificate, those between it and
    /// its authority, and the private key; at most [`crate::limits::CA_BYTES`].
    Certificate(SecretText),
}

impl Authentication {
    /// Its name in WAMP, `authmethod`.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Cra(_) => "wampcra",
            Self::Ticket(_) => "ticket",
            Self::Certificate(_) => "tls",
        }
    }
}

/// What the certificate of a router is held against.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verify {
    /// The authorities that the system trusts.
    System,
    /// These authorities alone: PEM, at most [`crate::limits::CA_BYTES`].
    Authorities(String),
    /// Nothing: anyone can pass for the router.
    Nothing,
}

/// How IDEs come in without a router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DirectSettings {
    /// The one realm; `None`: any.
    pub realm: Option<String>,
    /// The one name of this PLC; `None`: any.
    pub id: Option<String>,
    /// What IDEs have to know (WAMP-CRA); `None`: nothing.
    pub secret: Option<SecretText>,
    /// Whether IDEs have to show, by WAMP-CRA too, one of the PLC's keys; with `secret`, either will do.
    pub keys: bool,
    /// Web pages that may come in, as browsers write them in `Origin:`; all others are refused.
    pub origins: Vec<String>,
}

/// Whether a router is asked for, told to everybody whether or not a connector is there to join it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouterAsked {
    /// The router's address; `None`: nobody asks for one.
    pub url: Option<String>,
    /// As [`RouterSettings::source`]; empty if nobody asks.
    pub source: String,
    /// With `wss://`: the router need not show who it is, [`Verify::Nothing`].
    pub unverified: bool,
    /// As [`WampSettings::problems`].
    pub problems: Vec<String>,
}

/// How the link to the router is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouterLink {
    /// What it is at.
    pub state: LinkState,
    /// Why, and the next step, when that needs saying. One or two sentences.
    pub reason: Option<String>,
    /// The router; empty without one.
    pub url: String,
    /// The realm.
    pub realm: String,
    /// The PLC's name there.
    pub id: String,
    /// Where the settings were found.
    pub source: String,
    /// As [`Authentication::method`].
    pub authentication: String,
    /// The router's certificate: whose, by whom, until when, and whether it was verified; `None` without TLS.
    pub certificate: Option<String>,
    /// Procedures that are registered now.
    pub registrations: u32,
    /// How many there are to register.
    pub procedures: u32,
    /// Since when it is in this state, microseconds since the epoch.
    pub since_us: u64,
    /// When it is tried again, microseconds since the epoch, while it waits.
    pub next_attempt_us: Option<u64>,
}

/// What a link to a router is at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LinkState {
    /// No router is configured.
    #[default]
    Off,
    /// Making the connection, TLS and WebSocket.
    Connecting,
    /// Joining the realm.
    Joining,
    /// Joined; not all procedures are registered.
    Registering,
    /// IDEs can call.
    Ready,
    /// The last attempt failed, or the link was lost; the next attempt is set.
    Waiting,
}

impl LinkState {
    /// The word for people and for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Connecting => "connecting",
            Self::Joining => "joining",
            Self::Registering => "registering",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
        }
    }
}
