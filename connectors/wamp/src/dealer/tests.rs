// SPDX-License-Identifier: MIT OR Apache-2.0
use std::os::unix::fs::PermissionsExt as _;

use plc_connector::{
    api::key::SecretText,
    call::PlcCall,
    ide::{answer::Outcome, method::Method},
};
use plc_keys::KeyFiles;

use super::{joining::CRA, *};
use crate::auth;

fn dealer(settings: DirectSettings) -> Dealer {
    dealer_with(settings, Arc::default())
}

fn dealer_with(settings: DirectSettings, keys: Arc<KeySet>) -> Dealer {
    Dealer::new(settings, keys, Fresh { session: 7, nonce: [1; 16] })
}

fn joined(settings: DirectSettings) -> Dealer {
    let mut dealer = dealer(settings);
    assert!(matches!(sent(dealer.receive(hello("Automation"))), Message::Welcome { .. }));
    dealer
}

fn named(id: &str) -> DirectSettings {
    DirectSettings { id: Some(id.to_owned()), ..DirectSettings::default() }
}

fn hello(realm: &str) -> Message {
    let roles = Value::map([("caller", Value::map([]))]);
    Message::Hello { realm: realm.to_owned(), details: Dict::of([("roles", roles)]) }
}

fn call(procedure: &str, arguments: Vec<Value>) -> Message {
    let (options, payload) = (Dict::default(), arguments.into());
    Message::Call { request: 3, options, procedure: procedure.to_owned(), payload }
}

fn subscribe(topic: &str) -> Message {
    Message::Subscribe { request: 4, options: Dict::default(), topic: topic.to_owned() }
}

/// The one message that is to be sent.
fn sent(steps: Result<Vec<Step>, Violation>) -> Message {
    let steps = steps.unwrap();
    match <[Step; 1]>::try_from(steps) {
        Ok([Step::Send(message)]) => message,
        other => panic!("{other:?}"),
    }
}

fn error_of(message: Message) -> String {
    let Message::Error { error, .. } = message else {
        panic!("{message:?}");
    };
    error
}

fn status(text: &str) -> Event {
    Event { topic: events::STATUS, arguments: vec![Value::text(text), Value::None] }
}

#[test]
fn before_hello_there_is_nothing_else_and_after_it_no_second_one() {
    for message in [call("x.GetPLCstatus", vec![]), subscribe("x.status")] {
        let violation = dealer(DirectSettings::default()).receive(message).unwrap_err();
        assert_eq!(violation.code, CloseCode::Protocol);
    }
    assert!(joined(DirectSettings::default()).receive(hello("Automation")).is_err());
    let answer = Message::Result { request: 1, details: Dict::default(), payload: vec![].into() };
    assert!(joined(DirectSettings::default()).receive(answer).is_err());
}

#[test]
fn a_call_of_this_plc_is_carried_out_and_answered_by_its_request() {
    let mut dealer = joined(named("plc1"));
    let steps = dealer.receive(call("plc1.GetLogMessage", vec![2.into(), 5.into()])).unwrap();
    let [Step::Ask(Asked { ticket: 3, method: Method::GetLogMessage, call: asked })] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(*asked, Ok(PlcCall::LogMessage { level: 2, id: 5 }));
    let finished = |method, outcome| Finished { ticket: 3, method, outcome };
    let Some(Message::Result { request: 3, payload, .. }) =
        dealer.finished(finished(Method::GetLogMessage, Outcome::Missing))
    else {
        panic!("no result");
    };
    assert_eq!(payload.arguments, [Value::None]);
    let soft = dealer.finished(finished(Method::StartPlc, Outcome::Soft("away".to_owned())));
    assert_eq!(error_of(soft.unwrap()), uri::RUNTIME_ERROR);
    assert_eq!(error_of(dealer.busy(3, Busy)), uri::UNAVAILABLE);
}

#[test]
fn what_this_plc_does_not_offer_is_no_procedure() {
    for (settings, procedure, error) in [
        (named("plc1"), "plc2.GetPLCstatus", uri::NO_SUCH_PROCEDURE),
        (named("plc1"), "plc1.Shutdown", uri::NO_SUCH_PROCEDURE),
        (named("plc1"), "GetPLCstatus", uri::NO_SUCH_PROCEDURE),
        (DirectSettings::default(), ".GetPLCstatus", uri::NO_SUCH_PROCEDURE),
        (DirectSettings::default(), "wamp.session.count", uri::NO_SUCH_PROCEDURE),
        (DirectSettings::default(), "any.id.at.all.SeedBlob", uri::INVALID_ARGUMENT),
    ] {
        let answer = sent(joined(settings).receive(call(procedure, vec![])));
        assert_eq!(error_of(answer), error, "{procedure}");
    }
    let file = sent(joined(named("p")).receive(call("p.BlobFromFile", vec![])));
    assert!(matches!(file, Message::Error { payload, .. }
        if format!("{payload:?}").contains("transfer this one by ERPC://")));
    let versions = sent(joined(named("p")).receive(call("p.GetVersions", vec![])));
    assert!(matches!(versions, Message::Result { .. }));
}

