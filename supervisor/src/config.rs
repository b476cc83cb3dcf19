// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration: file and drop-ins, read raw, merged key by key, checked into a [`Config`] that cannot hold
//! a bad value.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use plc_api::{message::ConnectorSettings, plc::Autostart};
use plc_worker_link::Realtime;
use thiserror::Error;

use self::raw::Raw;
pub use self::wamp::{AuthenticationMethod, DirectConfig, WampConfig};
pub(crate) use self::wamp::{INITIAL_DELAY_MS, MAX_DELAY_SECONDS, PING_SECONDS};
use crate::state::{Policy, Restart, WatchdogAction};

mod check;
mod raw;
#[cfg(test)]
mod tests;
mod wamp;

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

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What the state machine is to do.
    pub policy: Policy,
    /// When a boot starts the PLC; by default as it is wished to.
    pub autostart: Autostart,
    /// After how many periods of the program without a cycle the watchdog acts, 0 to 1 000 000; 0: never. Default: 100.
    pub watchdog_periods: u32,
    /// Scheduling and memory of the program.
    pub realtime: Realtime,
    /// Bound on the worker's address space, bytes; `None`, the default: no bound of ours.
    pub memory_max_bytes: Option<u64>,
    /// For the connectors.
    pub connectors: ConnectorSettings,
    /// How the PLC is reached by WAMP.
    pub wamp: WampConfig,
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
            wamp: WampConfig::default(),
        }
    }
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
            check::check(toml::from_str::<Raw>(&text).map_err(parse)?)?;
            merge(&mut merged, text.parse().map_err(parse)?);
        }
        let parse = |source| ConfigError::Parse { path: file.to_owned(), source: Box::new(source) };
        let config = check::check(merged.try_into().map_err(parse)?)?;
        config.wamp.fits_together()?;
        Ok(config)
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
