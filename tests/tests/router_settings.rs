// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a WAMP connector is told by a real supervisor: of the configuration, and of programs as they come and go.

use std::fs;

use plc_api::{
    client::CallError,
    message::{ApiError, Reply, Request, WhenRunning},
    plc::Snapshot,
    wamp::{Authentication, LinkState, RouterLink, RouterSettings, WampSettings},
};
use plc_tests::{
    api::{Api, MD5},
    desk::Desk,
    programs,
};

const PROJECT: &[u8] =
    br#"{"ID": "press", "active": true, "realm": "Plant", "url": "ws://127.0.0.1:9"}"#;

/// The API as the WAMP connector sees it.
fn connector(desk: &Desk) -> Api {
    Api::connect(&desk.paths().connector_socket("wamp")).unwrap()
}

fn settings(api: &Api) -> WampSettings {
    match api.call(Request::WampSettings) {
        Ok(Reply::Wamp(settings)) => *settings,
        other => panic!("not settings: {other:?}"),
    }
}

fn router(api: &Api) -> RouterSettings {
    let settings = settings(api);
    settings.router.unwrap_or_else(|| panic!("no router: {:?}", settings.problems))
}

fn install(api: &Api, extra: &[(&str, &[u8])]) {
    api.install(MD5, &programs::bytes("good"), extra, WhenRunning::Restart).unwrap();
}

/// How the link is, as a connector tells it.
fn report(api: &Api, state: LinkState) {
    let link = RouterLink { state, id: "press".into(), ..RouterLink::default() };
    assert!(matches!(api.call(Request::ReportRouter(Box::new(link))), Ok(Reply::Done)));
}

#[test]
fn a_program_s_router_comes_and_goes_with_it_and_each_change_is_counted_before_the_reply() {
    let desk = Desk::start();
    let (api, wamp) = (desk.api(), connector(&desk));
    // The calling client's own snapshots, which come before its replies.
    let mut revision = api.snapshot().settings_revision;
    let mut changed = |what: &str, expected: bool| {
        let now = api.known();
        assert_eq!(now.settings_revision != revision, expected, "{what}: {now:?}");
        assert_eq!(settings(&wamp).router.is_some(), now.router_asked.url.is_some(), "{what}");
        assert_eq!(api.snapshot().settings_revision, now.settings_revision, "{what}");
        revision = now.settings_revision;
    };
    install(&api, &[]);
    changed("a program that asks for nothing", false);
    install(&api, &[("wampconf.json", PROJECT), ("wamp.secret", b"hush")]);
    changed("a program that asks for a router", true);
    let asked = router(&wamp);
    assert_eq!((asked.url.as_str(), asked.id.as_str()), ("ws://127.0.0.1:9", "press"));
    assert!(
        matches!(asked.authentication, Authentication::Cra(secret) if secret.reveal() == "hush")
    );
    api.start().unwrap();
    changed("a start", false);
    api.call(Request::Repair).unwrap();
    changed("no program", true);
    api.call(Request::Rollback).unwrap();
    changed("it is back", true);
    install(&api, &[("wampconf.json", PROJECT)]);
    changed("the same router, without the secret", true);
    assert_eq!(router(&wamp).authentication, Authentication::Anonymous);
    install(&api, &[]);
    changed("another program", true);
    api.call(Request::Rollback).unwrap();
    changed("the one before", true);

    let desk = Desk::in_dir(desk.end());
    assert_eq!(router(&connector(&desk)).id, "press", "from the first moment on");
}

