// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the connector is told, over directories with prepared files.

use std::os::unix::fs::PermissionsExt as _;

use plc_api::wamp::{Authentication, Verify};

use super::*;
use crate::{
    config::{AuthenticationMethod, DirectConfig},
    wamp::name::RouterUrl,
};

/// A configuration's directory and an installed program.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.extra_files()).unwrap();
        place
    }

    fn extra_files(&self) -> PathBuf {
        self.0.path().join("extra")
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The program brings these files.
    fn project(&self, conf: &str, secret: Option<&str>) {
        self.write("extra/wampconf.json", conf, 0o644);
        if let Some(secret) = secret {
            self.write("extra/wamp.secret", secret, 0o644);
        }
    }

    fn answer(&self, config: WampConfig) -> Answer {
        let sources = Sources {
            config,
            config_dir: self.0.path().to_owned(),
            config_name: "plc-runtime.toml".into(),
            extra_files: Some(self.extra_files()),
            unknown: SecretText::new("nobody knows"),
        };
        sources.answer(&Machine { host: Some("press-7".into()), id: Some("0123".into()) })
    }

    fn router(&self, config: WampConfig) -> RouterSettings {
        let answer = self.answer(config);
        let problems = &answer.settings.problems;
        answer.settings.router.unwrap_or_else(|| unreachable!("no router: {problems:?}"))
    }

    /// Somebody asks for a router, and this is why there is none.
    fn refused(&self, config: WampConfig) -> String {
        let answer = self.answer(config);
        assert_eq!(answer.settings.router, None);
        assert!(answer.asked.url.is_some());
        assert_eq!(answer.asked.problems, answer.settings.problems);
        assert_eq!(answer.settings.problems.len(), 1, "{answer:?}");
        answer.settings.problems[0].clone()
    }
}

fn active() -> WampConfig {
    WampConfig { active: true, url: RouterUrl::new("wss://r.example/ws"), ..WampConfig::default() }
}

fn with(method: AuthenticationMethod) -> WampConfig {
    WampConfig { authentication: Some(method), ..active() }
}

const PROJECT: &str = r#"{"ID": "p.%m", "active": true, "realm": "Plant", "url": "ws://p:1",
    "clientFactoryOptions": {"maxDelay": 2, "initialDelay": 5}, "protocolOptions": {"autoPingTimeout": 3}}"#;

#[test]
fn nobody_asks_for_a_router_as_long_as_nobody_does() {
    assert_eq!(Place::new().answer(WampConfig::default()), Answer::default());
}

#[test]
fn the_configuration_s_router_is_joined_under_the_host_s_name() {
    let expected = RouterSettings {
        url: "wss://r.example/ws".into(),
        realm: "Automation".into(),
        id: "press-7".into(),
        authentication: Authentication::Anonymous,
        verify: Verify::System,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 5_000,
        initial_delay_ms: 1_000,
        max_delay_ms: 300_000,
        source: "plc-runtime.toml".into(),
    };
    assert_eq!(Place::new().router(active()), expected);
}

#[test]
fn the_program_s_router_counts_where_the_machine_has_none() {
    let place = Place::new();
    place.project(PROJECT, Some("of the project\n"));
    let expected = RouterSettings {
        url: "ws://p:1".into(),
        realm: "Plant".into(),
        id: "p.0123".into(),
        authentication: Authentication::Cra(SecretText::new("of the project")),
        verify: Verify::System,
        ping_interval_ms: 10_000,
        ping_timeout_ms: 3_000,
        initial_delay_ms: 2_000,
        max_delay_ms: 2_000,
        source: "wampconf.json of the program".into(),
    };
    assert_eq!(place.router(WampConfig::default()), expected);
    assert_eq!(place.router(active()).source, "plc-runtime.toml");
}

#[test]
fn a_program_s_router_can_be_forbidden() {
    let place = Place::new();
    place.project(PROJECT, None);
    let config = WampConfig { project_settings: false, ..WampConfig::default() };
    let answer = place.answer(config);
    assert_eq!((answer.settings.router, answer.asked.url), (None, None));
    assert!(answer.asked.problems[0].contains("project_settings = false"));
}

