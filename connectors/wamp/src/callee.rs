// SPDX-License-Identifier: MIT OR Apache-2.0
//! This PLC as a client of a router: the session without its I/O.
//!
//! ```text
//!            HELLO              WELCOME           nobody answers            all REGISTERED
//!   new() ----------> joining ----------> probing ----------------> registering ----------> ready
//!                    |   ^                  |  ^                     |   ^  |                 |
//!                    `---' CHALLENGE        |  |                     `---'  |                 | probe() now and then:
//!                                           |  `--------- retry() <---------'                 | another PLC answers
//!                                           `-> a living PLC answers: retry()                 `-> the session is over
//! ```
//! Before it registers anything, a session calls its own name at the router (`probe`). If another PLC answers, nothing
//! is registered: a living PLC is never displaced. If nobody answers, what the router still holds under that name belongs
//! to a session that is dead, such as this PLC's own before its network was cut, and the procedures are registered with
//! `invoke: last`, which displaces it. A router that does not allow that option is asked without it.
//!
//! The first two procedures are registered one after the other, and the rest when both are there: of two PLCs with the
//! same name that come at the same moment, the one that the second procedure leads to has them all. What is refused
//! because another session holds it is asked for again, for as long as it takes.

use std::collections::HashMap;

use plc_connector::{
    api::{
        RELEASE,
        wamp::{Authentication, RouterSettings},
    },
    call::{CallRefused, PlcCall},
    ide::{method::Method, value::Value},
};

use crate::{
    auth,
    message::{Dict, Message, Payload},
    procedure::{self, CallError, Procedure, uri},
};

mod probe;
mod refusal;
mod registering;

pub(crate) use probe::PATIENCE;

/// Numbers of the messages that errors speak of.
const CALL: u64 = 48;
const REGISTER: u64 = 64;
const INVOCATION: u64 = 68;

/// A session with a router, from the greeting on.
#[derive(Debug)]
pub struct Callee {
    settings: RouterSettings,
    phase: Phase,
    last_request: u64,
    /// Registrations that the router has not answered, by request.
    asked: HashMap<u64, Procedure>,
    /// Those that it has made, by its ids.
    registered: HashMap<u64, Procedure>,
    /// Those that it has refused, and why.
    refused: Vec<(Procedure, String)>,
    /// The call of its own name that nobody has answered yet.
    probe: Option<u64>,
    /// What keeps it from registering; a sentence.
    name_is_taken: Option<String>,
    /// How to register.
    sharing: Sharing,
}

/// Whether a dead session that holds the name may be displaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    /// It may: `invoke: last`.
    Last,
    /// Not by an option of ours: the router refuses it, or does not let us find out who is alive.
    Alone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Joining,
    Joined,
}

/// What a message of the router leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// This is to be sent.
    Send(Message),
    /// The router has let us in.
    Joined,
    /// The number of registrations has changed, or why there are not more.
    Registrations,
    /// A call is to be carried out, and then answered by [`answer`].
    Call {
        /// The router's id for it.
        request: u64,
        /// What is called.
        method: Method,
        /// With which arguments.
        call: Result<PlcCall, CallRefused>,
    },
}

/// The session is over.
#[derive(Clone, Debug, PartialEq)]
pub struct Over {
    /// Why, and the next step; a sentence.
    pub reason: String,
    /// What is to be said before the connection is closed.
    pub last: Option<Box<Message>>,
}

impl Over {
    /// The router said what it may not say now.
    fn violated(what: &str) -> Self {
        let message = Dict::of([("message", Value::text(what))]);
        let reason = uri::PROTOCOL_VIOLATION.to_owned();
        Self {
            reason: format!("the router does not keep to WAMP: {what}; see the router's log"),
            last: Some(Box::new(Message::Abort { details: message, reason })),
        }
    }
}

impl Callee {
    /// Begins a session; the message is its first.
    #[must_use]
    pub fn new(settings: RouterSettings) -> (Self, Message) {
        let nothing = || Value::Map(Vec::new());
        let shared = Value::map([("shared_registration", true.into())]);
        let callee = Value::map([("features", shared)]);
        let roles =
            Value::map([("callee", callee), ("caller", nothing()), ("publisher", nothing())]);
        let agent = Value::Text(format!("plc-runtime {RELEASE}"));
        let mut details = Dict::of([("roles", roles), ("agent", agent)]);
        if settings.authentication != Authentication::Anonymous {
            let methods = Value::List(vec![Value::text(settings.authentication.method())]);
            details.0.push((Value::text("authmethods"), methods));
            details.0.push((Value::text("authid"), Value::text(&settings.id)));
        }
        let hello = Message::Hello { realm: settings.realm.clone(), details };
        let callee = Self {
            settings,
            phase: Phase::Joining,
            last_request: 0,
            asked: HashMap::new(),
            registered: HashMap::new(),
            refused: Vec::new(),
            probe: None,
            name_is_taken: None,
            sharing: Sharing::Last,
        };
        (callee, hello)
    }

