// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the program's process may do: real-time priority, locked memory, processor time.

use super::{
    finding::{Finding, Verdict},
    seen::Seen,
    tree::Tree,
};

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Limit {
    At(u64),
    None,
}

impl Limit {
    /// As `/proc` and systemd write it.
    fn parse(text: &str) -> Option<Self> {
        match text {
            "unlimited" | "infinity" => Some(Self::None),
            number => number.parse().ok().map(Self::At),
        }
    }
}

/// The limits that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    rtprio: Limit,
    memlock: Limit,
    pub(crate) core: Limit,
    whose: Whose,
}

/// Where the limits were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// The running worker's own.
    Worker,
    /// Those that its unit gives.
    Unit,
    /// This user's, who starts the worker of a desk.
    User,
}

/// The worker's limits, as far as they can be known.
pub(crate) fn examined(seen: &Seen) -> Option<Limits> {
    let running = seen.worker().and_then(|pid| of_process(&seen.tree, &pid.to_string()));
    if let Some(limits) = running {
        return Some(Limits { whose: Whose::Worker, ..limits });
    }
    if seen.place.service().is_none() {
        return of_process(&seen.tree, "self");
    }
    let unit = seen.unit("worker@check.service").filter(|unit| unit.is_installed())?;
    Some(Limits {
        rtprio: Limit::parse(unit.get("LimitRTPRIO"))?,
        memlock: Limit::parse(unit.get("LimitMEMLOCK"))?,
        core: Limit::parse(unit.get("LimitCORE"))?,
        whose: Whose::Unit,
    })
}

fn of_process(tree: &Tree, pid: &str) -> Option<Limits> {
    let text = tree.text(format!("/proc/{pid}/limits"))?;
    // The columns: name, soft limit, hard limit, unit.
    let soft = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Limit::parse(line.split_whitespace().next()?)
    };
    let status = tree.text(format!("/proc/{pid}/status")).unwrap_or_default();
    let bound = |name, capability| {
        if has_capability(&status, capability) { Some(Limit::None) } else { soft(name) }
    };
    Some(Limits {
        rtprio: bound("Max realtime priority", CAP_SYS_NICE)?,
        memlock: bound("Max locked memory", CAP_IPC_LOCK)?,
        core: soft("Max core file size")?,
        whose: Whose::User,
    })
}

/// capabilities(7): who has these needs no limit.
const CAP_IPC_LOCK: u32 = 14;
const CAP_SYS_NICE: u32 = 23;

fn has_capability(status: &str, capability: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok());
    set.is_some_and(|set| (set >> capability) & 1 == 1)
}

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let limits = examined(seen);
    let mut findings = vec![priority(seen, limits), memory_lock(seen, limits)];
    findings.extend(swap(seen));
    findings.push(processor_time(seen));
    findings
}

fn of_whom(seen: &Seen, limits: Limits) -> String {
    match limits.whose {
        Whose::Worker => "the running worker".into(),
        Whose::Unit => seen.place.unit("worker@.service").unwrap_or_default(),
        Whose::User => "this user".into(),
    }
}

/// How to raise a limit, by its names in a unit and in limits.conf(5).
fn raise(seen: &Seen, in_unit: &str, in_conf: &str) -> String {
    match seen.place.unit("worker@.service") {
        Some(unit) => {
            format!("systemctl edit {unit}: [Service] {in_unit}, then start the PLC again")
        }
        None => format!(
            "in /etc/security/limits.d/plc.conf: {} - {in_conf}; then log in again",
            seen.user.name
        ),
    }
}

fn unknown(topic: &'static str, seen: &Seen) -> Finding {
    let next = match seen.place.unit("worker@.service") {
        Some(unit) => format!("systemctl show {unit}, or look again while a program runs"),
        None => "look again while a program runs".into(),
    };
    Finding::of(Verdict::Unknown, topic, "the worker's limits are not known", next)
}

fn priority(seen: &Seen, limits: Option<Limits>) -> Finding {
    const TOPIC: &str = "priority";
    let Some(limits) = limits else { return unknown(TOPIC, seen) };
    let whom = of_whom(seen, limits);
    let least = if seen.settings.real_time() { seen.settings.priority.max(1) } else { 1 };
    let value = match limits.rtprio {
        Limit::None => format!("{whom} may have any"),
        Limit::At(0) => format!("{whom} may have none"),
        Limit::At(most) => format!("{whom} may have up to {most}"),
    };
    if limits.rtprio >= Limit::At(least.into()) {
        return Finding::good(TOPIC, value);
    }
    let next = raise(seen, "LimitRTPRIO=98", "rtprio 98");
    if seen.settings.real_time() {
        let value = format!("{value}, {least} is configured");
        Finding::of(Verdict::Problem, TOPIC, value, next)
    } else {
        Finding::of(Verdict::Improve, TOPIC, value, next)
    }
}

