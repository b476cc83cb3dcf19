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
    let line = match &snapshot.reason {
        Some(reason) => format!("PLC {} ({program}): {reason}", snapshot.status),
        None => format!("PLC {} ({program})", snapshot.status),
    };
    // A line break ends the status and begins another message to the service manager, and a reason may quote the
    // program's own words.
    line.replace(char::is_control, " ")
}

fn tell(state: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell; `notify` then does nothing and says so with Ok.
    if let Err(error) = sd_notify::notify(false, state) {
        tracing::warn!(%error, "the service manager cannot be told: {error}");
    }
}

#[cfg(test)]
mod tests {
    use plc_api::plc::PlcStatus;

    use super::*;

    #[test]
    fn a_reason_with_line_breaks_is_one_line_and_no_other_message() {
        let snapshot = Snapshot {
            status: PlcStatus::Broken,
            reason: Some("undefined symbol: a\nWATCHDOG=trigger\r\0STOPPING=1\u{85}b".into()),
            ..Snapshot::default()
        };
        assert_eq!(
            line(&snapshot),
            "PLC Broken (no program): undefined symbol: a WATCHDOG=trigger  STOPPING=1 b"
        );
    }
}
