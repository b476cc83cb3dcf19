// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link against a router that a test plays, and a supervisor that answers as each test says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod router;
#[path = "../../runner/tests/stub/mod.rs"]
mod stub;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use plc_connector::{
    api::{
        message::{ApiError, Reply, Request},
        plc::Snapshot,
        wamp::{LinkState, RouterLink, RouterSettings, WampSettings},
    },
    ide::value::Value,
    session::Supervisor,
};
use plc_connector_wamp::{
    lanes::CALLS_IN_FLIGHT,
    link::Link,
    message::{Dict, MESSAGE_BYTES, Message, Payload, write},
    serializer::Serializer,
};
use router::{PATIENCE, Peer, Router, Running, error, invocation};
use stub::{Stub, obey};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    time::timeout,
};
use tokio_tungstenite::tungstenite::{Message as Frame, protocol::frame::coding::CloseCode};

/// As the how many-th procedures are registered: the first two one by one, the others in `Method::ALL`'s order.
const STATUS: u64 = 1;
const START: u64 = 15;
const VERSIONS: u64 = 17;

fn supervisor(stub: &Stub) -> Arc<Supervisor> {
    Arc::new(Supervisor { socket: stub.socket(), connector: "wamp".to_owned() })
}

#[tokio::test]
async fn a_link_that_is_ready_answers_calls_tells_events_and_says_goodbye() {
    let (router, stub) = (Router::new().await, Stub::new(obey));
    let mut link = Running::begin(Link::with_settings(supervisor(&stub), router.settings()));
    let mut peer = router.ready().await;
    let ready = link.until_state(LinkState::Ready).await;
    assert_eq!((ready.registrations, ready.procedures), (17, 17));
    assert_eq!((ready.id.as_str(), ready.authentication.as_str()), ("plc1", "anonymous"));

    let Message::Yield { payload, .. } = peer.call(STATUS, vec![]).await else {
        panic!("no answer")
    };
    let counts = Value::List(vec![0.into(), 0.into(), 0.into(), 0.into()]);
    assert_eq!(payload.arguments, [Value::List(vec![Value::text("Empty"), counts])]);
    let Message::Yield { payload, .. } = peer.call(VERSIONS, vec![]).await else {
        panic!("no answer")
    };
    assert!(
        matches!(&payload.arguments[..], [Value::Text(text)] if text.starts_with("plc-runtime "))
    );

    link.stop().await;
    loop {
        match peer.hear().await {
            Message::Publish { topic, .. } => assert_eq!(topic, "plc1.status"),
            Message::Goodbye { reason, .. } => break assert_eq!(reason, "wamp.close.normal"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_supervisor_a_link_stays_and_calls_are_answered_with_the_reason() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut peer = router.ready().await;
    let Message::Error { error, payload, .. } = peer.call(START, vec![]).await else {
        panic!("no error");
    };
    assert_eq!(error, "wamp.error.runtime_error");
    assert!(
        matches!(&payload.arguments[..], [Value::Text(text)] if text.contains("cannot be reached")),
        "{payload:?}"
    );
    link.until_state(LinkState::Ready).await;
}

/// A supervisor whose configuration says one thing, and after the link was ready once another.
fn configured(first: Option<RouterSettings>, then: Option<RouterSettings>) -> (Stub, Reports) {
    let (reports, revision) = (Reports::default(), AtomicU64::new(0));
    let seen = reports.clone();
    let answer = move |request: &Request, snapshot: &mut Snapshot| -> Result<Reply, ApiError> {
        if let Request::ReportRouter(link) = request {
            seen.0.send_replace((**link).clone());
            if link.state == LinkState::Ready {
                revision.store(1, Ordering::SeqCst);
            }
        }
        snapshot.settings_revision = revision.load(Ordering::SeqCst);
        if *request != Request::WampSettings {
            return Ok(Reply::Done);
        }
        let router = if snapshot.settings_revision == 0 { first.clone() } else { then.clone() };
        let problems = vec!["the file is empty; fill it".to_owned()];
        Ok(Reply::Wamp(Box::new(WampSettings { router, problems, ..WampSettings::default() })))
    };
    (Stub::new(answer), reports)
}

/// What a link has reported last.
#[derive(Clone, Default)]
struct Reports(Arc<watch::Sender<RouterLink>>);

impl Reports {
    async fn until_state(&self, state: LinkState) {
        let mut reports = self.0.subscribe();
        let found = timeout(PATIENCE, reports.wait_for(|link| link.state == state)).await;
        found.expect("the report did not come").unwrap();
    }
}

#[tokio::test]
async fn changed_settings_are_followed_with_a_goodbye_and_every_end_is_reported() {
    let (old, new) = (Router::new().await, Router::new().await);
    let (stub, reports) = configured(Some(old.settings()), Some(new.settings()));
    let mut link = Running::begin(Link::new(supervisor(&stub)));
    let mut peer = old.ready().await;
    // The report that it is ready makes the supervisor change its settings.
    let goodbye = peer.hear_answer().await;
    assert!(matches!(goodbye, Message::Goodbye { .. }), "{goodbye:?}");
    let _peer = new.ready().await;
    let url = new.settings().url;
    link.until(|link| link.state == LinkState::Ready && link.url == url).await;
    reports.until_state(LinkState::Ready).await;
}

#[tokio::test]
async fn settings_that_are_taken_away_turn_the_link_off() {
    let router = Router::new().await;
    let (stub, _) = configured(Some(router.settings()), None);
    let mut link = Running::begin(Link::new(supervisor(&stub)));
    let mut peer = router.ready().await;
    assert!(matches!(peer.hear_answer().await, Message::Goodbye { .. }));
    let off = link.until(|link| link.state == LinkState::Off && link.reason.is_some()).await;
    assert_eq!(off.reason.unwrap(), "the file is empty; fill it");
    assert_eq!(off.url, "");
}

#[tokio::test]
async fn nothing_is_reported_before_the_settings_are_known() {
    let first: Arc<watch::Sender<Option<RouterLink>>> = Arc::default();
    let seen = first.clone();
    let stub = Stub::new(move |request: &Request, _: &mut Snapshot| -> Result<Reply, ApiError> {
        if let Request::ReportRouter(link) = request {
            seen.send_if_modified(|first| {
                first.is_none() && first.replace((**link).clone()).is_none()
            });
        }
        if *request != Request::WampSettings {
            return Ok(Reply::Done);
        }
        let problems = vec!["the file is empty; fill it".to_owned()];
        Ok(Reply::Wamp(Box::new(WampSettings { problems, ..WampSettings::default() })))
    });
    let _link = Running::begin(Link::new(supervisor(&stub)));
    let mut first = first.subscribe();
    let told = timeout(PATIENCE, first.wait_for(Option::is_some)).await;
    let told = told.expect("the report did not come").unwrap().clone().unwrap();
    assert_eq!(told.reason.as_deref(), Some("the file is empty; fill it"));
    assert!(told.since_us > 0);
}

#[tokio::test]
async fn a_supervisor_that_is_away_is_told_again_when_it_is_back() {
    let router = Router::new().await;
    let (mut stub, reports) = configured(Some(router.settings()), Some(router.settings()));
    let link = Running::begin(Link::new(supervisor(&stub)));
    let _peer = router.ready().await;
    reports.until_state(LinkState::Ready).await;
    stub.die().await;
    reports.0.send_replace(RouterLink::default());
    stub.serve();
    reports.until_state(LinkState::Ready).await;
    assert_eq!(link.state.borrow().state, LinkState::Ready);
}

#[tokio::test]
async fn a_living_plc_of_the_same_name_is_waited_for() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut peer = router.socket().await;
    peer.welcome_alone().await;
    let request = peer.probe().await;
    let payload = Payload::from(vec![Value::text("Linux 6.12.0")]);
    peer.say(Message::Result { request, details: Dict::default(), payload }).await;
    let taken = link.until(|link| link.reason.is_some()).await;
    assert_eq!((taken.state, taken.registrations), (LinkState::Registering, 0));
    let reason = taken.reason.unwrap();
    assert!(reason.contains("another PLC") && reason.contains("Linux 6.12.0"), "{reason}");
    // The next message is another probe, and not a registration.
    let request = peer.probe().await;
    peer.say(error(48, request, "wamp.error.no_such_procedure")).await;
    peer.register_all().await;
    assert_eq!(link.until_state(LinkState::Ready).await.reason, None);
}

#[tokio::test]
async fn silence_says_that_the_session_that_has_the_name_is_dead() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut peer = router.socket().await;
    peer.welcome_alone().await;
    peer.probe().await;
    let asked = std::time::Instant::now();
    peer.register_all().await;
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
    link.until_state(LinkState::Ready).await;
}

#[tokio::test]
async fn a_name_that_another_plc_takes_later_is_told_and_left_to_it() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut peer = router.ready().await;
    link.until_state(LinkState::Ready).await;
    let request = peer.probe().await;
    let payload = Payload::from(vec![Value::text("Linux 6.12.0")]);
    peer.say(Message::Result { request, details: Dict::default(), payload }).await;
    assert!(matches!(peer.hear_answer().await, Message::Goodbye { .. }));
    let reason = link.failure().await;
    assert!(reason.contains("has taken the name \"plc1\""), "{reason}");
}

