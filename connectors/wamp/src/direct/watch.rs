// SPDX-License-Identifier: MIT OR Apache-2.0
//! The settings that a peer came in by, and whether they still let it in.

use std::time::Duration;

use plc_connector::api::{client::CallError, wamp::DirectSettings};
use tokio::time::sleep;

use crate::lanes::{Reader, Snapshots};

/// Pause after the supervisor could not be reached.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The settings as they are, and what tells of others.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) settings: DirectSettings,
    reader: Reader,
    snapshots: Option<Snapshots>,
    revision: u64,
}

impl Watch {
    /// Asks for the settings.
    pub(super) async fn begin(reader: Reader) -> Result<Self, CallError> {
        // First, so that no change falls between the two.
        let mut snapshots = reader.snapshots().await.ok();
        let revision = snapshots.as_mut().map_or(0, revision);
        let settings = reader.settings().await?.direct;
        Ok(Self { settings, reader, snapshots, revision })
    }

    /// For a peer that came in by these settings and has another connection now.
    pub(super) const fn of(settings: DirectSettings, reader: Reader) -> Self {
        Self { settings, reader, snapshots: None, revision: 0 }
    }

    /// Waits until the peer, who came in by these settings, has to leave; why. A supervisor that is away is waited for.
    pub(super) async fn over(mut self) -> String {
        loop {
            if let Some(mut snapshots) = self.snapshots.take() {
                while snapshots.changed().await.is_ok() && revision(&mut snapshots) == self.revision
                {
                }
            }
            match Self::begin(self.reader.clone()).await {
                Ok(now) if now.settings == self.settings => self = now,
                Ok(_) => {
                    return "the settings of this port have changed; connect again".to_owned();
                }
                Err(CallError::Refused(refusal)) => return refusal.reason,
                Err(CallError::Api(_) | CallError::Lost(_) | CallError::Malformed(_)) => {
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

fn revision(snapshots: &mut Snapshots) -> u64 {
    snapshots.borrow_and_update().settings_revision
}
