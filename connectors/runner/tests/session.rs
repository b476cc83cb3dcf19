// SPDX-License-Identifier: MIT OR Apache-2.0
//! A session against a supervisor that answers as each test says.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

mod stub;

use std::{sync::Arc, time::Duration};

use plc_connector::{
    api::{
        key::{ApiKey, SecretText},
        limits,
        log::{LogLevel, LogMessage},
        message::{ApiError, Reply, Request},
        plc::{PlcStatus, Stats},
        program::{BlobId, ProgramInfo, ProgramMd5},
        trace::{TraceRefusal, TraceVariable},
    },
    call::{CallRefused, PlcAnswer, PlcCall, Program},
    cycle::CycleStatistics,
    session::{Session, Supervisor},
};
use stub::{Stub, obey};
use tokio::time::timeout;

const MD5: &str = "0123456789abcdef0123456789abcdef";

fn session(stub: &Stub) -> Session {
    session_with(stub, None)
}

fn session_with(stub: &Stub, key: Option<ApiKey>) -> Session {
    let supervisor = Supervisor { socket: stub.socket(), connector: "test".to_owned() };
    let peer = "192.0.2.1:4000".to_owned();
    Session::new(Arc::new(supervisor), peer, None, key)
}

fn key(id: &str) -> ApiKey {
    ApiKey { id: id.to_owned(), secret: SecretText::new("a secret of a test") }
}

fn obedient() -> Stub {
    Stub::new(|request, snapshot| {
        snapshot.log_counts = [1, 2, 3, 4];
        snapshot.program = Some(ProgramInfo {
            id: "1-x".to_owned(),
            md5: ProgramMd5::new(MD5).unwrap(),
            since_us: 0,
        });
        obey(request, snapshot)
    })
}

#[tokio::test]
async fn status_and_md5_are_answered_without_asking_and_never_older_than_the_last_reply() {
    let stub = obedient();
    let mut session = session(&stub);
    let matches = |yes| Ok(PlcAnswer::Matches(yes));
    let status = |status, counts| Ok(PlcAnswer::Status { status, counts });
    let md5 = || PlcCall::MatchMd5(MD5.to_owned());
    assert_eq!(session.execute(PlcCall::Status).await, status(PlcStatus::Empty, [0; 4]));
    assert_eq!(session.execute(md5()).await, matches(false));
    assert_eq!(session.execute(PlcCall::Start).await, Ok(PlcAnswer::Done));
    assert_eq!(session.execute(PlcCall::Status).await, status(PlcStatus::Started, [1, 2, 3, 4]));
    assert_eq!(session.execute(md5()).await, matches(true));
    assert_eq!(session.execute(PlcCall::Stop).await, Ok(PlcAnswer::Stopped(true)));
    assert_eq!(stub.requests(), [Request::Start, Request::Stop]);
}

#[tokio::test]
async fn a_view_answers_while_a_call_is_under_way_and_only_while_there_is_a_connection() {
    let mut stub = obedient();
    let mut session = session(&stub);
    let view = session.view();
    let status = || match view.answer(&PlcCall::Status) {
        Some(PlcAnswer::Status { status, .. }) => Some(status),
        None => None,
        other => panic!("{other:?}"),
    };
    assert_eq!(status(), None);
    session.execute(PlcCall::Status).await.unwrap();
    stub.hold(Request::Start);
    let looking = async {
        while stub.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(status(), Some(PlcStatus::Empty));
        assert_eq!(view.answer(&PlcCall::Stop), None);
        stub.release();
    };
    let (started, ()) = tokio::join!(session.execute(PlcCall::Start), looking);
    assert_eq!((started, status()), (Ok(PlcAnswer::Done), Some(PlcStatus::Started)));
    stub.die().await;
    let noticed = async {
        while status().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(60), noticed).await.unwrap();
}

#[tokio::test]
async fn the_supervisor_learns_for_whom_a_session_speaks() {
    let stub = obedient();
    let mut session = session_with(&stub, Some(key("somebody")));
    assert!(stub.hellos().is_empty(), "connected before the first call");
    session.execute(PlcCall::Status).await.unwrap();
    session.execute(PlcCall::Status).await.unwrap();
    let [hello] = stub.hellos().try_into().unwrap();
    assert_eq!((hello.client, hello.peer), ("test".into(), "192.0.2.1:4000".into()));
    assert_eq!(hello.identity, "somebody");
}

#[tokio::test]
async fn a_stop_that_leaves_the_plc_broken_is_answered_no() {
    let stub = Stub::new(|_, snapshot| {
        snapshot.status = PlcStatus::Broken;
        Ok(Reply::Done)
    });
    let answer = session(&stub).execute(PlcCall::Stop).await;
    assert_eq!(answer, Ok(PlcAnswer::Stopped(false)));
}

