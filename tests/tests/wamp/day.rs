// SPDX-License-Identifier: MIT OR Apache-2.0
//! What IDEs do, through a router and without one.

use std::path::Path;

use plc_api::{
    message::WhenRunning,
    wamp::{LinkState, RouterLink},
};
use plc_tests::{
    api::MD5,
    desk::Desk,
    ide::{Generation, Ide},
    programs,
    scratch::scratch,
    wamp::{
        Connector,
        certificates::{Authority, Validity},
        router::{CLOSED, Clients, IDE, MEMBER, OPEN, Router, SALTED, SECRET},
        wait_link, wait_ready,
    },
};
use serde_json::{Value, json};

use crate::ide_day::day;

/// What makes the client show who it is: to a router an IDE, to the PLC itself one that means this PLC.
const AS_IDE: [&str; 4] = ["--authid", IDE, "--secret", SECRET];
const AS_MEMBER: [&str; 4] = ["--authid", MEMBER, "--secret", SECRET];

/// A desk with a secret beside its configuration.
fn desk_with_secret(config: &str, file: &str) -> Desk {
    let dir = scratch("desk");
    std::fs::write(dir.path().join(file), format!("{SECRET}\n")).unwrap();
    std::fs::write(dir.path().join("plc-runtime.toml"), config).unwrap();
    Desk::in_dir(dir)
}

/// The identity of an IDE since 2025: eight bytes and 256 characters by which it is known everywhere.
const IDENTITY: &str = "0123456789abcdef";

fn own_secret() -> String {
    "QkVSRU1JWg==0123".repeat(16)
}

/// An IDE since 2025, with that identity.
fn ide_of_2025(uri: &str, further: &[&str]) -> Ide {
    let secret = own_secret();
    let identity = ["--authid", IDENTITY, "--secret", &secret];
    Ide::with_uri(Generation::Wamp2025, uri, &[&identity[..], further].concat())
}

#[test]
fn an_ide_of_2025_spends_its_day_at_an_open_port_by_either_scheme() {
    for scheme in ["WAMP", "WAMP-ANNON"] {
        let desk = Desk::start();
        let (_connector, port) = Connector::direct(&desk);
        let uri = format!("{scheme}://127.0.0.1:{port}#Automation#any_name_will_do");
        day(&desk, &mut ide_of_2025(&uri, &[]), ide_of_2025(&uri, &[]));
    }
}

#[test]
fn an_ide_of_2025_shows_its_own_identity_to_a_port_that_wants_a_key() {
    let desk = Desk::configured("[wamp]\ndirect_keys = true\n");
    let (_connector, port) = Connector::direct(&desk);
    let uri = |scheme: &str| format!("{scheme}://127.0.0.1:{port}#Automation#plc1");
    let refused =
        |uri: &str| ide_of_2025(uri, &[]).call("GetPLCstatus", json!([])).unwrap_err().message;
    let unknown = refused(&uri("WAMP"));
    assert!(unknown.contains("wamp.error.authentication_failed"), "{unknown}");
    let key = format!("{IDENTITY}:{}\n", own_secret());
    let file = desk.paths().key_dirs()[1].join("ide.psk");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, key).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    let anonymous = refused(&uri("WAMP-ANNON"));
    assert!(anonymous.contains("no_matching_auth_method"), "{anonymous}");
    let mut ide = ide_of_2025(&uri("WAMP"), &[]);
    // Who has a key is told its own.
    assert_eq!(ide.must("GetPLCID", json!([])), json!([IDENTITY, own_secret()]));
    assert_eq!(ide.status(), "Empty");
    let library = programs::bytes("good");
    assert_eq!(ide.transfer(MD5, &library, &[("recipe.csv", b"a;b\n")]), Ok(true));
    assert_eq!(ide.status(), "Stopped");
    // And who loses it is out.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    while ide.call("GetPLCstatus", json!([])).is_ok() {}
    assert!(refused(&uri("WAMP")).contains("wamp.error.authentication_failed"));
}

