// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel and what it runs on: preemption, virtualization, clock, scheduling.

use super::{
    finding::{Finding, Verdict},
    seen::Seen,
};

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let mut findings = vec![kernel(seen), machine(seen)];
    findings.extend(clock_source(seen));
    findings.push(scheduling(seen));
    findings.extend(throttling(seen));
    findings.push(timer_slack(seen));
    findings
}

fn kernel(seen: &Seen) -> Finding {
    const TOPIC: &str = "kernel";
    let release = seen.tree.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version = seen.tree.text("/proc/sys/kernel/version").unwrap_or_default();
    let real_time = seen.tree.text("/sys/kernel/realtime").as_deref() == Some("1")
        || version.contains("PREEMPT_RT");
    if real_time {
        return Finding::good(TOPIC, format!("{release}, PREEMPT_RT"));
    }
    let preemption = ["PREEMPT_DYNAMIC", "PREEMPT"].into_iter().find(|word| version.contains(word));
    let value = format!("{release}, {}, not PREEMPT_RT", preemption.unwrap_or("no preemption"));
    let next = "boot a kernel with PREEMPT_RT; on Debian: apt install linux-image-rt-amd64 \
                (or -arm64, -armmp)";
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

/// What lies between the kernel and the processor, and between us and the kernel.
fn machine(seen: &Seen) -> Finding {
    const TOPIC: &str = "machine";
    let tree = &seen.tree;
    let next = "how late a cycle is depends on the host too: measure there";
    if let Some(container) = tree.text("/run/systemd/container") {
        let value = format!("a container ({container})");
        return Finding::of(Verdict::Improve, TOPIC, value, next);
    }
    if tree.exists("/.dockerenv") || tree.exists("/run/.containerenv") {
        return Finding::of(Verdict::Improve, TOPIC, "a container", next);
    }
    let cpuinfo = tree.text("/proc/cpuinfo").unwrap_or_default();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"));
    let virtual_machine = flags.is_some_and(|flags| flags.split(' ').any(|f| f == "hypervisor"));
    let hypervisor = tree.text("/sys/hypervisor/type");
    if virtual_machine || hypervisor.is_some() {
        let maker = hypervisor.or_else(|| tree.text("/sys/class/dmi/id/sys_vendor"));
        let maker = maker.filter(|maker| !maker.is_empty()).map(|maker| format!(" ({maker})"));
        let value = format!("a virtual machine{}", maker.unwrap_or_default());
        return Finding::of(Verdict::Improve, TOPIC, value, next);
    }
    let model = ["/sys/class/dmi/id/product_name", "/proc/device-tree/model"];
    let model = model.into_iter().find_map(|path| tree.text(path));
    let model = model.map(|model| model.trim_end_matches('\0').to_owned());
    Finding::good(TOPIC, model.unwrap_or_else(|| "no hypervisor is seen".into()))
}

fn clock_source(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "clock source";
    const DIR: &str = "/sys/devices/system/clocksource/clocksource0";
    let current = seen.tree.text(format!("{DIR}/current_clocksource"))?;
    // Those that are read over a bus, or only as often as the tick; each reading costs the cycle microseconds.
    let slow = ["hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"];
    Some(if slow.contains(&current.as_str()) {
        let next = "see why the kernel has given up the fast one: dmesg | grep -i clocksource";
        Finding::of(Verdict::Improve, TOPIC, format!("{current}, slow to read"), next)
    } else {
        Finding::good(TOPIC, current)
    })
}

fn scheduling(seen: &Seen) -> Finding {
    const TOPIC: &str = "scheduling";
    let settings = &seen.settings;
    if settings.real_time() {
        return Finding::good(TOPIC, format!("{} {}", settings.class, settings.priority));
    }
    let next = "set policy = \"fifo\" in [realtime] of the configuration, then \
                `plcctl reload`; it holds from the next start of the program";
    let value = "\"other\": the cycle waits like any other program";
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

/// How much of its period the real-time classes may take: a net for endless loops, if it is wide enough.
fn throttling(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "throttling";
    let runtime: i64 = seen.tree.number("/proc/sys/kernel/sched_rt_runtime_us")?;
    let period: i64 = seen.tree.number("/proc/sys/kernel/sched_rt_period_us")?;
    if runtime < 0 {
        return Some(Finding::good(TOPIC, "off"));
    }
    let percent = runtime.saturating_mul(100).checked_div(period)?;
    let value = format!("real time gets up to {percent} % of each {} ms", period / 1000);
    let next = "sysctl -w kernel.sched_rt_runtime_us=950000";
    Some(if runtime == 0 && seen.settings.real_time() {
        Finding::of(Verdict::Problem, TOPIC, value, next)
    } else if percent < 90 {
        Finding::of(Verdict::Improve, TOPIC, value, next)
    } else {
        Finding::good(TOPIC, value)
    })
}

/// The kernel's default, for threads that have asked for nothing else.
const DEFAULT_SLACK_US: u32 = 50;

fn timer_slack(seen: &Seen) -> Finding {
    const TOPIC: &str = "timer slack";
    let settings = &seen.settings;
    if settings.real_time() {
        return Finding::good(TOPIC, format!("none in the class {}", settings.class));
    }
    let slack = settings.timer_slack_us.unwrap_or(DEFAULT_SLACK_US);
    let value = format!("a cycle may be {slack} µs late by it");
    if slack < DEFAULT_SLACK_US {
        return Finding::good(TOPIC, value);
    }
    let next = "set policy = \"fifo\", or timer_slack_us = 1, in [realtime] of the configuration";
    Finding::of(Verdict::Improve, TOPIC, value, next)
}