#[tokio::test]
async fn only_the_very_message_that_was_asked_for_is_an_answer() {
    let message =
        |id| LogMessage { level: LogLevel::Info, id, tick: 0, time_us: 0, text: String::new() };
    // Messages 0 to 6 are gone.
    let stub = Stub::new(move |request, _| {
        let &Request::ReadLog { from, .. } = request else {
            panic!("{request:?}");
        };
        Ok(Reply::Log((from..10).filter(|id| *id > 6).map(message).take(1).collect()))
    });
    let mut session = session(&stub);
    for (level, id, found) in [(2, 7, Some(7)), (2, 6, None), (2, 10, None), (4, 7, None)] {
        let answer = session.execute(PlcCall::LogMessage { level, id }).await;
        assert_eq!(answer, Ok(PlcAnswer::LogMessage(found.map(message))), "{id}");
    }
}

#[tokio::test]
async fn the_cycle_s_share_is_shown_and_nothing_when_nobody_can_be_asked() {
    let stub = Stub::new(|request, snapshot| {
        assert_eq!(*request, Request::Stats);
        snapshot.status = PlcStatus::Started;
        let stats = Stats { period_ns: 20_000_000, cycle_run_ns: 800_000, ..Stats::default() };
        Ok(Reply::Stats(Box::new(stats)))
    });
    let shown = |answer| match answer {
        Ok(PlcAnswer::Cycle(CycleStatistics { text, time_us })) => (text, time_us > 0),
        other => panic!("{other:?}"),
    };
    let answer = session(&stub).execute(PlcCall::CycleStatistics).await;
    assert_eq!(shown(answer), ("PLC Cycle: 4% of 20ms".to_owned(), true));
    let refusing = Stub::new(|_, _| Err(ApiError::Refused("no".to_owned())));
    let answer = session(&refusing).execute(PlcCall::CycleStatistics).await;
    assert_eq!(shown(answer), (String::new(), false));
}

#[tokio::test]
async fn the_versions_are_the_one_extended_call() {
    let stub = obedient();
    let mut session = session(&stub);
    let call = |name: &str| PlcCall::ExtendedCall { method: name.to_owned(), argument: Vec::new() };
    let Ok(PlcAnswer::Extended(versions)) = session.execute(call("GetVersions")).await else {
        panic!("no versions");
    };
    let versions = String::from_utf8(versions).unwrap();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    assert!(versions.starts_with(&format!("Linux {}, ", kernel.trim())), "{versions}");
    assert!(versions.len() < 128, "{versions}");
    assert!(versions.chars().all(|c| c.is_ascii_graphic() || c == ' '), "{versions}");
    for name in ["", "getversions", "nope"] {
        let refused = session.execute(call(name)).await;
        assert!(matches!(refused, Err(CallRefused::NotOffered(_))), "{name}: {refused:?}");
    }
    assert!(stub.requests().is_empty(), "nobody needs to be asked");
}

#[tokio::test]
async fn what_is_wrong_by_itself_is_refused_before_the_supervisor_is_asked() {
    let stub = obedient();
    let mut session = session(&stub);
    let program = |md5: &str, names: &[&str]| {
        let file = |name: &&str| ((*name).to_owned(), BlobId::EMPTY);
        PlcCall::Install(Program {
            md5: md5.to_owned(),
            library: BlobId::EMPTY,
            extra_files: names.iter().map(file).collect(),
        })
    };
    let chunk =
        PlcCall::AppendChunk { blob: BlobId::EMPTY, data: vec![0; limits::CHUNK_BYTES + 1] };
    for call in [
        program("../etc", &[]),
        program(MD5, &["../x"]),
        program(MD5, &["a", "retain_buffer_file"]),
        program(MD5, &["a"; limits::EXTRA_FILES + 1]),
        PlcCall::SeedBlob(vec![0; limits::SEED_BYTES + 1]),
        chunk,
    ] {
        let refused = session.execute(call).await;
        assert!(matches!(refused, Err(CallRefused::BadRequest(_))), "{refused:?}");
    }
    let variable = |length| TraceVariable { index: 1, force: Some(vec![0; length].into()) };
    let cases = [
        (vec![variable(1); limits::TRACE_VARIABLES + 1], TraceRefusal::TooManyTraced),
        (vec![variable(limits::FORCE_BYTES + 1)], TraceRefusal::ForceSize),
    ];
    for (list, refusal) in cases {
        let refused = session.execute(PlcCall::SetTrace(list)).await;
        assert_eq!(refused, Err(CallRefused::Trace(refusal)));
    }
    assert_eq!(stub.requests(), []);
}

