// SPDX-License-Identifier: MIT OR Apache-2.0
//! WAMP on an appliance: an IDE comes to this machine without a router; or this machine joins one, a real Crossbar on
//! another host of its network.

use std::{fs, net::Ipv4Addr};

use plc_api::{
    message::{Request, WhenRunning},
    paths::LIBEXEC,
    plc::PlcStatus,
    wamp::LinkState,
};
use plc_appliance::Machine;
use plc_tests::{
    api::MD5,
    ide::{Generation, Ide},
    programs,
    wamp::{
        certificates::{Authority, Validity},
        router::{CLOSED, IDE, MEMBER, OPEN, Plan, Router, SECRET},
        wait_link, wait_ready,
    },
};
use serde_json::json;

const ROUTER_UNIT: &str = "plc-connector-wamp.service";
const DIRECT_UNIT: &str = "plc-connector-wamp-direct.service";

/// Where another host of the machine's network is.
const BESIDE: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// A router on that host.
fn router_beside(machine: &Machine, plan: Plan) -> Router {
    Router::planned(Plan { address: BESIDE, wrapper: machine.beside(), ..plan })
}

/// Makes this the drop-in of the configuration, and has it read.
fn configure(machine: &Machine, settings: &str) {
    machine.write("/etc/plc-runtime/plc-runtime.toml.d/50-router.toml", settings);
    machine.plcctl(&["reload"]).expect_success();
}

#[test]
fn an_ide_comes_without_a_router_and_the_connector_goes_after_it() {
    let machine = Machine::installed();
    let exec =
        format!("{LIBEXEC}/plc-connector-wamp --direct --refuse-user plc-worker --idle-exit 1");
    machine.write(
        &format!("/etc/systemd/system/{DIRECT_UNIT}.d/idle.conf"),
        format!("[Service]\nExecStart=\nExecStart={exec}\n"),
    );
    machine.look("systemctl daemon-reload");
    let connector = machine.unit(DIRECT_UNIT);
    assert_eq!(connector.property("ActiveState"), "inactive", "nobody has called");
    let uri = "WAMP://127.0.0.1:8888#Automation#2534667845";
    for generation in [Generation::Wamp, Generation::WampPython2] {
        let mut ide = Ide::with_uri_behind(&machine.in_network(), generation, uri, &[]);
        assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
        ide.must("StartPLC", json!([]));
        assert_eq!(ide.status(), "Started");
        let user = machine.look("ps -C plc-connector-wamp -o user:20=,uid=");
        assert!(!user.contains("root") && !user.contains("plc-runtime"), "{user}");
        ide.must("StopPLC", json!([]));
        drop(ide);
        connector.wait("ActiveState", "inactive");
        assert_eq!(connector.property("Result"), "success");
    }
    machine.marks().assert_each_was_stopped_before_the_next();
    let page = "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8888); c.request('GET', '/', headers={\
                'Upgrade': 'websocket', 'Connection': 'Upgrade', 'Sec-WebSocket-Version': '13', \
                'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol': 'wamp.2.json', \
                'Origin': 'https://page.example'}); print(c.getresponse().status)";
    let answer = machine.enter(&["python3", "-c", page]).expect_success();
    assert_eq!(answer.trim(), "403", "a web page is refused");
}