#[test]
fn a_program_s_file_that_cannot_be_read_is_a_problem_and_no_router() {
    let place = Place::new();
    place.project("{", None);
    let answer = place.answer(WampConfig::default());
    assert_eq!((answer.settings.router, answer.asked.url), (None, None));
    assert!(answer.asked.problems[0].contains("wampconf.json"), "{:?}", answer.asked.problems);
    place.project(&"[".repeat(project::FILE_BYTES * 2), None);
    let problems = place.answer(WampConfig::default()).asked.problems;
    assert!(problems[0].contains("larger than 64 KiB"), "{problems:?}");
    // The machine's own secret is never shown to a router that a program names.
    place.project(PROJECT, None);
    place.write("wamp.secret", "of the machine", 0o640);
    assert_eq!(place.router(WampConfig::default()).authentication, Authentication::Anonymous);
    place.project(PROJECT, Some(""));
    assert!(place.refused(WampConfig::default()).contains("is empty"));
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";

/// A program's wish since 2025, with these further fields.
fn project_of_2025(url: &str, fields: &str) -> String {
    format!(r#"{{"active": true, "ID": "p", "url": "{url}", {fields}}}"#)
}

#[test]
fn a_program_since_2025_says_how_it_shows_who_it_is_and_brings_what_that_takes() {
    let place = Place::new();
    let joins = |fields: &str| {
        place.project(&project_of_2025("wss://p:1", fields), None);
        place.router(WampConfig::default()).authentication
    };
    let lacks = |fields: &str, file: &str| {
        place.project(&project_of_2025("wss://p:1", fields), None);
        let problem = place.refused(WampConfig::default());
        assert!(problem.contains(file) && problem.contains("files of the project"), "{problem}");
    };
    let (psk, tls) = (r#""authentication": "PSK""#, r#""authentication": "ClientCertificate""#);
    lacks(psk, "psk.txt");
    lacks(tls, "wampClientCert.pem");
    // The machine's own are never shown to a router that a program names.
    place.write("wamp.secret", "of the machine", 0o640);
    place.write("psk.txt", "id:of the machine", 0o640);
    place.write("wampClientCert.pem", &format!("{PEM}{KEY}"), 0o640);
    lacks(psk, "psk.txt");
    lacks(tls, "wampClientCert.pem");
    let secret = |text: &str| Authentication::Cra(SecretText::new(text));
    place.write("extra/wamp.secret", "hush\n", 0o640);
    assert_eq!(joins(psk), secret("hush"));
    place.write("extra/psk.txt", "plc15:the key\n", 0o640);
    assert_eq!(joins(psk), secret("the key"));
    assert_eq!(joins(r#""verifyHostname": true"#), secret("the key"));
    assert_eq!(joins(r#""authentication": "None""#), Authentication::Anonymous);
    place.write("extra/wampClientCert.pem", &format!("{PEM}{KEY}"), 0o640);
    assert_eq!(joins(tls), Authentication::Certificate(SecretText::new(format!("{PEM}{KEY}"))));

    place.project(&project_of_2025("ws://p:1", tls), None);
    let problem = place.refused(WampConfig::default());
    assert!(problem.contains("wss://"), "{problem}");
}

#[test]
fn a_program_s_router_must_show_who_it_is_unless_the_program_says_otherwise() {
    let place = Place::new();
    let joins = |fields: &str, config: WampConfig| {
        place.project(&project_of_2025("wss://p:1", fields), None);
        let answer = place.answer(config);
        (answer.settings.router.unwrap().verify, answer.asked.unverified)
    };
    let (yes, no) = (r#""verifyHostname": true"#, r#""verifyHostname": false"#);
    assert_eq!(joins(yes, WampConfig::default()), (Verify::System, false));
    assert_eq!(joins(no, WampConfig::default()), (Verify::Nothing, true));
    let careless = WampConfig { verify: false, ..WampConfig::default() };
    assert_eq!(joins(yes, careless), (Verify::Nothing, true));
    let machine = PEM.replace("MA==", "MQ==");
    place.write("wampTrustStore.crt", &machine, 0o644);
    assert_eq!(joins(yes, WampConfig::default()).0, Verify::Authorities(machine.clone()));
    assert_eq!(place.router(active()).verify, Verify::Authorities(machine));
    place.write("extra/wampTrustStore.crt", PEM, 0o644);
    assert_eq!(joins(yes, WampConfig::default()).0, Verify::Authorities(PEM.into()));
}

#[test]
fn a_program_s_address_from_before_2025_works_and_is_warned_about_once() {
    let place = Place::new();
    let problems = |project: &str| {
        place.project(project, None);
        let answer = place.answer(WampConfig::default());
        assert!(answer.settings.router.is_some(), "{answer:?}");
        answer.asked.problems
    };
    let warned = problems(PROJECT);
    assert!(warned.len() == 1 && warned[0].contains("not encrypted"), "{warned:?}");
    assert_eq!(problems(r#"{"active": true}"#), [""; 0], "it does not leave the machine");
    // This is how the reference runtime is told that it is meant.
    let meant = r#""authentication": "None", "verifyHostname": false"#;
    assert_eq!(problems(&project_of_2025("ws://p:1", meant)), [""; 0]);
    let half = r#""authentication": "None""#;
    assert_eq!(problems(&project_of_2025("ws://p:1", half)).len(), 1);
    let plain = WampConfig { url: RouterUrl::new("ws://r"), ..active() };
    assert_eq!(place.answer(plain).asked.problems, [""; 0], "the owner has written it");
}

#[test]
fn a_certificate_beside_the_configuration_is_shown_if_it_is_asked_for() {
    let place = Place::new();
    place.write("wampClientCert.pem", &format!("{PEM}{KEY}"), 0o640);
    assert_eq!(place.router(active()).authentication, Authentication::Anonymous);
    let shown = Authentication::Certificate(SecretText::new(format!("{PEM}{KEY}")));
    assert_eq!(place.router(with(AuthenticationMethod::Tls)).authentication, shown);
    let named = WampConfig { certificate_file: Some("mine.pem".into()), ..active() };
    let problem = place.refused(named.clone());
    assert!(problem.contains("mine.pem") && problem.contains("plcctl reload"), "{problem}");
    place.write("mine.pem", &format!("{PEM}{KEY}"), 0o644);
    let answer = place.answer(named);
    assert_eq!(answer.settings.router.unwrap().authentication, shown);
    assert!(answer.asked.problems[0].contains("private key"), "{:?}", answer.asked.problems);
    let plain = WampConfig { url: RouterUrl::new("ws://r"), ..with(AuthenticationMethod::Tls) };
    assert!(place.refused(plain).contains("wss://"));
}

#[test]
fn a_secret_beside_the_configuration_is_used_without_being_asked_for() {
    let place = Place::new();
    place.write("wamp.secret", "hush", 0o640);
    let secret = || SecretText::new("hush");
    assert_eq!(place.router(active()).authentication, Authentication::Cra(secret()));
    let ticket = place.router(with(AuthenticationMethod::Ticket));
    assert_eq!(ticket.authentication, Authentication::Ticket(secret()));
    let anonymous = place.router(with(AuthenticationMethod::Anonymous));
    assert_eq!(anonymous.authentication, Authentication::Anonymous);
}

#[test]
fn a_link_that_is_to_have_a_secret_is_never_made_without_it() {
    let place = Place::new();
    for config in [
        with(AuthenticationMethod::WampCra),
        with(AuthenticationMethod::Ticket),
        WampConfig { secret_file: Some("mine".into()), ..active() },
    ] {
        let problem = place.refused(config);
        assert!(problem.contains("there is no secret"), "{problem}");
        assert!(problem.contains("chown root:plc-runtime") && problem.contains("plcctl reload"));
    }
    place.write("mine", "", 0o640);
    let named = WampConfig { secret_file: Some("mine".into()), ..active() };
    assert!(place.refused(named.clone()).contains("is empty"));
    place.write("mine", "hush", 0o640);
    assert_eq!(place.router(named).authentication, Authentication::Cra(SecretText::new("hush")));
}

#[test]
fn a_secret_that_is_badly_kept_counts_and_is_warned_about() {
    let place = Place::new();
    place.write("wamp.secret", "hush", 0o644);
    let answer = place.answer(active());
    assert!(answer.settings.router.is_some());
    assert!(answer.asked.problems[0].contains("everybody on this machine"), "{answer:?}");

    place.write("wamp.secret", "hush", 0o640);
    let plain = WampConfig { url: RouterUrl::new("ws://r"), ..with(AuthenticationMethod::Ticket) };
    assert!(place.answer(plain).asked.problems[0].contains("wss://"));
    assert!(place.answer(with(AuthenticationMethod::Ticket)).asked.problems.is_empty());
}

#[test]
fn a_router_is_held_against_the_authorities_that_are_named_or_not_trusted_at_all() {
    let place = Place::new();
    let config = WampConfig { ca_file: Some("ca.pem".into()), ..active() };
    assert!(place.refused(config.clone()).contains("ca.pem"));
    let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
    place.write("ca.pem", pem, 0o644);
    assert_eq!(place.router(config.clone()).verify, Verify::Authorities(pem.into()));
    let careless = WampConfig { verify: false, ..config };
    assert_eq!(place.router(careless.clone()).verify, Verify::Nothing);
    assert!(
        place.answer(careless.clone()).asked.unverified && !place.answer(active()).asked.unverified
    );
    let plain = WampConfig { url: RouterUrl::new("ws://r"), ..careless };
    assert!(!place.answer(plain).asked.unverified, "there is nothing to verify");
}

#[test]
fn without_a_router_everybody_may_come_unless_a_secret_is_named() {
    let place = Place::new();
    let direct = DirectConfig {
        realm: Some("d".into()),
        id: crate::wamp::name::IdPattern::new("%H"),
        secret_file: Some("direct".into()),
        keys: true,
        origins: vec!["https://a".into()],
    };
    let config = WampConfig { direct, ..WampConfig::default() };
    place.write("direct", "hush\n", 0o640);
    let expected = DirectSettings {
        realm: Some("d".into()),
        id: Some("press-7".into()),
        secret: Some(SecretText::new("hush")),
        keys: true,
        origins: vec!["https://a".into()],
    };
    assert_eq!(place.answer(config.clone()).settings.direct, expected);

    fs::remove_file(place.0.path().join("direct")).unwrap();
    let answer = place.answer(config);
    assert_eq!(answer.settings.direct.secret, Some(SecretText::new("nobody knows")), "closed");
    assert!(answer.asked.problems[0].contains("not let in"), "{answer:?}");
    assert_eq!(answer.asked.url, None);
}
