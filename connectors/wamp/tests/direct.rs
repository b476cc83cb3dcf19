// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions of IDEs in direct mode, with a supervisor that answers as each test says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod ide;
#[path = "../../runner/tests/stub/mod.rs"]
mod stub;

use std::collections::BTreeMap;

use futures_util::{FutureExt, SinkExt};
use ide::{Ide, PATIENCE, Plc, SOURCE, hello};
use plc_connector::{
    api::{key::SecretText, limits::CHUNK_BYTES, message::Request, wamp::DirectSettings},
    ide::value::Value,
    places::NEWCOMERS_PER_SOURCE,
};
use plc_connector_wamp::{
    auth,
    dealer::SUBSCRIPTIONS,
    direct::DirectError,
    lanes::CALLS_IN_FLIGHT,
    message::{Dict, Message},
    serializer::Serializer,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Message as Frame, protocol::frame::coding::CloseCode};

fn plc() -> Plc {
    Plc::new(DirectSettings::default())
}

fn list(values: Vec<Value>) -> Value {
    Value::List(values)
}

async fn subscribe(ide: &mut Ide, topic: &str) -> Message {
    let topic = topic.to_owned();
    ide.send(Message::Subscribe { request: 1, options: Dict::default(), topic }).await;
    ide.next().await
}

#[tokio::test]
async fn an_ide_works_with_either_serializer() {
    for serializer in Serializer::ALL {
        let plc = plc();
        let mut ide = plc.join(serializer).await;
        assert_eq!(ide.status().await, "Empty");
        let blob = ide.call("plc.SeedBlob", vec![Value::Bytes(b"x".to_vec())]).await;
        let Ok(Value::Bytes(blob)) = blob else {
            panic!("{blob:?}");
        };
        // The longest chunk, with every byte there is.
        let chunk: Vec<u8> = (0..=255).cycle().take(CHUNK_BYTES).collect();
        let arguments = vec![Value::Bytes(chunk.clone()), Value::Bytes(blob)];
        let blob = ide.call("plc.AppendChunkToBlob", arguments).await;
        assert_eq!(blob, Ok(Value::Bytes(vec![7; 16])));
        let stored = plc.stub.requests().into_iter().find_map(|request| match request {
            Request::AppendChunk { data, .. } => Some(data),
            _ => None,
        });
        assert!(stored == Some(chunk), "{serializer:?}");
        assert_eq!(ide.call("plc.StartPLC", vec![]).await, Ok(Value::None));
        assert_eq!(ide.status().await, "Started");
        assert_eq!(ide.call("plc.StopPLC", vec![]).await, Ok(true.into()));
    }
}

#[tokio::test]
async fn an_ide_of_python_2_sends_its_texts_as_bytes() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    let md5 = Value::Bytes(b"0123456789abcdef0123456789abcdef".to_vec());
    assert_eq!(ide.call("plc.MatchMD5", vec![md5]).await, Ok(false.into()));
    let variable = list(vec![7.into(), Value::Bytes(b"INT".to_vec()), 5.into()]);
    let token = ide.call("plc.SetTraceVariablesList", vec![list(vec![variable])]).await;
    // The stub has no token to give.
    assert_eq!(token, Ok((-5).into()));
    let Some(Request::SetTrace(list)) = plc.stub.requests().pop() else {
        panic!("{:?}", plc.stub.requests());
    };
    assert_eq!(list[0].force.as_deref().map(|bytes| &bytes[..]), Some(&5_i16.to_ne_bytes()[..]));
}

#[tokio::test]
async fn who_joins_says_the_realm_and_what_it_calls_by_the_name_that_are_set() {
    let settings = DirectSettings {
        realm: Some("Plant".to_owned()),
        id: Some("plc1".to_owned()),
        ..DirectSettings::default()
    };
    let plc = Plc::new(settings);
    let mut stranger = plc.connect(Serializer::MessagePack).await;
    stranger.send(hello("Automation")).await;
    let Message::Abort { reason, .. } = stranger.next().await else {
        panic!("no abort");
    };
    assert_eq!(reason, "wamp.error.no_such_realm");
    assert_eq!(stranger.closed().await.0, CloseCode::Policy);

    let mut ide = plc.connect(Serializer::MessagePack).await;
    ide.send(hello("Plant")).await;
    assert!(matches!(ide.next().await, Message::Welcome { .. }));
    for (procedure, error) in [
        ("plc2.GetPLCstatus", "wamp.error.no_such_procedure"),
        ("plc1.BlobFromFile", "wamp.error.no_such_procedure"),
        ("plc1.SeedBlob", "wamp.error.invalid_argument"),
    ] {
        assert_eq!(ide.call(procedure, vec![]).await, Err(error.to_owned()));
    }
    assert!(ide.call("plc1.GetPLCstatus", vec![]).await.is_ok());
}

