// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole conversations over a stream, with a supervisor that answers as each test says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[path = "../../runner/tests/stub/mod.rs"]
mod stub;

use std::{sync::Arc, time::Duration};

use plc_connector::{
    api::{
        message::{ApiError, Reply, Request},
        plc::{PlcStatus, Snapshot},
        program::BlobId,
    },
    session::{Session, Supervisor},
};
use plc_connector_pyro::{
    conversation::{ConversationError, converse},
    erpc::frame::{self, Framing},
    pyro5::{msgpack, serpent},
    value::Value,
};
use stub::Stub;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::timeout,
};

const SERPENT: u8 = 1;
const MSGPACK: u8 = 4;

/// An IDE's end of a conversation.
struct Ide {
    stream: DuplexStream,
    conversation: JoinHandle<Result<(), ConversationError>>,
    sequence: u8,
}

/// The number of GetPLCID, which is always refused here.
const GET_PLC_ID: u8 = 3;

impl Ide {
    fn new(stub: &Stub) -> Self {
        let supervisor = Supervisor { socket: stub.socket(), connector: "pyro".to_owned() };
        let session = Session::new(Arc::new(supervisor), "ide".to_owned(), String::new());
        let (stream, theirs) = duplex(4096);
        Self { stream, conversation: tokio::spawn(converse(theirs, session)), sequence: 0 }
    }

    /// An eRPC call in the older framing; the reply's body.
    async fn erpc(&mut self, request: u8, arguments: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let message = [&[0, request, 1, 1, self.sequence, 0, 0, 0], arguments].concat();
        let frame = frame::frame(Framing::FourBytes, &message).unwrap();
        self.stream.write_all(&frame).await.unwrap();
        let length = self.stream.read_u16_le().await.unwrap();
        let _check = self.stream.read_u16_le().await.unwrap();
        let mut reply = vec![0; length.into()];
        self.stream.read_exact(&mut reply).await.unwrap();
        // A refusal comes in a version of the codec that does not exist.
        let version = if request == GET_PLC_ID { 2 } else { 1 };
        assert_eq!(reply[..8], [2, request, 1, version, self.sequence, 0, 0, 0]);
        reply.split_off(8)
    }

    /// The reply to an eRPC status call.
    async fn status(&mut self) -> Vec<u8> {
        self.erpc(4, b"").await
    }

    /// A Pyro5 message; kind, flags and value of the answer.
    async fn pyro5(&mut self, kind: u8, serializer: u8, value: &Value) -> (u8, u8, Value) {
        let data = match serializer {
            SERPENT => serpent::write(value),
            _ => msgpack::write(value),
        };
        let mut message = b"PYRO\x01\xf6".to_vec();
        message.extend([kind, serializer, 0, 0, 0, self.sequence]);
        message.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        message.extend([0; 22]);
        message.extend(b"\x4d\xc5");
        message.extend(data);
        self.stream.write_all(&message).await.unwrap();
        let mut head = [0; 40];
        self.stream.read_exact(&mut head).await.unwrap();
        assert_eq!((head[7], head[11]), (serializer, self.sequence));
        self.sequence += 1;
        let length = u32::from_be_bytes(head[12..16].try_into().unwrap());
        let mut data = vec![0; length.try_into().unwrap()];
        self.stream.read_exact(&mut data).await.unwrap();
        let value = match serializer {
            SERPENT => serpent::read(&data),
            _ => msgpack::read(&data),
        };
        (head[6], head[9], value.unwrap())
    }

    async fn greet(&mut self, serializer: u8) {
        let hello = [("handshake", Value::text("hello")), ("object", Value::text("PLCObject"))];
        let (kind, _, _) = self.pyro5(1, serializer, &Value::map(hello)).await;
        assert_eq!(kind, 2);
    }

    async fn invoke(&mut self, serializer: u8, method: &str, arguments: Vec<Value>) -> Value {
        let (object, arguments) = (Value::text("PLCObject"), Value::List(arguments));
        let call = vec![object, Value::text(method), arguments, Value::map([])];
        let (kind, _, value) = self.pyro5(4, serializer, &Value::List(call)).await;
        assert_eq!(kind, 5);
        value
    }
}

fn obedient(request: &Request, snapshot: &mut Snapshot) -> Result<Reply, ApiError> {
    if *request == Request::Start {
        snapshot.status = PlcStatus::Started;
    }
    match request {
        Request::AppendChunk { blob, .. } if *blob == BlobId::EMPTY => Ok(Reply::Blob(*blob)),
        Request::AppendChunk { blob, .. } => Err(ApiError::UnknownBlob(*blob)),
        _ => Ok(Reply::Done),
    }
}

