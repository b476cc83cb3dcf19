// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program and a connector cannot reach, tried from inside by code that wants to. Each list ends with what must
//! be reachable, so that a try that always fails would be seen.

use std::collections::BTreeMap;

use plc_api::{log::LogLevel, message::WhenRunning};
use plc_appliance::{Machine, until};
use plc_tests::{api::MD5, programs};

/// Beyond the reach of programs and connectors alike.
const FORBIDDEN: &[&str] = &[
    "unix /run/plc-runtime/api.sock",
    "unix /run/plc-worker/worker.sock",
    "unix /run/dbus/system_bus_socket",
    "unix /run/systemd/private",
    "read /etc/plc-runtime/plc-runtime.toml",
    "read /etc/plc-runtime/psk.d",
    "read /var/lib/plc-runtime/keys/device.psk",
    "read /var/lib/plc-runtime/wish",
    "read /etc/shadow",
    "read /root/mine",
    "read /home/somebody/mine",
    "read /tmp/mine",
    "write /etc/plc-runtime/plc-runtime.toml.d/99-mine.toml",
    "write /var/lib/plc-runtime/mine",
    "write /run/plc-runtime/mine",
    "write /run/plc-worker/mine",
    "write /usr/mine",
    "write /var/mine",
    "socket 17",
    "socket 29",
];

/// A machine in which everything that is tried exists.
fn furnished() -> Machine {
    let machine = Machine::installed();
    machine.sh("install -d -o plc-runtime -g plc-keys -m 750 /var/lib/plc-runtime/keys; \
         echo id:secret > /var/lib/plc-runtime/keys/device.psk; mkdir -p /etc/plc-runtime/psk.d; \
         mkdir -p /home/somebody; echo mine | tee /root/mine /home/somebody/mine /tmp/mine; \
         chmod 644 /root/mine /home/somebody/mine /tmp/mine; mkdir -p /etc/ssl/certs");
    machine.run_program("good");
    machine
}

/// "TRY: RESULT" in lines that may have more in front.
fn results(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(tried, result)| (tried.to_owned(), result.to_owned()))
        .collect()
}

fn assert_unreachable(results: &BTreeMap<String, String>, tries: &[String]) {
    for tried in tries {
        let result =
            results.get(tried).unwrap_or_else(|| panic!("{tried} was not tried: {results:#?}"));
        let refused = ["EACCES", "EPERM", "ENOENT", "EROFS", "EAFNOSUPPORT", "ECONNRESET", "ESRCH"];
        assert!(refused.contains(&result.as_str()), "{tried}: {result}");
    }
}

fn tries(of_its_own: &[String]) -> Vec<String> {
    FORBIDDEN.iter().map(|tried| (*tried).to_owned()).chain(of_its_own.iter().cloned()).collect()
}

#[test]
fn a_program_reaches_neither_its_keeper_nor_its_neighbours() {
    let machine = furnished();
    let supervisor = machine.runtime().main_pid();
    let forbidden = tries(&[
        format!("signal {supervisor}"),
        "unix /run/plc-runtime/connectors/pyro.sock".to_owned(),
        // It must not act as its own IDE: it is let in by the kernel and hung up on by the connector.
        "tcp 127.0.0.1:3000".to_owned(),
        "tcp 127.0.0.1:8888".to_owned(),
        "write /var/lib/plc-runtime/programs/mine".to_owned(),
        "write /run/plc-worker/lock2".to_owned(),
    ]);
    let allowed = ["write /var/lib/plc-work/mine", "read /var/lib/plc-work/reach.txt", "socket 16"];
    let list = forbidden.iter().map(String::as_str).chain(allowed).collect::<Vec<_>>().join("\n");

    let api = machine.api();
    let extra: [(&str, &[u8]); 1] = [("reach.txt", list.as_bytes())];
    api.install(MD5, &programs::bytes("reach"), &extra, WhenRunning::Restart).unwrap();
    api.wait_log(LogLevel::Info, "all tried");
    let log: Vec<String> = api.log(LogLevel::Info).into_iter().map(|m| m.text).collect();
    let results = results(&log.join("\n"));
    assert_unreachable(&results, &forbidden);
    for tried in allowed {
        assert_eq!(
            results.get(tried).map(String::as_str),
            Some("reached"),
            "{tried}: {results:#?}"
        );
    }
    assert_eq!(machine.runtime().main_pid(), supervisor);
    // A refused IDE is told to the operator.
    let told =
        machine.wait_journal(&["-u", "plc-connector-pyro", "-o", "json"], "connection refused");
    assert!(told.contains("user plc-worker may not connect"), "{told}");
}

#[test]
fn the_plain_connector_reaches_its_own_socket_of_the_supervisor_and_nothing_else() {
    connector_reaches("pyro", &["unix /run/plc-runtime/connectors/pyro.sock"]);
}

