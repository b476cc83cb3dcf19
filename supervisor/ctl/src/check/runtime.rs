// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runtime itself: does it run, who may use it, what waits, is it configured well.

use plc_api::{
    RELEASE,
    limits::STOPPING_BESIDES,
    paths::LIBEXEC,
    plc::{PlcStatus, Snapshot},
};

use super::{
    finding::{Finding, Verdict},
    limits::{self, Limit},
    seen::{Configuration, Logind, Runtime, Seen},
};
use crate::{render, status::UPGRADE_WAITS};

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let service = service(seen);
    let answer = match &service {
        // A service that does not run does not answer either.
        Some(service) if service.verdict == Verdict::Problem => None,
        Some(_) | None => Some(answer(seen)),
    };
    [service, boot(seen), answer].into_iter().flatten().chain(the_rest(seen)).collect()
}

fn the_rest(seen: &Seen) -> impl Iterator<Item = Finding> {
    let of_the_plc = match &seen.runtime {
        Runtime::Answers { snapshot, .. } => [upgrade(snapshot), Some(program(snapshot))],
        Runtime::Unreachable(_) => [None, None],
    };
    let others = [
        group(seen),
        worker_socket(seen),
        ide_ports(seen),
        Some(configuration(seen)),
        sleep(seen),
        Some(core_dumps(seen)),
        Some(clock(seen)),
    ];
    of_the_plc.into_iter().chain(others).flatten()
}

fn service(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "service";
    let name = seen.place.service()?;
    let unit = seen.units.as_ref()?.get(&format!("{name}.service"))?;
    let problem = |value: String, next| Some(Finding::of(Verdict::Problem, TOPIC, value, next));
    if !unit.is_installed() {
        let next = "install the package plc-runtime: apt install ./plc-runtime_*.deb".to_owned();
        return problem(format!("there is no {name}.service"), next);
    }
    match unit.get("ActiveState") {
        "active" => Some(Finding::good(TOPIC, "active")),
        "failed" => problem(
            format!("failed ({})", unit.get("Result")),
            format!("journalctl -b -u {name}, then systemctl start {name}"),
        ),
        "inactive" => problem("stopped".into(), format!("systemctl start {name}")),
        between => problem(between.into(), format!("wait; look at: systemctl status {name}")),
    }
}

fn boot(seen: &Seen) -> Option<Finding> {
    let name = seen.place.service()?;
    let unit = seen.units.as_ref()?.get(&format!("{name}.service"))?;
    if !unit.is_installed() {
        return None;
    }
    let state = unit.get("UnitFileState");
    Some(if matches!(state, "enabled" | "static" | "alias") {
        Finding::good("at boot", "starts")
    } else {
        let next = format!("systemctl enable {name}");
        Finding::of(Verdict::Improve, "at boot", format!("does not start ({state})"), next)
    })
}

fn answer(seen: &Seen) -> Finding {
    const TOPIC: &str = "answers";
    match &seen.runtime {
        Runtime::Answers { snapshot, .. } if snapshot.release == RELEASE => {
            Finding::good(TOPIC, format!("release {RELEASE}"))
        }
        Runtime::Answers { snapshot, .. } => {
            Finding::good(TOPIC, format!("release {}, plcctl is {RELEASE}", snapshot.release))
        }
        Runtime::Unreachable(why) => {
            let (why, next) = why.split_once("; ").unwrap_or((why, "systemctl status plc-runtime"));
            Finding::of(Verdict::Problem, TOPIC, why, next)
        }
    }
}

fn upgrade(snapshot: &Snapshot) -> Option<Finding> {
    let (value, next) = UPGRADE_WAITS.split_once(": ")?;
    snapshot.upgrade_waits.then(|| Finding::of(Verdict::Improve, "upgrade", value, next))
}