    /// How many procedures can be called.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.registered.len()
    }

    /// An event of this PLC.
    pub fn publish(&mut self, topic: &str, arguments: Vec<Value>) -> Message {
        let topic = format!("{}.{topic}", self.settings.id);
        let (request, options) = (self.request(), Dict::default());
        Message::Publish { request, options, topic, payload: arguments.into() }
    }

    /// What the router's message leads to.
    ///
    /// # Errors
    /// When it ends the session.
    pub fn receive(&mut self, message: Message) -> Result<Vec<Step>, Over> {
        let name = message.name();
        match (self.phase, message) {
            (Phase::Joining, Message::Challenge { method, extra }) => {
                Ok(vec![Step::Send(self.authenticate(&method, &extra)?)])
            }
            (Phase::Joining, Message::Welcome { .. }) => {
                self.phase = Phase::Joined;
                Ok(vec![Step::Joined, Step::Send(self.probe())])
            }
            (_, Message::Abort { details, reason }) => Err(Over {
                reason: refusal::of_session(&self.settings, &reason, details.text("message")),
                last: None,
            }),
            (Phase::Joined, Message::Registered { request, registration }) => {
                let procedure = self.answered(request)?;
                self.registered.insert(registration, procedure);
                Ok(self.registering())
            }
            (Phase::Joined, Message::Error { kind: REGISTER, request, error, .. }) => {
                let procedure = self.answered(request)?;
                Ok(self.refused(procedure, error))
            }
            (Phase::Joined, Message::Result { request, payload, .. }) => {
                self.probe_answered(request, probe::Answer::of_result(&payload))
            }
            (Phase::Joined, Message::Error { kind: CALL, request, error, .. }) => {
                self.probe_answered(request, probe::Answer::of_error(&error))
            }
            (Phase::Joined, Message::Invocation { request, registration, payload, .. }) => {
                Ok(vec![self.invoked(request, registration, payload)])
            }
            (_, Message::Goodbye { details, reason }) => Err(Over {
                reason: refusal::of_goodbye(&reason, details.text("message")),
                last: Some(Box::new(Message::Goodbye {
                    details: Dict::default(),
                    reason: uri::GOODBYE_AND_OUT.to_owned(),
                })),
            }),
            // Nobody asked for these answers, but they do no harm: a call cannot be taken back, and no
            // publication is acknowledged.
            (
                Phase::Joined,
                Message::Interrupt { .. } | Message::Published { .. } | Message::Error { .. },
            ) => Ok(Vec::new()),
            (Phase::Joining, _) => Err(Over::violated(&format!("{name} before the session began"))),
            (Phase::Joined, _) => Err(Over::violated(&format!("{name} is not for a callee"))),
        }
    }

    fn authenticate(&self, method: &str, extra: &Dict) -> Result<Message, Over> {
        let cannot = |reason| Over { reason, last: Some(Box::new(cannot_authenticate())) };
        let signature = match (&self.settings.authentication, method) {
            (Authentication::Cra(secret), "wampcra") => {
                auth::answer(secret.reveal(), extra).map_err(cannot)?
            }
            (Authentication::Ticket(ticket), "ticket") => ticket.reveal().to_owned(),
            _ => return Err(cannot(refusal::of_challenge(&self.settings, method))),
        };
        Ok(Message::Authenticate { signature, extra: Dict::default() })
    }

    fn request(&mut self) -> u64 {
        self.last_request += 1;
        self.last_request
    }

    fn invoked(&self, request: u64, registration: u64, payload: Payload) -> Step {
        let Some(procedure) = self.registered.get(&registration) else {
            let text = format!("there is no registration {registration}");
            let error = CallError::new("wamp.error.no_such_registration", text);
            return Step::Send(answer(request, Err(error)));
        };
        let Procedure::Plc(method) = *procedure else {
            return Step::Send(answer(request, Ok(procedure::versions())));
        };
        if probe::is_from_this_process(method, &payload.arguments) {
            return Step::Send(answer(request, Ok(probe::this_process())));
        }
        match procedure::plc_call(method, payload.arguments) {
            Ok(call) => Step::Call { request, method, call },
            Err(error) => Step::Send(answer(request, Err(error))),
        }
    }
}

/// The answer to a call.
#[must_use]
pub fn answer(request: u64, result: Result<Value, CallError>) -> Message {
    match result {
        Ok(value) => {
            Message::Yield { request, options: Dict::default(), payload: vec![value].into() }
        }
        Err(CallError { uri, text }) => Message::Error {
            kind: INVOCATION,
            request,
            details: Dict::default(),
            error: uri.to_owned(),
            payload: vec![Value::Text(text)].into(),
        },
    }
}

/// Leaves the realm.
#[must_use]
pub fn goodbye() -> Message {
    Message::Goodbye { details: Dict::default(), reason: uri::CLOSE_NORMAL.to_owned() }
}

fn cannot_authenticate() -> Message {
    let reason = "wamp.error.cannot_authenticate".to_owned();
    Message::Abort { details: Dict::default(), reason }
}

#[cfg(test)]
mod tests;