#[test]
fn the_connector_with_tls_reaches_its_own_socket_and_the_keys() {
    let keys = ["read /etc/plc-runtime/psk.d", "read /var/lib/plc-runtime/keys/device.psk"];
    connector_reaches(
        "pyros",
        &[&["unix /run/plc-runtime/connectors/pyros.sock"], &keys[..]].concat(),
    );
}

#[test]
fn the_connector_for_wamp_without_a_router_reaches_its_own_socket_and_the_keys() {
    let keys = ["read /etc/plc-runtime/psk.d", "read /var/lib/plc-runtime/keys/device.psk"];
    connector_reaches(
        "wamp-direct",
        &[&["unix /run/plc-runtime/connectors/wamp.sock"], &keys[..]].concat(),
    );
}

#[test]
fn the_connector_for_routers_reaches_the_network_by_name_and_the_authorities_besides() {
    let beyond = ["tcp 127.0.0.1:3000", "resolve plc", "read /etc/hosts", "read /etc/ssl/certs"];
    connector_reaches(
        "wamp",
        &[&["unix /run/plc-runtime/connectors/wamp.sock"], &beyond[..]].concat(),
    );
}

/// What a connector may do, and that it may do nothing else.
fn connector_reaches(name: &str, allowed: &[&str]) {
    let machine = furnished();
    let unit = &format!("plc-connector-{name}.service");
    let supervisor = machine.runtime().main_pid();
    let worker = machine.api().snapshot().worker_pid.unwrap();
    let forbidden = tries(&[
        format!("signal {supervisor}"),
        format!("signal {worker}"),
        "read /var/lib/plc-runtime/programs".to_owned(),
        "read /var/lib/plc-work".to_owned(),
        "read /etc/machine-id-of-others".to_owned(),
        "tcp 127.0.0.1:3000".to_owned(),
        "tcp 10.77.0.1:80".to_owned(),
        "listen 8889".to_owned(),
        // No socket of its own making but local ones, and not even the kernel's news.
        "socket 16".to_owned(),
    ]);
    // Who may go out may go anywhere, and listens nowhere all the same.
    let goes_out = allowed.iter().any(|tried| tried.starts_with("tcp "));
    let is_forbidden = |tried: &String| {
        !(allowed.contains(&tried.as_str()) || goes_out && tried.starts_with("tcp "))
    };
    let forbidden: Vec<String> = forbidden.into_iter().filter(is_forbidden).collect();
    // The probe takes the connector's place in its unit; what it prints goes to the journal.
    machine.lend(&plc_tests::root().join("tests/appliance/tests/probe.py"), "probe.py");
    machine.sh("install -m 644 /debs/probe.py /usr/local/lib/probe.py");
    let all = forbidden.iter().map(String::as_str).chain(allowed.iter().copied());
    let list = all.collect::<Vec<_>>().join(" ");
    machine.write(
        &format!("/etc/systemd/system/{unit}.d/probe.conf"),
        format!(
            "[Service]\nExecStart=\nExecStart=/usr/bin/python3 /usr/local/lib/probe.py {list}\n"
        ),
    );
    machine.look("systemctl daemon-reload");
    machine.unit(unit).systemctl("start");
    machine.wait_journal(&["-u", unit, "-o", "cat"], "all tried");
    let results = results(&machine.journal(&["-u", unit, "-o", "cat"]));
    assert_unreachable(&results, &forbidden);
    for tried in allowed {
        assert_eq!(results.get(*tried).map(String::as_str), Some("reached"), "{results:#?}");
    }
    assert_eq!(machine.runtime().main_pid(), supervisor);
    assert_eq!(machine.api().snapshot().worker_pid, Some(worker));
}

#[test]
fn no_process_of_ours_is_root_or_has_more_capabilities_than_it_needs() {
    let machine = furnished();
    let mut ide = machine.ide(plc_tests::ide::Generation::Erpc12);
    assert_eq!(ide.status(), "Started");
    // CAP_KILL is bit 5.
    let expected = [
        ("plc-supervisor", "0000000000000020"),
        ("plc-worker", "0000000000000000"),
        ("plc-connector-p", "0000000000000000"),
        ("plc-connector-w", "0000000000000000"),
    ];
    machine.unit("plc-connector-wamp.service").systemctl("start");
    for (name, capabilities) in expected {
        let pid = until(name, || {
            let pid = machine.look(&format!("pgrep -o '^{name}' || true"));
            (!pid.trim().is_empty()).then(|| pid.trim().to_owned())
        });
        let status = machine.look(&format!("cat /proc/{pid}/status"));
        let field = |key: &str| {
            let line = status.lines().find(|line| line.starts_with(key)).unwrap_or_default();
            line.split_whitespace().nth(1).unwrap_or_default().to_owned()
        };
        assert_ne!(field("Uid:"), "0", "{name}");
        for set in ["CapEff:", "CapPrm:", "CapBnd:"] {
            assert_eq!(field(set), capabilities, "{name} {set}");
        }
        assert_eq!(
            (field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()),
            ("1", "2"),
            "{name}"
        );
    }
}