#[test]
fn a_router_with_tls_is_found_by_name_believed_by_the_system_s_authorities_and_joined_again_at_boot()
 {
    let machine = Machine::installed();
    let authority = Authority::new();
    let certificate = Some(authority.issue(Validity::Today));
    let router = router_beside(&machine, Plan { certificate, ..Plan::default() });
    machine.sh(&format!("echo '{BESIDE} router.plant' >> /etc/hosts"));
    let trusted = fs::read(authority.certificate()).unwrap();
    machine.write("/etc/ssl/certs/ca-certificates.crt", trusted);
    machine.write("/etc/plc-runtime/wamp.secret", SECRET);
    let by_name = router.settings(CLOSED, MEMBER).replace(&BESIDE.to_string(), "router.plant");
    let unit = machine.unit(ROUTER_UNIT);
    assert_eq!(unit.property("UnitFileState"), "disabled", "somebody has to want it");

    // As written it is root's alone: no link is made without the secret, and everybody is told what to do.
    machine.sh("chmod 0600 /etc/plc-runtime/wamp.secret");
    configure(&machine, &by_name);
    machine.sh(&format!("systemctl enable --now {ROUTER_UNIT}"));
    let api = machine.api();
    // Off it is from the beginning; why, it knows when it has asked.
    wait_link(&api, "no link, with the reason", |link| {
        link.state == LinkState::Off && link.reason.is_some()
    });
    let check = machine.plcctl(&["check", "--no-latency"]).stdout;
    let remedy = "chown root:plc-runtime /etc/plc-runtime/wamp.secret; chmod 0640 /etc/plc-runtime/wamp.secret; \
                  plcctl reload";
    assert!(check.contains(remedy), "{check}");
    machine.sh(remedy);

    let link = wait_ready(&api);
    assert_eq!((link.id.as_str(), link.authentication.as_str()), (MEMBER, "wampcra"));
    let text = machine.plcctl(&["status"]).expect_success();
    assert!(text.contains("router") && text.contains("wss://router.plant"), "{text}");
    let as_ide = ["--authid", IDE, "--secret", SECRET];
    let uri = router.uri(CLOSED, MEMBER);
    let mut ide = Ide::with_uri_behind(&machine.beside(), Generation::Wamp, &uri, &as_ide);
    assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    drop(api);

    // At shutdown the PLC is stopped in order, after the link; a boot brings both again.
    machine.stop();
    machine.boot();
    machine.wait_status(PlcStatus::Started);
    wait_ready(&machine.api());
    assert_eq!(ide.status(), "Started", "the IDE that stayed at the router finds it again");
    assert_eq!(machine.marks().count("end"), 1);
    // Where the reason was seen there was a warning of it; since then there is none.
    let warnings = machine.journal(&["-b", "-u", ROUTER_UNIT, "-p", "warning"]);
    assert_eq!(warnings, "");
}

#[test]
fn a_program_that_asks_for_a_router_has_it_once_somebody_wants_the_connector_and_after_an_upgrade()
{
    let machine = Machine::installed();
    let router = router_beside(&machine, Plan::default());
    let conf = format!(
        r#"{{"ID": "of.%H", "active": true, "realm": "{OPEN}", "url": "{}", "protocolOptions": {{}}}}"#,
        router.url()
    );
    let extra: [(&str, &[u8]); 1] = [("wampconf.json", conf.as_bytes())];
    let api = machine.api();
    api.install(MD5, &programs::bytes("good"), &extra, WhenRunning::Refuse).unwrap();
    let check = machine.plcctl(&["check", "--no-latency"]).stdout;
    let remedy = format!("systemctl enable --now {ROUTER_UNIT}");
    assert!(check.contains(&remedy), "{check}");
    machine.sh(&remedy);
    let link = wait_ready(&api);
    assert_eq!((link.id.as_str(), link.url), ("of.plc", router.url()));
    let uri = router.uri(OPEN, "of.plc");
    let mut ide = Ide::with_uri_behind(&machine.beside(), Generation::Wamp, &uri, &[]);
    ide.must("StartPLC", json!([]));

    // An upgrade leaves the PLC alone and makes the link anew, with what was installed.
    let connector = machine.unit(ROUTER_UNIT).main_pid();
    machine.apt_install(&machine.later_deb());
    let renewed = machine.unit(ROUTER_UNIT).main_pid();
    assert_ne!(renewed, connector);
    wait_link(&api, "the link made anew", |now| {
        now.state == LinkState::Ready && now.since_us > link.since_us
    });
    assert_eq!(ide.status(), "Started");
    assert_eq!(api.snapshot().crashes, 0);

    api.call(Request::Repair).unwrap();
    wait_link(&api, "no link without the program", |link| link.state == LinkState::Off);
    machine.unit(ROUTER_UNIT).systemctl("stop");
    api.wait("nobody to tell of a link", |now| now.router.is_none());
    assert_eq!(machine.unit(ROUTER_UNIT).property("Result"), "success");
}
