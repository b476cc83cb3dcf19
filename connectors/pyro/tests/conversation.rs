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

use plc_connector::ide::{msgpack, value::Value};
use plc_connector::{
    api::{
        key::{ApiKey, SecretText},
        log::LogMessage,
        message::{ApiError, Reply, Request},
        plc::Snapshot,
        program::BlobId,
    },
    session::{Session, Supervisor},
};
use plc_connector_pyro::{
    conversation::{ConversationError, Line, converse, converse_with},
    erpc::frame::{self, Framing},
    pyro3::header::WireVersion,
    pyro5::serpent,
};
use stub::{Stub, obey};
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

fn session(stub: &Stub, key: Option<ApiKey>) -> Session {
    let supervisor = Supervisor { socket: stub.socket(), connector: "pyro".to_owned() };
    Session::new(Arc::new(supervisor), "ide".to_owned(), None, key)
}

/// The number of `GetPLCID`, which is always refused here.
const GET_PLC_ID: u8 = 3;

/// The number of `GetPLCstatus`.
const GET_STATUS: u8 = 4;

impl Ide {
    fn new(stub: &Stub) -> Self {
        Self::with_key(stub, None)
    }

    fn with_key(stub: &Stub, key: Option<ApiKey>) -> Self {
        Self::through(Line::Plain, stub, key)
    }

    /// One that waits to be spoken to, where that does not take long.
    fn of_pyro3(stub: &Stub) -> Self {
        Self::through(Line::LegacyTls, stub, None)
    }

    fn through(line: Line, stub: &Stub, key: Option<ApiKey>) -> Self {
        let (stream, theirs) = duplex(4096);
        let conversation = tokio::spawn(converse(line, theirs, session(stub, key)));
        Self { stream, conversation, sequence: 0 }
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
        let version = if reply.ends_with(&[2, 0, 0, 0]) { 2 } else { 1 };
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
    match request {
        Request::AppendChunk { blob, .. } if *blob == BlobId::EMPTY => Ok(Reply::Blob(*blob)),
        Request::AppendChunk { blob, .. } => Err(ApiError::UnknownBlob(*blob)),
        Request::DeviceKey => Err(ApiError::NotAllowed("pairing is not open".to_owned())),
        _ => obey(request, snapshot),
    }
}

#[tokio::test]
async fn a_conversation_ends_with_its_key_whatever_the_ide_does() {
    let mut stub = Stub::new(obedient);
    let key = ApiKey { id: "anna".to_owned(), secret: SecretText::new("a secret of a test") };
    let mut ide = Ide::with_key(&stub, Some(key));
    // So that its protocol is known; then it is silent.
    let _ = ide.erpc(GET_STATUS, b"").await;
    stub.refuse("the key of anna was revoked").await;
    let error = ide.conversation.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the key of anna was revoked"), "{error}");
}

#[tokio::test]
async fn a_conversation_ends_with_its_key_even_if_the_ide_leaves_no_moment_to_look() {
    let mut stub = Stub::new(obedient);
    let key = ApiKey { id: "anna".to_owned(), secret: SecretText::new("a secret of a test") };
    let mut ide = Ide::with_key(&stub, Some(key));
    let _ = ide.erpc(GET_STATUS, b"").await;
    stub.refuse("the key of anna was revoked").await;
    // About this nobody needs to be asked.
    let call = frame::frame(Framing::FourBytes, &[0, GET_PLC_ID, 1, 1, 9, 0, 0, 0]).unwrap();
    let (mut answers, mut calls) = tokio::io::split(ide.stream);
    let asking = async {
        let calls_at_once = call.repeat(100);
        while calls.write_all(&calls_at_once).await.is_ok() {}
    };
    let reading = async { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await };
    let talking = async { tokio::join!(asking, reading) };
    let _ = timeout(Duration::from_secs(60), talking).await.expect("it goes on");
    let error = ide.conversation.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("the key of anna was revoked"), "{error}");
}

#[tokio::test]
async fn who_may_stay_no_longer_is_sent_away_without_a_further_call() {
    let mut stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    assert!(is_reachable(&ide.status().await));
    stub.refuse("local_peers = \"plc\" leaves it to root").await;
    let end = timeout(Duration::from_secs(60), ide.conversation).await.expect("it goes on");
    let error = end.unwrap().unwrap_err();
    assert!(error.to_string().contains("local_peers"), "{error}");
}

