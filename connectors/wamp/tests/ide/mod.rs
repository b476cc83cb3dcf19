// SPDX-License-Identifier: MIT OR Apache-2.0
//! An IDE at direct mode, with a stub for the supervisor.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use plc_connector::{
    api::{
        log::LogMessage,
        message::{ApiError, Reply, Request},
        plc::Snapshot,
        program::BlobId,
        wamp::{DirectSettings, WampSettings},
    },
    ide::value::Value,
    places::{Place, Places},
    session::{Session, Supervisor},
};
use plc_connector_wamp::{
    direct::{DirectError, Keys, converse},
    message::{Dict, Message},
    serializer::Serializer,
    websocket,
};
use tempfile::TempDir;
use tokio::{
    io::{DuplexStream, duplex},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message as Frame,
        client::IntoClientRequest,
        http::HeaderValue,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use crate::stub::{Stub, obey};

/// Longer than anything here takes on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Whence all come.
pub(crate) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The supervisor, what it says to the connector, and the place that the connector's IDE has.
pub(crate) struct Plc {
    pub(crate) stub: Stub,
    pub(crate) places: Places,
    pub(crate) place: Place,
    settings: Arc<Mutex<DirectSettings>>,
    /// A directory for keys.
    pub(crate) keys: TempDir,
}

impl Plc {
    pub(crate) fn new(settings: DirectSettings) -> Self {
        let settings = Arc::new(Mutex::new(settings));
        let current = settings.clone();
        let stub = Stub::new(move |request, snapshot| answer(request, snapshot, &current));
        let places = Places::default();
        let place = places.take(SOURCE).unwrap();
        let keys = tempfile::tempdir().unwrap();
        Self { stub, places, place, settings, keys }
    }

    /// Says other things from now on.
    pub(crate) fn set(&self, settings: DirectSettings) {
        *self.settings.lock().unwrap() = settings;
        self.stub.publish(|snapshot| snapshot.settings_revision += 1);
    }

    pub(crate) fn supervisor(&self) -> Arc<Supervisor> {
        Arc::new(Supervisor { socket: self.stub.socket(), connector: "wamp".to_owned() })
    }

    /// A connection without anything in it, and the conversation at its other end.
    pub(crate) fn dial(
        &self,
        buffer: usize,
    ) -> (DuplexStream, JoinHandle<Result<(), DirectError>>) {
        let session = || Session::new(self.supervisor(), "ide".to_owned(), None, None);
        let (ours, theirs) = duplex(buffer);
        let standing = self.place.standing();
        let keys = Keys::new(vec![self.keys.path().to_owned()]);
        let (orders, reads) = (session(), session());
        let talk = async move { converse(theirs, standing, &keys, orders, reads).await };
        (ours, tokio::spawn(talk))
    }

    /// A WebSocket, with these headers in its request.
    pub(crate) async fn open(&self, headers: &[(&'static str, &str)]) -> Result<Ide, Error> {
        let (stream, conversation) = self.dial(64 << 10);
        let mut request = "ws://127.0.0.1:8888/ws".into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_str(value).unwrap());
        }
        let (socket, response) = timeout(PATIENCE, client_async(request, stream)).await.unwrap()?;
        let subprotocol = &response.headers()["sec-websocket-protocol"];
        let serializer = Serializer::from_subprotocol(subprotocol.to_str().unwrap()).unwrap();
        Ok(Ide { socket, serializer, conversation, request: 0 })
    }

    /// A WebSocket on which nothing was said yet.
    pub(crate) async fn connect(&self, serializer: Serializer) -> Ide {
        let subprotocol = ("sec-websocket-protocol", serializer.subprotocol());
        self.open(&[subprotocol]).await.unwrap()
    }

    /// An IDE that has joined.
    pub(crate) async fn join(&self, serializer: Serializer) -> Ide {
        let mut ide = self.connect(serializer).await;
        ide.send(hello("Automation")).await;
        let welcome = ide.next().await;
        assert!(matches!(welcome, Message::Welcome { .. }), "{welcome:?}");
        ide
    }
}

/// A supervisor that does as it is told.
fn answer(
    request: &Request,
    snapshot: &mut Snapshot,
    settings: &Mutex<DirectSettings>,
) -> Result<Reply, ApiError> {
    match request {
        Request::WampSettings => {
            let direct = settings.lock().unwrap().clone();
            let settings = WampSettings { direct, ..WampSettings::default() };
            Ok(Reply::Wamp(Box::new(settings)))
        }
        Request::SeedBlob { .. } => Ok(Reply::Blob(BlobId::EMPTY)),
        Request::AppendChunk { .. } => Ok(Reply::Blob(BlobId([7; 16]))),
        &Request::ReadLog { level, from, max } => {
            let end = snapshot.log_counts[usize::from(level.number())];
            let message = |id| LogMessage {
                level,
                id,
                tick: 9,
                time_us: 1_000_000 + u64::from(id),
                text: format!("message {id}"),
            };
            let ids = (from..end).take(usize::try_from(max).unwrap());
            Ok(Reply::Log(ids.map(message).collect()))
        }
        _ => obey(request, snapshot),
    }
}

/// An IDE's end of a connection.
pub(crate) struct Ide {
    pub(crate) socket: WebSocketStream<DuplexStream>,
    pub(crate) serializer: Serializer,
    pub(crate) conversation: JoinHandle<Result<(), DirectError>>,
    request: u64,
}

impl Ide {
    pub(crate) async fn send(&mut self, message: Message) {
        self.send_frame(websocket::frame(self.serializer, message)).await;
    }

    pub(crate) async fn send_frame(&mut self, frame: Frame) {
        timeout(PATIENCE, self.socket.send(frame)).await.unwrap().unwrap();
    }

    async fn frame(&mut self) -> Frame {
        timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Message {
        loop {
            let frame = self.frame().await;
            match websocket::message(self.serializer, &frame).unwrap() {
                Some(message) => return message,
                None => assert!(matches!(frame, Frame::Ping(_)), "{frame:?}"),
            }
        }
    }

    /// Asks, and does not wait for the answer; the request's id.
    pub(crate) async fn ask(&mut self, procedure: &str, arguments: Vec<Value>) -> u64 {
        self.request += 1;
        let (request, options) = (self.request, Dict::default());
        let (procedure, payload) = (procedure.to_owned(), arguments.into());
        self.send(Message::Call { request, options, procedure, payload }).await;
        request
    }

    /// The answer to the call with this id, which is to be the next message: its value, or its error.
    pub(crate) async fn answer(&mut self, expected: u64) -> Result<Value, String> {
        match self.next().await {
            Message::Result { request, payload, .. } => {
                assert_eq!(request, expected);
                let [value] = payload.arguments.try_into().unwrap();
                Ok(value)
            }
            Message::Error { kind: 48, request, error, payload, .. } => {
                assert_eq!((request, payload.arguments.len()), (expected, 1));
                Err(error)
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn call(
        &mut self,
        procedure: &str,
        arguments: Vec<Value>,
    ) -> Result<Value, String> {
        let request = self.ask(procedure, arguments).await;
        self.answer(request).await
    }

    /// The status.
    pub(crate) async fn status(&mut self) -> String {
        let answer = self.call("plc.GetPLCstatus", vec![]).await.unwrap();
        let status = answer.into_list().unwrap().remove(0);
        status.into_text().unwrap()
    }

    /// The frame that closes the connection, which is to be the next; then the conversation has ended.
    pub(crate) async fn closed(mut self) -> (CloseCode, String, Result<(), DirectError>) {
        let frame = self.frame().await;
        let Frame::Close(Some(CloseFrame { code, reason })) = frame else {
            panic!("{frame:?}");
        };
        drop(self.socket);
        let end = timeout(PATIENCE, self.conversation).await.unwrap().unwrap();
        (code, reason.to_string(), end)
    }
}

pub(crate) fn hello(realm: &str) -> Message {
    let roles = Value::map([("caller", Value::map([])), ("subscriber", Value::map([]))]);
    Message::Hello { realm: realm.to_owned(), details: Dict::of([("roles", roles)]) }
}