#[test]
fn an_ide_of_2025_spends_its_day_through_a_router_by_every_scheme() {
    let authority = Authority::new();
    let (own, plc_fingerprint) = authority.issue_client(MEMBER);
    let (certificate, ide_fingerprint) = authority.issue_client(IDE);
    let clients = Clients {
        authority: authority.certificate(),
        known: vec![(MEMBER.to_owned(), plc_fingerprint), (IDE.to_owned(), ide_fingerprint)],
    };
    let server = Some(authority.issue(Validity::Today));
    let ca = authority.certificate();
    let mut router = Router::start();
    let ide = |router: &Router, scheme: &str, realm: &str| {
        let uri = router.uri_by(scheme, realm, MEMBER);
        let (ca, certificate) = (ca.to_str().unwrap(), certificate.to_str().unwrap());
        let tls = ["--ca", ca, "--certificate", certificate];
        Ide::with_uri(Generation::Wamp2025, &uri, &[&AS_IDE[..], &tls].concat())
    };
    let desk = desk_with_secret(&router.settings(CLOSED, MEMBER), "wamp.secret");
    let _connector = Connector::joining(&desk.paths().connector_socket("wamp"));
    let joins = |config: &str, method: &str| {
        std::fs::write(desk.path().join("plc-runtime.toml"), config).unwrap();
        assert_eq!(desk.plcctl(&["reload"]).0, 0);
        wait_link(&desk.api(), method, |link| {
            link.authentication == method && link.state == LinkState::Ready
        });
    };
    wait_ready(&desk.api());
    day(&desk, &mut ide(&router, "WAMP", CLOSED), ide(&router, "WAMP", CLOSED));
    let anonymous = "authentication = \"anonymous\"\n";
    joins(&(router.settings(OPEN, MEMBER) + anonymous), "anonymous");
    assert_eq!(ide(&router, "WAMP-ANNON", OPEN).status(), "Stopped");

    router.start_otherwise(|plan| plan.certificate.clone_from(&server));
    let trust = format!("ca_file = \"{}\"\n", ca.display());
    joins(&(router.settings(CLOSED, MEMBER) + &trust), "wampcra");
    for scheme in ["WAMPS", "WAMPS-NOVERIFY"] {
        assert_eq!(ide(&router, scheme, CLOSED).status(), "Stopped", "{scheme}");
    }
    joins(&(router.settings(OPEN, MEMBER) + &trust + anonymous), "anonymous");
    for scheme in ["WAMPS-ANNON", "WAMPS-INSECURE"] {
        assert_eq!(ide(&router, scheme, OPEN).status(), "Stopped", "{scheme}");
    }

    router.start_otherwise(|plan| plan.clients = Some(clients));
    let shown = format!("certificate_file = \"{}\"\n", own.display());
    joins(&(router.settings(CLOSED, MEMBER) + &trust + &shown), "tls");
    assert_eq!(ide(&router, "WAMPS-CRT", CLOSED).status(), "Stopped");
    // As its project says it: the same, by the names of the reference runtime.
    std::fs::write(desk.path().join("plc-runtime.toml"), "").unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    install_project(&desk, &router, &own, &ca);
    let link = wait_ready(&desk.api());
    assert_eq!(link.authentication, "tls");
    assert!(link.source.contains("wampconf.json"), "{link:?}");
}

/// Installs a program whose project asks for this router, with this certificate and these authorities.
fn install_project(desk: &Desk, router: &Router, own: &Path, ca: &Path) {
    let project = json!({
        "ID": MEMBER, "active": true, "realm": CLOSED, "url": router.url(),
        "authentication": "ClientCertificate", "verifyHostname": true,
    });
    let (project, own, ca) =
        (project.to_string(), std::fs::read(own).unwrap(), std::fs::read(ca).unwrap());
    let files: [(&str, &[u8]); 3] = [
        ("wampconf.json", project.as_bytes()),
        ("wampClientCert.pem", &own),
        ("wampTrustStore.crt", &ca),
    ];
    desk.api().install(MD5, &programs::bytes("good"), &files, WhenRunning::Refuse).unwrap();
}

fn next_event(ide: &mut Ide, topic: &str) -> Value {
    ide.send(&json!({ "event": topic })).unwrap()
}

#[test]
fn an_ide_of_today_spends_its_day_through_a_router_and_hears_what_happens() {
    let router = Router::start();
    let desk = Desk::configured(&router.settings(OPEN, "plc1"));
    let _connector = Connector::joining(&desk.paths().connector_socket("wamp"));
    let link = wait_ready(&desk.api());
    assert_eq!((link.realm.as_str(), link.id.as_str()), (OPEN, "plc1"));
    assert_eq!(link.authentication, "anonymous");
    assert_eq!(link.registrations, link.procedures);

    let uri = router.uri(OPEN, "plc1");
    let ide = || Ide::with_uri(Generation::Wamp, &uri, &[]);
    let mut listener = ide();
    for topic in ["status", "log"] {
        listener.send(&json!({ "subscribe": topic })).unwrap();
    }
    day(&desk, &mut ide(), ide());
    // It may be told anew without a change.
    for status in ["Stopped", "Started", "Stopped"] {
        while next_event(&mut listener, "status")[0] != json!(status) {}
    }
    let started = loop {
        let message = next_event(&mut listener, "log");
        if message[4] == json!("started") {
            break message;
        }
    };
    assert_eq!((&started[0], started[2].is_u64(), started[3].is_u64()), (&json!(2), true, true));
}

