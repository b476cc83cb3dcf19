// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processors: which the cycle has, who else is on them, and whether they sleep, slow down or get hot.

use super::{
    finding::{Finding, Verdict},
    seen::Seen,
    tree::{self, Processors, Tree},
};

const DIR: &str = "/sys/devices/system/cpu";

/// To leave a sleep that takes longer than this, microseconds, is late for a cycle of 1 ms.
const DEEP_SLEEP_US: u32 = 50;

/// As many interrupts are named.
const NAMED: usize = 4;

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let online = online(&seen.tree);
    let (wanted, setting) = seen.cpus();
    let cycle = if wanted.is_empty() { &online } else { &wanted };
    let mut findings = vec![
        processors(seen, &online, &wanted, &setting),
        interrupts(&seen.tree, &wanted, &setting),
    ];
    findings.push(governor(&seen.tree, cycle));
    findings.push(idle_states(&seen.tree, cycle));
    findings.extend(heat(&seen.tree));
    findings
}

fn online(tree: &Tree) -> Processors {
    tree.processors(format!("{DIR}/online")).unwrap_or_default()
}

/// Those that the cycle may use, and whether it has them for itself.
fn processors(seen: &Seen, online: &Processors, wanted: &Processors, setting: &str) -> Finding {
    const TOPIC: &str = "processors";
    let isolated = seen.tree.processors(format!("{DIR}/isolated")).unwrap_or_default();
    let there = format!("{} online", tree::list(online));
    let absent: Processors = wanted.difference(online).copied().collect();
    if !absent.is_empty() {
        let value = format!("{there}; {setting} asks for {}", tree::list(&absent));
        let next = format!("correct {setting}, or boot with them");
        return Finding::of(Verdict::Problem, TOPIC, value, next);
    }
    if wanted.is_empty() {
        if online.len() < 2 || !seen.settings.real_time() {
            return Finding::good(TOPIC, format!("{there}, the cycle may use each"));
        }
        let value = format!("{there}, none is kept for the cycle");
        let last = online.last().copied().unwrap_or_default();
        let next = format!("boot with isolcpus={last} and set cpus = [{last}] in [realtime]");
        return Finding::of(Verdict::Improve, TOPIC, value, next);
    }
    let shared: Processors = wanted.difference(&isolated).copied().collect();
    let value = format!("{there}, the cycle has {}", tree::list(wanted));
    if shared.is_empty() {
        return Finding::good(TOPIC, format!("{value}, isolated"));
    }
    let value = format!("{value}; other programs run on {} too", tree::list(&shared));
    let next = format!("boot with isolcpus={}", tree::list(wanted));
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

/// Interrupts that may come to the cycle's processors. Without processors of its own there are none to keep free.
fn interrupts(tree: &Tree, wanted: &Processors, setting: &str) -> Finding {
    const TOPIC: &str = "interrupts";
    if wanted.is_empty() {
        return Finding::good(TOPIC, "on all processors, as the cycle is");
    }
    let lands = |number: &String| {
        let on = tree.processors(format!("/proc/irq/{number}/smp_affinity_list"));
        on.is_some_and(|on| !on.is_disjoint(wanted))
    };
    let numbers = tree.names("/proc/irq").into_iter();
    let numbers = numbers.filter(|name| name.parse::<u32>().is_ok());
    let landing: Vec<String> = numbers.filter(lands).collect();
    let new = tree.text("/proc/irq/default_smp_affinity").map(|text| tree::mask(&text));
    let new = new.is_some_and(|new| !new.is_disjoint(wanted));
    let cpus = tree::list(wanted);
    if landing.is_empty() && !new {
        return Finding::good(TOPIC, format!("none on {cpus}"));
    }
    let others: Processors = online(tree).difference(wanted).copied().collect();
    let named = landing.iter().take(NAMED).map(|number| named(tree, number));
    let mut named: Vec<String> = named.collect();
    if landing.len() > NAMED {
        named.push(format!("{} more", landing.len() - NAMED));
    }
    let value = if landing.is_empty() {
        format!("new ones may come to {cpus}")
    } else {
        format!("may come to {cpus}: {}", named.join(", "))
    };
    let next = if others.is_empty() {
        format!("leave a processor out of {setting} for them")
    } else {
        let list = tree::list(&others);
        format!("boot with irqaffinity={list}, or write {list} to /proc/irq/N/smp_affinity_list")
    };
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

/// An interrupt's number and whose it is: each handler has a directory of its name.
fn named(tree: &Tree, number: &str) -> String {
    let dir = format!("/proc/irq/{number}");
    let names = tree.names(&dir);
    let handler = names.iter().find(|name| tree.is_dir(format!("{dir}/{name}")));
    handler.map_or_else(|| number.to_owned(), |handler| format!("{number} {handler}"))
}

fn governor(tree: &Tree, cycle: &Processors) -> Finding {
    const TOPIC: &str = "governor";
    let of = |cpu: &u16| tree.text(format!("{DIR}/cpu{cpu}/cpufreq/scaling_governor"));
    let mut governors: Vec<String> = cycle.iter().filter_map(of).collect();
    governors.sort();
    governors.dedup();
    if governors.is_empty() {
        return Finding::good(TOPIC, "none: the kernel does not change the frequency");
    }
    let value = governors.join(", ");
    if value == "performance" {
        return Finding::good(TOPIC, value);
    }
    let value = format!("{value}: the frequency follows the load");
    let next = "cpupower frequency-set -g performance (package linux-cpupower)";
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

fn idle_states(tree: &Tree, cycle: &Processors) -> Finding {
    const TOPIC: &str = "idle states";
    let states = cycle.iter().flat_map(|cpu| {
        let dir = format!("{DIR}/cpu{cpu}/cpuidle");
        let names = tree.names(&dir).into_iter();
        names.map(move |state| format!("{dir}/{state}"))
    });
    let enabled =
        states.filter(|state| tree.text(format!("{state}/disable")).as_deref() == Some("0"));
    let named = enabled.filter_map(|state| {
        let latency: u32 = tree.number(format!("{state}/latency"))?;
        Some((latency, tree.text(format!("{state}/name")).unwrap_or_default()))
    });
    let Some((latency, name)) = named.max() else {
        return Finding::good(TOPIC, "none is seen");
    };
    let value = format!("the deepest, {name}, takes {latency} µs to leave");
    if latency <= DEEP_SLEEP_US {
        return Finding::good(TOPIC, value);
    }
    let next = format!("cpupower idle-set -D {DEEP_SLEEP_US} (package linux-cpupower)");
    Finding::of(Verdict::Improve, TOPIC, value, next)
}

/// How often a processor was slowed down because it was too hot.
fn heat(tree: &Tree) -> Option<Finding> {
    const TOPIC: &str = "heat";
    let counters = ["core_throttle_count", "package_throttle_count"];
    let counts = online(tree).into_iter().flat_map(|cpu| {
        counters.map(|counter| format!("{DIR}/cpu{cpu}/thermal_throttle/{counter}"))
    });
    let most = counts.filter_map(|path| tree.number::<u64>(path)).max()?;
    Some(if most == 0 {
        Finding::good(TOPIC, "no processor was too hot since the boot")
    } else {
        let value = format!("slowed down by heat up to {most} times since the boot");
        Finding::of(Verdict::Improve, TOPIC, value, "see to its cooling")
    })
}
