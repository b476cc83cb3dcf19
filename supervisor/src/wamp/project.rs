// SPDX-License-Identifier: MIT OR Apache-2.0
//! `wampconf.json`, by which a program asks for a router, as IDEs since 2015 bring it among the extra files.
//!
//! | field | if it is missing |
//! | --- | --- |
//! | `ID` | `wamptest`; in files since 2025, which have one of the next two fields, the host's name |
//! | `authentication`: `None`, `PSK`, `ClientCertificate` | by the secret that comes with the program, if one does |
//! | `verifyHostname`: whether a router with `wss://` must show who it is | `true` |
//! | `active` | `false`; but a file of the time before this field, which has nothing but `ID`, `realm`, `url`, is active |
//! | `realm` | `Automation` |
//! | `url` | `ws://127.0.0.1:8888` |
//! | `protocolOptions.autoPingInterval`, `.autoPingTimeout` | as the machine is configured |
//! | `clientFactoryOptions.initialDelay`, `.maxDelay` | the same |
//!
//! Times are seconds; what is beyond our ranges is brought within. Other fields are not ours. The file is foreign
//! bytes: a bound on its size, the JSON reader's own on its depth.

use std::{ops::RangeInclusive, time::Duration};

use serde::Deserialize;

use super::name::{ID_RANGE, IdPattern, NAME_RANGE, RouterUrl, URL_RANGE, is_name};
use crate::config::{INITIAL_DELAY_MS, MAX_DELAY_SECONDS, PING_SECONDS};

/// The file's name among a program's extra files.
pub const FILE: &str = "wampconf.json";

/// The names of files that may come with it: a secret ...
pub const SECRET_FILE: &str = "wamp.secret";
/// ... a secret behind `ID:`, as IDEs write keys ...
pub const PSK_FILE: &str = "psk.txt";
/// ... the PLC's own certificate and its key ...
pub const CERTIFICATE_FILE: &str = "wampClientCert.pem";
/// ... and the authorities that count for the router.
pub const AUTHORITIES_FILE: &str = "wampTrustStore.crt";

/// Bytes that it may have; real ones have a few hundred.
pub const FILE_BYTES: usize = 64 << 10;

/// A program's wish for a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// The router.
    pub url: RouterUrl,
    /// The realm.
    pub realm: String,
    /// The PLC's name there.
    pub id: IdPattern,
    /// How to show who it is.
    pub authentication: Option<ProjectAuthentication>,
    /// Whether a router with `wss://` must show who it is.
    pub verify: Option<bool>,
    /// A ping is sent after this long.
    pub ping_interval: Option<Duration>,
    /// The link is dead if no pong came within this.
    pub ping_timeout: Option<Duration>,
    /// Pause before the second attempt.
    pub initial_delay: Option<Duration>,
    /// The longest pause between two attempts.
    pub max_delay: Option<Duration>,
}