#[test]
fn an_ide_of_python_2_spends_its_day_through_a_router_that_wants_to_know_who_comes() {
    let router = Router::start();
    let desk = desk_with_secret(&router.settings(CLOSED, MEMBER), "wamp.secret");
    let _connector = Connector::joining(&desk.paths().connector_socket("wamp"));
    assert_eq!(wait_ready(&desk.api()).authentication, "wampcra");
    let uri = router.uri(CLOSED, MEMBER);
    let ide = || Ide::with_uri(Generation::WampPython2, &uri, &AS_IDE);
    day(&desk, &mut ide(), ide());
    let mut stranger = Ide::with_uri(Generation::WampPython2, &uri, &[]);
    let refused = stranger.call("GetPLCstatus", json!([])).unwrap_err().message;
    assert!(refused.contains("not_authorized"), "{refused}");

    // The same PLC by a name whose secret is salted; then by handing the secret over.
    for (id, authentication) in [(SALTED, "wampcra"), (MEMBER, "ticket")] {
        let further = format!("authentication = \"{authentication}\"\n");
        let config = router.settings(CLOSED, id) + &further;
        std::fs::write(desk.path().join("plc-runtime.toml"), config).unwrap();
        assert_eq!(desk.plcctl(&["reload"]).0, 0);
        wait_link(&desk.api(), authentication, |link| {
            link.authentication == authentication
                && link.id == id
                && link.registrations == link.procedures
        });
        let uri = router.uri(CLOSED, id);
        let method = ["--method", authentication];
        let mut ide = Ide::with_uri(Generation::Wamp, &uri, &[&AS_IDE[..], &method].concat());
        assert_eq!(ide.status(), "Stopped");
    }
}

#[test]
fn a_program_that_brings_its_router_along_is_reached_there_until_another_program_comes() {
    let router = Router::start();
    let desk = Desk::start();
    let _connector = Connector::joining(&desk.paths().connector_socket("wamp"));
    let api = desk.api();
    let off = |link: &RouterLink| link.state == LinkState::Off;
    wait_link(&api, "no router", off);
    let project = json!({ "ID": MEMBER, "active": true, "realm": CLOSED, "url": router.url() });
    let project = project.to_string();
    let files: [(&str, &[u8]); 2] =
        [("wampconf.json", project.as_bytes()), ("wamp.secret", SECRET.as_bytes())];
    let library = programs::bytes("good");
    api.install(MD5, &library, &files, WhenRunning::Refuse).unwrap();
    assert!(wait_ready(&api).source.contains("wampconf.json"));
    let mut ide = Ide::with_uri(Generation::Wamp, &router.uri(CLOSED, MEMBER), &AS_IDE);
    // It takes away what carries it, and gets its answer nevertheless.
    assert_eq!(ide.transfer(MD5, &library, &[]), Ok(true));
    wait_link(&api, "no router", off);
    let gone = ide.call("GetPLCstatus", json!([])).unwrap_err().message;
    assert!(gone.contains("no_such_procedure"), "{gone}");
}

#[test]
fn an_ide_of_today_spends_its_day_without_a_router() {
    for serializer in ["msgpack", "json"] {
        let desk = Desk::start();
        let (_connector, port) = Connector::direct(&desk);
        let uri = format!("WAMP://127.0.0.1:{port}#Automation#any_name_will_do");
        let ide = || Ide::with_uri(Generation::Wamp, &uri, &["--serializer", serializer]);
        let mut listener = ide();
        listener.send(&json!({ "subscribe": "status" })).unwrap();
        day(&desk, &mut ide(), ide());
        while next_event(&mut listener, "status")[0] != json!("Started") {}
        listener.send(&json!({ "publish": "event", "args": [1] })).unwrap();
        listener.send(&json!({ "leave": true })).unwrap();
    }
}

#[test]
fn an_ide_of_python_2_spends_its_day_without_a_router_and_must_know_the_secret() {
    let config = "[wamp]\ndirect_realm = \"Automation\"\ndirect_id = \"plc1\"\ndirect_secret_file = \"direct.secret\"\n";
    let desk = desk_with_secret(config, "direct.secret");
    let (_connector, port) = Connector::direct(&desk);
    let ide = |realm: &str, id: &str, options: &[&str]| {
        let uri = format!("WAMP://127.0.0.1:{port}#{realm}#{id}");
        Ide::with_uri(Generation::WampPython2, &uri, options)
    };
    day(&desk, &mut ide("Automation", "plc1", &AS_MEMBER), ide("Automation", "plc1", &AS_MEMBER));
    let refused = |mut ide: Ide| ide.call("GetPLCstatus", json!([])).unwrap_err().message;
    let without = refused(ide("Automation", "plc1", &[]));
    assert!(without.contains("wamp.error."), "{without}");
    let wrong = refused(ide("Automation", "plc1", &["--authid", MEMBER, "--secret", "guessed"]));
    assert!(wrong.contains("wamp.error."), "{wrong}");
    let elsewhere = refused(ide("Elsewhere", "plc1", &AS_MEMBER));
    assert!(elsewhere.contains("wamp.error.no_such_realm"), "{elsewhere}");
    let another = refused(ide("Automation", "plc2", &AS_MEMBER));
    assert!(another.contains("wamp.error.no_such_procedure"), "{another}");
}
