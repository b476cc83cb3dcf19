// SPDX-License-Identifier: MIT OR Apache-2.0
//! What supervisor and worker say to each other: any body is one of the messages or refused, in both directions; a
//! message that was written again reads the same; and the report of a worker's end is found behind any bytes.

use plc_api::{
    log::LogLevel,
    program::ProgramMd5,
    trace::{TraceRefusal, TraceSample, TraceVariable},
};
use plc_worker_link::{
    Beat, Data, Ended, FromWorker, Hello, LINK_VERSION, LoadFailure, LoadOrder, Loaded,
    LoggedMessage, Order, Outcome, Realtime, StartFailure, ToWorker, wire,
};

use crate::api::{for_each_body, frame, seed, survives};

/// The first byte says what the frames behind it are meant to be, and whether they have headers.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let read = match mode % 4 {
        0 => survives::<ToWorker>,
        1 => survives::<FromWorker>,
        2 => survives::<Data>,
        _ => return report_is_found_behind(rest),
    };
    match mode & 0x80 {
        0 => read(rest),
        _ => {
            for_each_body(rest, read);
            let mut channel = rest;
            while wire::receive::<FromWorker>(&mut channel).is_ok() {}
        }
    }
}

fn report_is_found_behind(before: &[u8]) {
    let _ = Ended::find(before);
    let report = Ended::new("core-dump", "dumped", "SEGV");
    let channel = [before, &frame(&FromWorker::Ended(report.clone()))].concat();
    assert_eq!(Ended::find(&channel), Some(report));
}

/// A message of each kind.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    seeds.extend(orders().into_iter().map(|order| seed(0, &ToWorker { id: 7, order })));
    let outcome = |outcome| FromWorker::Outcome { id: 7, outcome };
    seeds.extend(outcomes().into_iter().map(|one| seed(1, &outcome(one))));
    seeds.extend(news().iter().map(|message| seed(1, message)));
    seeds.extend(data().iter().map(|message| seed(2, message)));
    seeds.push([vec![0x81], news().iter().flat_map(frame).collect()].concat());
    seeds.push([vec![3], news().iter().flat_map(frame).collect()].concat());
    seeds
}

fn text() -> String {
    "why, and the next step".into()
}

fn orders() -> Vec<Order> {
    let load = LoadOrder {
        program_dir: "/var/lib/plc-runtime/programs/000001-0123456789abcdef".into(),
        program_id: "000001-0123456789abcdef".into(),
        md5: ProgramMd5::new("0123456789abcdef0123456789abcdef").expect("32 digits"),
        logic_md5: ProgramMd5::new("fedcba9876543210fedcba9876543210").ok(),
        stop_timeout_ms: 5000,
        memory_max_bytes: Some(1 << 30),
        realtime: Realtime { cpus: vec![1, 2], priority: 50, ..Realtime::default() },
    };
    let variable = TraceVariable { index: 9, force: Some(vec![0x2a, 0].into()) };
    vec![
        Order::Load(Box::new(load)),
        Order::Start,
        Order::Stop,
        Order::SetTrace(vec![variable]),
        Order::PauseTrace,
        Order::ResumeTrace,
    ]
}

fn outcomes() -> Vec<Outcome> {
    vec![
        Outcome::Done,
        Outcome::Loaded(Loaded::default()),
        Outcome::LoadFailed(LoadFailure { reason: text() }),
        Outcome::Started,
        Outcome::StartFailed(StartFailure { code: -1, reason: text() }),
        Outcome::Stopped,
        Outcome::TraceRefused(TraceRefusal::Invalid),
        Outcome::Misplaced(text()),
    ]
}

fn news() -> Vec<FromWorker> {
    let hello = Hello { link_version: LINK_VERSION, release: plc_api::RELEASE.into(), pid: 4711 };
    vec![
        FromWorker::Hello(hello),
        FromWorker::Beat(Beat { tick: Some(3), ..Beat::default() }),
        FromWorker::Notice { level: LogLevel::Warning, text: text() },
        FromWorker::Dying,
        FromWorker::Ended(Ended::new("signal", "killed", "KILL")),
    ]
}

fn data() -> Vec<Data> {
    let sample = TraceSample { tick: 100, data: vec![1, 0x2a, 0] };
    let message = LoggedMessage {
        level: LogLevel::Info,
        tick: 5,
        time_us: 1_700_000_000_250_000,
        text: b"any \xff bytes".to_vec().into(),
    };
    vec![
        Data::Trace(vec![sample.clone(), sample]),
        Data::Log(vec![message]),
        Data::Trace(Vec::new()),
    ]
}
