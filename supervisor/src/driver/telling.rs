// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the driver lets others know: the snapshot, the PLC log, the journal.

use std::time::SystemTime;

use plc_api::log::LogLevel;

use super::Driver;
use crate::{journal, note, state::Effect, wamp::Wamp};

impl Driver {
    pub(super) fn note(&self, level: LogLevel, text: &str) {
        self.sinks.journal.own(level, text);
        self.sinks.published.log_counts(self.sinks.journal.counts());
    }

    pub(super) fn mark_start(&self) {
        let started_at = self.machine.is_started().then(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
        });
        self.sinks.published.update(|snapshot| snapshot.started_at_us = started_at);
    }

    pub(super) fn publish(&self) {
        let machine = &self.machine;
        // First: who sees another program in the snapshot finds the trace list gone.
        super::lock(&self.sinks.trace)
            .program_is(machine.program().map(|program| program.id.as_str()));
        self.sinks.published.update(|snapshot| {
            snapshot.status = machine.status();
            machine.phase().clone_into(&mut snapshot.phase);
            snapshot.reason = machine.reason().map(str::to_owned);
            snapshot.program = machine.program().cloned();
            snapshot.crashes = machine.crashes();
            snapshot.wish = machine.wish();
            snapshot.autostart = self.means.config.autostart;
            snapshot.upgrade_waits = machine.upgrade_waits();
            snapshot.log_counts = self.sinks.journal.counts();
        });
    }

    /// Lets those who read the installed program's files know when it is another one.
    pub(super) async fn tell_program(&mut self) {
        let installed = self.machine.program();
        let id = installed.map(|program| program.id.clone());
        if id != self.told_program {
            let dir = installed.map(|program| self.store.program_dir(program));
            self.told_program = id;
            self.tell_wamp(move |wamp| wamp.program_is(dir.as_deref())).await;
        }
    }

    pub(super) async fn tell_wamp(&self, tell: impl FnOnce(&Wamp) + Send + 'static) {
        let wamp = self.means.wamp.clone();
        let told = self.on_disk(move |_| {
            tell(&wamp);
            Ok(())
        });
        if let Err(error) = told.await {
            tracing::error!(%error, "the settings of WAMP are as they were: {error}");
        }
    }

    /// Should we die, the supervisor that follows finds the PLC as it is meant to be.
    pub(super) async fn keep_carry(&mut self) {
        let wish = self.machine.wish();
        let Some(carry) = self.machine.carry() else {
            return;
        };
        let kept = Some((carry.clone(), wish));
        if self.kept != kept {
            self.kept = kept;
            let run_dir = self.means.run_dir.clone();
            let done = self.on_disk(move |store| note::keep(&run_dir, carry, store.wish()));
            if let Err(error) = done.await {
                tracing::warn!(%error, "a supervisor that follows this one's crash goes by the wish: {error}");
            }
        }
    }

    pub(super) fn tell_crashes(&self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Crashed(reason) = effect {
                let facts = self.witness.facts(reason, &self.sinks.journal);
                self.sinks.journal.crash(&facts);
                let crash = facts.published();
                self.sinks.published.update(|snapshot| snapshot.last_crash = Some(crash));
            }
        }
    }

    /// One line for each change, after the lines that say why.
    pub(super) fn tell_phase(&self, before: &str) {
        let machine = &self.machine;
        if before != machine.phase() {
            // What is being loaded is not the installed program yet.
            let program = match machine.phase() {
                "loading" => self.witness.program(),
                _ => machine.program(),
            };
            journal::tell_state(machine.phase(), program, machine.reason());
        }
    }
}