#[tokio::test]
async fn an_erpc_ide_starts_the_plc_and_sees_it_run() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    assert_eq!(ide.erpc(3, b"").await, b"\0\0\0\0\0\0\0\0\x02\0\0\0");
    assert_eq!(ide.erpc(13, b"").await, [0; 4]);
    let started = [&[2, 0, 0, 0][..], &[0; 16], &[0; 4]].concat();
    assert_eq!(ide.erpc(4, b"").await, started);
    drop(ide.stream);
    assert!(ide.conversation.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_pyro5_ide_starts_the_plc_and_sees_it_run() {
    for serializer in [SERPENT, MSGPACK] {
        let stub = Stub::new(obedient);
        let mut ide = Ide::new(&stub);
        ide.greet(serializer).await;
        assert_eq!(ide.invoke(serializer, "GetPLCID", vec![]).await, Value::None);
        assert_eq!(ide.invoke(serializer, "StartPLC", vec![]).await, Value::None);
        let Value::List(status) = ide.invoke(serializer, "GetPLCstatus", vec![]).await else {
            panic!("no list");
        };
        assert_eq!(status[0], Value::text("Started"));
        drop(ide.stream);
        assert!(ide.conversation.await.unwrap().is_ok());
    }
}

#[tokio::test]
async fn the_largest_chunk_comes_through_in_every_serializer() {
    for serializer in [SERPENT, MSGPACK] {
        let stub = Stub::new(obedient);
        let mut ide = Ide::new(&stub);
        ide.greet(serializer).await;
        // Every byte is four characters in serpent.
        let chunk = vec![0xff; 1 << 20];
        let empty = Value::Bytes(BlobId::EMPTY.0.to_vec());
        let arguments = vec![Value::Bytes(chunk.clone()), empty.clone()];
        let answer = ide.invoke(serializer, "AppendChunkToBlob", arguments).await;
        assert_eq!(answer, empty);
        let append = Request::AppendChunk { blob: BlobId::EMPTY, data: chunk };
        assert!(stub.requests() == [append], "the chunk was changed");
    }
}

#[tokio::test]
async fn a_refused_call_leaves_the_ide_connected() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    ide.greet(MSGPACK).await;
    let unknown = || vec![Value::Bytes(vec![1]), Value::Bytes(vec![7; 16])];
    let answer = ide.invoke(MSGPACK, "AppendChunkToBlob", unknown()).await;
    assert_eq!(answer, Value::None);
    let unknown_method = ide.invoke(MSGPACK, "Explode", vec![]).await;
    let class = unknown_method.get("__class__");
    assert_eq!(class, Some(&Value::text("builtins.AttributeError")));
    assert_eq!(ide.invoke(MSGPACK, "StartPLC", vec![]).await, Value::None);
}

#[tokio::test]
async fn an_ide_stays_connected_while_the_supervisor_is_away() {
    let mut stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    assert!(is_reachable(&ide.status().await));
    stub.die().await;
    until(&mut ide, |status| !is_reachable(status)).await;
    stub.serve();
    until(&mut ide, is_reachable).await;
}

/// Whether the state, the first value of the reply, is another than Broken: that stands for "not known" too.
fn is_reachable(status: &[u8]) -> bool {
    status.first_chunk() != Some(&[3, 0, 0, 0])
}

/// Asks for the status, as an IDE does all the time, until it is as wanted.
async fn until(ide: &mut Ide, wanted: impl Fn(&[u8]) -> bool) {
    let asking = async {
        while !wanted(&ide.status().await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.unwrap();
}

#[tokio::test]
async fn an_unknown_erpc_method_ends_the_conversation() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    ide.erpc(4, b"").await;
    let frame = frame::frame(Framing::FourBytes, b"\0\x4d\x01\x01\x02\0\0\0").unwrap();
    ide.stream.write_all(&frame).await.unwrap();
    let error = ide.conversation.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("unknown method"), "{error}");
    assert_eq!(stub.requests(), []);
}

#[tokio::test]
async fn peers_of_other_kinds_are_told_apart_in_the_log() {
    let stub = Stub::new(obedient);
    for (bytes, expected) in [
        (&b"\x16\x03\x01\x00\x80\x01\x00"[..], "TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "none of the IDE protocols"),
        (b"PYRO\x00\x05\x00\x12", "none of the IDE protocols"),
    ] {
        let mut ide = Ide::new(&stub);
        ide.stream.write_all(bytes).await.unwrap();
        let error = ide.conversation.await.unwrap().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(stub.hellos(), [], "the supervisor was bothered");
}

#[tokio::test]
async fn a_peer_that_only_connects_and_leaves_is_no_error() {
    let stub = Stub::new(obedient);
    let ide = Ide::new(&stub);
    drop(ide.stream);
    assert!(ide.conversation.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_given_up_and_named_as_what_it_probably_is() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    let error = (&mut ide.conversation).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("Pyro3"), "{error}");
}
