// SPDX-License-Identifier: MIT OR Apache-2.0
//! The door on the system bus: `org.plcruntime1`, described in `systemd/dbus/org.plcruntime1.Plc.xml`.
//!
//! No logic here: `plc.rs` calls the same services as the API sockets, `caller.rs` finds out who asks and
//! `access.rs` decides, `report.rs` tells what changed. A machine without a bus, and a bus that goes away, concern
//! nobody else: it is said once and tried again quietly.

mod caller;
mod error;
mod facts;
mod plc;
mod report;

use std::{sync::Arc, time::Duration};

use futures_lite::StreamExt as _;
use tokio::time::{sleep, timeout};
use zbus::{
    Connection, MatchRule, MessageStream,
    connection::Builder,
    fdo::{RequestNameFlags, RequestNameReply},
    message,
    object_server::SignalEmitter,
};

use crate::{access::Door, services::Services, sleep};
use caller::Gate;
use plc::Plc;
use report::Reporter;

/// The object.
const PATH: &str = "/org/plcruntime1";
/// The bus itself.
const BUS: &str = "org.freedesktop.DBus";
/// How long a bus may take to let us in.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between the first tries; each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Between later tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Tries before it is said that there is no bus: a bus that is just being set up is there by then.
const TRIES_UNTOLD: u32 = 4;
/// Messages that may wait for us to take them in; the bus keeps the others.
const QUEUE: usize = 16;

/// Which bus, and as whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its address.
    pub address: Address,
    /// The name to own.
    pub name: String,
}

/// Where a bus is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// The system's.
    System,
    /// In the words of the D-Bus specification, "Server Addresses".
    At(String),
}

/// Serves the bus for ever, whenever there is one.
pub(crate) async fn serve(settings: Settings, services: Arc<Services>) {
    let mut pause = FIRST_PAUSE;
    let mut tries = 0_u32;
    loop {
        match Session::open(&settings, &services).await {
            Ok(session) => {
                tracing::info!(name = settings.name, "ready on D-Bus");
                let why = session.serve().await;
                tracing::warn!(why, "D-Bus is gone; the PLC and its clients are not concerned");
                // So what follows need not be told.
                (pause, tries) = (FIRST_PAUSE, TRIES_UNTOLD);
            }
            Err(why) if tries == TRIES_UNTOLD => {
                tracing::warn!(why, "not on D-Bus; all else works, and it is tried again");
            }
            Err(why) => tracing::debug!(why, "no D-Bus yet"),
        }
        tries = tries.saturating_add(1);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// One connection to a bus, with the name.
struct Session {
    connection: Connection,
    lost: MessageStream,
    reporter: Arc<Reporter>,
    services: Arc<Services>,
}

impl Session {
    /// # Errors
    /// A sentence for people.
    async fn open(settings: &Settings, services: &Arc<Services>) -> Result<Self, String> {
        match timeout(PATIENCE, Self::connect(settings, services)).await {
            Ok(result) => result,
            Err(_) => Err("the bus does not answer".into()),
        }
    }

    async fn connect(settings: &Settings, services: &Arc<Services>) -> Result<Self, String> {
        let told = |error: zbus::Error| error.to_string();
        let reporter = Arc::new(Reporter::new(services.clone()));
        let gate = Gate::new(Door::People.group());
        let builder = match &settings.address {
            Address::System => Builder::system(),
            Address::At(address) => Builder::address(address.as_str()),
        };
        let plc = Plc::new(services.clone(), reporter.clone(), gate);
        let builder = builder.and_then(|builder| builder.serve_at(PATH, plc)).map_err(told)?;
        let connection = builder.max_queued(QUEUE).build().await.map_err(told)?;
        let lost = names_lost(&connection).await.map_err(told)?;
        let name = settings.name.as_str();
        let flags = RequestNameFlags::DoNotQueue.into();
        match connection.request_name_with_flags(name, flags).await {
            Ok(RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner) => {}
            Ok(RequestNameReply::InQueue | RequestNameReply::Exists)
            | Err(zbus::Error::NameTaken) => {
                return Err(format!("another process has the name {name}"));
            }
            Err(error) => {
                return Err(format!(
                    "the name {name} may not be had ({error}); is the bus policy installed?"
                ));
            }
        }
        Ok(Self { connection, lost, reporter, services: services.clone() })
    }

    /// Serves until the connection or the name is lost; says how that came.
    async fn serve(mut self) -> String {
        let Ok(emitter) = SignalEmitter::new(&self.connection, PATH) else {
            return "the object has no path".into();
        };
        tokio::select! {
            error = self.reporter.run(&emitter) => error.to_string(),
            why = lost(&mut self.lost) => why,
            // Only the bus's end ends it.
            () = sleep::guard(&self.connection, &self.services.driver) => "the connection ended".into(),
        }
    }
}

async fn names_lost(connection: &Connection) -> zbus::Result<MessageStream> {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(BUS)?
        .interface(BUS)?
        .member("NameLost")?
        .build();
    MessageStream::for_match_rule(rule, connection, None).await
}

async fn lost(signals: &mut MessageStream) -> String {
    match signals.next().await {
        Some(Ok(_)) => "the name was taken away".into(),
        Some(Err(error)) => error.to_string(),
        None => "the connection ended".into(),
    }
}
