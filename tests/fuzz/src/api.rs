// SPDX-License-Identifier: MIT OR Apache-2.0
//! The API's frames: any body is one of its messages or refused, in both directions; a message that was written again
//! reads the same.

use plc_api::{
    frame::{self, FrameError, HEADER_BYTES},
    key::{ApiKey, KeyInfo, KeyKind, KeyList, SecretText},
    limits,
    log::{LogLevel, LogMessage},
    message::{
        ApiError, ClientMessage, ConnectorSettings, ExtraFile, Hello, HelloReply, InstallRequest,
        Refusal, Reply, Request, ServerMessage, Welcome, WhenRunning,
    },
    plc::{ConnectionInfo, Crash, PlcStatus, Snapshot, Stats},
    program::{BlobId, FileName, ProgramInfo, ProgramMd5},
    trace::{TraceBatch, TraceRefusal, TraceSample, TraceVariable},
    wamp::{Authentication, RouterLink, RouterSettings, Verify, WampSettings},
};
use serde::{Serialize, de::DeserializeOwned};

/// The first byte says what the frames behind it are meant to be, and whether they have headers.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let read = match mode % 4 {
        0 => survives::<ClientMessage>,
        1 => survives::<ServerMessage>,
        2 => survives::<Hello>,
        _ => survives::<HelloReply>,
    };
    match mode & 0x80 {
        0 => read(rest),
        _ => for_each_body(rest, read),
    }
}

/// Goes over a stream of frames as a reader does, up to the first that is too long or not all there.
pub(crate) fn for_each_body(mut stream: &[u8], read: fn(&[u8])) {
    while let Some((header, rest)) = stream.split_first_chunk() {
        let Ok(length) = frame::body_length(*header) else { return };
        assert!(length <= limits::FRAME_BYTES);
        let Some((body, rest)) = rest.split_at_checked(length) else { return };
        read(body);
        stream = rest;
    }
}

/// Reads one message; what was read and written again is the same.
pub(crate) fn survives<T: Serialize + DeserializeOwned>(body: &[u8]) {
    let Ok(message) = frame::decode::<T>(body) else { return };
    let written = match frame::encode(&message) {
        Ok(written) => written,
        // Its fields had no names in what was read.
        Err(FrameError::TooLong(_)) => return,
        Err(error) => panic!("what was read cannot be written: {error}"),
    };
    let again = frame::decode::<T>(&written[HEADER_BYTES..]).expect("what was written is read");
    // Not by the messages: NaN is not equal to itself.
    assert_eq!(frame::encode(&again).expect("it was written before"), written);
}

/// A message of each kind.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    let with_id = |request| ClientMessage { id: 7, request };
    seeds.extend(requests().into_iter().map(|request| seed(0, &with_id(request))));
    let reply = |result| ServerMessage::Reply { id: 7, result };
    seeds.extend(replies().into_iter().map(|result| seed(1, &reply(Ok(result)))));
    seeds.extend(errors().into_iter().map(|error| seed(1, &reply(Err(error)))));
    seeds.push(seed(1, &ServerMessage::Snapshot(Box::new(snapshot()))));
    seeds.push(seed(2, &hello()));
    seeds.extend(greetings().iter().map(|greeting| seed(3, greeting)));
    let two = [Request::Start, Request::Stop].map(|request| frame(&with_id(request)));
    seeds.push([&[0x80][..], &two.concat()].concat());
    // An unknown field with a great depth.
    let deep = [b"\x82\xa2id\x01\xa1x".to_vec(), vec![0x91; 5000], vec![0xc0]].concat();
    seeds.push([vec![0], deep].concat());
    seeds
}

/// A whole frame.
pub(crate) fn frame<T: Serialize>(message: &T) -> Vec<u8> {
    frame::encode(message).expect("a short message")
}

/// An input with one message and no header.
pub(crate) fn seed<T: Serialize>(mode: u8, message: &T) -> Vec<u8> {
    [&[mode], &frame(message)[HEADER_BYTES..]].concat()
}

fn md5() -> ProgramMd5 {
    ProgramMd5::new("0123456789abcdef0123456789abcdef").expect("32 digits")
}

fn key() -> ApiKey {
    ApiKey { id: "anna".into(), secret: SecretText::new("0123456789abcdef") }
}

fn text() -> String {
    "why, and the next step".into()
}

fn variables() -> Vec<TraceVariable> {
    let force = Some(vec![0x2a, 0].into());
    vec![TraceVariable { index: 7, force: None }, TraceVariable { index: 9, force }]
}

