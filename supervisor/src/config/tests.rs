// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file and its drop-ins, read whole.

use super::*;

const SHIPPED: &str = include_str!("../../../etc/plc-runtime/plc-runtime.toml");

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
        "active",
        "url",
        "realm",
        "id",
        "authentication",
        "secret_file",
        "ca_file",
        "verify",
        "ping_interval_s",
        "ping_timeout_s",
        "initial_delay_ms",
        "max_delay_s",
        "project_settings",
        "direct_realm",
        "direct_id",
        "direct_secret_file",
        "direct_origins",
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
    fs::write(drop_ins.join("10-a.toml"), "[plc]\nstop_timeout_ms = 2000\nrestart = \"never\"\n")
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