#[tokio::test]
async fn a_router_that_refuses_us_is_asked_ever_more_seldom() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut pauses = Vec::new();
    for _ in 0..6 {
        let mut peer = router.socket().await;
        peer.hear().await;
        let (details, reason) = (Dict::default(), "wamp.error.no_such_realm".to_owned());
        peer.say(Message::Abort { details, reason }).await;
        let known = pauses.last().map_or(0, |(at, _)| *at);
        let waiting = link.until(|link| link.next_attempt_us.is_some_and(|at| at > known)).await;
        assert!(waiting.reason.unwrap().contains("no realm \"Automation\""));
        let at = waiting.next_attempt_us.unwrap();
        pauses.push((at, at - waiting.since_us));
    }
    // 10 ms at first, 1 s in the end, each at most half as long again.
    let (first, last) = (pauses[0].1, pauses[5].1);
    assert!(first <= 15_500 && last >= 490_000, "{pauses:?}");
}

#[tokio::test]
async fn after_a_success_the_first_pause_is_a_short_one_again() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    for _ in 0..6 {
        drop(router.ready().await);
        link.until_state(LinkState::Waiting).await;
        let waiting = link.state.borrow().clone();
        let pause = waiting.next_attempt_us.unwrap_or_default().saturating_sub(waiting.since_us);
        assert!(pause <= 15_500, "{waiting:?}");
    }
}

