// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is counted, published and forgotten.

use std::fs;

use plc_api::{plc::Snapshot, wamp::LinkState};

use super::*;

/// Settings of a configuration's directory in which there is nothing.
fn wamp(dir: &Path) -> (Wamp, Published) {
    let published = Published::new(Snapshot::default());
    let paths = Paths::of_desk(dir);
    let wamp = Wamp::open(&paths, WampConfig::default(), None, published.clone()).unwrap();
    (wamp, published)
}

fn link(id: &str, state: LinkState) -> RouterLink {
    RouterLink { id: id.into(), state, ..RouterLink::default() }
}

#[test]
fn a_program_s_wish_is_picked_up_and_dropped_and_each_change_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (wamp, published) = wamp(dir.path());
    let revision = || published.get().settings_revision;
    assert_eq!(revision(), 0);

    let program = dir.path().join("000001-x");
    fs::create_dir_all(program.join("extra")).unwrap();
    wamp.program_is(Some(&program));
    assert_eq!(revision(), 0, "a program that asks for nothing");

    let file = program.join("extra").join(project::FILE);
    fs::write(&file, r#"{"active": true, "ID": "a"}"#).unwrap();
    wamp.program_is(Some(&program));
    assert_eq!(revision(), 1);
    assert_eq!(published.get().router_asked.url.as_deref(), Some("ws://127.0.0.1:8888"));
    assert_eq!(wamp.settings().router.unwrap().id, "a");
    assert_eq!(revision(), 1, "asking changes nothing");

    wamp.program_is(None);
    assert_eq!((revision(), published.get().router_asked.clone()), (2, RouterAsked::default()));
}

#[test]
fn a_secret_that_changed_counts_after_a_reload_of_the_same_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (wamp, published) = wamp(dir.path());
    let config =
        WampConfig { active: true, url: name::RouterUrl::new("ws://r"), ..WampConfig::default() };
    wamp.configure(config.clone());
    fs::write(dir.path().join("wamp.secret"), "hush").unwrap();
    let before = published.get().settings_revision;
    wamp.configure(config);
    assert_eq!(published.get().settings_revision, before + 1);
    assert!(!format!("{:?} {:?}", published.get(), wamp).contains("hush"));
}

#[test]
fn a_report_goes_with_its_connector_and_the_one_that_spoke_last_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let (wamp, published) = wamp(dir.path());
    let seen = || published.get().router.as_ref().map(|link| (link.id.clone(), link.state));
    wamp.report(1, link("old", LinkState::Ready));
    wamp.report(2, link("new", LinkState::Joining));
    assert_eq!(seen(), Some(("new".into(), LinkState::Joining)));
    wamp.left(1);
    assert_eq!(seen(), Some(("new".into(), LinkState::Joining)));
    wamp.report(2, link("new", LinkState::Ready));
    assert_eq!(seen(), Some(("new".into(), LinkState::Ready)));
    wamp.left(3);
    wamp.left(2);
    assert_eq!(seen(), None);
}

#[test]
fn a_report_is_cut_to_what_fits_and_drives_no_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let (wamp, published) = wamp(dir.path());
    let reason = Some(format!("\u{1b}[2J{}", "x".repeat(1 << 20)));
    wamp.report(1, RouterLink { reason, ..link("a", LinkState::Waiting) });
    let reason = published.get().router.clone().unwrap().reason.unwrap();
    assert_eq!(reason.len(), REPORT_CHARS);
    assert!(reason.starts_with("[2Jx"));
}
