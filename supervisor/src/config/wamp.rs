// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[wamp]`: the router that the machine's owner wants joined, and how IDEs come in without one.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{ConfigError, check::within, raw::RawWamp};
use crate::wamp::name::{ID_RANGE, IdPattern, NAME_RANGE, RouterUrl, URL_RANGE, is_name};

/// Web pages that may be let in.
const ORIGINS: usize = 64;

/// Seconds between two pings, and to wait for the answer.
pub(crate) const PING_SECONDS: RangeInclusive<i64> = 1..=3600;
/// Milliseconds before the second attempt.
pub(crate) const INITIAL_DELAY_MS: RangeInclusive<i64> = 100..=600_000;
/// Seconds between attempts, at most.
pub(crate) const MAX_DELAY_SECONDS: RangeInclusive<i64> = 1..=86_400;

/// `wamp.authentication`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthenticationMethod {
    /// The router is told nothing.
    Anonymous,
    /// By a challenge.
    WampCra,
    /// By the secret itself.
    Ticket,
    /// By a certificate.
    Tls,
}

/// All of `[wamp]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WampConfig {
    /// Whether the machine's own router is joined; then `url` is there.
    pub active: bool,
    /// That router.
    pub url: Option<RouterUrl>,
    /// The realm there; `Automation` by default.
    pub realm: String,
    /// The PLC's name there; by default the host's.
    pub id: IdPattern,
    /// How to show who it is; `None`: by a certificate if `certificate_file` is there, by WAMP-CRA if there is a secret,
    /// otherwise not at all.
    pub authentication: Option<AuthenticationMethod>,
    /// Where the secret is; `None`: `wamp.secret` beside the configuration.
    pub secret_file: Option<PathBuf>,
    /// Where the PLC's own certificate and key are; `None`: `wampClientCert.pem` beside the configuration.
    pub certificate_file: Option<PathBuf>,
    /// The certificate authorities that count for routers; `None`: `wampTrustStore.crt` beside the configuration, or
    /// the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether a router must show who it is; by default it must.
    pub verify: bool,
    /// A ping is sent after this long, 1 to 3600 s; by default 10 s.
    pub ping_interval: Duration,
    /// The link is dead if no pong came within this, 1 to 3600 s; by default 5 s.
    pub ping_timeout: Duration,
    /// Pause before the second attempt, 0.1 to 600 s and at most `max_delay`; by default 1 s.
    pub initial_delay: Duration,
    /// The longest pause between two attempts, 1 to 86 400 s; by default 300 s.
    pub max_delay: Duration,
    /// Whether what a program brings about WAMP counts; by default it does.
    pub project_settings: bool,
    /// Without a router.
    pub direct: DirectConfig,
}

/// How IDEs come in without a router.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectConfig {
    /// The one realm; `None`: any.
    pub realm: Option<String>,
    /// The one name of this PLC; `None`: any.
    pub id: Option<IdPattern>,
    /// Where the secret is that IDEs have to know.
    pub secret_file: Option<PathBuf>,
    /// Whether IDEs have to show one of the PLC's keys; by default they need not.
    pub keys: bool,
    /// Web pages that may come in, as browsers write them in `Origin:`; at most 64, by default none.
    pub origins: Vec<String>,
}

impl Default for WampConfig {
    fn default() -> Self {
        Self {
            active: false,
            url: None,
            realm: "Automation".to_owned(),
            id: IdPattern::host(),
            authentication: None,
            secret_file: None,
            certificate_file: None,
            ca_file: None,
            verify: true,
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(300),
            project_settings: true,
            direct: DirectConfig::default(),
        }
    }
}

