// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages of WAMP (wamp-proto.org, "WebSocket Protocol for the Web: Messages").
//!
//! Each is an array that begins with its type. The table below is all there is to a message: its number, and its
//! elements in their order. What follows the last element that a message needs may be missing.

use std::vec;

use plc_connector::{
    api::limits,
    ide::{Malformed, arguments, value::Value},
};

use crate::serializer::Serializer;

/// Bytes of one message. Holds the largest blob chunk any IDE sends, even in JSON, where four letters carry three bytes.
pub const MESSAGE_BYTES: usize = limits::FRAME_BYTES / 3 * 4;

/// The largest id: what a JavaScript number holds exactly.
const LARGEST_ID: u64 = 1 << 53;

/// Names the elements of each message, and from that reads and writes them.
macro_rules! messages {
    ($($(#[$about:meta])* $code:literal $name:ident { $($(#[$what:meta])* $field:ident: $kind:ty),+ })+) => {
        /// One message. Ids are 1 to 2^53, but where 0 is said to mean something (specification, "IDs").
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message {
            $($(#[$about])* $name { $($(#[$what])* $field: $kind),+ },)+
        }

        impl Message {
            /// The message's name in the specification.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => stringify!($name),)+
                }
            }

            fn of_elements(code: u64, mut elements: Elements) -> Result<Self, Malformed> {
                let message = match code {
                    $($code => Self::$name { $($field: Element::take(&mut elements)?),+ },)+
                    _ => return Err(Malformed("a message of an unknown type")),
                };
                match elements.next() {
                    None => Ok(message),
                    Some(_) => Err(Malformed("a message with too many elements")),
                }
            }

            fn into_elements(self) -> Vec<Value> {
                let mut elements = Vec::with_capacity(6);
                match self {
                    $(Self::$name { $($field),+ } => {
                        elements.push(Value::Int($code));
                        $($field.put(&mut elements);)+
                    })+
                }
                elements
            }
        }

        /// Any message, for property tests.
        #[cfg(test)]
        pub(crate) fn any_message() -> impl proptest::strategy::Strategy<Value = Message> {
            use proptest::prelude::*;
            proptest::prop_oneof![
                $(($(<$kind as tests::AnyElement>::any(),)+).prop_map(|($($field,)+)| Message::$name { $($field),+ }),)+
            ]
        }
    };
}

messages! {
    /// A client wants to join a realm.
    1 Hello {
        /// The realm.
        realm: String,
        /// Roles, and how it can show who it is.
        details: Dict
    }
    /// The router lets it in.
    2 Welcome {
        /// Of the session.
        session: u64,
        /// What the router can do.
        details: Dict
    }
    /// Either ends the session before it began.
    3 Abort {
        /// With a text `message`.
        details: Dict,
        /// An error's name.
        reason: String
    }
    /// The router asks who the client is.
    4 Challenge {
        /// `wampcra` or `ticket`.
        method: String,
        /// What is to be signed, and how.
        extra: Dict
    }
    /// The client's answer.
    5 Authenticate {
        /// The signature or the ticket.
        signature: String,
        /// Nothing.
        extra: Dict
    }
    /// Either ends the session.
    6 Goodbye {
        /// With a text `message`.
        details: Dict,
        /// Why.
        reason: String
    }
    /// A request was not carried out.
    8 Error {
        /// Type of the request.
        kind: u64,
        /// Its id.
        request: u64,
        /// Nothing.
        details: Dict,
        /// The error's name.
        error: String,
        /// Its text.
        payload: Payload
    }
    /// A client tells something to whom it may concern.
    16 Publish {
        /// The request's id.
        request: u64,
        /// With `acknowledge`.
        options: Dict,
        /// About what.
        topic: String,
        /// What.
        payload: Payload
    }
    /// The router has taken it.
    17 Published {
        /// The request's id.
        request: u64,
        /// Of what was told.
        publication: u64
    }
    /// A client wants to be told.
    32 Subscribe {
        /// The request's id.
        request: u64,
        /// How the topic is to be matched.
        options: Dict,
        /// Of what.
        topic: String
    }
    /// It will be.
    33 Subscribed {
        /// The request's id.
        request: u64,
        /// Names the topic from now on.
        subscription: u64
    }
    /// It has heard enough.
    34 Unsubscribe {
        /// The request's id.
        request: u64,
        /// From [`Message::Subscribed`].
        subscription: u64
    }
    /// It will not be told any more.
    35 Unsubscribed {
        /// The request's id.
        request: u64
    }
    /// What a subscriber is told.
    36 Event {
        /// From [`Message::Subscribed`].
        subscription: u64,
        /// Of what was told.
        publication: u64,
        /// Nothing.
        details: Dict,
        /// What.
        payload: Payload
    }
    /// A client calls a procedure.
    48 Call {
        /// The request's id.
        request: u64,
        /// Nothing that matters here.
        options: Dict,
        /// Its name.
        procedure: String,
        /// Its arguments.
        payload: Payload
    }
    /// The caller does not need the answer any more.
    49 Cancel {
        /// Of the call.
        request: u64,
        /// How.
        options: Dict
    }
    /// What came of a call.
    50 Result {
        /// Of the call.
        request: u64,
        /// Nothing.
        details: Dict,
        /// The value.
        payload: Payload
    }
    /// A client offers a procedure.
    64 Register {
        /// The request's id.
        request: u64,
        /// How callers are to be spread.
        options: Dict,
        /// Its name.
        procedure: String
    }
    /// The router passes calls on.
    65 Registered {
        /// The request's id.
        request: u64,
        /// Names the procedure from now on.
        registration: u64
    }
    /// The client does not offer it any more.
    66 Unregister {
        /// The request's id.
        request: u64,
        /// From [`Message::Registered`].
        registration: u64
    }
    /// The router passes no more calls on.
    67 Unregistered {
        /// The request's id; 0 if it was the router's idea.
        request: u64
    }
    /// A call, as it reaches whom it is for.
    68 Invocation {
        /// The router's id for it.
        request: u64,
        /// From [`Message::Registered`].
        registration: u64,
        /// Nothing that matters here.
        details: Dict,
        /// The arguments.
        payload: Payload
    }
    /// The caller does not need the answer any more.
    69 Interrupt {
        /// Of the invocation.
        request: u64,
        /// How.
        options: Dict
    }
    /// The answer.
    70 Yield {
        /// Of the invocation.
        request: u64,
        /// Nothing.
        options: Dict,
        /// The value.
        payload: Payload
    }
}

/// A map with text keys: details, options.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(pub Vec<(Value, Value)>);

impl Dict {
    /// A map of these entries.
    #[must_use]
    pub fn of<const N: usize>(entries: [(&str, Value); N]) -> Self {
        Self(entries.map(|(key, value)| (Value::text(key), value)).into())
    }

    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(k, _)| is_text(k, key));
        found.map(|(_, value)| value)
    }

    /// The text of this key, if it is one.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        arguments::text(self.get(key)?.clone())
    }
}

