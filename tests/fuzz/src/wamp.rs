// SPDX-License-Identifier: MIT OR Apache-2.0
//! WAMP's messages in both serializers, and a session on either side: what was read and written again reads the same,
//! and so does whatever we say to an IDE that is a peer of direct mode, or to a router.

use std::sync::Arc;

use plc_connector::{
    api::{
        key::SecretText,
        wamp::{Authentication, DirectSettings, RouterSettings, Verify},
    },
    ide::{answer::Outcome, value::Value},
};
use plc_connector_wamp::{
    callee::{self, Callee},
    dealer::{self, Dealer, Fresh},
    events::{self, Event},
    lanes::Finished,
    message::{Dict, MESSAGE_BYTES, Message, Payload, read, write},
    procedure::{self, Procedure},
    serializer::Serializer,
};

use crate::conversation::{Choices, input, messages, result};

/// Bits of an input's first byte: JSON.
const JSON: u8 = 1;
/// The messages are a router's, and the session is that of router mode.
const ROUTER: u8 = 2;
/// The PLC has a name and a secret.
const SECRET: u8 = 4;

/// The input is each message of the peer.
pub fn run(data: &[u8]) {
    let Some((mode, choices, rest)) = Choices::split(data) else { return };
    let serializer = if mode & JSON == 0 { Serializer::MessagePack } else { Serializer::Json };
    let received = messages(rest).into_iter().map_while(|bytes| {
        let message = read(serializer, bytes).ok()?;
        assert_survives(serializer, message.clone());
        Some(message)
    });
    match mode & ROUTER {
        0 => as_a_router(mode, serializer, choices, received),
        _ => at_a_router(mode, serializer, choices, received),
    }
}

fn assert_survives(serializer: Serializer, message: Message) {
    let written = write(serializer, message);
    assert!(written.len() <= MESSAGE_BYTES, "a message of {} bytes", written.len());
    // Not by the messages: NaN is not equal to itself, and none in JSON.
    let again = read(serializer, &written).expect("what was written is read");
    assert_eq!(write(serializer, again), written);
}

fn as_a_router(
    mode: u8,
    serializer: Serializer,
    choices: Choices<'_>,
    received: impl Iterator<Item = Message>,
) {
    let with_secret = mode & SECRET != 0;
    let settings = DirectSettings {
        id: with_secret.then(|| "press-7".into()),
        secret: with_secret.then(|| SecretText::new("0123456789abcdef")),
        ..DirectSettings::default()
    };
    let mut dealer = Dealer::new(settings, Arc::default(), Fresh { session: 7, nonce: [5; 16] });
    for (turn, message) in received.enumerate() {
        let Ok(steps) = dealer.receive(message) else { return };
        for step in steps {
            match step {
                dealer::Step::Send(message) => assert_survives(serializer, message),
                dealer::Step::Ask(asked) => {
                    let result = asked.call.and_then(|call| result(&call, choices.of(turn)));
                    let outcome = Outcome::of(asked.method, result);
                    let finished = Finished { ticket: asked.ticket, method: asked.method, outcome };
                    let answer = dealer.finished(finished);
                    assert_survives(serializer, answer.expect("the peer is still there"));
                }
                dealer::Step::Leave(_) => return,
            }
        }
        let arguments = vec![Value::text("Started"), Value::None];
        for message in dealer.event(Event { topic: events::STATUS, arguments }) {
            assert_survives(serializer, message);
        }
    }
}

fn at_a_router(
    mode: u8,
    serializer: Serializer,
    choices: Choices<'_>,
    received: impl Iterator<Item = Message>,
) {
    let (mut callee, hello) = Callee::new(router_settings(mode & SECRET != 0));
    assert_survives(serializer, hello);
    for (turn, message) in received.enumerate() {
        let steps = match callee.receive(message) {
            Ok(steps) => steps,
            Err(over) => {
                return over.last.into_iter().for_each(|last| assert_survives(serializer, *last));
            }
        };
        for step in steps {
            match step {
                callee::Step::Send(message) => assert_survives(serializer, message),
                callee::Step::Call { request, method, call } => {
                    let result = call.and_then(|call| result(&call, choices.of(turn)));
                    let answer = procedure::answer(method, Outcome::of(method, result));
                    assert_survives(serializer, callee::answer(request, answer));
                }
                callee::Step::Joined | callee::Step::Registrations => {}
            }
        }
        assert!(callee.registrations() <= Procedure::all().count());
        let _ = callee.trouble();
        callee.retry().into_iter().for_each(|message| assert_survives(serializer, message));
    }
}