#[tokio::test]
async fn calls_beyond_the_bound_are_refused_at_once_and_the_others_answered_all_the_same() {
    let router = Router::new().await;
    let _link = Running::with(router.settings());
    let mut peer = router.ready().await;
    let calls = 3 * CALLS_IN_FLIGHT as u64;
    for request in 1..=calls {
        peer.say(invocation(request, START, vec![])).await;
    }
    let (mut busy, mut others) = (Vec::new(), Vec::new());
    for _ in 0..calls {
        let Message::Error { request, error, .. } = peer.hear_answer().await else {
            panic!("no error");
        };
        match error.as_str() {
            "wamp.error.unavailable" => busy.push(request),
            _ => others.push(request),
        }
    }
    assert!(others.len() >= CALLS_IN_FLIGHT && others[0] == 1, "{others:?}");
    assert!(!busy.is_empty());
}

#[tokio::test]
async fn a_router_that_takes_nothing_is_given_up_before_answers_pile_up() {
    let router = Router::narrow();
    let mut link = Running::with(router.settings());
    let peer = router.ready().await;
    link.until_state(LinkState::Ready).await;
    let call =
        Frame::Binary(write(Serializer::MessagePack, invocation(1, VERSIONS, vec![])).into());
    let (mut sink, _unread) = peer.0.split();
    // As many as it takes until the link reads no more; its end stops this.
    let calls = tokio::spawn(async move { while sink.send(call.clone()).await.is_ok() {} });
    let reason = link.failure_by_the_clock().await;
    assert!(reason.contains("does not take what is sent"), "{reason}");
    timeout(PATIENCE, calls).await.unwrap().unwrap();
}

/// What a link says of a router that behaves like this once it is there.
async fn misbehaving<F: Future<Output = TcpStream>>(
    behave: impl FnOnce(Peer<TcpStream>) -> F,
) -> (String, Option<CloseCode>) {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let peer = router.ready().await;
    link.until_state(LinkState::Ready).await;
    let mut stream = behave(peer).await;
    let reason = link.failure().await;
    (reason, close_code(&mut stream).await)
}

/// The code with which the link closed the connection, found at the end of what it sent: frames of a client, masked.
async fn close_code(stream: &mut TcpStream) -> Option<CloseCode> {
    let mut code = None;
    while let Ok(head) = stream.read_u8().await {
        let length = match stream.read_u8().await.unwrap() & 0x7f {
            126 => stream.read_u16().await.unwrap().into(),
            length => length.into(),
        };
        let mask = stream.read_u32().await.unwrap().to_be_bytes();
        let mut payload: Vec<u8> = vec![0; length];
        stream.read_exact(&mut payload).await.unwrap();
        if head == 0x88 {
            let byte = |at: usize| payload[at] ^ mask[at];
            code = Some(u16::from_be_bytes([byte(0), byte(1)]).into());
        }
    }
    code
}

