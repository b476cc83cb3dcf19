// SPDX-License-Identifier: MIT OR Apache-2.0
//! The file by which a program asks for a router: what is taken of it could have been configured, and what is refused
//! is said in a sentence that names the file.

use std::time::Duration;

use plc_supervisor::wamp::{
    name::{IdPattern, Machine, RouterUrl, is_name},
    project::{FILE, read},
};

/// The input is the file.
pub fn run(data: &[u8]) {
    let project = match read(data) {
        Ok(Some(project)) => project,
        Ok(None) => return,
        Err(reason) => return assert!(reason.starts_with(FILE), "{reason}"),
    };
    assert_eq!(RouterUrl::new(project.url.as_str()).as_ref(), Some(&project.url));
    assert!(is_name(&project.realm), "{:?}", project.realm);
    let machine = Machine { host: Some("host".into()), id: Some("0".repeat(32)) };
    let id = project.id.resolve(&machine).expect("a machine that has what placeholders stand for");
    assert!(is_name(&id), "{id:?}");
    let itself = IdPattern::new(&id.replace('%', "%%")).expect("a pattern without placeholders");
    assert_eq!(itself.resolve(&Machine::default()), Ok(id));
    let day = Duration::from_secs(86_400);
    let times =
        [project.ping_interval, project.ping_timeout, project.initial_delay, project.max_delay];
    for time in times.into_iter().flatten() {
        assert!((Duration::from_millis(100)..=day).contains(&time), "{time:?}");
        assert_eq!(time.subsec_nanos() % 1_000_000, 0, "{time:?}");
    }
}

/// Files of each time.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"ID": "wamptest", "realm": "Automation", "url": "ws://127.0.0.1:8888"}"#,
        r#"{"active": true, "ID": "%H.press-%m%%", "realm": "Automation", "url": "wss://[::1]:8080/ws?x=1",
            "protocolOptions": {"autoPingInterval": 60, "autoPingTimeout": 2.5},
            "clientFactoryOptions": {"initialDelay": 1e-3, "maxDelay": 300}}"#,
        "\u{feff}{\"active\": false}",
        r#"{"active": true}"#,
        r#"{"active": true, "url": "ws://user:password@host/"}"#,
        r#"{"active": true, "realm": "wamp.x", "ID": "\u0007#"}"#,
        r#"{"active": true, "protocolOptions": {"autoPingInterval": -1e308, "autoPingTimeout": null}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
