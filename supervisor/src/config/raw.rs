// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configuration as it is written: every key may be absent, and nothing is checked but its kind.

use std::path::PathBuf;

use plc_api::{message::LocalPeers, plc::Autostart};
use plc_worker_link::SchedulingPolicy;
use serde::Deserialize;

use super::wamp::AuthenticationMethod;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    #[serde(default)]
    pub(super) plc: RawPlc,
    #[serde(default)]
    pub(super) watchdog: RawWatchdog,
    #[serde(default)]
    pub(super) realtime: RawRealtime,
    #[serde(default)]
    pub(super) worker: RawWorker,
    #[serde(default)]
    pub(super) pyro: RawPyro,
    #[serde(default)]
    pub(super) pyros: RawPyros,
    #[serde(default)]
    pub(super) wamp: RawWamp,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPlc {
    pub(super) autostart: Option<Autostart>,
    pub(super) load_timeout_ms: Option<i64>,
    pub(super) start_timeout_ms: Option<i64>,
    pub(super) stop_timeout_ms: Option<i64>,
    pub(super) restart: Option<RawRestart>,
    pub(super) restart_limit: Option<i64>,
    pub(super) restart_window_s: Option<i64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawRestart {
    Never,
    OnCrash,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWatchdog {
    pub(super) periods: Option<i64>,
    pub(super) action: Option<RawAction>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawAction {
    Log,
    Stop,
    Restart,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRealtime {
    pub(super) policy: Option<SchedulingPolicy>,
    pub(super) priority: Option<i64>,
    pub(super) cpus: Option<Vec<u16>>,
    pub(super) lock_memory: Option<bool>,
    pub(super) stack_size_kib: Option<i64>,
    pub(super) timer_slack_us: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorker {
    pub(super) memory_max_mib: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPyro {
    pub(super) local_peers: Option<LocalPeers>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPyros {
    pub(super) legacy_tls: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWamp {
    pub(super) active: Option<bool>,
    pub(super) url: Option<String>,
    pub(super) realm: Option<String>,
    pub(super) id: Option<String>,
    pub(super) authentication: Option<AuthenticationMethod>,
    pub(super) secret_file: Option<PathBuf>,
    pub(super) certificate_file: Option<PathBuf>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) verify: Option<bool>,
    pub(super) ping_interval_s: Option<i64>,
    pub(super) ping_timeout_s: Option<i64>,
    pub(super) initial_delay_ms: Option<i64>,
    pub(super) max_delay_s: Option<i64>,
    pub(super) project_settings: Option<bool>,
    pub(super) direct_realm: Option<String>,
    pub(super) direct_id: Option<String>,
    pub(super) direct_secret_file: Option<PathBuf>,
    pub(super) direct_keys: Option<bool>,
    pub(super) direct_origins: Option<Vec<String>>,
}
