// SPDX-License-Identifier: MIT OR Apache-2.0
//! The judgement over links to a WAMP router.

use plc_api::wamp::{LinkState, RouterAsked, RouterLink};

use super::*;

#[test]
fn a_router_that_is_asked_for_and_not_joined_is_told_with_the_way_to_it() {
    let machine = Machine::new(GOOD);
    let asked = |problems: &[&str], router: Option<RouterLink>, socket: &str| {
        let mut seen = seen_on(&machine, socket);
        let router_asked = RouterAsked {
            url: Some("wss://r".into()),
            source: "wampconf.json of the program".into(),
            unverified: false,
            problems: problems.iter().map(|&problem| problem.to_owned()).collect(),
        };
        let snapshot = Box::new(Snapshot { router, router_asked, ..started() });
        seen.runtime = Runtime::Answers { snapshot, period_ns: 0, keys: None };
        seen
    };
    assert_eq!(otherwise(&[], "router").verdict, Verdict::Good, "nobody asks");

    let nobody = finding(&asked(&[], None, SOCKET), "router");
    let value = "wss://r, as wampconf.json of the program asks, is not joined";
    assert_found(
        &nobody,
        Verdict::Problem,
        value,
        "systemctl enable --now plc-connector-wamp.service",
    );
    let desk = finding(&asked(&[], None, "/home/ann/plc/run/api.sock"), "router");
    assert_found(
        &desk,
        Verdict::Problem,
        "plc-local starts it",
        "--api /home/ann/plc/run/connectors/wamp.sock",
    );
    let mut mute = asked(&[], None, SOCKET);
    let running = "\nId=plc-connector-wamp.service\nLoadState=loaded\nActiveState=active\n";
    mute.units = Some(units(&format!("{UNITS}{running}")));
    assert_found(&finding(&mute, "router"), Verdict::Problem, "reports nothing", "journalctl");
    assert!(!finding(&mute, "IDE ports").value.contains("wamp.service"), "it is no port");

    let problem = "there is no secret /x: write it there";
    let off = RouterLink { reason: Some(problem.into()), ..RouterLink::default() };
    let refused = asked(&[problem], Some(off), SOCKET);
    assert_found(&finding(&refused, "router"), Verdict::Problem, "no secret /x", "write it there");
    assert!(findings(&refused).iter().all(|one| one.topic != "WAMP"), "it is told once");
    let without = asked(&[problem], None, SOCKET);
    assert_found(&finding(&without, "WAMP"), Verdict::Problem, "no secret /x", "write it there");
}

#[test]
fn a_link_to_a_router_is_told_with_its_certificate_and_registrations() {
    let machine = Machine::new(GOOD);
    let linked = |link: RouterLink| {
        let mut seen = seen_on(&machine, SOCKET);
        let snapshot = Box::new(Snapshot { router: Some(link), ..started() });
        seen.runtime = Runtime::Answers { snapshot, period_ns: 0, keys: None };
        seen
    };
    let ready = RouterLink {
        state: LinkState::Ready,
        url: "wss://r".into(),
        realm: "Plant".into(),
        id: "press".into(),
        authentication: "wampcra".into(),
        certificate: Some("of r, by Plant CA, until 2030".into()),
        registrations: 16,
        procedures: 16,
        ..RouterLink::default()
    };
    let seen = linked(ready.clone());
    let found = finding(&seen, "router");
    assert_eq!(found.verdict, Verdict::Good);
    assert!(
        found.value.contains("wss://r, realm Plant, as press (wampcra), 16 of 16"),
        "{found:?}"
    );
    let certificate = finding(&seen, "router certificate");
    assert_eq!(
        (certificate.verdict, &*certificate.value),
        (Verdict::Good, "of r, by Plant CA, until 2030")
    );

    let mut careless = linked(ready.clone());
    if let Runtime::Answers { snapshot, .. } = &mut careless.runtime {
        snapshot.router_asked.unverified = true;
    }
    let found = finding(&careless, "router certificate");
    assert_found(&found, Verdict::Improve, "of r, by Plant CA", "wamp.verify = true");

    let plain = RouterLink { url: "ws://r".into(), certificate: None, ..ready.clone() };
    assert_found(
        &finding(&linked(plain), "router certificate"),
        Verdict::Improve,
        "none",
        "wss://",
    );
    let lost = RouterLink {
        state: LinkState::Waiting,
        reason: Some("the secret is wrong".into()),
        ..ready.clone()
    };
    let found = finding(&linked(lost), "router");
    assert_found(&found, Verdict::Problem, "the secret is wrong", "journalctl");
    let joining = RouterLink { state: LinkState::Joining, ..ready };
    assert_eq!(finding(&linked(joining), "router").verdict, Verdict::Improve);
}
