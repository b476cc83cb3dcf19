// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who asked for what is not theirs to ask for: an entry in the journal, so many of them in each period.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use plc_api::message::ApiError;
use plc_journal::message_id;

use crate::{access::who, flood::Flood};

static REFUSALS: Mutex<Flood> = Mutex::new(Flood::new());

/// Tells of a refusal for want of rights, of a user who came through `door`. Other errors are the caller's alone.
pub(crate) fn tell(error: &ApiError, door: &str, uid: Option<u32>) {
    let ApiError::NotAllowed(reason) = error else { return };
    let now = Instant::now();
    let mut flood = REFUSALS.lock().unwrap_or_else(PoisonError::into_inner);
    let left_out = flood.settle(now);
    if !flood.admit(now, reason.len()) {
        return;
    }
    let who = who(uid, door);
    let more = left_out.map(|n| format!(" ({n} before it are not shown)")).unwrap_or_default();
    tracing::warn!(
        message_id = message_id::ACCESS_REFUSED,
        connector = door,
        uid,
        left_out,
        "a request of {who} was refused: {reason}{more}"
    );
}