#[test]
fn an_event_goes_to_whom_it_was_promised() {
    let mut dealer = joined(named("plc1"));
    for topic in ["plc2.status", "plc1.statuses", "status"] {
        assert!(matches!(sent(dealer.receive(subscribe(topic))), Message::Subscribed { .. }));
    }
    assert!(!dealer.wants_events() && dealer.event(status("Stopped")).is_empty());
    let steps = dealer.receive(subscribe("plc1.status")).unwrap();
    let [Step::Send(Message::Subscribed { subscription, .. }), Step::Send(Message::Event { .. })] =
        steps[..]
    else {
        panic!("the status of before is told with the subscription: {steps:?}");
    };
    assert!(dealer.wants_events());
    let events = dealer.event(status("Started"));
    let [Message::Event { subscription: to, payload, .. }] = &events[..] else {
        panic!("{events:?}");
    };
    assert_eq!((*to, &payload.arguments[0]), (subscription, &Value::text("Started")));
    let unsubscribe = || Message::Unsubscribe { request: 5, subscription };
    assert!(matches!(sent(dealer.receive(unsubscribe())), Message::Unsubscribed { .. }));
    assert!(!dealer.wants_events());
    assert_eq!(error_of(sent(dealer.receive(unsubscribe()))), uri::NO_SUCH_SUBSCRIPTION);
}

#[test]
fn any_name_is_this_plc_s_if_none_is_set() {
    let mut dealer = joined(DirectSettings::default());
    for topic in ["a.status", "b.c.status"] {
        assert!(matches!(sent(dealer.receive(subscribe(topic))), Message::Subscribed { .. }));
    }
    assert_eq!(dealer.event(status("Started")).len(), 2);
}

#[test]
fn subscriptions_have_a_bound_and_the_same_topic_is_one() {
    let mut dealer = joined(DirectSettings::default());
    for index in 0..SUBSCRIPTIONS {
        let topic = format!("plc{index}.log");
        for _ in 0..2 {
            let Message::Subscribed { subscription, .. } = sent(dealer.receive(subscribe(&topic)))
            else {
                panic!("refused: {index}");
            };
            assert_eq!(subscription, u64::try_from(index).unwrap() + 1);
        }
    }
    assert_eq!(error_of(sent(dealer.receive(subscribe("one.more")))), uri::UNAVAILABLE);
    let long = "x".repeat(TOPIC_BYTES + 1);
    assert_eq!(error_of(sent(dealer.receive(subscribe(&long)))), uri::INVALID_URI);
    let options = Dict::of([("match", Value::text("prefix"))]);
    let prefix = Message::Subscribe { request: 4, options, topic: "plc1".to_owned() };
    assert_eq!(error_of(sent(dealer.receive(prefix))), uri::OPTION_NOT_ALLOWED);
}

#[test]
fn what_a_peer_publishes_is_acknowledged_if_it_asks_and_reaches_nobody() {
    let mut dealer = joined(DirectSettings::default());
    sent(dealer.receive(subscribe("plc1.status")));
    let publish = |options| Message::Publish {
        request: 6,
        options,
        topic: "plc1.status".to_owned(),
        payload: vec![].into(),
    };
    assert!(dealer.receive(publish(Dict::default())).unwrap().is_empty());
    let acknowledged = publish(Dict::of([("acknowledge", true.into())]));
    assert!(matches!(sent(dealer.receive(acknowledged)), Message::Published { request: 6, .. }));
}

#[test]
fn nobody_else_registers_here() {
    let mut dealer = joined(DirectSettings::default());
    let (options, procedure) = (Dict::default(), "plc1.GetPLCstatus".to_owned());
    let register = Message::Register { request: 5, options, procedure };
    assert_eq!(error_of(sent(dealer.receive(register))), uri::NOT_AUTHORIZED);
    let unregister = Message::Unregister { request: 5, registration: 1 };
    assert_eq!(error_of(sent(dealer.receive(unregister))), uri::NO_SUCH_REGISTRATION);
}

/// A greeting by this name that offers these ways to show who it is.
fn hello_by(authid: &str, methods: &[&str]) -> Message {
    let methods = methods.iter().map(|method| Value::text(method)).collect();
    let details = [("authmethods", Value::List(methods)), ("authid", Value::text(authid))];
    Message::Hello { realm: "Automation".to_owned(), details: Dict::of(details) }
}

