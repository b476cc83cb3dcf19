// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver's sign of life to the service manager.

use tokio::time::{Interval, interval};

use crate::notify;

/// Tells the service manager now and then that we are alive, if it wants to know.
pub(super) struct Pulse(Option<Interval>);

impl Pulse {
    pub(super) fn begin() -> Self {
        Self(notify::alive_period().map(interval))
    }

    /// Returns each time it was told.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn due(&mut self) {
        match &mut self.0 {
            Some(interval) => {
                interval.tick().await;
                notify::alive();
            }
            None => std::future::pending().await,
        }
    }
}