fn program(snapshot: &Snapshot) -> Finding {
    const TOPIC: &str = "program";
    let state = render::state(snapshot);
    if snapshot.status == PlcStatus::Broken {
        let reason = snapshot.reason.as_deref().unwrap_or("no reason is known");
        let next = "plcctl log, plcctl status; once more: plcctl start";
        return Finding::of(Verdict::Problem, TOPIC, format!("{state}: {reason}"), next);
    }
    if let (Some(crash), 1..) = (&snapshot.last_crash, snapshot.crashes) {
        let value =
            format!("{state}; ended by itself {} x, last: {}", snapshot.crashes, crash.reason);
        return Finding::of(Verdict::Improve, TOPIC, value, "plcctl log, plcctl status");
    }
    Finding::good(TOPIC, state)
}

fn group(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "group plc";
    seen.place.service()?;
    let user = &seen.user;
    if user.root {
        return Some(Finding::good(TOPIC, "not needed by root"));
    }
    let groups = seen.tree.text("/etc/group").unwrap_or_default();
    let plc = groups.lines().find_map(|line| line.strip_prefix("plc:"));
    let fields: Vec<&str> = plc.unwrap_or_default().split(':').collect();
    let [_, gid, members] = fields[..] else {
        let next = "systemd-sysusers, or install the package plc-runtime again";
        return Some(Finding::of(Verdict::Problem, TOPIC, "there is no such group", next));
    };
    let has = gid.parse().is_ok_and(|gid: u32| user.groups.contains(&gid));
    let name = &user.name;
    Some(if has {
        Finding::good(TOPIC, format!("{name} is a member"))
    } else if members.split(',').any(|member| member == name) {
        let value = format!("{name} is a member, but not yet in this session");
        Finding::of(Verdict::Improve, TOPIC, value, "log out, and in again")
    } else {
        let next = format!("to operate without sudo: sudo adduser {name} plc, then log in again");
        Finding::of(Verdict::Improve, TOPIC, format!("{name} is no member"), next)
    })
}

fn worker_socket(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "worker socket";
    seen.place.service()?;
    let path = &seen.place.paths.worker_socket;
    let listens = match seen.unit("worker.socket") {
        Some(unit) => unit.is_active(),
        None => seen.tree.exists(path),
    };
    Some(if listens {
        Finding::good(TOPIC, path.display().to_string())
    } else {
        let unit = seen.place.unit("worker.socket").unwrap_or_default();
        let value = format!("nobody listens at {}: no program can run", path.display());
        Finding::of(Verdict::Problem, TOPIC, value, format!("systemctl start {unit}"))
    })
}

/// Connectors other than pyro are off until somebody wants them, so one that listens is enough.
fn ide_ports(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "IDE ports";
    let prefix = seen.place.unit("connector-")?;
    let is_port = |name: &str| name.starts_with(&prefix) && name.ends_with(".socket");
    let sockets = seen.units.as_ref()?.iter().filter(|(name, _)| is_port(name));
    let sockets: Vec<_> = sockets.filter(|(_, unit)| unit.is_installed()).collect();
    let active = sockets.iter().filter(|(_, unit)| unit.is_active());
    let active: Vec<&str> = active.map(|(name, _)| name.as_str()).collect();
    Some(match (active.is_empty(), sockets.first()) {
        (false, _) => Finding::good(TOPIC, format!("open: {}", active.join(", "))),
        (true, Some((first, _))) => {
            let next = format!("systemctl enable --now {first}");
            Finding::of(Verdict::Improve, TOPIC, "none is open: no IDE can connect", next)
        }
        (true, None) => {
            let next = "install the package plc-runtime again";
            Finding::of(Verdict::Problem, TOPIC, "no connector is installed", next)
        }
    })
}

fn configuration(seen: &Seen) -> Finding {
    const TOPIC: &str = "configuration";
    let file = seen.place.paths.config_file.display();
    match &seen.configuration {
        Configuration::Good if seen.tree.exists(&seen.place.paths.config_file) => {
            Finding::good(TOPIC, file.to_string())
        }
        Configuration::Good => Finding::good(TOPIC, "the defaults"),
        Configuration::Bad(why) => {
            let next = format!("correct it, then: {}", take_up(seen));
            Finding::of(Verdict::Problem, TOPIC, why, next)
        }
        Configuration::NotAsked(why) => {
            let next = format!("as root: {LIBEXEC}/plc-supervisor --check-config --config {file}");
            Finding::of(Verdict::Unknown, TOPIC, why, next)
        }
    }
}

