// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told of the link: to the supervisor by a watched value, to the log line by line.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plc_connector::{
    api::wamp::{LinkState, RouterLink, RouterSettings},
    limited,
};
use tokio::sync::watch;

use crate::procedure::Procedure;

/// The link as others see it.
#[derive(Debug)]
pub(super) struct Report(watch::Sender<RouterLink>);

impl Report {
    pub(super) fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<RouterLink> {
        self.0.subscribe()
    }

    /// There is no router; perhaps for a reason.
    pub(super) fn off(&self, reason: Option<String>) {
        let link = RouterLink { reason, ..RouterLink::default() };
        self.change(|old| *old = RouterLink { since_us: old.since_us, ..link }, LinkState::Off);
    }

    /// An attempt begins.
    pub(super) fn connecting(&self, settings: &RouterSettings) {
        let link = RouterLink {
            url: settings.url.clone(),
            realm: settings.realm.clone(),
            id: settings.id.clone(),
            source: settings.source.clone(),
            authentication: settings.authentication.method().to_owned(),
            procedures: u32::try_from(Procedure::COUNT).unwrap_or(u32::MAX),
            ..RouterLink::default()
        };
        self.change(
            // What went wrong last stays until this attempt has a result.
            |old| *old = RouterLink { reason: old.reason.take(), since_us: old.since_us, ..link },
            LinkState::Connecting,
        );
    }

    /// The connection is there.
    pub(super) fn joining(&self, certificate: Option<String>) {
        self.change(|link| link.certificate = certificate, LinkState::Joining);
    }

    /// The router has let us in.
    pub(super) fn joined(&self) {
        self.change(|link| link.reason = None, LinkState::Registering);
    }

    /// So many procedures are registered, and there may be a reason why there are not more.
    pub(super) fn registered(&self, count: usize, trouble: Option<String>) {
        let all = count == Procedure::COUNT;
        let state = if all { LinkState::Ready } else { LinkState::Registering };
        self.change(
            |link| {
                link.registrations = u32::try_from(count).unwrap_or(u32::MAX);
                link.reason = trouble;
            },
            state,
        );
    }

    /// The attempt failed or the link was lost; the next attempt is after this pause.
    pub(super) fn waiting(&self, reason: String, pause: Duration) {
        self.change(
            |link| {
                link.registrations = 0;
                link.certificate = None;
                link.reason = Some(reason);
                link.next_attempt_us = Some(now_us().saturating_add(micros(pause)));
            },
            LinkState::Waiting,
        );
    }

    fn change(&self, change: impl FnOnce(&mut RouterLink), state: LinkState) {
        self.0.send_modify(|link| {
            let (state_before, reason_before) = (link.state, link.reason.clone());
            change(link);
            link.state = state;
            if state != state_before || link.since_us == 0 {
                link.since_us = now_us();
            }
            if state != state_before || link.reason != reason_before {
                log(link);
            }
        });
    }
}

/// What a person wants to find in the journal: when IDEs could call, and since when and why not.
fn log(link: &RouterLink) {
    let RouterLink { url, realm, id, .. } = link;
    match (link.state, &link.reason) {
        (LinkState::Ready, _) => {
            limited!(
                info,
                url,
                realm,
                "IDEs reach this PLC as \"{id}\" in realm \"{realm}\" of {url}"
            );
        }
        (LinkState::Waiting, Some(reason)) => {
            limited!(warn, url, realm, "no link to {url}: {reason}")
        }
        (LinkState::Registering, Some(reason)) => limited!(warn, url, realm, "{url}: {reason}"),
        (LinkState::Off, Some(reason)) => limited!(warn, "no router: {reason}"),
        (state, _) => tracing::debug!(url, realm, "the link is {}", state.as_str()),
    }
}

fn now_us() -> u64 {
    micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
