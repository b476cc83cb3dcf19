// SPDX-License-Identifier: MIT OR Apache-2.0
//! The snapshot that everybody reads without waiting.

use std::sync::Arc;

use plc_api::{log::LogCounts, plc::Snapshot};
use tokio::sync::watch;

/// The one published snapshot; clones publish the same.
#[derive(Clone, Debug)]
pub struct Published(Arc<watch::Sender<Arc<Snapshot>>>);

impl Published {
    /// Begins with this snapshot.
    #[must_use]
    pub fn new(first: Snapshot) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(first))))
    }

    /// The snapshot now.
    #[must_use]
    pub fn get(&self) -> Arc<Snapshot> {
        self.0.borrow().clone()
    }

    /// Sees every later one; a slow reader sees the latest.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.0.subscribe()
    }

    /// Changes it; nobody is woken if nothing came of it.
    pub fn update(&self, change: impl FnOnce(&mut Snapshot)) {
        self.0.send_if_modified(|current| {
            let mut next = Snapshot::clone(current);
            change(&mut next);
            if next == **current {
                return false;
            }
            next.revision = current.revision + 1;
            *current = Arc::new(next);
            true
        });
    }

    /// The log has grown or was emptied.
    pub fn log_counts(&self, counts: LogCounts) {
        self.update(|snapshot| snapshot.log_counts = counts);
    }
}