#[tokio::test]
async fn with_a_secret_only_those_who_know_it_come_in() {
    let secret = Some(SecretText::new("secret"));
    let id = Some("plc1".to_owned());
    let plc = Plc::new(DirectSettings { secret, id, ..DirectSettings::default() });
    for (authid, secret, joins) in
        [("plc1", "secret", true), ("plc1", "wrong", false), ("plc2", "secret", false)]
    {
        let mut ide = plc.connect(Serializer::Json).await;
        let methods = list(vec![Value::text("wampcra")]);
        let details = [("authmethods", methods), ("authid", Value::text(authid))];
        let realm = "Automation".to_owned();
        ide.send(Message::Hello { realm, details: Dict::of(details) }).await;
        let Message::Challenge { extra, .. } = ide.next().await else {
            panic!("no challenge");
        };
        let signature = auth::answer(secret, &extra).unwrap();
        ide.send(Message::Authenticate { signature, extra: Dict::default() }).await;
        match ide.next().await {
            Message::Welcome { .. } => assert!(joins, "{authid} {secret}"),
            Message::Abort { reason, .. } => {
                assert!(!joins && reason == "wamp.error.authentication_failed", "{reason}");
                assert_eq!(ide.closed().await.0, CloseCode::Policy);
            }
            other => panic!("{other:?}"),
        }
    }
    let mut anonymous = plc.connect(Serializer::Json).await;
    anonymous.send(hello("Automation")).await;
    let Message::Abort { reason, .. } = anonymous.next().await else {
        panic!("no abort");
    };
    assert_eq!(reason, "wamp.error.no_matching_auth_method");
}

#[tokio::test]
async fn a_status_is_told_while_a_start_hangs_and_never_older_than_its_answer() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    assert_eq!(ide.status().await, "Empty");
    plc.stub.hold(Request::Start);
    let start = ide.ask("plc.StartPLC", vec![]).await;
    for _ in 0..3 {
        assert_eq!(ide.status().await, "Empty");
        let log = ide.call("plc.GetLogMessage", vec![2.into(), 0.into()]).await;
        assert_eq!(log, Ok(Value::None));
    }
    plc.stub.publish(|snapshot| snapshot.log_counts[2] = 1);
    while ide.call("plc.GetLogMessage", vec![2.into(), 0.into()]).await == Ok(Value::None) {}
    plc.stub.release();
    assert_eq!(ide.answer(start).await, Ok(Value::None));
    assert_eq!(ide.status().await, "Started");
}

#[tokio::test]
async fn calls_in_flight_have_a_bound() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    plc.stub.hold(Request::Start);
    for _ in 0..100 {
        ide.ask("plc.StartPLC", vec![]).await;
    }
    let mut unavailable = 0;
    let mut answers = BTreeMap::new();
    while answers.len() < 100 {
        match ide.next().await {
            Message::Error { request, error, .. } => {
                assert_eq!(error, "wamp.error.unavailable");
                unavailable += 1;
                answers.insert(request, false);
            }
            Message::Result { request, .. } => {
                answers.insert(request, true);
            }
            other => panic!("{other:?}"),
        }
        if unavailable == 100 - CALLS_IN_FLIGHT {
            plc.stub.release();
        }
    }
    let done: Vec<_> = answers.into_values().collect();
    assert!(done[..CALLS_IN_FLIGHT].iter().all(|done| *done));
    assert!(!done[CALLS_IN_FLIGHT..].iter().any(|done| *done));
    // And there is room again.
    assert_eq!(ide.status().await, "Started");
}