#[test]
fn a_program_whose_file_is_no_good_is_installed_and_the_reason_is_told() {
    let desk = Desk::start();
    let (api, wamp) = (desk.api(), connector(&desk));
    let deep = "[".repeat(60_000);
    for bad in
        [deep.as_bytes(), b"", br#"{"active": true, "url": "ws://me:hunter2@r"}"#, &[b' '; 1 << 20]]
    {
        install(&api, &[("wampconf.json", bad)]);
        let settings = settings(&wamp);
        assert_eq!(settings.router, None);
        assert_eq!(settings.problems.len(), 1, "{settings:?}");
        assert_eq!(api.snapshot().router_asked.problems, settings.problems);
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
    let (_, check, _) = desk.plcctl(&["check", "--no-latency"]);
    assert!(check.contains("wampconf.json of the program does not count"), "{check}");
}

#[test]
fn the_configuration_s_router_counts_after_a_reload_and_so_does_a_secret_that_changed() {
    let desk = Desk::start();
    let (api, wamp) = (desk.api(), connector(&desk));
    install(&api, &[("wampconf.json", PROJECT)]);
    let config = desk.path().join("plc-runtime.toml");
    let secret = desk.path().join("wamp.secret");
    let reload = || {
        let before = api.snapshot().settings_revision;
        api.call(Request::Reload).unwrap();
        api.known().settings_revision > before
    };
    assert!(!reload(), "nothing has changed");

    fs::write(&config, "[wamp]\nactive = true\nurl = \"ws://127.0.0.1:7\"\nid = \"%H.x\"\nauthentication = \"ticket\"\n")
        .unwrap();
    assert!(reload());
    // The machine's owner comes before the program; without its secret there is no link at all.
    let without = settings(&wamp);
    assert_eq!(without.router, None);
    let problem = &without.problems[0];
    assert!(
        problem.contains(secret.to_str().unwrap()) && problem.contains("chmod 0640"),
        "{problem}"
    );
    assert_eq!(api.snapshot().router_asked.url.as_deref(), Some("ws://127.0.0.1:7"));

    for text in ["first", "second"] {
        fs::write(&secret, text).unwrap();
        assert!(reload(), "{text}");
        assert!(
            matches!(router(&wamp).authentication, Authentication::Ticket(is) if is.reveal() == text)
        );
    }
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(router(&wamp).id, format!("{}.x", host.trim()));

    fs::write(&config, "[wamp]\nactive = 7\n").unwrap();
    assert!(matches!(api.call(Request::Reload), Err(CallError::Api(ApiError::Failed(_)))));
    assert_eq!(router(&wamp).url, "ws://127.0.0.1:7", "a mistake changes nothing");
    fs::write(&config, "[wamp]\nproject_settings = false\n").unwrap();
    assert!(reload());
    let forbidden = settings(&wamp);
    assert!(
        forbidden.router.is_none() && forbidden.problems[0].contains("forbids"),
        "{forbidden:?}"
    );
    let told = desk.log();
    assert!(told.contains("there is no secret") && !told.contains("\"second\""), "{told}");
}

#[test]
fn only_the_connector_is_told_secrets_and_tells_of_its_link() {
    let desk = Desk::start();
    let others = [desk.paths().api_socket(), desk.paths().connector_socket("pyro")];
    for socket in others {
        let api = Api::connect(&socket).unwrap();
        for request in [Request::WampSettings, Request::ReportRouter(Box::default())] {
            let refused = api.call(request);
            assert!(matches!(refused, Err(CallError::Api(ApiError::NotAllowed(_)))), "{refused:?}");
        }
    }
    assert_eq!(desk.api().snapshot().router, None);
}

#[test]
fn the_link_is_seen_as_long_as_its_connector_is_there() {
    let desk = Desk::start();
    let api = desk.api();
    let state = |now: &Snapshot| now.router.as_ref().map(|link| link.state);
    let wamp = connector(&desk);
    report(&wamp, LinkState::Waiting);
    report(&wamp, LinkState::Ready);
    assert_eq!(state(&wamp.snapshot()), Some(LinkState::Ready));
    let (_, text, _) = desk.plcctl(&["--json", "status"]);
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&told["router"]["state"], &told["router"]["id"]),
        (&"ready".into(), &"press".into())
    );
    // The next one comes before the first has gone.
    let successor = connector(&desk);
    report(&successor, LinkState::Joining);
    drop(wamp);
    api.wait("the successor's link", |now| state(now) == Some(LinkState::Joining));
    drop(successor);
    api.wait("no link", |now| now.router.is_none());
}
