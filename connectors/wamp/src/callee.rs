// SPDX-License-Identifier: MIT OR Apache-2.0
//! This PLC as a client of a router: the session without its I/O.
//!
//! ```text
//!            HELLO                 WELCOME                   all REGISTERED
//!   new() ----------> joining ----------------> registering ----------------> ready
//!                    |   ^                       |   ^  |
//!                    `---' CHALLENGE             `---'  `--> some refused: retry() asks for those again
//! ```
//! The first procedure is registered alone, and the others when that is done: of two PLCs with the same name in one
//! realm, one then has all of the procedures and the other none, not each a part. What is refused because somebody
//! else has it stays refused until that one leaves, which is how a router looks that has not noticed the end of this
//! PLC's last link; so it is asked for again, for as long as it takes.

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

mod refusal;

/// Numbers of the messages that errors speak of.
const REGISTER: u64 = 64;
const INVOCATION: u64 = 68;

/// Which procedure stands for all: who has it has them all.
const FIRST: Procedure = Procedure::Plc(Method::GetPlcStatus);

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
        let method = match &settings.authentication {
            Authentication::Anonymous => None,
            Authentication::Cra(_) => Some("wampcra"),
            Authentication::Ticket(_) => Some("ticket"),
        };
        let nothing = || Value::Map(Vec::new());
        let roles = Value::map([("callee", nothing()), ("publisher", nothing())]);
        let agent = Value::Text(format!("plc-runtime {RELEASE}"));
        let mut details = Dict::of([("roles", roles), ("agent", agent)]);
        if let Some(method) = method {
            let methods = Value::List(vec![Value::text(method)]);
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
        };
        (callee, hello)
    }

    /// How many procedures can be called.
    #[must_use]
    pub fn registrations(&self) -> usize {
        self.registered.len()
    }

    /// Why there are not more, unless they are all there, or asked for.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let (procedure, error) = self.refused.first()?;
        Some(refusal::of_registration(&self.settings, *procedure, error, self.refused.len()))
    }

    /// Whether registrations are on their way that the router has not answered.
    #[must_use]
    pub(crate) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Asks again for what was refused.
    pub fn retry(&mut self) -> Vec<Message> {
        let refused = std::mem::take(&mut self.refused);
        refused.into_iter().map(|(procedure, _)| self.register(procedure)).collect()
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
                Ok(vec![Step::Joined, Step::Send(self.register(FIRST))])
            }
            (_, Message::Abort { details, reason }) => Err(Over {
                reason: refusal::of_session(&self.settings, &reason, details.text("message")),
                last: None,
            }),
            (Phase::Joined, Message::Registered { request, registration }) => {
                let procedure = self.answered(request)?;
                self.registered.insert(registration, procedure);
                Ok(self.after_answer(procedure, true))
            }
            (Phase::Joined, Message::Error { kind: REGISTER, request, error, .. }) => {
                let procedure = self.answered(request)?;
                let others_may_go = error != uri::PROCEDURE_ALREADY_EXISTS;
                self.refused.push((procedure, error));
                Ok(self.after_answer(procedure, others_may_go))
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

    fn register(&mut self, procedure: Procedure) -> Message {
        let request = self.request();
        self.asked.insert(request, procedure);
        let name = format!("{}.{}", self.settings.id, procedure.name());
        Message::Register { request, options: Dict::default(), procedure: name }
    }

    /// Which procedure this answer of the router is about.
    fn answered(&mut self, request: u64) -> Result<Procedure, Over> {
        let unasked =
            || Over::violated(&format!("an answer to request {request}, which was not made"));
        self.asked.remove(&request).ok_or_else(unasked)
    }

    /// After the answer for `procedure`: perhaps it is the others' turn.
    fn after_answer(&mut self, procedure: Procedure, others_may_go: bool) -> Vec<Step> {
        let mut steps = vec![Step::Registrations];
        if procedure == FIRST && others_may_go {
            let known = self.registered.values().chain(self.asked.values());
            let known = known.chain(self.refused.iter().map(|(procedure, _)| procedure));
            let known: Vec<_> = known.copied().collect();
            let others = Procedure::all().filter(|procedure| !known.contains(procedure));
            steps.extend(others.map(|procedure| Step::Send(self.register(procedure))));
        }
        steps
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
