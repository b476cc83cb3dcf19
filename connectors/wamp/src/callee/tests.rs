// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole sessions as dialogues, without a router.

use plc_connector::api::{key::SecretText, wamp::Verify};

use super::{probe::Answer, *};

fn settings(authentication: Authentication) -> RouterSettings {
    RouterSettings {
        url: "ws://127.0.0.1:8080/ws".to_owned(),
        realm: "Automation".to_owned(),
        id: "plc1".to_owned(),
        authentication,
        verify: Verify::System,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 5000,
        initial_delay_ms: 1000,
        max_delay_ms: 300_000,
        source: "plc-runtime.toml".to_owned(),
    }
}

fn secret() -> SecretText {
    SecretText::new("secret".to_owned())
}

fn welcome() -> Message {
    Message::Welcome { session: 7, details: Dict::default() }
}

fn anonymous() -> Callee {
    Callee::new(settings(Authentication::Anonymous)).0
}

/// What of these steps is to be registered: request and name.
fn registers(steps: &[Step]) -> Vec<(u64, String)> {
    let register = |step: &Step| {
        let Step::Send(Message::Register { request, procedure, .. }) = step else { return None };
        Some((*request, procedure.clone()))
    };
    steps.iter().filter_map(register).collect()
}

fn refuse(request: u64, error: &str) -> Message {
    let (details, error) = (Dict::default(), error.to_owned());
    Message::Error { kind: REGISTER, request, details, error, payload: Payload::default() }
}

fn not_called(request: u64, error: &str) -> Message {
    let (details, error) = (Dict::default(), error.to_owned());
    Message::Error { kind: CALL, request, details, error, payload: Payload::default() }
}

fn result(request: u64, value: Value) -> Message {
    Message::Result { request, details: Dict::default(), payload: vec![value].into() }
}

/// A session that has been let in and calls its own name, request 1.
fn probing() -> Callee {
    let mut callee = anonymous();
    let steps = callee.receive(welcome()).unwrap();
    let [Step::Joined, Step::Send(Message::Call { request: 1, procedure, payload, .. })] =
        &steps[..]
    else {
        panic!("{steps:?}");
    };
    assert_eq!(procedure, "plc1.ExtendedCall");
    assert_eq!(payload.arguments[0], Value::text("GetVersions"));
    callee
}

/// A session whose name nobody has; what it asks for first.
fn registering() -> (Callee, Vec<Step>) {
    let mut callee = probing();
    let steps = callee.receive(not_called(1, uri::NO_SUCH_PROCEDURE)).unwrap();
    (callee, steps)
}

/// A session with all procedures registered, the registration of request `n` being `100 + n`.
fn ready() -> Callee {
    let (mut callee, steps) = registering();
    let mut open = registers(&steps);
    while let Some((request, _)) = open.pop() {
        let registered = Message::Registered { request, registration: 100 + request };
        open.extend(registers(&callee.receive(registered).unwrap()));
    }
    assert_eq!(callee.registrations(), Procedure::COUNT);
    callee
}

fn invoke(callee: &mut Callee, name: &str, arguments: Vec<Value>) -> Step {
    let found = callee.registered.iter().find(|(_, procedure)| procedure.name() == name);
    let registration = *found.unwrap().0;
    let (details, payload) = (Dict::default(), arguments.into());
    let invocation = Message::Invocation { request: 9, registration, details, payload };
    callee.receive(invocation).unwrap().pop().unwrap()
}

#[test]
fn an_anonymous_greeting_names_no_method() {
    let (_, hello) = Callee::new(settings(Authentication::Anonymous));
    let Message::Hello { realm, details } = hello else { panic!("{hello:?}") };
    assert_eq!(realm, "Automation");
    assert!(details.get("roles").unwrap().get("callee").is_some());
    assert_eq!((details.get("authmethods"), details.get("authid")), (None, None));
}

