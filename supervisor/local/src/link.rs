// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether there has to be a link to a WAMP router: the configuration or the program asks for one.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::opening;

/// Waits until a router is asked for; `ready` counts how often a supervisor became ready.
pub(crate) async fn asked_for(api: PathBuf, mut ready: watch::Receiver<u64>) {
    loop {
        ready.borrow_and_update();
        // Unreachable only while a supervisor starts or ends; the next one says that it is ready.
        if let Ok(client) = opening::connect(&api).await {
            let mut snapshots = client.snapshots();
            let asked = snapshots.wait_for(|snapshot| snapshot.router_asked.url.is_some()).await;
            if asked.is_ok() {
                return;
            }
        }
        if ready.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}
