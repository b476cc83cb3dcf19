// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the configuration asks of the machine: its section `[realtime]`, and the time that the PLC has to stop.
//!
//! Whether the configuration is right is the supervisor's to say; here a file that is not is passed over.

use std::{fmt, time::Duration};

use plc_api::paths::Paths;
use serde::{Deserialize, Serialize};

use super::tree::{Processors, Tree};

/// A scheduling class, by its name in the configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Class {
    #[default]
    Other,
    Fifo,
    Rr,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Other => "other",
            Self::Fifo => "fifo",
            Self::Rr => "rr",
        })
    }
}

/// The priority in the real-time classes when none is configured.
const USUAL_PRIORITY: u8 = 50;

/// How long stopping may take when nothing is configured.
const USUAL_STOP_TIMEOUT_MS: u64 = 5000;

/// The settings in force.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// How long the program may take to stop.
    pub(crate) stop_timeout: Duration,
    pub(crate) class: Class,
    /// 0 in the class `other`.
    pub(crate) priority: u8,
    /// Empty: all.
    pub(crate) cpus: Processors,
    pub(crate) lock_memory: bool,
    pub(crate) timer_slack_us: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct File {
    #[serde(default)]
    plc: Plc,
    #[serde(default)]
    realtime: Realtime,
}

#[derive(Debug, Default, Deserialize)]
struct Plc {
    stop_timeout_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Realtime {
    policy: Option<Class>,
    priority: Option<u8>,
    cpus: Option<Processors>,
    lock_memory: Option<bool>,
    timer_slack_us: Option<u32>,
}

impl Settings {
    /// Reads the file, then its drop-ins in the order of their names.
    pub(crate) fn read(tree: &Tree, paths: &Paths) -> Self {
        let drop_ins = paths.config_drop_ins();
        let names = tree.names(&drop_ins);
        let names = names.iter().filter(|name| name.ends_with(".toml"));
        let files =
            std::iter::once(paths.config_file.clone()).chain(names.map(|name| drop_ins.join(name)));
        let mut all = Realtime::default();
        let mut stop_timeout_ms = USUAL_STOP_TIMEOUT_MS;
        for text in files.filter_map(|path| tree.text(path)) {
            let file: File = toml::from_str(&text).unwrap_or_default();
            stop_timeout_ms = file.plc.stop_timeout_ms.unwrap_or(stop_timeout_ms);
            let Realtime { policy, priority, cpus, lock_memory, timer_slack_us } = file.realtime;
            all = Realtime {
                policy: policy.or(all.policy),
                priority: priority.or(all.priority),
                cpus: cpus.or(all.cpus),
                lock_memory: lock_memory.or(all.lock_memory),
                timer_slack_us: timer_slack_us.or(all.timer_slack_us),
            };
        }
        let class = all.policy.unwrap_or_default();
        Self {
            stop_timeout: Duration::from_millis(stop_timeout_ms),
            class,
            priority: match class {
                Class::Other => 0,
                Class::Fifo | Class::Rr => all.priority.unwrap_or(USUAL_PRIORITY),
            },
            cpus: all.cpus.unwrap_or_default(),
            lock_memory: all.lock_memory.unwrap_or(false),
            timer_slack_us: all.timer_slack_us,
        }
    }

    /// Whether the cycle is to run in real time.
    pub(crate) fn real_time(&self) -> bool {
        self.class != Class::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::Machine;

    #[test]
    fn a_later_file_wins_key_by_key_and_a_bad_one_is_passed_over() {
        let machine = Machine::new(&[
            ("/etc/plc-runtime/plc-runtime.toml", "[realtime]\npolicy = \"fifo\"\ncpus = [1]\n"),
            (
                "/etc/plc-runtime/plc-runtime.toml.d/1.toml",
                "[plc]\nstop_timeout_ms = 60000\n[realtime]\ncpus = [2, 3]\n",
            ),
            ("/etc/plc-runtime/plc-runtime.toml.d/2.toml", "[realtime]\npolicy = 7\n"),
            ("/etc/plc-runtime/plc-runtime.toml.d/3.bak", "[realtime]\ncpus = [9]\n"),
        ]);
        let settings = Settings::read(&machine.tree(), &Paths::of_instance("plc-runtime"));
        assert_eq!(
            settings,
            Settings {
                stop_timeout: Duration::from_secs(60),
                class: Class::Fifo,
                priority: 50,
                cpus: [2, 3].into(),
                ..Settings::default()
            }
        );
    }
}