#[tokio::test]
async fn the_supervisor_s_reasons_come_through() {
    let stub = Stub::new(|request, _| {
        Err(match request {
            Request::Start => ApiError::Refused("no program".into()),
            Request::Repair => ApiError::Failed("disk full".into()),
            _ => ApiError::UnknownBlob(BlobId::EMPTY),
        })
    });
    let mut session = session(&stub);
    let refused = session.execute(PlcCall::Start).await;
    assert_eq!(refused, Err(CallRefused::Refused("no program".into())));
    let failed = session.execute(PlcCall::Repair).await;
    assert_eq!(failed, Err(CallRefused::Failed("disk full".into())));
    let unknown = session.execute(PlcCall::PurgeBlobs).await;
    assert_eq!(unknown, Err(CallRefused::UnknownBlob));
}

#[tokio::test]
async fn a_reply_of_the_wrong_kind_ends_that_connection_and_not_the_session() {
    let stub = Stub::new(|_, _| Ok(Reply::Token(1)));
    let mut session = session(&stub);
    let refused = session.execute(PlcCall::Start).await;
    assert!(matches!(refused, Err(CallRefused::Unreachable(_))), "{refused:?}");
    assert!(session.execute(PlcCall::Status).await.is_ok());
    assert_eq!(stub.hellos().len(), 2);
}

#[tokio::test]
async fn a_session_outlives_the_supervisor_and_works_again_when_it_is_back() {
    let mut stub = obedient();
    let mut session = session(&stub);
    session.execute(PlcCall::Status).await.unwrap();
    stub.die().await;
    until(&mut session, is_broken).await;
    let refused = session.execute(PlcCall::Start).await;
    assert!(matches!(refused, Err(CallRefused::Unreachable(_))), "{refused:?}");
    stub.serve();
    until(&mut session, |answer| !is_broken(answer)).await;
    assert_eq!(session.execute(PlcCall::Start).await, Ok(PlcAnswer::Done));
}

/// What the status is said to be while nobody knows it.
fn is_broken(answer: &Result<PlcAnswer, CallRefused>) -> bool {
    matches!(answer, Ok(PlcAnswer::Status { status: PlcStatus::Broken, .. }))
}

/// Asks for the status until the answer is as wanted.
async fn until(session: &mut Session, wanted: impl Fn(&Result<PlcAnswer, CallRefused>) -> bool) {
    let asking = async {
        while !wanted(&session.execute(PlcCall::Status).await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), asking).await.unwrap();
}

#[tokio::test]
async fn who_has_a_key_is_told_that_one_and_nobody_is_asked() {
    let stub = obedient();
    let mut session = session_with(&stub, Some(key("anna")));
    let told = session.execute(PlcCall::Identity).await;
    assert_eq!(told, Ok(PlcAnswer::Identity(key("anna"))));
    assert!(stub.requests().is_empty() && stub.hellos().is_empty());
    session.execute(PlcCall::Start).await.unwrap();
    let hello = stub.hellos().remove(0);
    assert_eq!((hello.identity.as_str(), hello.secret), ("anna", Some(key("anna").secret)));
}

#[tokio::test]
async fn who_has_none_is_told_the_device_s_or_that_there_is_nothing_to_tell() {
    let open = Stub::new(|request, _| {
        assert_eq!(*request, Request::DeviceKey);
        Ok(Reply::Key(key("plc-x")))
    });
    let told = session(&open).execute(PlcCall::Identity).await;
    assert_eq!(told, Ok(PlcAnswer::Identity(key("plc-x"))));
    let closed = Stub::new(|_, _| Err(ApiError::NotAllowed("pairing is not open".to_owned())));
    let told = session(&closed).execute(PlcCall::Identity).await;
    assert_eq!(told, Err(CallRefused::NoIdentity));
}

#[tokio::test]
async fn a_key_is_lost_when_the_supervisor_refuses_it_and_not_when_that_is_away() {
    let mut stub = obedient();
    let mut session = session_with(&stub, Some(key("anna")));
    stub.die().await;
    stub.serve();
    assert_eq!(session.execute(PlcCall::Start).await, Ok(PlcAnswer::Done));
    stub.die().await;
    let back = async {
        stub.serve();
        // It has come again by itself.
        while stub.hellos().len() < 2 {
            tokio::task::yield_now().await;
        }
        stub.refuse("it was revoked").await;
    };
    let (reason, ()) = tokio::join!(session.revoked(), back);
    assert_eq!(reason, "it was revoked");
    // Without a key there is none to lose.
    let mut keyless = self::session(&stub);
    let never = timeout(Duration::from_millis(50), keyless.revoked()).await;
    assert!(never.is_err());
}
