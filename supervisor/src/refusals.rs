// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who was refused at an API socket, and what: entries in the journal, of each kind so many in each period.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plc_api::{client::CallError, message::ApiError};
use plc_journal::message_id;

use crate::{
    access::{Door, who},
    flood::Flood,
};

static REQUESTS: Entries = Entries::new();
static PEERS: Entries = Entries::new();
static SILENT_PEERS: Entries = Entries::new();
static CROWDS: Entries = Entries::new();

/// Tells of a refusal for want of rights, of a user who came through `door`. Other errors are the caller's alone.
pub(crate) fn tell(error: &ApiError, door: &str, uid: Option<u32>) {
    let ApiError::NotAllowed(reason) = error else { return };
    let Some(more) = REQUESTS.admit(Instant::now(), reason.len()) else { return };
    let who = who(uid, door);
    tracing::warn!(
        message_id = message_id::ACCESS_REFUSED,
        connector = door,
        uid,
        left_out = more.0,
        "a request of {who} was refused: {reason}{more}"
    );
}

/// Tells of a peer that was not let in.
pub(crate) fn tell_not_let_in(error: &CallError, door: Door, uid: Option<u32>) {
    let text = error.to_string();
    let Some(more) = PEERS.admit(Instant::now(), text.len()) else { return };
    let (connector, left_out) = (door.name(), more.0);
    tracing::warn!(
        error = text,
        connector,
        uid,
        left_out,
        "an API peer was not let in: {text}{more}"
    );
}

/// Tells of a peer that only connected.
pub(crate) fn tell_silent(door: Door, uid: Option<u32>) {
    let Some(more) = SILENT_PEERS.admit(Instant::now(), 0) else { return };
    let (connector, left_out) = (door.name(), more.0);
    tracing::warn!(connector, uid, left_out, "an API peer did not say hello{more}");
}

/// Tells of a peer for which there was no room.
pub(crate) fn tell_crowded(door: Door) {
    let Some(more) = CROWDS.admit(Instant::now(), 0) else { return };
    let (connector, left_out) = (door.name(), more.0);
    tracing::warn!(connector, left_out, "too many API connections; one was refused{more}");
}

/// Entries of one kind.
struct Entries(Mutex<Flood>);

impl Entries {
    const fn new() -> Self {
        Self(Mutex::new(Flood::new()))
    }

    /// Whether an entry of so many bytes may be made; then, what was left out before it.
    fn admit(&self, now: Instant, bytes: usize) -> Option<LeftOut> {
        let mut flood = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = LeftOut(flood.settle(now));
        flood.admit(now, bytes).then_some(left_out)
    }
}

/// How many entries were left out, if any were.
struct LeftOut(Option<u32>);

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => write!(f, " ({count} before it are not shown)"),
            None => Ok(()),
        }
    }
}
