// SPDX-License-Identifier: MIT OR Apache-2.0
//! WAMP: whether the router that somebody asks for is joined, and with what.

use plc_api::{
    plc::Snapshot,
    wamp::{LinkState, RouterLink},
};

use super::{
    finding::{Finding, Verdict},
    seen::{Runtime, Seen},
};
use crate::{render, router};

const TOPIC: &str = "router";

/// The connector's unit, without the service's prefix.
pub(crate) const UNIT: &str = "connector-wamp.service";

/// All findings of this kind.
pub(crate) fn examine(seen: &Seen) -> Vec<Finding> {
    let Runtime::Answers { snapshot, .. } = &seen.runtime else { return Vec::new() };
    let mut findings = match &snapshot.router {
        Some(link) if link.state != LinkState::Off => {
            joined(link, snapshot.router_asked.unverified)
        }
        link => not_joined(seen, snapshot, link.as_ref()),
    };
    for problem in &snapshot.router_asked.problems {
        let (value, next) = parts(problem);
        if !findings.iter().any(|one| one.value.contains(value)) {
            findings.push(Finding::of(Verdict::Problem, "WAMP", value, next));
        }
    }
    findings
}

/// What a sentence says, and the next step that it names after a colon.
fn parts(sentence: &str) -> (&str, &str) {
    sentence.split_once(": ").unwrap_or((sentence, "see: plcctl status"))
}

fn joined(link: &RouterLink, unverified: bool) -> Vec<Finding> {
    let sentence = router::sentence(link, render::now_us());
    let state = match link.state {
        LinkState::Ready => Finding::good(TOPIC, sentence),
        LinkState::Waiting => {
            let next =
                "journalctl -u plc-connector-wamp; settings are in [wamp] of plc-runtime.toml";
            Finding::of(Verdict::Problem, TOPIC, sentence, next)
        }
        LinkState::Off | LinkState::Connecting | LinkState::Joining | LinkState::Registering => {
            let next = "wait, then look again: plcctl status";
            Finding::of(Verdict::Improve, TOPIC, sentence, next)
        }
    };
    let source = Finding::good("router settings", link.source.clone());
    let certificate = match &link.certificate {
        Some(certificate) if unverified => Finding::of(
            Verdict::Improve,
            "router certificate",
            certificate,
            "wamp.verify = true, with wamp.ca_file for an authority of your own",
        ),
        Some(certificate) => Finding::good("router certificate", certificate.clone()),
        None if link.url.to_ascii_lowercase().starts_with("ws://") => Finding::of(
            Verdict::Improve,
            "router certificate",
            "none: what passes can be read, and changed, on the way",
            "an address with wss://",
        ),
        None => return vec![state, source],
    };
    vec![state, source, certificate]
}

fn not_joined(seen: &Seen, snapshot: &Snapshot, link: Option<&RouterLink>) -> Vec<Finding> {
    let asked = &snapshot.router_asked;
    let Some(url) = &asked.url else {
        return vec![Finding::good(TOPIC, "off, nobody asks for one")];
    };
    let what = format!("{url}, as {} asks, is not joined", asked.source);
    let problem = |value: String, next: String| Finding::of(Verdict::Problem, TOPIC, value, next);
    if let Some(link) = link {
        let reason = link.reason.as_deref().unwrap_or("the connector says no reason");
        let (reason, next) = parts(reason);
        return vec![problem(format!("{what}: {reason}"), next.to_owned())];
    }
    let Some(unit) = seen.place.unit(UNIT) else {
        return vec![problem(
            format!(
                "{what}: its connector does not run; plc-local starts it where it is beside it"
            ),
            format!(
                "plc-connector-wamp --api {}",
                seen.place.paths.connector_socket("wamp").display()
            ),
        )];
    };
    let runs = seen.unit(UNIT).is_some_and(super::seen::Unit::is_active);
    vec![if runs {
        problem(format!("{what}: {unit} runs and reports nothing"), format!("journalctl -u {unit}"))
    } else {
        problem(
            format!("{what}: the connector does not run"),
            format!("systemctl enable --now {unit}"),
        )
    }]
}