/// What makes the runtime take up its configuration: one that does not run cannot be asked.
fn take_up(seen: &Seen) -> String {
    let runs = matches!(seen.runtime, Runtime::Answers { .. })
        || service(seen).is_some_and(|found| found.verdict == Verdict::Good);
    match seen.place.service() {
        _ if runs => "plcctl reload".to_owned(),
        Some(name) => format!("systemctl start {name}"),
        None => "start plc-local again".to_owned(),
    }
}

/// Whether a machine that falls asleep waits until the PLC has stopped.
fn sleep(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "sleep";
    let Logind { waits, asked_to } = seen.logind?;
    if !asked_to && matches!(seen.runtime, Runtime::Answers { .. }) {
        let next = "journalctl -u plc-runtime -u systemd-logind -u polkit";
        return Some(Finding::of(Verdict::Problem, TOPIC, "does not wait for the PLC", next));
    }
    let stopping = seen.settings.stop_timeout + STOPPING_BESIDES;
    let (waits_s, stopping_s) = (waits.as_secs_f32(), stopping.as_secs_f32().ceil());
    if waits >= stopping {
        return Some(Finding::good(TOPIC, format!("waits up to {waits_s} s until the PLC stops")));
    }
    let value = format!("waits {waits_s} s, and the PLC may take {stopping_s} s (stop_timeout_ms)");
    let next = format!(
        "InhibitDelayMaxSec={stopping_s} in section [Login] of /etc/systemd/logind.conf.d/plc-runtime.conf, then: systemctl \
         kill --signal=HUP systemd-logind"
    );
    Some(Finding::of(Verdict::Problem, TOPIC, value, next))
}

/// Where the memory image of a crashed program goes: core(5).
fn core_dumps(seen: &Seen) -> Finding {
    const TOPIC: &str = "core dumps";
    let Some(pattern) = seen.tree.text("/proc/sys/kernel/core_pattern") else {
        return Finding::of(Verdict::Unknown, TOPIC, "the kernel makes none", "see core(5)");
    };
    if let Some(program) = pattern.strip_prefix('|') {
        let program = program.split(' ').next().unwrap_or_default();
        return if program.ends_with("systemd-coredump") {
            Finding::good(TOPIC, "kept by systemd-coredump, see coredumpctl")
        } else {
            Finding::good(TOPIC, format!("given to {program}"))
        };
    }
    if matches!(limits::examined(seen), Some(limits) if limits.core == Limit::At(0)) {
        let next = "apt install systemd-coredump, or raise LimitCORE= of the worker's unit";
        return Finding::of(Verdict::Improve, TOPIC, "none: the worker's limit is 0", next);
    }
    if pattern.starts_with('/') {
        return Finding::good(TOPIC, format!("files {pattern}"));
    }
    let dir = seen.place.paths.work_dir.display();
    let next = "apt install systemd-coredump keeps them apart and bounds their size";
    Finding::of(Verdict::Improve, TOPIC, format!("files {dir}/{pattern}"), next)
}

fn clock(seen: &Seen) -> Finding {
    const TOPIC: &str = "time";
    match seen.synchronized {
        Some(true) => Finding::good(TOPIC, "synchronized"),
        Some(false) => {
            let next = "timedatectl set-ntp true, or look at: timedatectl status";
            Finding::of(Verdict::Improve, TOPIC, "not synchronized with a time server", next)
        }
        None => {
            let next = "see whether a time service runs: timedatectl, chronyc tracking";
            Finding::of(Verdict::Unknown, TOPIC, "nobody says whether it is synchronized", next)
        }
    }
}
