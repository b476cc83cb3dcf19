// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key files, read without holding up anybody but who has to show a key.

use std::{path::PathBuf, sync::Arc, time::Duration};

use plc_keys::{KeyFiles, KeySet};
use tokio::{sync::Mutex, task::spawn_blocking, time::timeout};

/// How long a peer waits for the disk.
const DISK_DEADLINE: Duration = Duration::from_secs(10);

/// Key files of some directories. Clones read the same.
#[derive(Clone, Debug)]
pub struct Keys(Arc<Mutex<KeyFiles>>);

impl Keys {
    /// The key files in these directories; in which order they count says [`KeyFiles::new`].
    #[must_use]
    pub fn new(dirs: Vec<PathBuf>) -> Self {
        Self(Arc::new(Mutex::new(KeyFiles::new(dirs))))
    }

    /// The keys as they are now; `None` if the disk does not tell in time. At most one thread waits for it, so that a
    /// disk that stalls does not use up all there are.
    pub(super) async fn current(&self) -> Option<Arc<KeySet>> {
        let reading = async {
            let files = self.0.clone().lock_owned().await;
            spawn_blocking(move || files.current()).await.ok()
        };
        timeout(DISK_DEADLINE, reading).await.ok().flatten()
    }
}
