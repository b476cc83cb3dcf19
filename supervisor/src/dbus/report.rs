// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tells on the bus what changed: log messages first, then the crash, then the status that follows from it.

use std::{borrow::Cow, collections::HashMap, sync::Arc, time::Duration};

use plc_api::{
    log::{LogCounts, LogLevel, LogMessage},
    plc::Snapshot,
};
use tokio::sync::Mutex;
use zbus::{
    fdo::Properties,
    names::InterfaceName,
    object_server::{Interface as _, SignalEmitter},
    zvariant::Value,
};

use super::{facts, plc::Plc};
use crate::services::Services;

/// Least time between two reports of changes that nobody called for, so that a talkative program or a flood of
/// connections does not flood the bus.
const PAUSE: Duration = Duration::from_millis(50);
/// Log messages of a level in one report; the newest are told, and the log has the others.
const MESSAGES: u32 = 16;

/// What was told, and to be told next.
#[derive(Debug)]
pub(super) struct Reporter {
    services: Arc<Services>,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    snapshot: Arc<Snapshot>,
    facts: Vec<(&'static str, Value<'static>)>,
    log: LogCounts,
}

impl Reporter {
    /// A reporter for whom all that is now is known.
    pub(super) fn new(services: Arc<Services>) -> Self {
        let snapshot = services.now();
        let facts = facts::all(&snapshot, services.connections.list());
        let log = services.sinks.journal.counts();
        Self { services, told: Mutex::new(Told { snapshot, facts, log }) }
    }

    /// Reports every change until the bus is gone.
    pub(super) async fn run(&self, emitter: &SignalEmitter<'_>) -> zbus::Error {
        let mut snapshots = self.services.sinks.published.subscribe();
        let mut connections = self.services.connections.subscribe();
        loop {
            if let Err(error) = self.report(emitter).await {
                return error;
            }
            tokio::time::sleep(PAUSE).await;
            let changed = tokio::select! {
                changed = snapshots.changed() => changed,
                changed = connections.changed() => changed,
            };
            if changed.is_err() {
                // The supervisor is ending.
                return zbus::Error::Failure("nothing is published any more".into());
            }
        }
    }

    /// Tells what changed since the last time. A method calls this before it is answered.
    pub(super) async fn report(&self, emitter: &SignalEmitter<'_>) -> zbus::Result<()> {
        let mut told = self.told.lock().await;
        let now = self.services.now();
        for message in self.new_messages(&mut told) {
            let LogMessage { level, id, tick, time_us, text } = message;
            Plc::log_message(emitter, level.number(), id, time_us, tick, &text).await?;
        }
        let before = std::mem::replace(&mut told.snapshot, now.clone());
        if let Some(crash) = now.last_crash.as_ref().filter(|_| now.last_crash != before.last_crash)
        {
            Plc::crashed(emitter, &crash.reason, &crash.core).await?;
        }
        if (now.status, &now.reason) != (before.status, &before.reason) {
            let (status, reason) = (facts::status(&now), facts::status_reason(&now));
            Plc::status_is(emitter, &status, &reason).await?;
        }
        let facts = facts::all(&now, self.services.connections.list());
        let mut changed: HashMap<&str, Value<'_>> = HashMap::new();
        for ((name, value), (_, before)) in facts.iter().zip(&told.facts) {
            if value != before {
                changed.insert(name, value.try_clone()?);
            }
        }
        if !changed.is_empty() {
            let interface: InterfaceName<'_> = Plc::name();
            Properties::properties_changed(emitter, interface, changed, Cow::Borrowed(&[])).await?;
        }
        told.facts = facts;
        Ok(())
    }

    /// The log messages since the last time, the newest of them if they are many.
    fn new_messages(&self, told: &mut Told) -> Vec<LogMessage> {
        let journal = &self.services.sinks.journal;
        let counts = journal.counts();
        let mut new = Vec::new();
        for ((level, count), told) in LogLevel::ALL.into_iter().zip(counts).zip(&mut told.log) {
            // A count that went down was reset.
            let from = if count < *told { 0 } else { *told };
            if count != *told {
                new.extend(journal.read(level, from.max(count.saturating_sub(MESSAGES)), MESSAGES));
            }
            *told = count;
        }
        new.sort_by_key(|message| message.time_us);
        new
    }
}
