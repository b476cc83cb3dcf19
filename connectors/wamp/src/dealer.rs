// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router for one peer, whose only other client is this PLC: messages in, what is to be done out, and no I/O.
//!
//! ```text
//!              HELLO                     CALL, SUBSCRIBE, PUBLISH, ...
//!  Greeting ----------> Joined ----------------------------------------.
//!     |  HELLO           ^  |  ^---------------------------------------'
//!     |  CHALLENGE       |  |
//!     |                  |  | GOODBYE of ours      GOODBYE of the peer
//!     '--> Challenged ---'  '------> Leaving ----------------------> (over)
//!           AUTHENTICATE
//! ```
//!
//! Over is also what follows an `ABORT` of either side and the peer's `GOODBYE`. What the peer publishes reaches nobody,
//! because there is nobody else; what it may subscribe to is told in [`crate::events`].

mod joining;

use std::sync::Arc;

use plc_connector::{
    api::{key::ApiKey, wamp::DirectSettings},
    ide::value::Value,
};
use plc_keys::KeySet;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::{
    events::{self, Event},
    lanes::{Asked, Busy, Finished},
    message::{Dict, Message, Payload},
    procedure::{self, CallError, Procedure, uri},
    quote::quotable,
    websocket::Violation,
};

/// Subscriptions of one peer.
pub const SUBSCRIPTIONS: usize = 64;

/// Bytes of a topic; those that tell something are a PLC's name and a word.
const TOPIC_BYTES: usize = 512;

/// Types of messages, as `ERROR` names the request it answers.
mod kind {
    pub(super) const SUBSCRIBE: u64 = 32;
    pub(super) const UNSUBSCRIBE: u64 = 34;
    pub(super) const CALL: u64 = 48;
    pub(super) const REGISTER: u64 = 64;
    pub(super) const UNREGISTER: u64 = 66;
}

/// What is to be done, in this order.
#[derive(Debug)]
pub enum Step {
    /// Send this to the peer.
    Send(Message),
    /// Carry this out; [`Dealer::finished`] makes the answer, and [`Dealer::busy`] if it cannot be.
    Ask(Asked),
    /// The session is over; close the connection.
    Leave(Left),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// One side said goodbye, or the peer broke it off.
    Orderly,
    /// The peer may not come in, and why.
    Refused(String),
}

/// What makes a session different from all others.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// The session's id, 1 to 2^53.
    pub session: u64,
    /// For the challenge.
    pub nonce: [u8; 16],
}

/// The router's side of one session.
#[derive(Debug)]
pub struct Dealer {
    settings: DirectSettings,
    /// Those of which a peer may show one; none unless the settings say so.
    keys: Arc<KeySet>,
    fresh: Fresh,
    /// The one that it has shown, until it is asked for.
    shown: Option<ApiKey>,
    state: State,
    subscriptions: Vec<Subscription>,
    subscribed: u64,
    published: u64,
    /// The status as it was told last, for who subscribes later.
    status: Option<Vec<Value>>,
}

#[derive(Debug)]
enum State {
    Greeting,
    Challenged { challenge: String, realm: String, authid: String },
    Joined,
    Leaving,
    Over,
}

#[derive(Debug)]
struct Subscription {
    id: u64,
    topic: String,
}

impl Dealer {
    /// A router with these settings, for a peer that has just connected; these keys count if the settings say so.
    #[must_use]
    pub const fn new(settings: DirectSettings, keys: Arc<KeySet>, fresh: Fresh) -> Self {
        Self {
            settings,
            keys,
            fresh,
            shown: None,
            state: State::Greeting,
            subscriptions: Vec::new(),
            subscribed: 0,
            published: 0,
            status: None,
        }
    }

    /// Whether the peer has joined and not left.
    #[must_use]
    pub(crate) const fn is_joined(&self) -> bool {
        matches!(self.state, State::Joined)
    }

    /// The key with which the peer has joined, once.
    pub(crate) fn take_key(&mut self) -> Option<ApiKey> {
        self.shown.take()
    }

    /// Whether [`Self::event`] has something to tell of this topic.
    #[must_use]
    pub(crate) fn wants_events(&self) -> bool {
        [events::STATUS, events::LOG].into_iter().any(|topic| self.told(topic).next().is_some())
    }