impl WampConfig {
    pub(super) fn check(raw: RawWamp) -> Result<Self, ConfigError> {
        let standard = Self::default();
        let seconds = |value, range, key, text, default| match value {
            Some(value) => Ok(Duration::from_secs(in_range(value, range, key, text)?)),
            None => Ok(default),
        };
        let ping = "1 to 3600 (seconds)";
        Ok(Self {
            active: raw.active.unwrap_or(standard.active),
            url: raw.url.map(|text| url(&text)).transpose()?,
            realm: name(raw.realm, "wamp.realm")?.unwrap_or(standard.realm),
            id: id(raw.id, "wamp.id")?.unwrap_or(standard.id),
            authentication: raw.authentication,
            secret_file: path(raw.secret_file, "wamp.secret_file")?,
            certificate_file: path(raw.certificate_file, "wamp.certificate_file")?,
            ca_file: path(raw.ca_file, "wamp.ca_file")?,
            verify: raw.verify.unwrap_or(standard.verify),
            ping_interval: seconds(
                raw.ping_interval_s,
                PING_SECONDS,
                "wamp.ping_interval_s",
                ping,
                standard.ping_interval,
            )?,
            ping_timeout: seconds(
                raw.ping_timeout_s,
                PING_SECONDS,
                "wamp.ping_timeout_s",
                ping,
                standard.ping_timeout,
            )?,
            initial_delay: match raw.initial_delay_ms {
                Some(value) => Duration::from_millis(in_range(
                    value,
                    INITIAL_DELAY_MS,
                    "wamp.initial_delay_ms",
                    "100 to 600000 (milliseconds)",
                )?),
                None => standard.initial_delay,
            },
            max_delay: seconds(
                raw.max_delay_s,
                MAX_DELAY_SECONDS,
                "wamp.max_delay_s",
                "1 to 86400 (seconds)",
                standard.max_delay,
            )?,
            project_settings: raw.project_settings.unwrap_or(standard.project_settings),
            direct: DirectConfig {
                realm: name(raw.direct_realm, "wamp.direct_realm")?,
                id: id(raw.direct_id, "wamp.direct_id")?,
                secret_file: path(raw.direct_secret_file, "wamp.direct_secret_file")?,
                keys: raw.direct_keys.unwrap_or_default(),
                origins: origins(raw.direct_origins.unwrap_or_default())?,
            },
        })
    }

    /// What can only be said of all files together: a drop-in may hold one key alone.
    pub(super) fn fits_together(&self) -> Result<(), ConfigError> {
        if self.active && self.url.is_none() {
            return Err(ConfigError::Range {
                key: "wamp.active",
                value: "true".to_owned(),
                range: "false, or wamp.url has to be set to the router's address",
            });
        }
        if self.initial_delay > self.max_delay {
            return Err(ConfigError::Range {
                key: "wamp.initial_delay_ms",
                value: self.initial_delay.as_millis().to_string(),
                range: "at most wamp.max_delay_s, which is in seconds",
            });
        }
        Ok(())
    }
}

fn in_range<T: TryFrom<i64>>(
    value: i64,
    range: RangeInclusive<i64>,
    key: &'static str,
    text: &'static str,
) -> Result<T, ConfigError> {
    within(value, *range.start(), *range.end(), key, text)
}

/// What is before `@` may be a password, which is not repeated in a log.
fn url(text: &str) -> Result<RouterUrl, ConfigError> {
    let value = || if text.contains('@') { "(not shown)".to_owned() } else { shown(text) };
    RouterUrl::new(text).ok_or_else(|| ConfigError::Range {
        key: "wamp.url",
        value: value(),
        range: URL_RANGE,
    })
}

fn name(text: Option<String>, key: &'static str) -> Result<Option<String>, ConfigError> {
    match text {
        Some(text) if !is_name(&text) => {
            Err(ConfigError::Range { key, value: shown(&text), range: NAME_RANGE })
        }
        good => Ok(good),
    }
}

fn id(text: Option<String>, key: &'static str) -> Result<Option<IdPattern>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    match IdPattern::new(&text) {
        Some(id) => Ok(Some(id)),
        None => Err(ConfigError::Range { key, value: shown(&text), range: ID_RANGE }),
    }
}

fn path(path: Option<PathBuf>, key: &'static str) -> Result<Option<PathBuf>, ConfigError> {
    match path {
        Some(path) if path.as_os_str().is_empty() => Err(ConfigError::Range {
            key,
            value: "\"\"".to_owned(),
            range: "a file, from / or from the configuration's directory on",
        }),
        good => Ok(good),
    }
}

/// As browsers write them (RFC 6454, "Serializing Origins"): no path, no blank; `null` is no page at all.
fn origins(origins: Vec<String>) -> Result<Vec<String>, ConfigError> {
    const KEY: &str = "wamp.direct_origins";
    let good = |origin: &String| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        let host = |text: &str| {
            text.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b'/')
        };
        origin.len() <= 256 && rest.is_some_and(|rest| !rest.is_empty() && host(rest))
    };
    if let Some(bad) = origins.iter().find(|origin| !good(origin)) {
        let range = "http:// or https:// and a host in small letters, as in https://page.example:8443, without a path";
        return Err(ConfigError::Range { key: KEY, value: shown(bad), range });
    }
    if origins.len() > ORIGINS {
        let value = format!("{} pages", origins.len());
        return Err(ConfigError::Range { key: KEY, value, range: "at most 64 pages" });
    }
    Ok(origins)
}

