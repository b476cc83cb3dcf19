// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router's end of the line, played by a test word by word: for what no real router can be made to say.
#![allow(dead_code, reason = "each test crate uses a part of it")]

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use plc_connector::{
    api::wamp::{Authentication, LinkState, RouterLink, RouterSettings, Verify},
    ide::value::Value,
    session::Supervisor,
};
use plc_connector_wamp::{
    link::Link,
    message::{Dict, Message, Payload},
    serializer::Serializer,
    websocket,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message as Frame,
        handshake::server::{ErrorResponse, Request, Response},
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Procedures of a PLC.
pub(crate) const PROCEDURES: u64 = 17;

/// Where links come in.
pub(crate) struct Router {
    pub(crate) listener: TcpListener,
}

impl Router {
    pub(crate) async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// A router whose end of a connection takes little before it is full.
    pub(crate) fn narrow() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { listener: socket.listen(8).unwrap() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) fn settings(&self) -> RouterSettings {
        RouterSettings {
            url: format!("ws://127.0.0.1:{}/ws", self.port()),
            realm: "Automation".to_owned(),
            id: "plc1".to_owned(),
            authentication: Authentication::Anonymous,
            verify: Verify::System,
            ping_interval_ms: 10_000,
            ping_timeout_ms: 5000,
            initial_delay_ms: 10,
            max_delay_ms: 1000,
            source: "plc-runtime.toml".to_owned(),
        }
    }

    /// The next link's TCP connection.
    pub(crate) async fn accept(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.unwrap().unwrap().0
    }

    /// The next link, after the WebSocket handshake.
    pub(crate) async fn socket(&self) -> Peer<TcpStream> {
        Peer::upgrade(self.accept().await).await
    }

    /// The next link, which has been let in and has registered everything.
    pub(crate) async fn ready(&self) -> Peer<TcpStream> {
        let mut peer = self.socket().await;
        peer.welcome().await;
        peer.register_all().await;
        peer
    }
}

/// A link, from the router's side.
pub(crate) struct Peer<S>(pub(crate) WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) async fn upgrade(stream: S) -> Self {
        #[allow(
            clippy::result_large_err,
            reason = "the type is the library's; older clippy does not mind it"
        )]
        let accept = |request: &Request, mut response: Response| -> Result<_, ErrorResponse> {
            assert_eq!(request.headers()[SEC_WEBSOCKET_PROTOCOL], "wamp.2.msgpack");
            let subprotocol = HeaderValue::from_static("wamp.2.msgpack");
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
            Ok(response)
        };
        Self(timeout(PATIENCE, accept_hdr_async(stream, accept)).await.unwrap().unwrap())
    }

    /// The next WebSocket message, pings and pongs left out; `None` at the end of the connection.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.unwrap() {
                Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                Some(Ok(frame)) => return Some(frame),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next WAMP message.
    pub(crate) async fn hear(&mut self) -> Message {
        let frame = self.frame().await.expect("the link is there");
        websocket::message(Serializer::MessagePack, &frame).unwrap().expect("a message")
    }

    /// The next message that is no event.
    pub(crate) async fn hear_answer(&mut self) -> Message {
        loop {
            let message = self.hear().await;
            if !matches!(message, Message::Publish { .. }) {
                return message;
            }
        }
    }

    pub(crate) async fn say(&mut self, message: Message) {
        self.0.send(websocket::frame(Serializer::MessagePack, message)).await.unwrap();
    }

    /// Lets the link in, and says that nobody has its name.
    pub(crate) async fn welcome(&mut self) {
        self.welcome_alone().await;
        let request = self.probe().await;
        self.say(error(48, request, "wamp.error.no_such_procedure")).await;
    }

    /// Lets the link in; what it does next is for the test to see.
    pub(crate) async fn welcome_alone(&mut self) {
        let hello = self.hear().await;
        assert!(matches!(hello, Message::Hello { .. }), "{hello:?}");
        self.say(Message::Welcome { session: 1, details: Dict::default() }).await;
    }

    /// The next message, a call of the link's own name; its request.
    pub(crate) async fn probe(&mut self) -> u64 {
        let message = self.hear_answer().await;
        let Message::Call { request, procedure, .. } = &message else { panic!("{message:?}") };
        assert_eq!(procedure, "plc1.ExtendedCall");
        *request
    }

    /// Registers everything the link asks for; the `n`th registration is `100 + n`.
    pub(crate) async fn register_all(&mut self) {
        for n in 1..=PROCEDURES {
            let Message::Register { request, .. } = self.hear_answer().await else {
                panic!("no registration");
            };
            self.say(Message::Registered { request, registration: 100 + n }).await;
        }
    }

    /// Calls what was registered as the `n`th.
    pub(crate) async fn call(&mut self, n: u64, arguments: Vec<Value>) -> Message {
        self.say(invocation(1, n, arguments)).await;
        self.hear_answer().await
    }
}

/// The router's no to this request of the link.
pub(crate) fn error(kind: u64, request: u64, error: &str) -> Message {
    let (details, payload) = (Dict::default(), Payload::default());
    Message::Error { kind, request, details, error: error.to_owned(), payload }
}

/// A call with this id of what was registered as the `n`th.
pub(crate) fn invocation(request: u64, n: u64, arguments: Vec<Value>) -> Message {
    let (details, payload) = (Dict::default(), Payload::from(arguments));
    Message::Invocation { request, registration: 100 + n, details, payload }
}

/// A link that runs, and what it tells of itself.
pub(crate) struct Running {
    pub(crate) state: watch::Receiver<RouterLink>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn begin(link: Link) -> Self {
        let state = link.state();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(link.run(async move { drop(stopped.await) }));
        Self { state, stop, task }
    }

    /// A link with these settings, and no supervisor.
    pub(crate) fn with(settings: RouterSettings) -> Self {
        Self::begin(Link::with_settings(nobody(), settings))
    }

    /// Waits until the link is like that.
    pub(crate) async fn until(&mut self, like: impl Fn(&RouterLink) -> bool) -> RouterLink {
        self.until_within(PATIENCE, like).await
    }

    async fn until_within(
        &mut self,
        patience: Duration,
        like: impl Fn(&RouterLink) -> bool,
    ) -> RouterLink {
        let found = timeout(patience, self.state.wait_for(|link| like(link))).await;
        found.unwrap_or_else(|_| panic!("the state did not come")).unwrap().clone()
    }

    pub(crate) async fn until_state(&mut self, state: LinkState) -> RouterLink {
        self.until(|link| link.state == state).await
    }

    /// Waits until an attempt has failed, and tells why.
    pub(crate) async fn failure(&mut self) -> String {
        self.until_state(LinkState::Waiting).await.reason.expect("a reason")
    }

    /// The same with the clock stopped, so that it jumps from deadline to deadline.
    pub(crate) async fn failure_by_the_clock(&mut self) -> String {
        tokio::time::pause();
        let hour = Duration::from_secs(3600);
        let failed = self.until_within(hour, |link| link.state == LinkState::Waiting).await;
        tokio::time::resume();
        failed.reason.expect("a reason")
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.task).await.unwrap().unwrap();
    }
}

/// A supervisor that is not there.
pub(crate) fn nobody() -> Arc<Supervisor> {
    Arc::new(Supervisor { socket: "/nonexistent".into(), connector: "wamp".to_owned() })
}