#[test]
fn a_challenge_is_answered_with_what_the_settings_say() {
    let challenge = |method: &str| {
        let text = Value::text(r#"{"authid":"plc1","nonce":"n"}"#);
        Message::Challenge { method: method.to_owned(), extra: Dict::of([("challenge", text)]) }
    };
    for (authentication, method, signature) in [
        (Authentication::Cra(secret()), "wampcra", "bpyeE1FHAwLOBztx9rbfrPGXK1YmH9fSKp/OLLgBRQQ="),
        (Authentication::Ticket(secret()), "ticket", "secret"),
    ] {
        let (mut callee, hello) = Callee::new(settings(authentication));
        let Message::Hello { details, .. } = hello else { panic!("{hello:?}") };
        assert_eq!(details.text("authid").unwrap(), "plc1");
        assert_eq!(details.get("authmethods"), Some(&Value::List(vec![Value::text(method)])));
        let expected =
            Message::Authenticate { signature: signature.to_owned(), extra: Dict::default() };
        assert_eq!(callee.receive(challenge(method)).unwrap(), [Step::Send(expected)]);
    }
    // The secret itself is told to nobody who merely asks for it.
    let (mut callee, _) = Callee::new(settings(Authentication::Cra(secret())));
    let over = callee.receive(challenge("ticket")).unwrap_err();
    assert!(over.reason.contains("set authentication"), "{}", over.reason);
    assert!(matches!(over.last.as_deref(), Some(Message::Abort { .. })));
}

#[test]
fn the_first_procedures_are_registered_one_by_one_and_stand_for_all() {
    let (mut callee, steps) = registering();
    assert_eq!(registers(&steps), [(2, "plc1.GetPLCstatus".to_owned())]);
    let [_, Step::Send(Message::Register { options, .. })] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(*options, Dict::of([("invoke", Value::text("last"))]));
    let steps = callee.receive(Message::Registered { request: 2, registration: 5 }).unwrap();
    assert_eq!(registers(&steps), [(3, "plc1.ExtendedCall".to_owned())]);
    let steps = callee.receive(Message::Registered { request: 3, registration: 6 }).unwrap();
    let requests: Vec<u64> = registers(&steps).into_iter().map(|(request, _)| request).collect();
    assert_eq!(requests, (4..=18).collect::<Vec<u64>>());
    assert_eq!(callee.registrations(), 2);
}

#[test]
fn a_living_plc_of_the_same_name_is_never_displaced() {
    for answer in [
        result(1, Value::text("Linux 6.12.0")),
        result(1, Value::Bytes(b"Linux 6.12.0, plc-runtime 0.2.0".to_vec())),
        result(1, Value::None),
        not_called(1, uri::RUNTIME_ERROR),
        not_called(1, uri::UNAVAILABLE),
        not_called(1, "com.example.other"),
    ] {
        let mut callee = probing();
        assert_eq!(callee.receive(answer).unwrap(), [Step::Registrations]);
        let trouble = callee.trouble().unwrap();
        assert!(trouble.contains("another PLC in realm \"Automation\""), "{trouble}");
        // It is asked again, and then registers if that one has gone.
        let again = callee.retry();
        assert!(matches!(&again[..], [Message::Call { request: 2, .. }]), "{again:?}");
        assert_eq!(callee.trouble(), None);
        let steps = callee.receive(not_called(2, uri::NO_SUCH_PROCEDURE)).unwrap();
        assert_eq!(registers(&steps).len(), 1);
    }
}

#[test]
fn a_dead_session_that_has_the_name_is_displaced() {
    let silent: fn(&mut Callee) -> _ = |callee| callee.nobody_answers().unwrap();
    let ended: fn(&mut Callee) -> _ =
        |callee| callee.receive(not_called(1, uri::CANCELED)).unwrap();
    let own: fn(&mut Callee) -> _ =
        |callee| callee.receive(result(1, probe::this_process())).unwrap();
    for answer in [silent, ended, own] {
        let mut callee = probing();
        assert_eq!(registers(&answer(&mut callee)).len(), 1);
        // What a thawed session answers later changes nothing.
        assert_eq!(callee.receive(result(1, Value::text("late"))).unwrap(), []);
        assert_eq!(callee.nobody_answers().unwrap(), []);
    }
}

#[test]
fn a_probe_of_this_process_is_answered_by_it_and_not_by_the_plc() {
    let mut callee = ready();
    let own = invoke(&mut callee, "ExtendedCall", vec![Value::text("x"), probe::this_process()]);
    let Step::Send(Message::Yield { payload, .. }) = own else { panic!("{own:?}") };
    assert_eq!(payload.arguments, [probe::this_process()]);
    let arguments = vec![Value::text("GetVersions"), Value::Bytes(vec![])];
    let step = invoke(&mut callee, "ExtendedCall", arguments);
    assert!(matches!(step, Step::Call { method: Method::ExtendedCall, .. }), "{step:?}");
}

#[test]
fn a_plc_whose_name_another_has_taken_leaves_with_the_reason() {
    let mut callee = ready();
    for answer in [Answer::Own, Answer::Nobody, Answer::NotAllowed] {
        let Message::Call { request, .. } = callee.probe() else { panic!("no call") };
        assert_eq!(callee.probe_answered(request, answer).unwrap(), []);
    }
    let Message::Call { request, .. } = callee.probe() else { panic!("no call") };
    let over = callee.receive(result(request, Value::text("Linux 6.12.0"))).unwrap_err();
    assert!(over.reason.contains("has taken the name \"plc1\""), "{}", over.reason);
    assert!(matches!(over.last.as_deref(), Some(Message::Goodbye { .. })));
}

#[test]
fn who_may_not_find_out_who_is_alive_displaces_nobody() {
    let mut callee = probing();
    let steps = callee.receive(not_called(1, uri::NOT_AUTHORIZED)).unwrap();
    let [_, Step::Send(Message::Register { request: 2, options, .. })] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!(*options, Dict::default());
    let held = refuse(2, uri::PROCEDURE_EXISTS_WITH_OTHER_POLICY);
    assert_eq!(callee.receive(held).unwrap(), [Step::Registrations]);
    let trouble = callee.trouble().unwrap();
    assert!(trouble.contains("to call \"plc1.ExtendedCall\""), "{trouble}");
}

#[test]
fn a_router_that_does_not_allow_the_option_is_asked_without_it() {
    let (mut callee, _) = registering();
    let steps = callee.receive(refuse(2, uri::OPTION_NOT_ALLOWED)).unwrap();
    let [Step::Send(Message::Register { request: 3, options, procedure })] = &steps[..] else {
        panic!("{steps:?}");
    };
    assert_eq!((options, procedure.as_str()), (&Dict::default(), "plc1.GetPLCstatus"));
    let steps = callee.receive(refuse(3, uri::OPTION_NOT_ALLOWED)).unwrap();
    assert_eq!(
        registers(&steps),
        [(4, "plc1.ExtendedCall".to_owned())],
        "it is not asked a third time"
    );
}

#[test]
fn a_name_that_an_older_runtime_has_alone_is_asked_for_again_and_nothing_else_meanwhile() {
    let (mut callee, _) = registering();
    let steps = callee.receive(refuse(2, uri::PROCEDURE_ALREADY_EXISTS)).unwrap();
    assert_eq!(steps, [Step::Registrations]);
    let trouble = callee.trouble().unwrap();
    assert!(trouble.contains("another PLC in realm \"Automation\""), "{trouble}");
    assert!(matches!(callee.retry()[..], [Message::Call { request: 3, .. }]));
    assert_eq!(callee.trouble(), None);
}

#[test]
fn what_the_router_does_not_allow_does_not_keep_the_rest_back() {
    let (mut callee, _) = registering();
    let mut open = registers(&callee.receive(refuse(2, uri::NOT_AUTHORIZED)).unwrap());
    while let Some((request, _)) = open.pop() {
        let registered = Message::Registered { request, registration: 100 + request };
        open.extend(registers(&callee.receive(registered).unwrap()));
    }
    assert_eq!(callee.registrations(), Procedure::COUNT - 1);
    assert!(callee.trouble().unwrap().contains("does not allow \"plc1\""));
    let again = callee.retry();
    assert!(
        matches!(&again[..], [Message::Register { procedure, .. }] if procedure == "plc1.GetPLCstatus")
    );
}

#[test]
fn a_call_is_handed_out_and_answered() {
    let mut callee = ready();
    let Step::Call { request, method, call } = invoke(&mut callee, "StartPLC", vec![]) else {
        panic!("no call");
    };
    assert_eq!((request, method, call), (9, Method::StartPlc, Ok(PlcCall::Start)));
    let Message::Yield { payload, .. } = answer(9, Ok(Value::None)) else { panic!("no answer") };
    assert_eq!(payload.arguments, [Value::None]);
}

#[test]
fn what_cannot_be_carried_out_is_an_error_of_that_call_alone() {
    let mut callee = ready();
    let error_of = |step: Step| {
        let Step::Send(Message::Error { kind: INVOCATION, request: 9, error, .. }) = step else {
            panic!("{step:?}");
        };
        error
    };
    let wrong = error_of(invoke(&mut callee, "SeedBlob", vec![]));
    assert_eq!(wrong, uri::INVALID_ARGUMENT);
    let stranger = Message::Invocation {
        request: 9,
        registration: 1,
        details: Dict::default(),
        payload: Payload::default(),
    };
    let stranger = error_of(callee.receive(stranger).unwrap().pop().unwrap());
    assert_eq!(stranger, "wamp.error.no_such_registration");
    let versions = invoke(&mut callee, "GetVersions", vec![]);
    assert!(matches!(versions, Step::Send(Message::Yield { .. })), "{versions:?}");
}

#[test]
fn a_router_s_no_becomes_a_reason_with_the_next_step() {
    let abort = |error: &str| Message::Abort {
        details: Dict::of([("message", Value::text("it\x1b[2J says"))]),
        reason: error.to_owned(),
    };
    for (authentication, error, expected) in [
        (Authentication::Anonymous, uri::NO_SUCH_REALM, "no realm \"Automation\""),
        (Authentication::Anonymous, uri::NOT_AUTHORIZED, "allow anonymous clients"),
        (
            Authentication::Cra(secret()),
            "wamp.error.authentication_failed",
            "compare the secret of plc-runtime.toml",
        ),
        (Authentication::Ticket(secret()), "wamp.error.no_such_principal", "compare the secret"),
        (Authentication::Anonymous, "com.example.full", "com.example.full: it [2J says"),
    ] {
        let (mut callee, _) = Callee::new(settings(authentication));
        let over = callee.receive(abort(error)).unwrap_err();
        assert!(over.reason.contains(expected), "{error}: {}", over.reason);
        assert!(!over.reason.contains('\x1b'));
        assert_eq!(over.last, None);
    }
}

#[test]
fn a_goodbye_is_answered() {
    let goodbye = Message::Goodbye {
        details: Dict::default(),
        reason: "wamp.close.system_shutdown".to_owned(),
    };
    let over = ready().receive(goodbye).unwrap_err();
    assert!(over.reason.contains("system_shutdown"));
    let Some(Message::Goodbye { reason, .. }) = over.last.as_deref() else { panic!("no answer") };
    assert_eq!(reason, uri::GOODBYE_AND_OUT);
}

#[test]
fn what_does_not_belong_ends_the_session_with_an_abort() {
    let registered = || Message::Registered { request: 99, registration: 1 };
    for (mut callee, message) in [
        (anonymous(), registered()),
        (ready(), registered()),
        (ready(), welcome()),
        (ready(), Message::Subscribed { request: 1, subscription: 1 }),
    ] {
        let over = callee.receive(message).unwrap_err();
        assert!(over.reason.contains("does not keep to WAMP"), "{}", over.reason);
        assert!(matches!(over.last.as_deref(), Some(Message::Abort { .. })));
    }
}

#[test]
fn events_carry_the_plc_s_name_and_go_on_counting() {
    let mut callee = ready();
    let Message::Publish { request, topic, .. } = callee.publish("status", vec![]) else {
        panic!("no publication");
    };
    assert_eq!((request, topic.as_str()), (19, "plc1.status"));
}

proptest::proptest! {
    #[test]
    fn whatever_a_router_says_is_answered_or_ends_the_session(
        messages in proptest::collection::vec(crate::message::any_message(), 1..8), joined: bool
    ) {
        let mut callee = if joined { ready() } else { anonymous() };
        for message in messages {
            if callee.receive(message).is_err() { break }
        }
        proptest::prop_assert!(callee.registrations() <= Procedure::COUNT);
    }
}