/// The field `authentication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ProjectAuthentication {
    /// Not at all.
    None,
    /// By WAMP-CRA.
    #[serde(rename = "PSK")]
    Psk,
    /// By a certificate.
    ClientCertificate,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "ID")]
    id: Option<String>,
    active: Option<bool>,
    realm: Option<String>,
    url: Option<String>,
    authentication: Option<ProjectAuthentication>,
    #[serde(rename = "verifyHostname")]
    verify: Option<bool>,
    #[serde(rename = "protocolOptions")]
    protocol: Option<Protocol>,
    #[serde(rename = "clientFactoryOptions")]
    factory: Option<Factory>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Protocol {
    auto_ping_interval: Option<f64>,
    auto_ping_timeout: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Factory {
    initial_delay: Option<f64>,
    max_delay: Option<f64>,
}

/// Reads the file; `None`: it asks for no router.
///
/// # Errors
/// A sentence, when it is no such file or asks for what cannot be.
pub fn read(bytes: &[u8]) -> Result<Option<Project>, String> {
    let wrong = |what: String| format!("{FILE} of the program does not count: {what}");
    if bytes.len() > FILE_BYTES {
        return Err(wrong(format!("it is larger than {} KiB", FILE_BYTES >> 10)));
    }
    // Editors of the time of Python 2 may have put a byte order mark there.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: File = serde_json::from_slice(bytes).map_err(|error| wrong(place_of(&error)))?;
    if !file.is_active() {
        return Ok(None);
    }
    let url = file.url.as_deref().unwrap_or("ws://127.0.0.1:8888");
    let realm = file.realm.as_deref().unwrap_or("Automation");
    let standard_id = if file.is_of_2025() { "%H" } else { "wamptest" };
    let id = file.id.as_deref().unwrap_or(standard_id);
    let (protocol, factory) = (file.protocol.unwrap_or_default(), file.factory.unwrap_or_default());
    Ok(Some(Project {
        url: RouterUrl::new(url).ok_or_else(|| wrong(format!("url must be {URL_RANGE}")))?,
        realm: if is_name(realm) {
            realm.to_owned()
        } else {
            return Err(wrong(format!("realm must be {NAME_RANGE}")));
        },
        id: IdPattern::new(id).ok_or_else(|| wrong(format!("ID must be {ID_RANGE}")))?,
        authentication: file.authentication,
        verify: file.verify,
        ping_interval: time(protocol.auto_ping_interval, PING_SECONDS, 1000),
        ping_timeout: time(protocol.auto_ping_timeout, PING_SECONDS, 1000),
        initial_delay: time(factory.initial_delay, INITIAL_DELAY_MS, 1),
        max_delay: time(factory.max_delay, MAX_DELAY_SECONDS, 1000),
    }))
}

impl File {
    fn is_active(&self) -> bool {
        let has_old_fields = self.id.is_some() && self.realm.is_some() && self.url.is_some();
        let has_later_fields = self.protocol.is_some() || self.factory.is_some();
        let is_old = has_old_fields && !has_later_fields && !self.is_of_2025();
        self.active.unwrap_or(is_old)
    }

    fn is_of_2025(&self) -> bool {
        self.authentication.is_some() || self.verify.is_some()
    }
}

/// Where the reader stopped and why, without what it has read: that may be anything.
fn place_of(error: &serde_json::Error) -> String {
    let why = match error.classify() {
        serde_json::error::Category::Data => "a field is of the wrong kind",
        serde_json::error::Category::Eof => "it ends too early",
        serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is no JSON",
    };
    format!("{why}, line {}, column {}", error.line(), error.column())
}

/// Seconds as a time within the range, whose unit is `unit_ms`; what is no time at all is as if it were missing.
fn time(seconds: Option<f64>, range: RangeInclusive<i64>, unit_ms: i64) -> Option<Duration> {
    let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds > 0.0)?;
    let bound =
        |units: i64| Duration::from_millis(u64::try_from(units * unit_ms).unwrap_or(u64::MAX));
    let time = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    let (least, most) = (bound(*range.start()), bound(*range.end()));
    // Whole milliseconds: that is what connectors are told.
    let millis = u64::try_from(time.clamp(least, most).as_millis()).unwrap_or(u64::MAX);
    Some(Duration::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(text: &str) -> Project {
        read(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_file_of_today_is_read_with_all_its_fields() {
        let project = active(
            r#"{"ID": "press-7", "active": true, "realm": "Plant", "url": "wss://r.example/ws",
                "clientFactoryOptions": {"maxDelay": 60, "initialDelay": 0.5, "factor": 2, "jitter": 0.1},
                "protocolOptions": {"autoPingInterval": 7, "autoPingTimeout": 2.5}, "other": [1, {}]}"#,
        );
        let expected = Project {
            url: RouterUrl::new("wss://r.example/ws").unwrap(),
            realm: "Plant".into(),
            id: IdPattern::new("press-7").unwrap(),
            authentication: None,
            verify: None,
            ping_interval: Some(Duration::from_secs(7)),
            ping_timeout: Some(Duration::from_millis(2500)),
            initial_delay: Some(Duration::from_millis(500)),
            max_delay: Some(Duration::from_secs(60)),
        };
        assert_eq!(project, expected);
    }

    #[test]
    fn what_is_missing_is_as_in_the_reference_runtime() {
        let project = active(r#"{"active": true}"#);
        assert_eq!(project.url.as_str(), "ws://127.0.0.1:8888");
        assert_eq!(project.realm, "Automation");
        assert_eq!(project.id, IdPattern::new("wamptest").unwrap());
        assert_eq!(project.max_delay, None);
    }

    #[test]
    fn a_file_since_2025_says_how_both_sides_show_who_they_are() {
        for (text, authentication, verify) in [
            (r#""authentication": "None""#, Some(ProjectAuthentication::None), None),
            (r#""authentication": "PSK""#, Some(ProjectAuthentication::Psk), None),
            (
                r#""authentication": "ClientCertificate", "verifyHostname": false"#,
                Some(ProjectAuthentication::ClientCertificate),
                Some(false),
            ),
            (r#""authentication": null, "verifyHostname": true"#, None, Some(true)),
        ] {
            let project = active(&format!("{{\"active\": true, {text}}}"));
            assert_eq!((project.authentication, project.verify), (authentication, verify));
            assert_eq!(project.id, IdPattern::host(), "the name that the runtime was given");
        }
    }

    #[test]
    fn a_file_without_the_field_active_is_active_only_if_it_is_older_than_that_field() {
        let old = r#"{"ID": "wamptest", "realm": "Automation", "url": "ws://127.0.0.1:8888"}"#;
        assert!(read(old.as_bytes()).unwrap().is_some());
        for inactive in [
            "{}",
            r#"{"active": false, "ID": "a", "realm": "b", "url": "ws://r"}"#,
            r#"{"active": null}"#,
            r#"{"ID": "a", "url": "ws://r"}"#,
            r#"{"ID": "a", "realm": "b", "url": "ws://r", "protocolOptions": {}}"#,
            r#"{"ID": "a", "realm": "b", "url": "ws://r", "verifyHostname": true}"#,
            // What an inactive file says besides is of no consequence.
            r#"{"active": false, "url": "nonsense"}"#,
        ] {
            assert_eq!(read(inactive.as_bytes()), Ok(None), "{inactive}");
        }
    }

    #[test]
    fn a_file_of_an_old_editor_is_read_too() {
        let text = "\u{feff}{\"active\": true,\r\n \"ID\": \"\\u0061\"}\r\n";
        assert_eq!(active(text).id, IdPattern::new("a").unwrap());
    }

    #[test]
    fn times_beyond_the_ranges_are_brought_within_and_no_times_are_missing() {
        let of = |interval: &str| {
            active(&format!(
                r#"{{"active": true, "protocolOptions": {{"autoPingInterval": {interval}}}}}"#
            ))
            .ping_interval
        };
        assert_eq!(of("0.001"), Some(Duration::from_secs(1)));
        assert_eq!(of("1e300"), Some(Duration::from_secs(3600)));
        for no_time in ["0", "-1", "-1e300", "null"] {
            assert_eq!(of(no_time), None, "{no_time}");
        }
    }

    #[test]
    fn a_hostile_file_does_not_count_and_the_reason_does_not_repeat_it() {
        let huge = format!("{{\"active\": true, \"ID\": \"{}\"}}", "x".repeat(FILE_BYTES));
        let deep = format!("{{\"active\": true, \"x\": {}", "[".repeat(30_000));
        for (text, why) in [
            (huge.as_str(), "larger than 64 KiB"),
            (&deep, "ends too early"),
            ("", "ends too early"),
            ("\u{0}evil", "it is no JSON"),
            (r#"["evil"]"#, "wrong kind"),
            (r#""evil""#, "wrong kind"),
            (r#"{"active": "evil"}"#, "wrong kind"),
            (r#"{"active": true, "ID": 7, "x": "evil"}"#, "wrong kind"),
            (
                r#"{"active": true, "protocolOptions": {"autoPingInterval": NaN, "x": "evil"}}"#,
                "it is no JSON",
            ),
            (r#"{"active": true, "protocolOptions": "evil"}"#, "wrong kind"),
            (r#"{"active": true, "authentication": "evil"}"#, "wrong kind"),
            (r#"{"active": true, "verifyHostname": "evil"}"#, "wrong kind"),
            (r#"{"active": true, "active": false, "x": "evil"}"#, "wrong kind"),
            (r#"{"active": true, "url": "ws://evil host"}"#, "url must be"),
            (r#"{"active": true, "url": "ws://me:evil@r"}"#, "url must be"),
            (r#"{"active": true, "url": "file:///evil"}"#, "url must be"),
            (r#"{"active": true, "realm": "evil\n"}"#, "realm must be"),
            (r#"{"active": true, "ID": "evil\u001b[2J"}"#, "ID must be"),
            (r#"{"active": true, "ID": "evil..x"}"#, "ID must be"),
            (r#"{"active": true, "ID": "%evil"}"#, "ID must be"),
        ] {
            let error = read(text.as_bytes()).unwrap_err();
            let start: String = text.chars().take(60).collect();
            assert!(error.contains(why), "{start}: {error}");
            assert!(error.contains(FILE) && !error.contains("evil"), "{start}: {error}");
            assert!(error.len() < 400 && !error.contains('\n'), "{start}: {error}");
        }
        assert!(read(b"\xff\xfe{\0").is_err());
    }
}