/// Whether who has this name and secret is let in, and what it is answered.
fn authenticates(mut dealer: Dealer, authid: &str, secret: &str) -> (Dealer, bool, String) {
    let hello = hello_by(authid, &["ticket", CRA]);
    let Message::Challenge { method, extra } = sent(dealer.receive(hello)) else {
        panic!("no challenge");
    };
    assert_eq!(method, "wampcra");
    let signature = auth::answer(secret, &extra).unwrap();
    let steps =
        dealer.receive(Message::Authenticate { signature, extra: Dict::default() }).unwrap();
    let joined = dealer.is_joined();
    (dealer, joined, format!("{steps:?}"))
}

#[test]
fn who_does_not_know_the_secret_stays_out_and_a_stranger_looks_the_same() {
    let secret = Some(SecretText::new("secret"));
    let settings = || DirectSettings { secret: secret.clone(), ..named("plc1") };
    let answer = |authid, secret| {
        let (_, joined, answer) = authenticates(dealer(settings()), authid, secret);
        (joined, answer)
    };
    assert!(answer("plc1", "secret").0);
    let (wrong, stranger) = (answer("plc1", "Secret"), answer("plc2", "secret"));
    assert!(!wrong.0 && wrong.1.contains(uri::AUTHENTICATION_FAILED), "{wrong:?}");
    assert_eq!(wrong, stranger);
    let steps = dealer(settings()).receive(self::hello("Automation")).unwrap();
    let [Step::Send(Message::Abort { reason, .. }), Step::Leave(Left::Refused(_))] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(reason, uri::NO_MATCHING_AUTH_METHOD);
}

#[test]
fn who_has_a_key_of_this_plc_joins_with_it_where_the_settings_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.psk");
    std::fs::write(&file, "0123456789abcdef:a-secret-of-an-IDE\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let keys = || KeyFiles::new(vec![dir.path().to_owned()]).current();
    let with = |keys, secret: Option<&str>| {
        let secret = secret.map(SecretText::new);
        DirectSettings { keys, secret, ..named("plc1") }
    };
    let answer = |settings, authid: &str, secret| {
        let (mut dealer, joined, answer) =
            authenticates(dealer_with(settings, keys()), authid, secret);
        (joined, dealer.take_key().map(|key| key.id), answer)
    };
    let (ide, secret) = ("0123456789abcdef", "a-secret-of-an-IDE");
    let (joined, key, _) = answer(with(true, None), ide, secret);
    assert!(joined && key.as_deref() == Some(ide), "{key:?}");
    let (wrong, stranger) = (
        answer(with(true, None), ide, "another-secret-of-it"),
        answer(with(true, None), "fedcba9876543210", secret),
    );
    assert!(!wrong.0 && wrong.1.is_none());
    assert_eq!(wrong, stranger);
    // Beside a secret of the port, and not without being set.
    assert!(answer(with(true, Some("hush")), ide, secret).0);
    let (joined, key, _) = answer(with(true, Some("hush")), "plc1", "hush");
    assert!(joined && key.is_none());
    assert!(!answer(with(false, Some("hush")), ide, secret).0);
}

#[test]
fn an_open_port_lets_every_ide_in_without_a_challenge() {
    for methods in [&[][..], &["anonymous"], &["wampcra"]] {
        let mut open = dealer(DirectSettings::default());
        let welcome = sent(open.receive(hello_by("0123456789abcdef", methods)));
        assert!(matches!(welcome, Message::Welcome { .. }), "{methods:?}: {welcome:?}");
    }
}

#[test]
fn another_realm_is_none() {
    let settings = DirectSettings { realm: Some("Plant".to_owned()), ..DirectSettings::default() };
    let steps = dealer(settings).receive(hello("Automation")).unwrap();
    let [Step::Send(Message::Abort { reason, .. }), Step::Leave(Left::Refused(_))] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(reason, uri::NO_SUCH_REALM);
}

#[test]
fn a_goodbye_is_answered_whoever_begins() {
    let goodbye =
        || Message::Goodbye { details: Dict::default(), reason: uri::CLOSE_NORMAL.to_owned() };
    let mut left = joined(DirectSettings::default());
    let steps = left.receive(goodbye()).unwrap();
    let [Step::Send(Message::Goodbye { reason, .. }), Step::Leave(Left::Orderly)] = &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(reason, uri::GOODBYE_AND_OUT);
    assert!(left.receive(goodbye()).unwrap().is_empty() && left.leave("x").is_none());

    let mut leaving = joined(DirectSettings::default());
    assert!(matches!(leaving.leave("x"), Some(Message::Goodbye { .. })));
    assert!(leaving.receive(call("x.StartPLC", vec![])).unwrap().is_empty());
    let steps = leaving.receive(goodbye()).unwrap();
    assert!(matches!(steps[..], [Step::Leave(Left::Orderly)]), "{steps:?}");
}
