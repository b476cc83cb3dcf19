// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the service manager is told: ready, alive, what the PLC does, reloading, stopping.

use std::{sync::Arc, time::Duration};

use plc_api::plc::Snapshot;
use sd_notify::NotifyState;
use tokio::sync::watch;

/// The API answers.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; [`ready`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::warn!(%error, "the service manager cannot be told: {error}"),
    }
}

/// The end has begun and may take as long as `patience`, whatever the unit says.
pub(crate) fn stopping(patience: Duration) {
    let micros = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(micros)]);
}

/// Still alive; to be said by the task whose life counts.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be said; `None` if nobody asked.
#[must_use]
pub(crate) fn alive_period() -> Option<Duration> {
    let mut timeout_us = 0;
    // Three times within the time-out, so that one late turn is no death.
    sd_notify::watchdog_enabled(false, &mut timeout_us)
        .then(|| Duration::from_micros(timeout_us / 3))
}

/// Keeps the status line of `systemctl status` true, for ever.
pub(crate) async fn status(mut snapshots: watch::Receiver<Arc<Snapshot>>) {
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
        tracing::warn!(%error, "the service manager cannot be told: {error}");
    }
}