fn requests() -> Vec<Request> {
    let name = FileName::new("a.txt").expect("a bare name");
    let install = InstallRequest {
        md5: md5(),
        library: BlobId([0x11; 16]),
        extra_files: vec![ExtraFile { name, blob: BlobId([0x22; 16]) }],
        when_running: WhenRunning::Restart,
    };
    let secret = Some(SecretText::new("0123456789abcdef"));
    vec![
        Request::Snapshot,
        Request::Stats,
        Request::Start,
        Request::Stop,
        Request::Repair,
        Request::Rollback,
        Request::PurgeBlobs,
        Request::SeedBlob { seed: b"seed".to_vec() },
        Request::AppendChunk { blob: BlobId::EMPTY, data: b"data".to_vec() },
        Request::Install(install),
        Request::SetTrace(variables()),
        Request::ReadTrace { token: Some(1), max_bytes: 1000 },
        Request::ReadLog { level: LogLevel::Info, from: 3, max: 10 },
        Request::ResetLog,
        Request::Reload,
        Request::Pair { seconds: 600 },
        Request::DeviceKey,
        Request::AddKey { id: "anna".into(), secret },
        Request::ListKeys,
        Request::RevokeKey { id: "anna".into() },
        Request::ShowKey { id: "anna".into() },
        Request::WampSettings,
        Request::ReportRouter(Box::new(link())),
    ]
}

fn replies() -> Vec<Reply> {
    let sample = TraceSample { tick: 100, data: vec![1, 0x2a, 0] };
    let batch = TraceBatch {
        status: PlcStatus::Started,
        samples: vec![sample.clone(), sample],
        dropped: 1,
        more: true,
    };
    let message = LogMessage {
        level: LogLevel::Info,
        id: 0,
        tick: 5,
        time_us: 1_700_000_000_250_000,
        text: text(),
    };
    let info = KeyInfo {
        id: "anna".into(),
        kind: KeyKind::Client,
        source: "a.psk".into(),
        since_us: 1,
        hex_looking: false,
    };
    let connection = ConnectionInfo {
        connector: "pyro".into(),
        peer: "127.0.0.1:4711".into(),
        identity: "anna".into(),
    };
    vec![
        Reply::Done,
        Reply::Snapshot(Box::new(snapshot())),
        Reply::Stats(Box::new(Stats { connections: vec![connection], ..Stats::default() })),
        Reply::Blob(BlobId::EMPTY),
        Reply::Installed { program_id: "000001-0123456789abcdef".into() },
        Reply::Token(1),
        Reply::Trace(batch),
        Reply::Log(vec![message]),
        Reply::Paired { id: "plc".into() },
        Reply::Key(key()),
        Reply::Keys(KeyList { keys: vec![info], problems: vec![text()] }),
        Reply::Wamp(Box::new(wamp())),
    ]
}

fn errors() -> Vec<ApiError> {
    vec![
        ApiError::Refused(text()),
        ApiError::NotAllowed(text()),
        ApiError::Failed(text()),
        ApiError::BadRequest(text()),
        ApiError::UnknownBlob(BlobId::EMPTY),
        ApiError::Trace(TraceRefusal::ForceSize),
        ApiError::TokenLost,
    ]
}

fn snapshot() -> Snapshot {
    let program = ProgramInfo {
        id: "000001-0123456789abcdef".into(),
        md5: md5(),
        since_us: 1_700_000_000_000_000,
    };
    Snapshot {
        status: PlcStatus::Broken,
        reason: Some(text()),
        program: Some(program),
        started_at_us: Some(1),
        last_crash: Some(Crash::default()),
        router: Some(link()),
        ..Snapshot::default()
    }
}

fn hello() -> Hello {
    Hello {
        api_version: plc_api::API_VERSION,
        release: plc_api::RELEASE.into(),
        client: "pyros".into(),
        peer: "127.0.0.1:4711".into(),
        identity: "anna".into(),
        secret: Some(SecretText::new("0123456789abcdef")),
        local_user: Some(1000),
    }
}

fn greetings() -> [HelloReply; 2] {
    let welcome = Welcome {
        api_version: plc_api::API_VERSION,
        release: plc_api::RELEASE.into(),
        settings: ConnectorSettings::default(),
    };
    [HelloReply::Welcome(welcome), HelloReply::Refused(Refusal { reason: text() })]
}

fn link() -> RouterLink {
    RouterLink { reason: Some(text()), next_attempt_us: Some(1), ..RouterLink::default() }
}

fn wamp() -> WampSettings {
    let router = RouterSettings {
        url: "wss://router.example:8080/ws".into(),
        realm: "Automation".into(),
        id: "press-7".into(),
        authentication: Authentication::Cra(SecretText::new("0123456789abcdef")),
        verify: Verify::System,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 5000,
        initial_delay_ms: 1000,
        max_delay_ms: 300_000,
        source: "plc-runtime.toml".into(),
    };
    WampSettings { router: Some(router), problems: vec![text()], ..WampSettings::default() }
}