#[tokio::test]
async fn whom_the_supervisor_refuses_is_answered_once_and_sent_away() {
    let mut stub = Stub::new(obedient);
    stub.refuse("local_peers = \"plc\" leaves it to root").await;
    let mut ide = Ide::new(&stub);
    assert!(!is_reachable(&ide.status().await));
    let end = timeout(Duration::from_secs(60), ide.conversation).await.expect("it goes on");
    let error = end.unwrap().unwrap_err();
    assert!(error.to_string().contains("local_peers"), "{error}");
    assert_eq!(stub.hellos().len(), 1, "the supervisor was asked again");
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

#[tokio::test]
async fn the_counts_of_a_log_that_began_anew_do_not_go_down_for_an_ide() {
    let stub = Stub::new(|request, _| {
        let &Request::ReadLog { level, from, .. } = request else { panic!("{request:?}") };
        let text = "new".to_owned();
        let message = LogMessage { level, id: 1, tick: 0, time_us: 0, text };
        Ok(Reply::Log(if from <= 1 { vec![message] } else { vec![] }))
    });
    let mut ide = Ide::new(&stub);
    let critical = |status: &[u8]| u32::from_le_bytes(*status[4..].first_chunk().unwrap());
    stub.publish(|snapshot| snapshot.log_counts[0] = 57);
    until(&mut ide, |status| critical(status) == 57).await;
    stub.publish(|snapshot| snapshot.log_counts[0] = 2);
    until(&mut ide, |status| critical(status) == 59).await;
    assert!(ide.erpc(2, b"\0\x3a\0\0\0").await.starts_with(b"\x03\0\0\0new"));
    assert!(ide.erpc(2, b"\0\x38\0\0\0").await.ends_with(b"\x02\0\0\0"), "gone");
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
async fn a_silent_peer_is_spoken_to_and_then_given_up() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    let error = (&mut ide.conversation).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("silent"), "{error}");
    let mut challenge = Vec::new();
    ide.stream.read_to_end(&mut challenge).await.unwrap();
    assert!(challenge.starts_with(b"PYRO\x00\x05\x00\x12"), "{challenge:x?}");
    assert_eq!(challenge.len(), 18 + 16);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_slowly_is_not_taken_for_one_that_waits() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::new(&stub);
    let hello = b"\x08\x00\x06\x44\x00\x04\x01\x01\x02\x00\x00\x00";
    ide.stream.write_all(&hello[..1]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    ide.stream.write_all(&hello[1..]).await.unwrap();
    let mut answer = [0; 12];
    ide.stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[4..8], [2, 4, 1, 1], "{answer:x?}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_whose_first_bytes_are_under_way_for_long_is_heard_in_its_own_protocol() {
    for (line, under_way) in [(Line::Plain, 1000), (Line::Tls, 2500)] {
        let stub = Stub::new(obedient);
        let mut ide = Ide::through(line, &stub, None);
        tokio::time::sleep(Duration::from_millis(under_way)).await;
        assert!(is_reachable(&ide.status().await));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_line_that_is_slower_still_the_log_speaks() {
    let pyro5 = &b"PYRO\x01\xf6\x01\x04"[..];
    let erpc = b"\x08\x00\x06\x44\x00\x04\x01\x01\x02\x00\x00\x00";
    for (late, name) in [(pyro5, "Pyro5"), (erpc, "Erpc"), (b"GET / HTTP/1.1\r\n\r\n", "Unknown")] {
        let stub = Stub::new(obedient);
        let mut ide = Ide::new(&stub);
        // The greeting.
        let _ = ide.stream.read_u8().await.unwrap();
        ide.stream.write_all(late).await.unwrap();
        let error = ide.conversation.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("nothing for 1200 ms") && error.contains(name), "{error}");
        assert!(error.contains("so slow a line"), "{error}");
    }
}

impl Ide {
    /// Waits to be spoken to and answers, as Pyro3 does; the object's id.
    async fn greet_pyro3(&mut self, version: u8) -> Vec<u8> {
        let mut challenge = [0; 18 + 16];
        self.stream.read_exact(&mut challenge).await.unwrap();
        assert_eq!(challenge[..6], [b'P', b'Y', b'R', b'O', 0, version]);
        self.send_pyro3(version, b"CONNECT0123456789abcdef").await;
        let mut granted = [0; 7];
        self.stream.read_exact(&mut granted).await.unwrap();
        assert_eq!(&granted, b"GRANTED");
        let resolve = b"\x80\x02(U\x20c0000000011000001000000010000001U\x0eResolvePYROLOCK\0U\x09PLCObject\x85t.";
        self.send_pyro3(version, resolve).await;
        let id = self.receive_pyro3().await;
        id[4..id.len() - 1].to_vec()
    }

    async fn send_pyro3(&mut self, version: u8, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        let head = [&b"PYRO\0"[..], &[version, 0, 18], &length, &[0; 6]].concat();
        self.stream.write_all(&[&head, body].concat()).await.unwrap();
    }

    async fn receive_pyro3(&mut self) -> Vec<u8> {
        let mut head = [0; 18];
        self.stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes(head[8..12].try_into().unwrap());
        let mut body = vec![0; length.try_into().unwrap()];
        self.stream.read_exact(&mut body).await.unwrap();
        body
    }

    async fn call_pyro3(&mut self, id: &[u8], method: &str, arguments: &[u8]) -> Vec<u8> {
        let name = [&[b'U', u8::try_from(method.len()).unwrap()], method.as_bytes()].concat();
        let id = [&[b'U', u8::try_from(id.len()).unwrap()], id].concat();
        let call = [b"\x80\x02(", &id[..], &name, b"K\x03(", arguments, b"}\x86t."].concat();
        self.send_pyro3(5, &call).await;
        self.receive_pyro3().await
    }
}

#[tokio::test]
async fn a_pyro3_ide_starts_the_plc_and_sees_it_run() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::of_pyro3(&stub);
    let id = ide.greet_pyro3(5).await;
    assert_eq!(ide.call_pyro3(&id, "_r_ha", b"U\x08GetPLCIDt").await, b"\x80\x02K\x01.");
    assert_eq!(ide.call_pyro3(&id, "GetPLCID", b"t").await, b"\x80\x02N.");
    assert_eq!(ide.call_pyro3(&id, "StartPLC", b"t").await, b"\x80\x02N.");
    let status = ide.call_pyro3(&id, "GetPLCstatus", b"t").await;
    assert!(status.starts_with(b"\x80\x02U\x07Started]"), "{}", status.escape_ascii());
    drop(ide.stream);
    assert!(ide.conversation.await.unwrap().is_ok());
}

#[tokio::test]
async fn each_pyro3_ide_has_an_object_id_of_its_own() {
    let stub = Stub::new(obedient);
    let (mut one, mut other) = (Ide::of_pyro3(&stub), Ide::of_pyro3(&stub));
    assert_ne!(one.greet_pyro3(5).await, other.greet_pyro3(5).await);
}

#[tokio::test]
async fn a_whole_program_reaches_the_supervisor_in_chunks() {
    let stub = Stub::new(|request, _| match request {
        Request::SeedBlob { seed } => Ok(Reply::Blob(BlobId([seed[0]; 16]))),
        Request::AppendChunk { blob, .. } => Ok(Reply::Blob(*blob)),
        Request::Install(_) => Ok(Reply::Installed { program_id: "1-x".to_owned() }),
        _ => Ok(Reply::Done),
    });
    let mut ide = Ide::of_pyro3(&stub);
    let id = ide.greet_pyro3(5).await;
    let library = vec![7; (2 << 20) + 5];
    let length = u32::try_from(library.len()).unwrap().to_le_bytes();
    let md5 = b"U\x200123456789abcdef0123456789abcdef";
    let files = b"](U\x01aU\x02xy\x86X\x01\0\0\0bU\0\x86e";
    let arguments = [&md5[..], b"T", &length, &library, files, b"t"].concat();
    let answer = ide.call_pyro3(&id, "NewPLC", &arguments).await;
    assert_eq!(answer, b"\x80\x02\x88.", "{}", answer.escape_ascii());
    let requests = stub.requests();
    let Some((Request::Install(install), transfer)) = requests.split_last() else {
        panic!("{requests:?}");
    };
    assert_eq!(install.library, BlobId([0; 16]));
    let extra: Vec<_> =
        install.extra_files.iter().map(|f| (f.name.as_str(), f.blob.0[0])).collect();
    assert_eq!(extra, [("a", 1), ("b", 2)]);
    assert_eq!(transfer[0], Request::PurgeBlobs);
    let sent = |of: u8| {
        let chunks = transfer.iter().filter_map(|request| match request {
            Request::AppendChunk { blob, data } if blob.0[0] == of => Some(data.as_slice()),
            _ => None,
        });
        chunks.collect::<Vec<_>>().concat()
    };
    assert!(sent(0) == library, "the library was changed");
    assert_eq!((sent(1), sent(2)), (b"xy".to_vec(), vec![]));
}

#[tokio::test]
async fn a_hostile_pickle_is_answered_and_ends_the_conversation() {
    let stub = Stub::new(obedient);
    let mut ide = Ide::of_pyro3(&stub);
    ide.greet_pyro3(5).await;
    ide.send_pyro3(5, b"cos\nsystem\n(S'true'\ntR.").await;
    let answer = ide.receive_pyro3().await;
    assert!(answer.windows(13).any(|w| w == b"ProtocolError"), "{}", answer.escape_ascii());
    let error = ide.conversation.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("none is looked up"), "{error}");
    assert_eq!(stub.hellos(), [], "the supervisor was bothered");
}

#[tokio::test]
async fn wire_version_4_is_spoken_where_it_is_set() {
    let stub = Stub::new(obedient);
    let (stream, theirs) = duplex(4096);
    let talk = converse_with(WireVersion::Four, Line::LegacyTls, theirs, session(&stub, None));
    let conversation = tokio::spawn(talk);
    let mut ide = Ide { stream, conversation, sequence: 0 };
    assert_eq!(ide.greet_pyro3(4).await.len(), 32);
}
