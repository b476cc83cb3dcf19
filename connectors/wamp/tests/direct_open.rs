// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who comes to the port of direct mode: by which request, in which frames, and how long it may take.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the other tests of direct mode use more of it")]
mod ide;
#[path = "../../runner/tests/stub/mod.rs"]
mod stub;

use futures_util::StreamExt;
use ide::{Ide, PATIENCE, Plc};
use plc_connector::api::wamp::DirectSettings;
use plc_connector_wamp::{
    direct::DirectError,
    message::{MESSAGE_BYTES, Message},
    serializer::Serializer,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::timeout,
};
use tokio_tungstenite::tungstenite::{
    Error, Message as Frame,
    protocol::frame::{
        Frame as RawFrame,
        coding::{CloseCode, Data, OpCode},
    },
};

const MSGPACK: (&str, &str) = ("sec-websocket-protocol", "wamp.2.msgpack");

fn plc() -> Plc {
    Plc::new(DirectSettings::default())
}

/// Status and text of the answer that is not a WebSocket.
async fn refusal(plc: &Plc, headers: &[(&'static str, &str)]) -> (u16, String) {
    match plc.open(headers).await {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            (response.status().as_u16(), String::from_utf8(body).unwrap())
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was let in"),
    }
}

/// All that comes until the other side closes.
async fn rest(stream: &mut DuplexStream) -> String {
    let mut text = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

#[tokio::test]
async fn a_web_page_is_refused_unless_it_is_listed() {
    let origin = ("origin", "https://evil.example");
    let closed = plc();
    assert_eq!(refusal(&closed, &[MSGPACK, origin]).await.0, 403);
    assert!(closed.open(&[MSGPACK]).await.is_ok(), "IDEs send no origin");
    let origins = vec!["https://panel.example".to_owned()];
    let open = Plc::new(DirectSettings { origins, ..DirectSettings::default() });
    assert_eq!(refusal(&open, &[MSGPACK, origin]).await.0, 403);
    assert!(open.open(&[MSGPACK, ("origin", "https://panel.example")]).await.is_ok());
}

#[tokio::test]
async fn without_a_subprotocol_that_is_known_there_is_no_websocket() {
    for headers in [&[][..], &[("sec-websocket-protocol", "mqtt")]] {
        assert_eq!(refusal(&plc(), headers).await.0, 400);
    }
}

#[tokio::test]
async fn a_browser_is_told_what_this_is() {
    let plc = plc();
    let (mut stream, conversation) = plc.dial(64 << 10);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost:8888\r\n\r\n").await.unwrap();
    let text = rest(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 426 ") && text.contains("WAMP://"), "{text}");
    drop(stream);
    conversation.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_may_not_come_in_and_a_supervisor_that_is_away_are_told_as_such() {
    let mut plc = plc();
    plc.stub.refuse("local_peers = \"plc\" leaves it to root").await;
    let (status, text) = refusal(&plc, &[MSGPACK]).await;
    assert!(status == 403 && text.contains("local_peers"), "{status} {text}");
    plc.stub.die().await;
    let (status, text) = refusal(&plc, &[MSGPACK]).await;
    assert!(status == 503 && text.contains("plc-runtime.service"), "{status} {text}");
}

/// Sends bytes as they are; the code by which the connection is closed, and what was said before.
async fn after_bytes(mut ide: Ide, bytes: &[u8]) -> CloseCode {
    ide.socket.get_mut().write_all(bytes).await.unwrap();
    ide.closed().await.0
}

#[tokio::test]
async fn what_breaks_the_websocket_closes_it_with_the_code_that_says_so() {
    let plc = plc();
    let joined = || plc.join(Serializer::MessagePack);
    // Final, binary, not masked, one byte.
    assert_eq!(after_bytes(joined().await, b"\x82\x01\x90").await, CloseCode::Protocol);
    // A reserved kind of frame.
    assert_eq!(after_bytes(joined().await, b"\x83\x80\0\0\0\0").await, CloseCode::Protocol);
    // Longer than any message, as its header alone says.
    let length = u64::try_from(MESSAGE_BYTES).unwrap() + 1;
    let head = [&b"\x82\xff"[..], &length.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(after_bytes(joined().await, &head).await, CloseCode::Size);

    let mut pieces = joined().await;
    let piece = |code, last| {
        Frame::Frame(RawFrame::message(vec![0; MESSAGE_BYTES / 2], OpCode::Data(code), last))
    };
    pieces.send_frame(piece(Data::Binary, false)).await;
    pieces.send_frame(piece(Data::Continue, false)).await;
    pieces.send_frame(piece(Data::Continue, true)).await;
    assert_eq!(pieces.closed().await.0, CloseCode::Size);

    let text = plc.join(Serializer::Json).await;
    assert_eq!(after_bytes(text, b"\x81\x81\0\0\0\0\xff").await, CloseCode::Invalid);
}

#[tokio::test]
async fn what_breaks_wamp_is_answered_with_abort_and_the_code_that_says_so() {
    let (text, bytes) =
        (|text: &str| Frame::text(text), |bytes: &[u8]| Frame::binary(bytes.to_vec()));
    let nested = [vec![0x91; 1000], vec![0xc0]].concat();
    let plc = plc();
    for (serializer, frame, expected) in [
        (Serializer::MessagePack, text("[48,1,{},\"plc.StartPLC\"]"), CloseCode::Unsupported),
        (Serializer::Json, bytes(b"\x94\x30\x01\x80\xa1x"), CloseCode::Unsupported),
        (Serializer::MessagePack, bytes(b"\xc1"), CloseCode::Invalid),
        (Serializer::MessagePack, bytes(b"\xdd\xff\xff\xff\xff"), CloseCode::Invalid),
        (Serializer::MessagePack, bytes(&nested), CloseCode::Invalid),
        (Serializer::MessagePack, bytes(b"\x92\x30\x01"), CloseCode::Invalid),
        (Serializer::Json, text("[48,1,{}"), CloseCode::Invalid),
        (Serializer::Json, text("{}"), CloseCode::Invalid),
        (Serializer::Json, text("[99,1]"), CloseCode::Invalid),
        // Somebody else's words.
        (Serializer::Json, text("[50,1,{}]"), CloseCode::Protocol),
        (Serializer::Json, text("[1,\"Automation\",{}]"), CloseCode::Protocol),
    ] {
        let shown = format!("{frame:?}");
        let mut ide = plc.join(serializer).await;
        ide.send_frame(frame).await;
        let Message::Abort { reason, .. } = ide.next().await else {
            panic!("no abort after {shown}");
        };
        assert_eq!(reason, "wamp.error.protocol_violation");
        let (code, _, end) = ide.closed().await;
        assert_eq!(code, expected, "{shown}");
        assert!(matches!(end, Err(DirectError::Violated(_))), "{end:?}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_and_pieces_of_a_message_are_put_together() {
    let plc = plc();
    let mut ide = plc.connect(Serializer::Json).await;
    ide.send_frame(Frame::Ping(b"x".to_vec().into())).await;
    let piece = |text: &str, code, last| {
        Frame::Frame(RawFrame::message(text.as_bytes().to_vec(), OpCode::Data(code), last))
    };
    ide.send_frame(piece("[1,\"Auto", Data::Text, false)).await;
    ide.send_frame(piece("mation\",{}]", Data::Continue, true)).await;
    let pong = timeout(PATIENCE, ide.socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(pong, Frame::Pong(b"x".to_vec().into()));
    assert!(matches!(ide.next().await, Message::Welcome { .. }));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_who_it_is_has_to_go() {
    let plc = plc();
    let (mut silent, conversation) = plc.dial(1024);
    let text = rest(&mut silent).await;
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    drop(silent);
    conversation.await.unwrap().unwrap();

    let no_hello = plc.connect(Serializer::MessagePack).await;
    let (code, _, end) = no_hello.closed().await;
    assert_eq!(code, CloseCode::Policy);
    assert!(matches!(end, Err(DirectError::NotJoined)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn who_has_joined_may_be_silent_as_long_as_it_is_there() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    // Whoever reads answers pings, as every WebSocket library does by itself.
    let reading = async {
        loop {
            let frame = ide.socket.next().await.unwrap().unwrap();
            assert!(matches!(frame, Frame::Ping(_)), "{frame:?}");
        }
    };
    assert!(timeout(PATIENCE * 60, reading).await.is_err());
    assert_eq!(ide.status().await, "Empty");
}

#[tokio::test(start_paused = true)]
async fn who_stops_in_the_middle_of_a_message_has_to_go() {
    let plc = plc();
    let mut ide = plc.join(Serializer::MessagePack).await;
    // Five bytes are announced.
    ide.socket.get_mut().write_all(b"\x82\x85\0\0\0\0x").await.unwrap();
    let end = timeout(PATIENCE * 60, &mut ide.conversation).await.unwrap().unwrap();
    assert!(matches!(end, Err(DirectError::Silent)), "{end:?}");
}