fn router_settings(with_secret: bool) -> RouterSettings {
    RouterSettings {
        url: "ws://router.example/".into(),
        realm: "Automation".into(),
        id: "press-7".into(),
        authentication: match with_secret {
            true => Authentication::Cra(SecretText::new("0123456789abcdef")),
            false => Authentication::Anonymous,
        },
        verify: Verify::System,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 5000,
        initial_delay_ms: 1000,
        max_delay_ms: 300_000,
        source: "plc-runtime.toml".into(),
    }
}

/// A session on each side in both serializers.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (mode, dialogue) in
        [(0, ide()), (SECRET, ide()), (ROUTER, router()), (ROUTER | SECRET, router())]
    {
        for (bit, serializer) in [(0, Serializer::MessagePack), (JSON, Serializer::Json)] {
            let written = dialogue.iter().map(|message| write(serializer, message.clone()));
            seeds.push(input(mode | bit, &written.collect::<Vec<_>>()));
        }
    }
    seeds
}

/// What an IDE says to a PLC that is its router.
fn ide() -> Vec<Message> {
    let options = Dict::default;
    let methods = Value::List(vec![Value::text("wampcra")]);
    let details = Dict::of([("authmethods", methods), ("authid", Value::text("press-7"))]);
    let mut dialogue = vec![Message::Hello { realm: "Automation".into(), details }];
    let arguments = [
        ("GetPLCstatus", vec![]),
        ("GetVersions", vec![]),
        ("SeedBlob", vec![Value::Bytes(b"abc".to_vec())]),
        ("AppendChunkToBlob", vec![Value::Bytes(vec![7; 40]), Value::Bytes(vec![0x11; 16])]),
        ("GetLogMessage", vec![3.into(), 0.into()]),
        ("Explode", vec![Value::Float(f64::NAN)]),
    ];
    for (number, (method, arguments)) in (1..).zip(arguments) {
        let procedure = format!("press-7.{method}");
        let payload = Payload::from(arguments);
        dialogue.push(Message::Call { request: number, options: options(), procedure, payload });
    }
    let topic = String::from("press-7.status");
    dialogue.push(Message::Subscribe { request: 7, options: options(), topic: topic.clone() });
    let acknowledge = Dict::of([("acknowledge", true.into())]);
    let payload = Payload { arguments: vec![], named: vec![(Value::text("a"), 1.into())] };
    dialogue.push(Message::Publish { request: 8, options: acknowledge, topic, payload });
    dialogue.push(Message::Unsubscribe { request: 9, subscription: 1 });
    let procedure = "press-7.StartPLC".into();
    dialogue.push(Message::Register { request: 10, options: options(), procedure });
    dialogue.push(Message::Unregister { request: 11, registration: 1 });
    dialogue.push(Message::Cancel { request: 1, options: options() });
    dialogue.push(Message::Goodbye { details: options(), reason: "wamp.close.normal".into() });
    dialogue
}

/// What a router says to a PLC.
fn router() -> Vec<Message> {
    let details = Dict::default;
    let challenge = Value::text("{\"nonce\":\"x\"}");
    let extra = Dict::of([
        ("challenge", challenge),
        ("salt", Value::text("s")),
        ("iterations", 100.into()),
        ("keylen", 32.into()),
    ]);
    let mut dialogue = vec![
        Message::Challenge { method: "wampcra".into(), extra },
        Message::Welcome { session: 1, details: details() },
        // The first request is the call of its own name.
        Message::Error {
            kind: 48,
            request: 1,
            details: details(),
            error: "wamp.error.no_such_procedure".into(),
            payload: Payload::default(),
        },
    ];
    let count = u64::try_from(Procedure::all().count()).expect("a few");
    dialogue
        .extend((1..=count).map(|n| Message::Registered { request: n + 1, registration: 100 + n }));
    let payload = || Payload::from(vec![3.into(), 0.into()]);
    dialogue.extend((1..=count).map(|n| Message::Invocation {
        request: n,
        registration: 100 + n,
        details: details(),
        payload: payload(),
    }));
    dialogue.push(Message::Interrupt { request: 1, options: details() });
    dialogue.push(Message::Unregistered { request: 0 });
    dialogue
        .push(Message::Goodbye { details: details(), reason: "wamp.close.system_shutdown".into() });
    dialogue
}