    /// Takes a message of the peer.
    ///
    /// # Errors
    /// When it cannot be, or not now; the session is over then.
    pub fn receive(&mut self, message: Message) -> Result<Vec<Step>, Violation> {
        match (&mut self.state, message) {
            (State::Over, _) => Ok(Vec::new()),
            (_, Message::Abort { .. }) => Ok(self.over(Left::Orderly)),
            (State::Greeting, Message::Hello { realm, details }) => Ok(self.hello(realm, &details)),
            (State::Challenged { .. }, Message::Authenticate { signature, .. }) => {
                Ok(self.authenticate(&signature))
            }
            (State::Leaving, Message::Goodbye { .. }) => Ok(self.over(Left::Orderly)),
            // What was under way when we said goodbye.
            (State::Leaving, _) => Ok(Vec::new()),
            (State::Joined, message) => self.joined(message),
            (State::Greeting | State::Challenged { .. }, message) => Err(out_of_place(&message)),
        }
    }

    /// The answer to a call that was carried out; none if the peer has left.
    #[must_use]
    pub fn finished(&self, finished: Finished) -> Option<Message> {
        let Finished { ticket: request, method, outcome } = finished;
        self.is_joined().then(|| match procedure::answer(method, outcome) {
            Ok(value) => result(request, value),
            Err(error) => failed(kind::CALL, request, error),
        })
    }

    /// The answer to a call that is one too many.
    #[must_use]
    pub fn busy(&self, request: u64, busy: Busy) -> Message {
        failed(kind::CALL, request, CallError::new(uri::UNAVAILABLE, busy.to_string()))
    }

    /// Tells the peer's subscriptions.
    pub fn event(&mut self, event: Event) -> Vec<Message> {
        if !self.is_joined() {
            return Vec::new();
        }
        let Event { topic, arguments } = event;
        self.published += 1;
        let told = self.told(topic).map(|it| told_to(it.id, self.published, &arguments)).collect();
        if topic == events::STATUS {
            self.status = Some(arguments);
        }
        told
    }

    /// Says goodbye for this reason, if the peer has joined.
    pub fn leave(&mut self, reason: &str) -> Option<Message> {
        if !self.is_joined() {
            return None;
        }
        self.state = State::Leaving;
        let details = Dict::of([("message", Value::text(reason))]);
        Some(Message::Goodbye { details, reason: uri::SYSTEM_SHUTDOWN.to_owned() })
    }

    fn over(&mut self, left: Left) -> Vec<Step> {
        self.state = State::Over;
        vec![Step::Leave(left)]
    }

    fn joined(&mut self, message: Message) -> Result<Vec<Step>, Violation> {
        Ok(match message {
            Message::Call { request, procedure, payload, .. } => {
                vec![self.call(request, &procedure, payload)]
            }
            Message::Subscribe { request, options, topic } => {
                self.subscribe(request, &options, topic)
            }
            Message::Unsubscribe { request, subscription } => {
                vec![self.unsubscribe(request, subscription)]
            }
            Message::Publish { request, options, .. } => self.publish(request, &options),
            Message::Register { request, .. } => vec![refused(
                kind::REGISTER,
                request,
                uri::NOT_AUTHORIZED,
                "here are the procedures of this PLC alone; others are registered at a router of their own",
            )],
            Message::Unregister { request, .. } => vec![refused(
                kind::UNREGISTER,
                request,
                uri::NO_SUCH_REGISTRATION,
                "there is no such registration",
            )],
            // A call is carried out to its end; the peer has to do without its answer anyway.
            Message::Cancel { .. } => Vec::new(),
            Message::Goodbye { .. } => {
                let reason = uri::GOODBYE_AND_OUT.to_owned();
                let mut steps =
                    vec![Step::Send(Message::Goodbye { details: Dict::default(), reason })];
                steps.append(&mut self.over(Left::Orderly));
                steps
            }
            other @ (Message::Hello { .. }
            | Message::Welcome { .. }
            | Message::Abort { .. }
            | Message::Challenge { .. }
            | Message::Authenticate { .. }
            | Message::Error { .. }
            | Message::Published { .. }
            | Message::Subscribed { .. }
            | Message::Unsubscribed { .. }
            | Message::Event { .. }
            | Message::Result { .. }
            | Message::Registered { .. }
            | Message::Unregistered { .. }
            | Message::Invocation { .. }
            | Message::Interrupt { .. }
            | Message::Yield { .. }) => return Err(out_of_place(&other)),
        })
    }

    fn call(&self, request: u64, name: &str, payload: Payload) -> Step {
        let Some(procedure) = self.procedure(name) else {
            let text = self.no_such_procedure(name);
            return refused(kind::CALL, request, uri::NO_SUCH_PROCEDURE, &text);
        };
        let Procedure::Plc(method) = procedure else {
            return Step::Send(result(request, procedure::versions()));
        };
        match procedure::plc_call(method, payload.arguments) {
            Ok(call) => Step::Ask(Asked { ticket: request, method, call }),
            Err(error) => Step::Send(failed(kind::CALL, request, error)),
        }
    }

