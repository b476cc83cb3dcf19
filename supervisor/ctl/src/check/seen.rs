// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that the judgement is made of, in one value, so that judging it asks nobody.

use std::{collections::BTreeMap, time::Duration};

use plc_api::{key::KeyList, plc::Snapshot};

use super::{
    place::Place,
    settings::Settings,
    tree::{self, Processors, Tree},
};

/// A machine and the runtime on it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) tree: Tree,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    pub(crate) user: User,
    pub(crate) runtime: Runtime,
    /// None where there is no systemd, and for a desk.
    pub(crate) units: Option<Units>,
    pub(crate) configuration: Configuration,
    /// Whether the clock follows a time server, if that can be told.
    pub(crate) synchronized: Option<bool>,
    /// None where there is no logind.
    pub(crate) logind: Option<Logind>,
}

impl Seen {
    /// The running worker.
    pub(crate) fn worker(&self) -> Option<u32> {
        match &self.runtime {
            Runtime::Answers { snapshot, .. } => snapshot.worker_pid,
            Runtime::Unreachable(_) => None,
        }
    }

    /// The period of the running program.
    pub(crate) fn period(&self) -> Option<Duration> {
        match &self.runtime {
            Runtime::Answers { period_ns, .. } if *period_ns > 0 => {
                Some(Duration::from_nanos(*period_ns))
            }
            Runtime::Answers { .. } | Runtime::Unreachable(_) => None,
        }
    }

    /// The processors that the cycle is kept on, empty: all; and the setting that says so.
    pub(crate) fn cpus(&self) -> (Processors, String) {
        let own = &self.settings.cpus;
        let of_unit = self.unit("worker@check.service").map(|unit| unit.get("CPUAffinity"));
        match of_unit.map(tree::processors) {
            Some(cpus) if own.is_empty() && !cpus.is_empty() => {
                let unit = self.place.unit("worker@.service").unwrap_or_default();
                (cpus, format!("CPUAffinity= of {unit}"))
            }
            Some(_) | None => (own.clone(), "cpus in [realtime] of the configuration".to_owned()),
        }
    }

    /// The settings, and where they leave it to the worker's unit, its own.
    pub(crate) fn scheduled(&self) -> Settings {
        Settings { cpus: self.cpus().0, ..self.settings.clone() }
    }

    /// What systemd says of the unit `what` of the runtime, as `worker.socket`.
    pub(crate) fn unit(&self, what: &str) -> Option<&Unit> {
        self.units.as_ref()?.get(&self.place.unit(what)?)
    }
}

/// What logind says of the machine's sleep.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logind {
    /// How long it lets a sleep wait.
    pub(crate) waits: Duration,
    /// Whether the runtime has asked it to.
    pub(crate) asked_to: bool,
}

/// How the runtime has answered.
#[derive(Debug)]
pub(crate) enum Runtime {
    Answers {
        snapshot: Box<Snapshot>,
        period_ns: u64,
        /// None from a runtime that is older and has none.
        keys: Option<KeyList>,
    },
    /// Why not, and after a semicolon the next step.
    Unreachable(String),
}

/// What the supervisor says of its configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Configuration {
    Good,
    /// File, key, and what would be right.
    Bad(String),
    /// Why it was not asked.
    NotAsked(String),
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) root: bool,
    pub(crate) groups: Vec<u32>,
}

/// Units by name.
pub(crate) type Units = BTreeMap<String, Unit>;

/// Properties of a unit, as `systemctl show` has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit(BTreeMap<String, String>);

/// The properties that are asked for.
pub(crate) const PROPERTIES: &str = "Id,LoadState,ActiveState,SubState,Result,UnitFileState,\
                                     LimitRTPRIO,LimitMEMLOCK,LimitCORE,CPUQuotaPerSecUSec,\
                                     CPUAffinity";

impl Unit {
    /// Empty if there is no such property.
    pub(crate) fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }

    pub(crate) fn is_active(&self) -> bool {
        self.get("ActiveState") == "active"
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.get("LoadState") == "loaded"
    }
}

/// What `systemctl show` has written: a block of lines for each unit.
pub(crate) fn units(text: &str) -> Units {
    let blocks = text.split("\n\n").map(|block| {
        let properties = block.lines().filter_map(|line| line.split_once('='));
        Unit(properties.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    });
    blocks.map(|unit| (unit.get("Id").to_owned(), unit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        let units = units("Id=a.service\nLimitRTPRIO=99\n\nId=b.socket\nActiveState=active\n");
        assert_eq!(units["a.service"].get("LimitRTPRIO"), "99");
        assert!(!units["a.service"].is_active());
        assert!(units["b.socket"].is_active());
        assert_eq!(units["b.socket"].get("LimitRTPRIO"), "");
    }
}
