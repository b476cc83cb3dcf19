// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong between a PLC and its router: each is told with its reason, and heals without a restart; the PLC
//! runs on.

use std::{fs, sync::Arc};

use plc_api::{
    message::WhenRunning,
    plc::{PlcStatus, Snapshot},
    wamp::LinkState,
};
use plc_tests::{
    api::{Api, MD5},
    desk::Desk,
    ide::{Generation, Ide},
    programs,
    scratch::scratch,
    wamp::{
        Connector,
        certificates::{Authority, Validity},
        network::{Network, ROUTER},
        router::{CLOSED, MEMBER, OPEN, Plan, Router, SECRET},
        wait_link, wait_ready, wait_reason,
    },
};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// A desk whose program runs, and its connector.
struct Plc {
    connector: Connector,
    desk: Desk,
    api: Api,
    /// When its program ran first.
    begin: Arc<Snapshot>,
    ticks: u64,
}

impl Plc {
    fn at(settings: &str) -> Self {
        Self::of(Desk::configured(settings), &[])
    }

    fn of(desk: Desk, wrapper: &[String]) -> Self {
        let api = desk.api();
        api.install(MD5, &programs::bytes("lockstep"), &[], WhenRunning::Refuse).unwrap();
        api.start().unwrap();
        let begin = api.wait_status(PlcStatus::Started);
        let ticks = api.stats().ticks;
        let connector = Connector::behind(wrapper, &desk.paths().connector_socket("wamp"));
        Self { connector, desk, api, begin, ticks }
    }

    /// What `plcctl status --json` says of the link.
    fn told(&self) -> Value {
        let (code, output, error) = self.desk.plcctl(&["status", "--json"]);
        assert_eq!(code, 0, "{error}");
        serde_json::from_str::<Value>(&output).unwrap()["router"].take()
    }

    /// The link is not there for this reason; people and programs are told so.
    fn is_told(&self, words: &[&str]) -> String {
        let reason = wait_reason(&self.api, words);
        let told = self.told()["reason"].as_str().unwrap_or_default().to_owned();
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
        let (_, text, _) = self.desk.plcctl(&["status"]);
        assert!(text.contains(words[0]), "{text}");
        reason
    }

    /// The program has run all the time since it was started.
    fn ran_on(&mut self) {
        let ticks = self.ticks;
        // The program counts milliseconds; what is told of it comes twice a second.
        let now = self.api.wait("more cycles", |_| self.api.stats().ticks > ticks);
        self.ticks = self.api.stats().ticks;
        assert_eq!(now.status, PlcStatus::Started);
        assert_eq!(now.started_at_us, self.begin.started_at_us);
        assert_eq!((now.worker_pid, now.crashes), (self.begin.worker_pid, 0));
    }

    /// Another configuration, without a restart.
    fn reload(&self, settings: &str) {
        fs::write(self.desk.path().join("plc-runtime.toml"), settings).unwrap();
        let (code, _, error) = self.desk.plcctl(&["reload"]);
        assert_eq!(code, 0, "{error}");
    }
}

fn status_through(router: &Router, realm: &str) -> String {
    Ide::with_uri(Generation::Wamp, &router.uri(realm, MEMBER), &[]).status()
}

#[test]
fn a_router_that_was_killed_is_joined_again() {
    let mut router = Router::start();
    let mut plc = Plc::at(&router.settings(OPEN, MEMBER));
    wait_ready(&plc.api);
    for _ in 0..2 {
        router.kill();
        plc.is_told(&["router"]);
        let link = wait_link(&plc.api, "a pause", |link| link.next_attempt_us.is_some());
        assert_eq!((link.state, link.registrations), (LinkState::Waiting, 0));
        plc.ran_on();
        router.start_again();
        let link = wait_ready(&plc.api);
        assert_eq!((link.reason, link.next_attempt_us), (None, None));
        assert_eq!(status_through(&router, OPEN), "Started");
        plc.ran_on();
    }
}

#[test]
fn a_network_that_swallows_everything_is_noticed_by_pings_and_the_plc_comes_back_with_it() {
    let network = Network::new();
    let router = Router::planned(Plan {
        address: ROUTER,
        wrapper: network.at_the_router(),
        notices_ms: 4000,
        ..Plan::default()
    });
    let settings = router.settings(OPEN, MEMBER);
    let mut plc = Plc::of(Desk::configured(&settings), &network.at_the_plc());
    wait_ready(&plc.api);
    network.cut();
    plc.is_told(&["ping"]);
    plc.ran_on();
    // And once more, at the latest in an attempt that nobody answers.
    let first = wait_link(&plc.api, "a pause", |link| link.state == LinkState::Waiting);
    wait_link(&plc.api, "another attempt that failed", |link| {
        link.state == LinkState::Waiting && link.since_us > first.since_us
    });
    network.mend();
    wait_ready(&plc.api);
    plc.ran_on();
    let line = network.at_the_plc();
    let mut ide = Ide::with_uri_behind(&line, Generation::Wamp, &router.uri(OPEN, MEMBER), &[]);
    assert_eq!(ide.status(), "Started");
}