    fn no_such_procedure(&self, name: &str) -> String {
        if name.ends_with(".BlobFromFile") {
            // An IDE since 2024 has made a remote call of what reads the file on its own side.
            return "this IDE cannot transfer programs by WAMP; transfer this one by ERPC:// or ERPCS://, then connect \
                    by WAMP:// again"
                .to_owned();
        }
        let id = self.settings.id.as_deref().unwrap_or("ID");
        format!("there is no procedure \"{}\"; those of this PLC are {id}.METHOD", quotable(name))
    }

    fn subscribe(&mut self, request: u64, options: &Dict, topic: String) -> Vec<Step> {
        let refused = |uri, text: &str| vec![refused(kind::SUBSCRIBE, request, uri, text)];
        if options.text("match").is_some_and(|how| how != "exact") {
            let text = "topics are matched exactly here; subscribe to ID.status and ID.log";
            return refused(uri::OPTION_NOT_ALLOWED, text);
        }
        if topic.len() > TOPIC_BYTES {
            return refused(uri::INVALID_URI, "the topic is too long");
        }
        let known = self.subscriptions.iter().find(|it| it.topic == topic).map(|it| it.id);
        let subscription = match known {
            Some(id) => id,
            None if self.subscriptions.len() >= SUBSCRIPTIONS => {
                let text = format!("{SUBSCRIPTIONS} subscriptions are the most; give one up first");
                return refused(uri::UNAVAILABLE, &text);
            }
            None => {
                self.subscribed += 1;
                self.subscriptions.push(Subscription { id: self.subscribed, topic });
                self.subscribed
            }
        };
        let mut steps = vec![Step::Send(Message::Subscribed { request, subscription })];
        // Who comes later is told what those before it know.
        let is_status = self.told(events::STATUS).any(|it| it.id == subscription);
        if let (true, Some(status)) = (is_status, &self.status) {
            self.published += 1;
            steps.push(Step::Send(told_to(subscription, self.published, status)));
        }
        steps
    }

    fn unsubscribe(&mut self, request: u64, subscription: u64) -> Step {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|it| it.id != subscription);
        if self.subscriptions.len() < before {
            return Step::Send(Message::Unsubscribed { request });
        }
        let text = "there is no such subscription";
        refused(kind::UNSUBSCRIBE, request, uri::NO_SUCH_SUBSCRIPTION, text)
    }

    fn publish(&mut self, request: u64, options: &Dict) -> Vec<Step> {
        if options.get("acknowledge") != Some(&Value::Bool(true)) {
            return Vec::new();
        }
        self.published += 1;
        vec![Step::Send(Message::Published { request, publication: self.published })]
    }

    /// The subscriptions that this topic of ours is told to.
    fn told(&self, topic: &'static str) -> impl Iterator<Item = &Subscription> {
        self.subscriptions.iter().filter(move |it| {
            it.topic.rsplit_once('.').is_some_and(|(id, name)| name == topic && self.is_ours(id))
        })
    }

    /// The procedure with this full name.
    fn procedure(&self, name: &str) -> Option<Procedure> {
        let (id, name) = name.rsplit_once('.')?;
        self.is_ours(id).then(|| Procedure::from_name(name))?
    }

    /// Whether this is the PLC's name; any is if none is set.
    fn is_ours(&self, id: &str) -> bool {
        match &self.settings.id {
            Some(own) => id == own,
            None => !id.is_empty(),
        }
    }
}

fn result(request: u64, value: Value) -> Message {
    Message::Result { request, details: Dict::default(), payload: vec![value].into() }
}

fn failed(kind: u64, request: u64, CallError { uri, text }: CallError) -> Message {
    Message::Error {
        kind,
        request,
        details: Dict::default(),
        error: uri.to_owned(),
        payload: vec![Value::Text(text)].into(),
    }
}

fn refused(kind: u64, request: u64, uri: &'static str, text: &str) -> Step {
    Step::Send(failed(kind, request, CallError::new(uri, text)))
}

fn told_to(subscription: u64, publication: u64, arguments: &[Value]) -> Message {
    let payload = arguments.to_vec().into();
    Message::Event { subscription, publication, details: Dict::default(), payload }
}

fn out_of_place(message: &Message) -> Violation {
    let reason = format!("{} is not for a router, or not now", message.name());
    Violation::new(CloseCode::Protocol, reason)
}

#[cfg(test)]
mod tests;