/// These bytes, as they are.
async fn raw(peer: Peer<TcpStream>, bytes: &[u8]) -> TcpStream {
    let mut stream = peer.0.into_inner();
    stream.write_all(bytes).await.unwrap();
    stream
}

#[tokio::test]
async fn a_router_that_sends_what_it_may_not_is_told_by_the_close_code() {
    let oversized = [&[0x82, 127][..], &(MESSAGE_BYTES as u64 + 1).to_be_bytes()].concat();
    for (bytes, code, what) in [
        (&b"\x82\x81\0\0\0\0\x90"[..], CloseCode::Protocol, "masked"),
        (&oversized, CloseCode::Size, "too long"),
        (b"\x82\x01\xc1", CloseCode::Invalid, "malformed"),
        (b"\x82\x03\x92\x07\x01", CloseCode::Invalid, "unknown type"),
        (b"\x81\x01x", CloseCode::Unsupported, "wamp.2.msgpack"),
        (b"\xf2\x01x", CloseCode::Protocol, "Reserved bits"),
        (b"\x81\x01\xff", CloseCode::Invalid, "UTF-8"),
        // Well formed, but WELCOME a second time.
        (b"\x82\x04\x93\x02\x01\x80", CloseCode::Protocol, "WAMP"),
    ] {
        let (reason, closed) = misbehaving(|peer| raw(peer, bytes)).await;
        assert!(reason.to_lowercase().contains(&what.to_lowercase()), "{bytes:x?}: {reason}");
        assert_eq!(closed, Some(code), "{bytes:x?}: {reason}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_of_a_message_is_made_again() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    drop(raw(router.ready().await, b"\x82\x7e\x10\x00half a mess").await);
    let reason = link.failure().await;
    assert!(reason.contains("it is made again"), "{reason}");
    let _peer = router.ready().await;
    link.until_state(LinkState::Ready).await;
}

#[tokio::test]
async fn a_router_that_closes_is_quoted() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut peer = router.ready().await;
    let (code, reason) = (CloseCode::Away, "going\tdown".into());
    let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame { code, reason };
    peer.0.send(Frame::Close(Some(frame))).await.unwrap();
    let reason = link.failure().await;
    assert!(reason.contains("code 1001: going down"), "{reason}");
}

/// What a link says of a router that falls silent at this point. The clock jumps over the silence.
async fn silence_after(begin: impl AsyncFnOnce(&Router) -> TcpStream, state: LinkState) -> String {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let _open = begin(&router).await;
    link.until_state(state).await;
    link.failure_by_the_clock().await
}

#[tokio::test]
async fn silence_has_an_end_wherever_it_begins() {
    let tcp = async |router: &Router| router.accept().await;
    let reason = silence_after(tcp, LinkState::Connecting).await;
    assert!(reason.contains("does not finish the WebSocket handshake"), "{reason}");

    let greeting = async |router: &Router| router.socket().await.0.into_inner();
    let reason = silence_after(greeting, LinkState::Joining).await;
    assert!(reason.contains("does not answer the greeting"), "{reason}");

    let registering = async |router: &Router| {
        let mut peer = router.socket().await;
        peer.welcome().await;
        peer.0.into_inner()
    };
    let reason = silence_after(registering, LinkState::Registering).await;
    assert!(reason.contains("does not answer a registration"), "{reason}");

    let ready = async |router: &Router| router.ready().await.0.into_inner();
    let reason = silence_after(ready, LinkState::Ready).await;
    assert!(reason.contains("has not answered a ping"), "{reason}");
}

#[tokio::test]
async fn what_is_no_router_is_told_with_the_next_step() {
    let router = Router::new().await;
    let mut link = Running::with(router.settings());
    let mut stream = router.accept().await;
    stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    let reason = link.failure().await;
    assert!(reason.contains("404") && reason.contains("correct the path"), "{reason}");

    let mut settings = router.settings();
    drop(router);
    let mut link = Running::with(settings.clone());
    let reason = link.failure().await;
    assert!(reason.contains("nobody listens") && reason.contains("start the router"), "{reason}");

    settings.url = "ws://name.invalid/".to_owned();
    let mut link = Running::with(settings);
    let reason = link.failure().await;
    assert!(reason.contains("\"name.invalid\" is not found"), "{reason}");
}
