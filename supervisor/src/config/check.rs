// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what is written to what can be worked with: each value within its range.

use std::time::Duration;

use plc_api::message::ConnectorSettings;
use plc_worker_link::{Realtime, SchedulingPolicy};

use super::{
    Config, ConfigError,
    raw::{Raw, RawAction, RawPlc, RawRealtime, RawRestart},
    wamp::WampConfig,
};
use crate::state::{Policy, Restart, WatchdogAction};

pub(super) fn check(raw: Raw) -> Result<Config, ConfigError> {
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
        wamp: WampConfig::check(raw.wamp)?,
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

pub(super) fn within<T: TryFrom<i64>>(
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