fn memory_lock(seen: &Seen, limits: Option<Limits>) -> Finding {
    const TOPIC: &str = "memory lock";
    if !seen.settings.lock_memory {
        let value = "off: a cycle may wait for a page from the disk";
        let next = "set lock_memory = true in [realtime] of the configuration";
        return Finding::of(Verdict::Improve, TOPIC, value, next);
    }
    let status = seen.worker().and_then(|pid| seen.tree.text(format!("/proc/{pid}/status")));
    let locked = status.as_deref().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"))?;
        Some(line.trim().to_owned())
    });
    if let Some(locked) = locked.filter(|locked| !locked.starts_with("0 ")) {
        return Finding::good(TOPIC, format!("{locked} of the running worker"));
    }
    let Some(limits) = limits else { return unknown(TOPIC, seen) };
    let whom = of_whom(seen, limits);
    match limits.memlock {
        Limit::None => Finding::good(TOPIC, format!("{whom} may lock all")),
        Limit::At(bytes) => {
            let value = format!("{whom} may lock {} KiB alone", bytes / 1024);
            let next = raise(seen, "LimitMEMLOCK=infinity", "memlock unlimited");
            Finding::of(Verdict::Problem, TOPIC, value, next)
        }
    }
}

fn swap(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "swap";
    // One line for each place, below a heading.
    let places = seen.tree.text("/proc/swaps")?.lines().count().saturating_sub(1);
    Some(if places == 0 {
        Finding::good(TOPIC, "none")
    } else if seen.settings.lock_memory {
        Finding::good(TOPIC, "in use, but not for the program: its memory is locked")
    } else {
        let next = "set lock_memory = true in [realtime], or: swapoff -a";
        Finding::of(Verdict::Improve, TOPIC, "the program may be swapped out", next)
    })
}

/// Bounds on processor time, of the worker's control group and of those above it.
fn processor_time(seen: &Seen) -> Finding {
    const TOPIC: &str = "processor time";
    let tree = &seen.tree;
    let groups = match (seen.worker(), seen.place.service()) {
        (Some(pid), _) => tree.text(format!("/proc/{pid}/cgroup")).unwrap_or_default(),
        (None, None) => tree.text("/proc/self/cgroup").unwrap_or_default(),
        // Where systemd will put it.
        (None, Some(_)) => "0::/system.slice\n1:cpu:/system.slice".into(),
    };
    if seen.settings.real_time() && is_without_real_time(tree, &groups) {
        let value = "the control group gives real time no processor time: priorities are denied";
        let next = "take CPU limits out of this unit and its slice, or boot without \
                    CONFIG_RT_GROUP_SCHED";
        return Finding::of(Verdict::Problem, TOPIC, value, next);
    }
    let unit = seen.unit("worker@check.service").map(|unit| unit.get("CPUQuotaPerSecUSec"));
    let quota = unit.filter(|quota| !matches!(*quota, "" | "infinity"));
    let quota =
        quota.map(|quota| format!("{quota} of each second")).or_else(|| quota_of(tree, &groups));
    match quota {
        None => Finding::good(TOPIC, "not bounded"),
        Some(quota) => {
            let next = "take CPUQuota= out of the worker's unit and its slice";
            Finding::of(Verdict::Improve, TOPIC, format!("bounded to {quota}"), next)
        }
    }
}

/// The directories of a process's control group with the controller `cpu`, from it upwards.
fn groups_above(groups: &str, unified: bool) -> Vec<String> {
    let path = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let fits = if unified {
            controllers.is_empty()
        } else {
            controllers.split(',').any(|name| name == "cpu")
        };
        fits.then_some(path)
    });
    let root = if unified { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/cpu" };
    let above = path.into_iter().flat_map(|path| std::path::Path::new(path).ancestors());
    above.map(|path| format!("{root}{}", path.display())).collect()
}

/// The kernel has a budget of real time for each group of version 1, and a new group's is 0.
fn is_without_real_time(tree: &Tree, groups: &str) -> bool {
    let dirs = groups_above(groups, false);
    let own = dirs.first().map(|dir| format!("{dir}/cpu.rt_runtime_us"));
    own.and_then(|path| tree.number::<i64>(path)) == Some(0)
}

fn quota_of(tree: &Tree, groups: &str) -> Option<String> {
    let new = groups_above(groups, true).into_iter().find_map(|dir| {
        let text = tree.text(format!("{dir}/cpu.max"))?;
        let (quota, period) = text.split_once(' ')?;
        (quota != "max").then(|| format!("{quota} of each {period} µs"))
    });
    new.or_else(|| {
        groups_above(groups, false).into_iter().find_map(|dir| {
            let quota: i64 = tree.number(format!("{dir}/cpu.cfs_quota_us"))?;
            let period: i64 = tree.number(format!("{dir}/cpu.cfs_period_us"))?;
            (quota > 0).then(|| format!("{quota} of each {period} µs"))
        })
    })
}