#[test]
fn a_wrong_secret_is_told_and_the_right_one_counts_after_a_reload() {
    let router = Router::start();
    let settings = router.settings(CLOSED, MEMBER);
    let dir = scratch("desk");
    let secret = dir.path().join("wamp.secret");
    fs::write(&secret, "not the secret\n").unwrap();
    fs::write(dir.path().join("plc-runtime.toml"), &settings).unwrap();
    let mut plc = Plc::of(Desk::in_dir(dir), &[]);
    let reason = plc.is_told(&["secret", MEMBER]);
    assert!(!reason.contains("not the secret"), "{reason}");
    fs::write(&secret, SECRET).unwrap();
    plc.reload(&settings);
    let link = wait_ready(&plc.api);
    assert_eq!(link.authentication, "wampcra");
    plc.ran_on();
    for log in [plc.desk.log(), plc.connector.log()] {
        assert!(!log.contains(SECRET), "the secret is in a log: {log}");
    }
}

#[test]
fn a_realm_that_the_router_does_not_have_is_told_until_it_has_it() {
    let mut router = Router::start();
    let mut plc = Plc::at(&router.settings("Elsewhere", MEMBER));
    plc.is_told(&["realm", "Elsewhere"]);
    plc.ran_on();
    router.start_otherwise(|plan| plan.further_realms.push("Elsewhere".to_owned()));
    wait_ready(&plc.api);
    assert_eq!(status_through(&router, "Elsewhere"), "Started");
    plc.ran_on();
}

#[test]
fn an_expired_certificate_is_told_and_a_renewed_one_is_taken() {
    let authority = Authority::new();
    let certificate = Some(authority.issue(Validity::Expired));
    let mut router = Router::planned(Plan { certificate, ..Plan::default() });
    let ca = authority.certificate();
    let settings = format!("{}ca_file = \"{}\"\n", router.settings(OPEN, MEMBER), ca.display());
    let mut plc = Plc::at(&settings);
    plc.is_told(&["expired"]);
    plc.ran_on();
    router.start_otherwise(|plan| plan.certificate = Some(authority.issue(Validity::Today)));
    let link = wait_ready(&plc.api);
    let whose = link.certificate.unwrap_or_default();
    assert!(
        whose.contains("router of the test") && whose.contains("authority of the test"),
        "{whose}"
    );
    let (_, checked, _) = plc.desk.plcctl(&["check", "--no-latency"]);
    for word in [&router.url(), "valid until", "anonymous", "17 of 17 procedures"] {
        assert!(checked.contains(word), "no {word}: {checked}");
    }
    let options = ["--ca", ca.to_str().unwrap()];
    let mut ide = Ide::with_uri(Generation::Wamp, &router.uri(OPEN, MEMBER), &options);
    assert_eq!(ide.status(), "Started");
    plc.ran_on();

    // A PLC that does not know the authority does not believe it, unless it is told to believe everybody.
    plc.reload(&router.settings(OPEN, MEMBER));
    plc.is_told(&["authority"]);
    plc.reload(&format!("{}verify = false\n", router.settings(OPEN, MEMBER)));
    let whose = wait_ready(&plc.api).certificate.unwrap_or_default();
    assert!(whose.contains("NOT verified"), "{whose}");
    let _ = plc.connector.wait_log("the router's certificate is not verified");
    plc.ran_on();
}

#[test]
fn a_second_plc_of_the_same_name_waits_until_the_first_has_gone() {
    let router = Router::start();
    let mut first = Plc::at(&router.settings(OPEN, MEMBER));
    wait_ready(&first.api);
    let second = Plc::at(&router.settings(OPEN, MEMBER));
    second.is_told(&[MEMBER, "another PLC", "plc-runtime"]);
    second.api.stop().unwrap();
    assert_eq!(wait_ready(&first.api).reason, None, "the first is not disturbed");
    assert_eq!(status_through(&router, OPEN), "Started", "IDEs reach the first");
    first.ran_on();
    first.reload("");
    wait_link(&first.api, "no link", |link| link.state == LinkState::Off);
    wait_ready(&second.api);
    assert_eq!(status_through(&router, OPEN), "Stopped", "IDEs reach the second");
    first.ran_on();
}

#[test]
fn a_dead_session_that_the_router_still_holds_is_displaced_by_the_plc_s_next_one() {
    // It would take two minutes to notice by itself.
    let router = Router::planned(Plan { notices_ms: 240_000, ..Plan::default() });
    let mut plc = Plc::at(&router.settings(OPEN, MEMBER));
    let first = wait_ready(&plc.api);
    kill_process(plc.connector.pid(), Signal::STOP).unwrap();
    let next = Connector::joining(&plc.desk.paths().connector_socket("wamp"));
    wait_link(&plc.api, "the next session", |link| {
        link.state == LinkState::Ready && link.since_us > first.since_us
    });
    assert_eq!(status_through(&router, OPEN), "Started");
    plc.ran_on();
    // A name that is nobody's again is registered as before.
    drop(next);
    kill_process(plc.connector.pid(), Signal::CONT).unwrap();
}
