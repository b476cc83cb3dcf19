// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the PLC tells unasked, and the bound on what waits to be carried out.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking"
)]

#[allow(dead_code, reason = "the tests of direct mode use more of it")]
mod ide;
#[path = "../../runner/tests/stub/mod.rs"]
mod stub;

use ide::{PATIENCE, Plc};
use plc_connector::{
    api::{
        limits::CHUNK_BYTES, message::Request, plc::PlcStatus, program::BlobId,
        wamp::DirectSettings,
    },
    call::PlcCall,
    ide::{method::Method, value::Value},
};
use plc_connector_wamp::{
    events::{Event, Events, MESSAGES_PER_SECOND},
    lanes::{Asked, Busy, Lanes, WAITING_BYTES},
};
use tokio::time::timeout;

fn plc() -> Plc {
    Plc::new(DirectSettings::default())
}

async fn next(events: &mut Events) -> Event {
    timeout(PATIENCE, events.next()).await.unwrap()
}

/// Status and reason.
async fn status(events: &mut Events) -> (Value, Value) {
    let Event { topic, arguments } = next(events).await;
    assert_eq!(topic, "status");
    let [status, reason] = arguments.try_into().unwrap();
    (status, reason)
}

/// Level, id, text.
async fn message(events: &mut Events) -> (Value, Value, Value) {
    let Event { topic, arguments } = next(events).await;
    assert_eq!(topic, "log");
    let [level, id, _time, _tick, text] = arguments.try_into().unwrap();
    (level, id, text)
}

#[tokio::test]
async fn the_status_is_told_at_first_and_when_it_changes() {
    let plc = plc();
    let mut events = Events::new(plc.supervisor());
    assert_eq!(status(&mut events).await, (Value::text("Empty"), Value::None));
    // Of no concern.
    plc.stub.publish(|snapshot| snapshot.crashes = 1);
    plc.stub.publish(|snapshot| {
        snapshot.status = PlcStatus::Broken;
        snapshot.reason = Some("signal 11".to_owned());
    });
    assert_eq!(status(&mut events).await, (Value::text("Broken"), Value::text("signal 11")));
}

#[tokio::test]
async fn only_new_messages_are_told_and_those_of_a_log_that_was_emptied_are_new() {
    let plc = plc();
    plc.stub.publish(|snapshot| snapshot.log_counts = [0, 0, 7, 0]);
    let mut events = Events::new(plc.supervisor());
    status(&mut events).await;
    let told =
        |level: u32, id: u32| (level.into(), id.into(), Value::Text(format!("message {id}")));
    plc.stub.publish(|snapshot| snapshot.log_counts = [1, 0, 9, 0]);
    // In the order of their times, which the stub makes of their ids.
    for (level, id) in [(0, 0), (2, 7), (2, 8)] {
        assert_eq!(message(&mut events).await, told(level, id));
    }
    plc.stub.publish(|snapshot| snapshot.log_counts = [0, 0, 2, 0]);
    for id in [0, 1] {
        assert_eq!(message(&mut events).await, told(2, id));
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_flood_the_rest_is_counted() {
    let plc = plc();
    let mut events = Events::new(plc.supervisor());
    status(&mut events).await;
    plc.stub.publish(|snapshot| snapshot.log_counts = [0, 3, 0, 500]);
    let (mut warnings, mut others) = (0, 0);
    let (level, id, text) = loop {
        match message(&mut events).await {
            overflow @ (_, Value::None, _) => break overflow,
            (level, ..) if level == 1.into() => warnings += 1,
            _ => others += 1,
        }
    };
    // The more serious ones come first.
    assert_eq!((warnings, others), (3, MESSAGES_PER_SECOND - 3));
    assert_eq!((level, id), (1.into(), Value::None));
    assert!(text.into_text().unwrap().starts_with("453 messages are not told"));
    // And then there is room again.
    plc.stub.publish(|snapshot| snapshot.log_counts[3] = 501);
    assert_eq!(message(&mut events).await.1, 500.into());
}

#[tokio::test]
async fn a_supervisor_that_is_away_is_told_and_that_it_is_back() {
    let mut plc = plc();
    let mut events = Events::new(plc.supervisor());
    status(&mut events).await;
    plc.stub.die().await;
    let (broken, reason) = status(&mut events).await;
    assert_eq!(broken, Value::text("Broken"));
    assert!(reason.into_text().unwrap().contains("cannot be reached"));
    plc.stub.serve();
    assert_eq!(status(&mut events).await.0, Value::text("Empty"));
}

#[tokio::test]
async fn arguments_that_wait_have_a_bound() {
    let plc = plc();
    plc.stub.hold(Request::Start);
    let (lanes, mut outcomes) = Lanes::new(plc.supervisor(), "ide".to_owned(), None);
    let submit = |ticket, method, call| lanes.submit(Asked { ticket, method, call: Ok(call) });
    let append = |ticket| {
        let call = PlcCall::AppendChunk { blob: BlobId::EMPTY, data: vec![0; CHUNK_BYTES] };
        submit(ticket, Method::AppendChunkToBlob, call)
    };
    submit(0, Method::StartPlc, PlcCall::Start).unwrap();
    let chunks = u64::try_from(WAITING_BYTES / CHUNK_BYTES).unwrap();
    // The envelopes count too.
    for ticket in 1..chunks {
        append(ticket).unwrap();
    }
    assert_eq!(append(chunks), Err(Busy));
    plc.stub.release();
    for ticket in 0..chunks {
        let finished = timeout(PATIENCE, outcomes.recv()).await.unwrap().unwrap();
        assert_eq!(finished.ticket, ticket);
    }
    append(chunks).unwrap();
}