/// Whether this is the text, whichever Python wrote it.
fn is_text(value: &Value, text: &str) -> bool {
    match value {
        Value::Text(found) => found == text,
        Value::Bytes(found) => found == text.as_bytes(),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Span { .. } => false,
    }
}

/// What applications say to each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Payload {
    /// By position.
    pub arguments: Vec<Value>,
    /// By name.
    pub named: Vec<(Value, Value)>,
}

impl From<Vec<Value>> for Payload {
    fn from(arguments: Vec<Value>) -> Self {
        Self { arguments, named: Vec::new() }
    }
}

/// Reads one message.
///
/// # Errors
/// When these bytes are none, or over the bounds of [`plc_connector::ide::value::Budget`] and [`MESSAGE_BYTES`].
pub fn read(serializer: Serializer, bytes: &[u8]) -> Result<Message, Malformed> {
    if bytes.len() > MESSAGE_BYTES {
        return Err(Malformed("a message that is too long"));
    }
    let Value::List(elements) = serializer.read(bytes)? else {
        return Err(Malformed("a message that is no array"));
    };
    let mut elements = elements.into_iter();
    let code = u64::take(&mut elements)?;
    Message::of_elements(code, elements)
}

/// Writes one message.
#[must_use]
pub fn write(serializer: Serializer, message: Message) -> Vec<u8> {
    serializer.write(&Value::List(message.into_elements()))
}

type Elements = vec::IntoIter<Value>;

/// An element of a message, or the last ones that belong together.
trait Element: Sized {
    fn take(elements: &mut Elements) -> Result<Self, Malformed>;
    fn put(self, elements: &mut Vec<Value>);
}

fn next(elements: &mut Elements) -> Result<Value, Malformed> {
    elements.next().ok_or(Malformed("a message with too few elements"))
}

impl Element for u64 {
    fn take(elements: &mut Elements) -> Result<Self, Malformed> {
        let id = next(elements)?.as_int().and_then(|id| Self::try_from(id).ok());
        id.filter(|id| *id <= LARGEST_ID).ok_or(Malformed("an id that is none"))
    }

    fn put(self, elements: &mut Vec<Value>) {
        elements.push(Value::Int(self.into()));
    }
}

impl Element for String {
    fn take(elements: &mut Elements) -> Result<Self, Malformed> {
        arguments::text(next(elements)?).ok_or(Malformed("a name that is no text"))
    }

    fn put(self, elements: &mut Vec<Value>) {
        elements.push(Value::Text(self));
    }
}

impl Element for Dict {
    fn take(elements: &mut Elements) -> Result<Self, Malformed> {
        map(next(elements)?).map(Self)
    }

    fn put(self, elements: &mut Vec<Value>) {
        elements.push(Value::Map(self.0));
    }
}

fn map(value: Value) -> Result<Vec<(Value, Value)>, Malformed> {
    let Value::Map(entries) = value else {
        return Err(Malformed("details that are no map"));
    };
    Ok(entries)
}

impl Element for Payload {
    fn take(elements: &mut Elements) -> Result<Self, Malformed> {
        let arguments = match elements.next() {
            Some(Value::List(arguments)) => arguments,
            Some(_) => return Err(Malformed("arguments that are no array")),
            None => Vec::new(),
        };
        let named = elements.next().map(map).transpose()?.unwrap_or_default();
        Ok(Self { arguments, named })
    }

    fn put(self, elements: &mut Vec<Value>) {
        let Self { arguments, named } = self;
        if !arguments.is_empty() || !named.is_empty() {
            elements.push(Value::List(arguments));
        }
        if !named.is_empty() {
            elements.push(Value::Map(named));
        }
    }
}

#[cfg(test)]
mod tests;
