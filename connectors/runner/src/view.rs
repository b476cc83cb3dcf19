// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of the PLC without asking: the newest snapshot, whoever wants to look.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plc_api::{log::LogCounts, plc::Snapshot};
use tokio::sync::watch;

use crate::call::{PlcAnswer, PlcCall};

/// The snapshots of a [`Session`](crate::session::Session), also while one of its calls is under way. Clones show the
/// same.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Of the session's newest connection, kept when that has ended.
    snapshots: Arc<Mutex<Option<watch::Receiver<Arc<Snapshot>>>>>,
}

impl View {
    /// The answer to a call that needs nobody but the newest snapshot; `None` if the call needs more, or if the session
    /// is not connected now and has to be asked for that reason.
    ///
    /// Never older than the last reply that the session has received.
    #[must_use]
    pub fn answer(&self, call: &PlcCall) -> Option<PlcAnswer> {
        let guard = self.lock();
        let snapshots = guard.as_ref().filter(|snapshots| is_live(snapshots))?;
        let snapshot = snapshots.borrow();
        match call {
            PlcCall::Status => Some(status(&snapshot)),
            PlcCall::MatchMd5(text) => Some(matches(&snapshot, text)),
            PlcCall::Identity
            | PlcCall::CycleStatistics
            | PlcCall::LogMessage { .. }
            | PlcCall::ResetLog
            | PlcCall::PurgeBlobs
            | PlcCall::SeedBlob(_)
            | PlcCall::AppendChunk { .. }
            | PlcCall::Install(_)
            | PlcCall::InstallFiles(_)
            | PlcCall::Start
            | PlcCall::Stop
            | PlcCall::Repair
            | PlcCall::SetTrace(_)
            | PlcCall::ReadTrace { .. }
            | PlcCall::ExtendedCall { .. }
            | PlcCall::RemoteExec => None,
        }
    }

    /// The counts that were seen last; what is said of the log while nobody can be asked.
    pub(crate) fn last_counts(&self) -> LogCounts {
        self.lock().as_ref().map_or([0; 4], |snapshots| snapshots.borrow().log_counts)
    }

    pub(crate) fn look_at(&self, snapshots: watch::Receiver<Arc<Snapshot>>) {
        *self.lock() = Some(snapshots);
    }

    fn lock(&self) -> MutexGuard<'_, Option<watch::Receiver<Arc<Snapshot>>>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the connection of these snapshots is still there.
pub(crate) fn is_live(snapshots: &watch::Receiver<Arc<Snapshot>>) -> bool {
    snapshots.has_changed().is_ok()
}

/// State and log counts.
pub(crate) fn status(snapshot: &Snapshot) -> PlcAnswer {
    PlcAnswer::Status { status: snapshot.status, counts: snapshot.log_counts }
}

/// Whether this is the md5 text of the installed program.
pub(crate) fn matches(snapshot: &Snapshot, md5: &str) -> PlcAnswer {
    let installed = snapshot.program.as_ref();
    PlcAnswer::Matches(installed.is_some_and(|program| program.md5.as_str() == md5))
}