/// A text of the file as a message can hold it.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(80).collect();
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<WampConfig, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, format!("[wamp]\n{text}")).unwrap();
        let config = Config::read(&file, &dir.path().join("a.toml.d"));
        config.map(|config| config.wamp).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_taken() {
        let config = read(
            "active = true\nurl = \"wss://r:1\"\nrealm = \"plant\"\nid = \"p.%m\"\nauthentication = \"ticket\"\n\
             secret_file = \"/s\"\ncertificate_file = \"/c\"\nca_file = \"ca.pem\"\nverify = false\nping_interval_s = 2\nping_timeout_s = 3\n\
             initial_delay_ms = 100\nmax_delay_s = 4\nproject_settings = false\ndirect_realm = \"d\"\n\
             direct_id = \"%H\"\ndirect_secret_file = \"/d\"\ndirect_keys = true\ndirect_origins = [\"https://a.b:1\"]\n",
        )
        .unwrap();
        let expected = WampConfig {
            active: true,
            url: RouterUrl::new("wss://r:1"),
            realm: "plant".into(),
            id: IdPattern::new("p.%m").unwrap(),
            authentication: Some(AuthenticationMethod::Ticket),
            secret_file: Some("/s".into()),
            certificate_file: Some("/c".into()),
            ca_file: Some("ca.pem".into()),
            verify: false,
            ping_interval: Duration::from_secs(2),
            ping_timeout: Duration::from_secs(3),
            initial_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(4),
            project_settings: false,
            direct: DirectConfig {
                realm: Some("d".into()),
                id: IdPattern::new("%H"),
                secret_file: Some("/d".into()),
                keys: true,
                origins: vec!["https://a.b:1".into()],
            },
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn a_value_out_of_its_range_is_told_with_its_key_and_the_range() {
        for (text, key, range) in [
            ("url = \"http://r\"", "wamp.url = \"http://r\"", "wss://"),
            ("realm = \"a b\"", "wamp.realm = \"a b\"", "without blanks"),
            ("id = \"%x\"", "wamp.id = \"%x\"", "%H is the host's name"),
            ("id = \"\"", "wamp.id = \"\"", "1 to 128"),
            ("authentication = \"scram\"", "scram", "anonymous"),
            ("secret_file = \"\"", "wamp.secret_file", "a file"),
            ("certificate_file = \"\"", "wamp.certificate_file", "a file"),
            ("ca_file = \"\"", "wamp.ca_file", "a file"),
            ("ping_interval_s = 0", "wamp.ping_interval_s = 0", "1 to 3600"),
            ("ping_timeout_s = 3601", "wamp.ping_timeout_s = 3601", "1 to 3600"),
            ("initial_delay_ms = 99", "wamp.initial_delay_ms = 99", "100 to 600000"),
            ("max_delay_s = 86401", "wamp.max_delay_s = 86401", "1 to 86400"),
            (
                "initial_delay_ms = 2000\nmax_delay_s = 1",
                "wamp.initial_delay_ms = 2000",
                "max_delay_s",
            ),
            ("direct_realm = \"#\"", "wamp.direct_realm", "without blanks"),
            ("direct_id = \"wamp.x\"", "wamp.direct_id", "not beginning with wamp."),
            ("direct_secret_file = \"\"", "wamp.direct_secret_file", "a file"),
            ("direct_origins = [\"*\"]", "wamp.direct_origins = \"*\"", "https://"),
            ("direct_origins = [\"https://a/\"]", "wamp.direct_origins", "without a path"),
            ("direct_origins = [\"null\"]", "wamp.direct_origins", "https://"),
            ("active = true", "wamp.active = true", "wamp.url"),
            ("colour = 1", "colour", "unknown field"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(key) && error.contains(range), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_repeated() {
        let error = read("url = \"ws://me:hunter2@r\"").unwrap_err();
        assert!(error.contains("wamp.url") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_drop_in_may_turn_on_what_the_file_describes() {
        let dir = tempfile::tempdir().unwrap();
        let (file, drop_ins) = (dir.path().join("a.toml"), dir.path().join("d"));
        std::fs::create_dir(&drop_ins).unwrap();
        std::fs::write(&file, "[wamp]\nurl = \"ws://r\"\n").unwrap();
        std::fs::write(drop_ins.join("1.toml"), "[wamp]\nactive = true\n").unwrap();
        assert!(Config::read(&file, &drop_ins).unwrap().wamp.active);
    }
}
