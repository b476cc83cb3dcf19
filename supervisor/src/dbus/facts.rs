// SPDX-License-Identifier: MIT OR Apache-2.0
//! The properties as values of the snapshot: each is read when it is asked for, and told when it changes.

use plc_api::plc::{ConnectionInfo, Snapshot};
use zbus::zvariant::Value;

/// One connected client: program, peer, identity.
pub(super) type Connected = (String, String, String);

pub(super) fn status(now: &Snapshot) -> String {
    now.status.as_str().to_owned()
}

pub(super) fn status_reason(now: &Snapshot) -> String {
    now.reason.clone().unwrap_or_default()
}

pub(super) fn program_id(now: &Snapshot) -> String {
    now.program.as_ref().map(|program| program.id.clone()).unwrap_or_default()
}

pub(super) fn program_md5(now: &Snapshot) -> String {
    now.program.as_ref().map(|program| program.md5.to_string()).unwrap_or_default()
}

pub(super) fn program_since(now: &Snapshot) -> u64 {
    now.program.as_ref().map_or(0, |program| program.since_us)
}

pub(super) fn started_at(now: &Snapshot) -> u64 {
    now.started_at_us.unwrap_or(0)
}

pub(super) fn worker_pid(now: &Snapshot) -> u32 {
    now.worker_pid.unwrap_or(0)
}

pub(super) fn pairing_until(now: &Snapshot) -> u64 {
    now.pairing_until_us.unwrap_or(0)
}

pub(super) fn connections(list: Vec<ConnectionInfo>) -> Vec<Connected> {
    list.into_iter().map(|one| (one.connector, one.peer, one.identity)).collect()
}

/// Every property that is told when it changes.
pub(super) fn all(
    now: &Snapshot,
    list: Vec<ConnectionInfo>,
) -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("Status", status(now).into()),
        ("StatusReason", status_reason(now).into()),
        ("ProgramId", program_id(now).into()),
        ("ProgramMd5", program_md5(now).into()),
        ("ProgramSince", program_since(now).into()),
        ("StartedAt", started_at(now).into()),
        ("WorkerPid", worker_pid(now).into()),
        ("Crashes", now.crashes.into()),
        ("Connections", connections(list).into()),
        ("PairingUntil", pairing_until(now).into()),
    ]
}
