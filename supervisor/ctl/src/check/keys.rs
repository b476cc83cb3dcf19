// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way over the network: keys, and whether IDEs find this PLC by themselves.

use plc_api::key::{KeyKind, KeyList};

use super::{
    finding::{Finding, Verdict},
    seen::{Runtime, Seen},
};
use crate::render;

/// Where what is shipped for discovery lies.
const SHIPPED: &str = "/usr/share/plc-runtime/discovery";

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let keys = match &seen.runtime {
        Runtime::Answers { keys: Some(keys), .. } => judge(keys),
        Runtime::Answers { keys: None, .. } | Runtime::Unreachable(_) => Vec::new(),
    };
    keys.into_iter().chain(discovery(seen)).collect()
}

fn judge(list: &KeyList) -> Vec<Finding> {
    const TOPIC: &str = "keys";
    let hex = list.keys.iter().filter(|key| key.hex_looking).map(|key| {
        let value = format!("that of {} looks like hexadecimal, which stunnel decodes", key.id);
        let next = format!("plcctl psk revoke {0}, plcctl psk add {0}", key.id);
        Finding::of(Verdict::Improve, TOPIC, value, next)
    });
    let problems = list.problems.iter().map(|problem| {
        Finding::of(Verdict::Problem, TOPIC, problem, "correct that file, then: plcctl reload")
    });
    let clients = list.keys.iter().filter(|key| key.kind != KeyKind::Device).count();
    let device = list.keys.iter().find(|key| key.kind == KeyKind::Device);
    let all = match device {
        Some(device) => {
            let others = render::count(u64::try_from(clients).unwrap_or(u64::MAX), "other");
            Finding::good(TOPIC, format!("the device's, {}, and {others}", device.id))
        }
        None => {
            let next = "systemctl restart plc-runtime makes one, or its log says why not";
            Finding::of(Verdict::Improve, TOPIC, "the device has none: no IDE can pair", next)
        }
    };
    std::iter::once(all).chain(hex).chain(problems).collect()
}

/// It is off until somebody wants it, and that is good.
fn discovery(seen: &Seen) -> Option<Finding> {
    const TOPIC: &str = "discovery";
    seen.place.service()?;
    let is_on = |dir: &str| seen.tree.names(dir).iter().any(|name| name.starts_with("plc-runtime"));
    if is_on("/etc/avahi/services") {
        return Some(Finding::good(TOPIC, "IDEs find this PLC, through avahi"));
    }
    if is_on("/etc/systemd/dnssd") {
        return Some(Finding::good(TOPIC, "IDEs find this PLC, through systemd-resolved"));
    }
    let on = if seen.tree.exists("/etc/avahi") {
        format!("cp {SHIPPED}/plc-runtime.service /etc/avahi/services/")
    } else {
        format!("apt install avahi-daemon, or see {SHIPPED}/plc-runtime.dnssd")
    };
    Some(Finding::good(TOPIC, format!("off, IDEs are told the address; to turn it on: {on}")))
}