#[tokio::test]
async fn thousands_of_subscriptions_are_refused_and_do_no_harm() {
    let plc = plc();
    let mut ide = plc.join(Serializer::Json).await;
    let mut subscribed = 0;
    for index in 0..3000 {
        match subscribe(&mut ide, &format!("plc{index}.topic")).await {
            Message::Subscribed { .. } => subscribed += 1,
            Message::Error { kind: 32, error, .. } => assert_eq!(error, "wamp.error.unavailable"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(subscribed, SUBSCRIPTIONS);
    assert_eq!(ide.status().await, "Empty");
}

#[tokio::test]
async fn status_and_log_are_told_to_subscribers() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    let event = |message: Message| match message {
        Message::Event { subscription, payload, .. } => (subscription, payload.arguments),
        other => panic!("{other:?}"),
    };
    assert!(matches!(subscribe(&mut ide, "plc.status").await, Message::Subscribed { .. }));
    let (status, arguments) = event(ide.next().await);
    assert_eq!(arguments, [Value::text("Empty"), Value::None]);
    let Message::Subscribed { subscription: log, .. } = subscribe(&mut ide, "plc.log").await else {
        panic!("not subscribed");
    };
    plc.stub.publish(|snapshot| {
        snapshot.log_counts[1] = 1;
        snapshot.reason = Some("why".to_owned());
    });
    let told = event(ide.next().await);
    assert_eq!(told, (status, vec![Value::text("Empty"), Value::text("why")]));
    let message = vec![1.into(), 0.into(), 1_000_000.into(), 9.into(), Value::text("message 0")];
    assert_eq!(event(ide.next().await), (log, message));
}

#[tokio::test]
async fn who_only_listens_keeps_its_place_when_newcomers_crowd() {
    let plc = plc();
    let mut listener = plc.join(Serializer::MessagePack).await;
    assert!(matches!(subscribe(&mut listener, "plc.status").await, Message::Subscribed { .. }));
    let crowd = [SOURCE; 2 * NEWCOMERS_PER_SOURCE];
    let _crowd = crowd.map(|source| plc.places.take(source).unwrap());
    assert!(plc.place.displaced().now_or_never().is_none(), "the listener had to give way");
}

#[tokio::test]
async fn who_has_not_joined_yet_gives_way_to_newcomers() {
    let plc = plc();
    let _stranger = plc.connect(Serializer::MessagePack).await;
    let crowd = [SOURCE; NEWCOMERS_PER_SOURCE];
    let _crowd = crowd.map(|source| plc.places.take(source).unwrap());
    assert!(plc.place.displaced().now_or_never().is_some(), "the stranger keeps its place");
}

#[tokio::test]
async fn a_goodbye_is_answered_and_the_connection_closed() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    let reason = "wamp.close.normal".to_owned();
    ide.send(Message::Goodbye { details: Dict::default(), reason }).await;
    let Message::Goodbye { reason, .. } = ide.next().await else {
        panic!("no goodbye");
    };
    assert_eq!(reason, "wamp.close.goodbye_and_out");
    let (code, _, end) = ide.closed().await;
    assert_eq!(code, CloseCode::Normal);
    end.unwrap();
}

#[tokio::test]
async fn when_the_settings_change_everybody_is_to_come_in_anew() {
    let plc = plc();
    let (mut polite, mut rude) =
        (plc.join(Serializer::MessagePack).await, plc.join(Serializer::Json).await);
    // A change of other settings concerns nobody.
    plc.set(DirectSettings::default());
    assert_eq!(polite.status().await, "Empty");
    let secret = Some(SecretText::new("secret"));
    plc.set(DirectSettings { secret, ..DirectSettings::default() });
    for ide in [&mut polite, &mut rude] {
        let Message::Goodbye { reason, .. } = ide.next().await else {
            panic!("no goodbye");
        };
        assert_eq!(reason, "wamp.close.system_shutdown");
    }
    let reason = "wamp.close.goodbye_and_out".to_owned();
    polite.send(Message::Goodbye { details: Dict::default(), reason }).await;
    for ide in [polite, rude] {
        let (code, reason, _) = ide.closed().await;
        assert_eq!(code, CloseCode::Policy);
        assert!(reason.contains("the settings of this port have changed"), "{reason}");
    }
}

#[tokio::test]
async fn who_may_not_come_any_more_is_sent_away_and_a_supervisor_that_restarts_is_waited_for() {
    let mut plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    plc.stub.die().await;
    plc.stub.serve();
    assert_eq!(ide.status().await, "Empty");
    plc.stub.refuse("local_peers = \"plc\" leaves it to root").await;
    let Message::Goodbye { details, .. } = ide.next().await else {
        panic!("no goodbye");
    };
    assert!(details.text("message").unwrap().contains("local_peers"));
    assert!(ide.closed().await.1.contains("local_peers"));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_is_given_up() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    // More than fits into the pipe, however short each answer is.
    let asking = async {
        loop {
            ide.ask("plc.GetVersions", vec![]).await;
        }
    };
    let end = tokio::select! {
        () = asking => panic!("cannot be"),
        () = tokio::time::sleep(PATIENCE / 2) => timeout(PATIENCE, &mut ide.conversation).await,
    };
    let error = end.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, DirectError::Io(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_pings_and_reads_nothing_is_given_up() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    // The pongs are more than fits into the pipe.
    let pinging = async {
        for _ in 0..5000 {
            let _ = ide.socket.send(Frame::Ping(vec![0; 125].into())).await;
        }
    };
    let end = tokio::select! {
        () = pinging => panic!("its pongs pile up"),
        end = timeout(2 * PATIENCE, &mut ide.conversation) => end,
    };
    let error = end.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, DirectError::Io(_)), "{error:?}");
}
