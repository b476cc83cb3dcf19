// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service manager is told: ready, what the PLC does, stopping.

use std::sync::Arc;

use plc_api::plc::Snapshot;
use sd_notify::NotifyState;
use tokio::sync::watch;

/// The API answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Keeps the status line of `systemctl status` true, for ever.
pub async fn status(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let mut told = String::new();
    loop {
        let line = line(&snapshots.borrow_and_update());
        if line != told {
            tell(&[NotifyState::Status(&line)]);
            told = line;
        }
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

fn line(snapshot: &Snapshot) -> String {
    let program = snapshot.program.as_ref().map_or("no program", |program| program.id.as_str());
    match &snapshot.reason {
        Some(reason) => format!("PLC {} ({program}): {reason}", snapshot.status),
        None => format!("PLC {} ({program})", snapshot.status),
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell; `notify` then does nothing and says so with Ok.
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
