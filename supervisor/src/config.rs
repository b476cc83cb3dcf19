// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration: file and drop-ins, read raw, merged key by key, checked into a [`Config`] that cannot hold
//! a bad value.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use plc_api::message::{ConnectorSettings, LocalPeers};
use plc_worker_link::{Realtime, SchedulingPolicy};
use serde::Deserialize;
use thiserror::Error;

use crate::state::{Policy, Restart, WatchdogAction};

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no TOML, or has an unknown key or a value of the wrong kind.
    #[error("{path}: {source}", path = path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value is out of its range.
    #[error("{key} = {value}: must be {range}")]
    Range {
        /// Section and key.
        key: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: &'static str,
    },
}

/// When a boot starts the PLC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Autostart {
    /// If it was started and not stopped before.
    #[default]
    Wish,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the state machine is to do.
    pub policy: Policy,
    /// When a boot starts the PLC.
    pub autostart: Autostart,
    /// After how many periods without a cycle the watchdog acts; 0: never.
    pub watchdog_periods: u32,
    /// Scheduling and memory of the program.
    pub realtime: Realtime,
    /// Bound on the worker's address space.
    pub memory_max_bytes: Option<u64>,
    /// For the connectors.
    pub connectors: ConnectorSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            policy: Policy {
                load_timeout: Duration::from_secs(30),
                start_timeout: Duration::from_secs(30),
                stop_timeout: Duration::from_secs(5),
                restart: Restart::OnCrash { limit: 3, window: Duration::from_secs(60) },
                watchdog: WatchdogAction::Stop,
            },
            autostart: Autostart::Wish,
            watchdog_periods: 100,
            realtime: Realtime::default(),
            memory_max_bytes: None,
            connectors: ConnectorSettings::default(),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    plc: RawPlc,
    #[serde(default)]
    watchdog: RawWatchdog,
    #[serde(default)]
    realtime: RawRealtime,
    #[serde(default)]
    worker: RawWorker,
    #[serde(default)]
    pyro: RawPyro,
    #[serde(default)]
    pyros: RawPyros,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlc {
    autostart: Option<Autostart>,
    load_timeout_ms: Option<i64>,
    start_timeout_ms: Option<i64>,
    stop_timeout_ms: Option<i64>,
    restart: Option<RawRestart>,
    restart_limit: Option<i64>,
    restart_window_s: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRestart {
    Never,
    OnCrash,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWatchdog {
    periods: Option<i64>,
    action: Option<RawAction>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum RawAction {
    Log,
    Stop,
    Restart,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRealtime {
    policy: Option<SchedulingPolicy>,
    priority: Option<i64>,
    cpus: Option<Vec<u16>>,
    lock_memory: Option<bool>,
    stack_size_kib: Option<i64>,
    timer_slack_us: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWorker {
    memory_max_mib: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPyro {
    local_peers: Option<LocalPeers>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPyros {
    legacy_tls: Option<bool>,
}

impl Config {
    /// Reads `file`, if it is there, and the drop-ins `dir/*.toml` in the order of their names; later ones win.
    ///
    /// # Errors
    /// [`ConfigError`] names file, key and what would be right.
    pub fn read(file: &Path, drop_ins: &Path) -> Result<Self, ConfigError> {
        let mut merged = toml::Table::new();
        for path in files(file, drop_ins)? {
            let text = match fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(ConfigError::Read { path, source }),
            };
            // Each file must stand by itself, so that a mistake is reported with its place.
            let parse =
                |source| ConfigError::Parse { path: path.clone(), source: Box::new(source) };
            check(toml::from_str::<Raw>(&text).map_err(parse)?)?;
            merge(&mut merged, text.parse().map_err(parse)?);
        }
        let parse = |source| ConfigError::Parse { path: file.to_owned(), source: Box::new(source) };
        check(merged.try_into().map_err(parse)?)
    }
}

fn files(file: &Path, drop_ins: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = vec![file.to_owned()];
    let entries = match fs::read_dir(drop_ins) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(files),
        Err(source) => {
            return Err(ConfigError::Read { path: drop_ins.to_owned(), source });
        }
    };
    let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    found.sort();
    files.extend(found);
    Ok(files)
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn check(raw: Raw) -> Result<Config, ConfigError> {
    let standard = Config::default();
    Ok(Config {
        autostart: raw.plc.autostart.unwrap_or(standard.autostart),
        policy: Policy {
            watchdog: match raw.watchdog.action {
                Some(RawAction::Log) => WatchdogAction::Log,
                Some(RawAction::Stop) => WatchdogAction::Stop,
                Some(RawAction::Restart) => WatchdogAction::Restart,
                None => standard.policy.watchdog,
            },
            ..check_policy(&raw.plc, standard.policy)?
        },
        watchdog_periods: match raw.watchdog.periods {
            Some(value) => within(value, 0, 1_000_000, "watchdog.periods", "0 (off) to 1000000")?,
            None => standard.watchdog_periods,
        },
        realtime: check_realtime(raw.realtime)?,
        memory_max_bytes: match raw.worker.memory_max_mib {
            Some(value) => {
                let mib: u64 =
                    within(value, 16, 1 << 20, "worker.memory_max_mib", "16 to 1048576 (MiB)")?;
                Some(mib << 20)
            }
            None => standard.memory_max_bytes,
        },
        connectors: ConnectorSettings {
            legacy_tls: raw.pyros.legacy_tls.unwrap_or(standard.connectors.legacy_tls),
            local_peers: raw.pyro.local_peers.unwrap_or(standard.connectors.local_peers),
        },
    })
}

fn check_policy(raw: &RawPlc, standard: Policy) -> Result<Policy, ConfigError> {
    let millis = |value: Option<i64>, key, default| match value {
        Some(value) => Ok(Duration::from_millis(within(
            value,
            100,
            600_000,
            key,
            "100 to 600000 (milliseconds)",
        )?)),
        None => Ok(default),
    };
    let mut restart = standard.restart;
    if let Restart::OnCrash { limit, window } = &mut restart {
        if let Some(value) = raw.restart_limit {
            *limit = within(value, 1, 100, "plc.restart_limit", "1 to 100 (failures)")?;
        }
        if let Some(value) = raw.restart_window_s {
            let range = "1 to 86400 (seconds)";
            *window = Duration::from_secs(within(value, 1, 86_400, "plc.restart_window_s", range)?);
        }
    }
    Ok(Policy {
        load_timeout: millis(raw.load_timeout_ms, "plc.load_timeout_ms", standard.load_timeout)?,
        start_timeout: millis(
            raw.start_timeout_ms,
            "plc.start_timeout_ms",
            standard.start_timeout,
        )?,
        stop_timeout: millis(raw.stop_timeout_ms, "plc.stop_timeout_ms", standard.stop_timeout)?,
        restart: match raw.restart {
            Some(RawRestart::Never) => Restart::Never,
            Some(RawRestart::OnCrash) | None => restart,
        },
        watchdog: standard.watchdog,
    })
}

fn check_realtime(raw: RawRealtime) -> Result<Realtime, ConfigError> {
    let policy = raw.policy.unwrap_or_default();
    let priority = match (policy, raw.priority) {
        (SchedulingPolicy::Other, None) => 0,
        (SchedulingPolicy::Other, Some(value)) => {
            let range = "left out, or realtime.policy \"fifo\" or \"rr\"";
            return Err(ConfigError::Range {
                key: "realtime.priority",
                value: value.to_string(),
                range,
            });
        }
        (SchedulingPolicy::Fifo | SchedulingPolicy::Rr, None) => 50,
        (SchedulingPolicy::Fifo | SchedulingPolicy::Rr, Some(value)) => {
            within(value, 2, 98, "realtime.priority", "2 to 98")?
        }
    };
    let stack_size_bytes = match raw.stack_size_kib {
        Some(value) => {
            let kib: u64 =
                within(value, 64, 1 << 20, "realtime.stack_size_kib", "64 to 1048576 (KiB)")?;
            Some(kib << 10)
        }
        None => None,
    };
    let timer_slack_ns = match raw.timer_slack_us {
        Some(value) => {
            let us: u64 = within(
                value,
                1,
                1_000_000,
                "realtime.timer_slack_us",
                "1 to 1000000 (microseconds)",
            )?;
            Some(us * 1000)
        }
        None => None,
    };
    Ok(Realtime {
        policy,
        priority,
        cpus: raw.cpus.unwrap_or_default(),
        lock_memory: raw.lock_memory.unwrap_or(false),
        stack_size_bytes,
        timer_slack_ns,
    })
}

fn within<T: TryFrom<i64>>(
    value: i64,
    least: i64,
    most: i64,
    key: &'static str,
    range: &'static str,
) -> Result<T, ConfigError> {
    let error = || ConfigError::Range { key, value: value.to_string(), range };
    if value < least || value > most {
        return Err(error());
    }
    T::try_from(value).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPPED: &str = include_str!("../../etc/plc-runtime/plc-runtime.toml");

    fn read(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, text).unwrap();
        Config::read(&file, &dir.path().join("a.toml.d"))
    }

    #[test]
    fn the_shipped_file_changes_nothing_and_uncommented_states_the_defaults() {
        assert_eq!(read(SHIPPED).unwrap(), Config::default());
        // Prose begins with "# ", a key with "#".
        let uncommented: Vec<&str> = SHIPPED
            .lines()
            .filter(|line| !line.starts_with("# ") && *line != "#")
            .map(|line| line.strip_prefix('#').unwrap_or(line))
            .collect();
        assert_eq!(read(&uncommented.join("\n")).unwrap(), Config::default());
    }

    #[test]
    fn every_key_is_in_the_shipped_file() {
        for key in [
            "autostart",
            "load_timeout_ms",
            "start_timeout_ms",
            "stop_timeout_ms",
            "restart",
            "restart_limit",
            "restart_window_s",
            "periods",
            "action",
            "policy",
            "priority",
            "cpus",
            "lock_memory",
            "stack_size_kib",
            "timer_slack_us",
            "memory_max_mib",
            "local_peers",
            "legacy_tls",
        ] {
            assert!(SHIPPED.contains(&format!("{key} = ")), "{key}");
        }
    }

    #[test]
    fn a_mistake_is_told_with_its_key_and_what_would_be_right() {
        let error = read("[plc]\nstop_timeout_ms = 5\n").unwrap_err().to_string();
        assert!(
            error.contains("plc.stop_timeout_ms = 5") && error.contains("100 to 600000"),
            "{error}"
        );
        let error = read("[plc]\nstop_timout_ms = 5000\n").unwrap_err().to_string();
        assert!(error.contains("a.toml") && error.contains("stop_timout_ms"), "{error}");
        let error = read("[realtime]\npriority = 50\n").unwrap_err().to_string();
        assert!(error.contains("realtime.policy"), "{error}");
    }

    #[test]
    fn drop_ins_win_key_by_key_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let drop_ins = dir.path().join("a.toml.d");
        fs::create_dir(&drop_ins).unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, "[plc]\nstop_timeout_ms = 1000\nstart_timeout_ms = 1000\n").unwrap();
        fs::write(drop_ins.join("20-b.toml"), "[plc]\nstop_timeout_ms = 3000\n").unwrap();
        fs::write(
            drop_ins.join("10-a.toml"),
            "[plc]\nstop_timeout_ms = 2000\nrestart = \"never\"\n",
        )
        .unwrap();
        fs::write(drop_ins.join("30-not.conf"), "nonsense").unwrap();
        let config = Config::read(&file, &drop_ins).unwrap();
        assert_eq!(config.policy.stop_timeout, Duration::from_secs(3));
        assert_eq!(config.policy.start_timeout, Duration::from_secs(1));
        assert_eq!(config.policy.restart, Restart::Never);
    }

    #[test]
    fn without_any_file_the_defaults_hold() {
        let nowhere = Path::new("/nonexistent/a.toml");
        assert_eq!(
            Config::read(nowhere, Path::new("/nonexistent/a.toml.d")).unwrap(),
            Config::default()
        );
    }
}
