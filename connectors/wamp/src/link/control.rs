// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link's own word with the supervisor: what to join, and how that goes.

use std::{convert::Infallible, io, time::Duration};

use plc_connector::{
    api::{
        client::{CallError, Client},
        limits,
        message::{Reply, Request},
        wamp::{RouterLink, WampSettings},
    },
    limited,
    serve::Chain,
    session::Supervisor,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::debug;

/// Pause before the supervisor is looked for again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// How long it may take to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Keeps `settings` as they are in the configuration, and tells each change of `link`. While the supervisor is away the
/// last settings stay.
pub(super) async fn follow(
    supervisor: &Supervisor,
    settings: &watch::Sender<Option<WampSettings>>,
    mut link: watch::Receiver<RouterLink>,
) -> Infallible {
    loop {
        let Err(error) = conversation(supervisor, settings, &mut link).await;
        if let CallError::Lost(error) = &error {
            debug!(%error, "the supervisor is away");
        } else {
            let error = Chain(&error);
            limited!(
                warn,
                "the runtime cannot be asked for the router's settings: {error}; it is asked again"
            );
        }
        sleep(RETRY_PAUSE).await;
    }
}

async fn conversation(
    Supervisor { socket, connector }: &Supervisor,
    settings: &watch::Sender<Option<WampSettings>>,
    link: &mut watch::Receiver<RouterLink>,
) -> Result<Infallible, CallError> {
    let connected = Client::connect(socket, connector, "the link to the router", None);
    let client = timeout(limits::HELLO_DEADLINE, connected).await.map_err(|_| silent())??;
    let mut snapshots = client.snapshots();
    let mut known = None;
    // A supervisor that is new, or was away, has to be told what is known.
    if settings.borrow().is_some() {
        link.mark_changed();
    }
    loop {
        let revision = snapshots.borrow_and_update().settings_revision;
        if known != Some(revision) {
            if let Reply::Wamp(new) = ask(&client, Request::WampSettings).await? {
                settings.send_if_modified(|old| {
                    let new = Some(*new);
                    let differs = *old != new;
                    *old = new;
                    differs
                });
            }
            known = Some(revision);
        }
        tokio::select! {
            changed = snapshots.changed() => changed.map_err(|_| gone())?,
            // The sender is the link itself, which outlives this.
            _ = link.changed() => {
                let report = link.borrow_and_update().clone();
                ask(&client, Request::ReportRouter(Box::new(report))).await?;
            }
        }
    }
}

async fn ask(client: &Client, request: Request) -> Result<Reply, CallError> {
    timeout(ANSWER_DEADLINE, client.call(request)).await.map_err(|_| silent())?
}

fn silent() -> CallError {
    CallError::Lost(io::ErrorKind::TimedOut.into())
}

fn gone() -> CallError {
    CallError::Lost(io::ErrorKind::ConnectionAborted.into())
}
