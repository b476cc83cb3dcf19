// SPDX-License-Identifier: MIT OR Apache-2.0
//! plc-local as a person or an IDE starts it: without rights, with the sample, with an IDE's command line, on a
//! terminal.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::{PermissionsExt, chown},
    process::{Command, Stdio},
};

use plc_api::{message::WhenRunning, plc::PlcStatus, wamp::LinkState};
use plc_tests::{
    api::{Api, MD5},
    binary,
    desk::{Desk, descendants},
    erpc_ide::{Age, ErpcIde},
    errors::Errors,
    ide::{Generation, Ide},
    marks::Marks,
    programs,
    scratch::scratch,
    wamp::{
        router::{MEMBER, OPEN, Router},
        wait_link, wait_ready,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

/// `nobody` of Debian.
const NOBODY: u32 = 65534;

#[test]
fn as_an_unprivileged_user() {
    if !rustix::process::geteuid().is_root() {
        // Then every other test has shown it.
        return assert_eq!(Desk::start().api().snapshot().status, PlcStatus::Empty);
    }
    let dir = scratch("desk");
    chown(dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    // The checkout may lie where nobody may look: its programs are copied to where everybody may.
    let programs_dir = scratch("bin");
    fs::set_permissions(programs_dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["plc-local", "plc-supervisor", "plc-worker", "plc-connector-pyro"] {
        fs::copy(binary(name), programs_dir.path().join(name)).unwrap();
    }
    let local = programs_dir.path().join("plc-local");
    let wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    let desk = Desk::of(&local, dir, &wrapper);
    let mut ide = desk.ide(Generation::Erpc12);
    assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[("a", b"1")]), Ok(true));
    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    for pid in descendants(desk.pid()) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "{status}");
    }
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
    assert_eq!(desk.marks().count("end"), 1);
}

#[test]
fn the_command_line_of_an_ide() {
    let dir = scratch("desk");
    // An IDE looks for a free port too, and hopes.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Python, script, then "-x 0" as one argument: reference IDE, LocalRuntimeMixin.py.
    let mut local = Command::new(binary("plc-local"))
        .args(["/usr/share/beremiz/Beremiz_service.py", "-p", &port.to_string()])
        .args(["-i", "127.0.0.1", "-x 0"])
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(local.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim_end(), dir.path().display().to_string());
    for age in Age::ALL {
        assert!(ErpcIde::connect(age, port, None).is_ok(), "{age:?}");
    }
    kill_process(Pid::from_child(&local), Signal::TERM).unwrap();
    assert!(local.wait().unwrap().success());
}

/// What the port says to a client of WAMP: the first line.
fn shake_hands(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: desk\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: wamp.2.msgpack\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line
}

#[test]
fn ides_come_by_wamp_where_that_is_asked_for_and_again_after_its_connector_was_killed() {
    let dir = scratch("desk");
    let wrapper = ["sh", "-c", "exec \"$0\" --wamp=0 \"$@\""];
    let desk = Desk::of(&binary("plc-local"), dir, &wrapper);
    let line = desk.wait_log("and by WAMP to 127.0.0.1:");
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    let port = digits.parse().unwrap();
    assert!(shake_hands(port).starts_with("HTTP/1.1 101"));
    let connectors = || desk.children("plc-connector-wamp");
    let first = connectors();
    assert_eq!(first.len(), 1);
    kill_process(first[0], Signal::KILL).unwrap();
    // The port is ours all the while: a client waits for the next connector.
    assert!(shake_hands(port).starts_with("HTTP/1.1 101"));
    assert_ne!(connectors(), first);
    assert!(connectors().len() == 1 && desk.children("plc-connector-pyro").len() == 1);
    let _ = desk.end();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
}

#[test]
fn a_router_that_is_asked_for_is_joined_until_the_desk_ends_in_order() {
    let router = Router::start();
    let dir = scratch("desk");
    let desk = Desk::of(&binary("plc-local"), dir, &[]);
    assert_eq!(desk.children("plc-connector-wamp"), []);
    // Asked for by the configuration; then by the program alone.
    let config = desk.path().join("plc-runtime.toml");
    fs::write(&config, router.settings(OPEN, MEMBER)).unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    wait_ready(&desk.api());
    let first = desk.children("plc-connector-wamp");
    assert_eq!(first.len(), 1);
    kill_process(first[0], Signal::KILL).unwrap();
    wait_link(&desk.api(), "the next connector's link", |link| {
        link.state == LinkState::Ready && desk.children("plc-connector-wamp") != first
    });
    fs::write(&config, "").unwrap();
    assert_eq!(desk.plcctl(&["reload"]).0, 0);
    wait_link(&desk.api(), "no router", |link| link.state == LinkState::Off);
    let project = format!(
        r#"{{"ID": "{MEMBER}", "active": true, "realm": "{OPEN}", "url": "{}"}}"#,
        router.url()
    );
    let files: [(&str, &[u8]); 1] = [("wampconf.json", project.as_bytes())];
    desk.api().install(MD5, &programs::bytes("good"), &files, WhenRunning::Refuse).unwrap();
    let mut ide =
        Ide::with_uri(Generation::Wamp2025, &router.uri_by("WAMP-ANNON", OPEN, MEMBER), &[]);
    wait_ready(&desk.api());
    assert_eq!(ide.status(), "Stopped");
    let _ = desk.end();
    let mut late = Ide::with_uri(Generation::Wamp, &router.uri(OPEN, MEMBER), &[]);
    let gone = late.call("GetPLCstatus", json!([])).unwrap_err().message;
    assert!(gone.contains("no_such_procedure"), "{gone}");
}

#[test]
fn an_ide_that_is_killed_takes_its_runtime_with_it() {
    let dir = scratch("desk");
    let paths = plc_api::paths::Paths::of_desk(dir.path());
    let line = "\"$0\" /Beremiz_service.py -p 0 \"-x 0\" \"$1\"; true";
    let errors = Errors::new();
    let mut ide = Command::new("sh")
        .args(["-c", line])
        .arg(binary("plc-local"))
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(errors.stdio())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(ide.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    let api = Api::connect(&paths.api_socket()).unwrap();
    api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    drop(api);
    ide.kill().unwrap();
    ide.wait().unwrap();
    // The last of the tree closes the output.
    std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    Marks::read(&paths.work_dir).assert_each_was_stopped_before_the_next();
    assert_eq!(Marks::read(&paths.work_dir).count("end"), 1);
}

#[test]
fn a_terminal_shows_a_living_status_line_and_the_sample_runs() {
    let sample = programs::compiled(&plc_tests::root().join("supervisor/local/sample/sample.c"));
    // `script` gives it a terminal, `timeout` turns a hang into an end.
    let command = format!("{} -p 0 --program {}", binary("plc-local").display(), sample.display());
    let mut terminal = Command::new("timeout")
        .args([
            "60",
            "script",
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &command,
            "/dev/null",
        ])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut seen = String::new();
    let mut screen = BufReader::new(terminal.stdout.take().unwrap());
    let is_alive = |text: &str| text.contains("Started") && text.contains(" cycles ");
    while !is_alive(&seen) {
        let mut piece = Vec::new();
        let length = screen.read_until(b'\r', &mut piece).unwrap();
        assert_ne!(length, 0, "it ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
    let local = descendants(Pid::from_child(&terminal))
        .into_iter()
        .find(|pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == binary("plc-local"))
        })
        .unwrap();
    kill_process(local, Signal::INT).unwrap();
    std::io::copy(&mut screen, &mut std::io::sink()).unwrap();
    assert!(terminal.wait().unwrap().success());
}

#[test]
fn a_second_one_in_the_same_place_is_refused_and_so_is_a_port_in_use() {
    let desk = Desk::start();
    let refused = |arguments: &[&str]| {
        let output = Command::new(binary("plc-local")).args(arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let dir = desk.path().display().to_string();
    assert!(refused(&["-p", "0", &dir]).contains("another plc-local"));
    let port = desk.port().to_string();
    let said = refused(&["-p", &port]);
    assert!(said.contains(&port) && said.contains("-p"), "{said}");
    assert_eq!(desk.api().snapshot().status, PlcStatus::Empty, "the first is undisturbed");
}

#[test]
fn a_killed_connector_is_replaced_and_the_plc_does_not_notice() {
    let desk = Desk::start();
    let api = desk.api();
    api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    api.start().unwrap();
    let mut ide = desk.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Started");
    kill_process(desk.children("plc-connector-pyro")[0], Signal::KILL).unwrap();
    assert!(ide.call("GetPLCstatus", json!([])).is_err(), "its connection went with it");
    assert_eq!(desk.ide(Generation::Pyro5).status(), "Started");
    assert_eq!(desk.marks().count("begin"), 1);
    assert_eq!(desk.marks().count("stop"), 0);
}

#[test]
fn a_bad_configuration_is_told_and_nothing_starts() {
    let dir = scratch("desk");
    fs::write(dir.path().join("plc-runtime.toml"), "[plc]\nstop_timout_ms = 1\n").unwrap();
    let output =
        Command::new(binary("plc-local")).args(["-p", "0"]).arg(dir.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("stop_timout_ms") && said.contains("plc-runtime.toml"), "{said}");
    assert!(output.stdout.is_empty(), "an IDE must not take it for ready");
}

#[test]
fn the_operator_s_commands() {
    let desk = Desk::start();
    let library = programs::built("good");
    let library = library.to_str().unwrap();
    let (code, _, said) = desk.plcctl(&["start"]);
    assert_eq!((code, said.contains("no program is installed")), (3, true), "{said}");
    let (code, _, said) = desk.plcctl(&["install", library]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(desk.plcctl(&["start"]).0, 0);
    let (code, _, said) = desk.plcctl(&["install", library]);
    assert_eq!((code, said.contains("--restart")), (3, true), "{said}");
    assert_eq!(desk.plcctl(&["install", library, "--restart"]).0, 0);
    let (code, answer, _) = desk.plcctl(&["--json", "status"]);
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((code, answer["status"].as_str()), (0, Some("Started")), "{answer}");
    let (code, answer, said) = desk.plcctl(&["trace", "8:UDINT", "--count", "5"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(
        answer.lines().filter(|line| line.split_whitespace().count() == 2).count(),
        6,
        "{answer}"
    );
    let (code, plot, said) = desk.plcctl(&["trace", "14:LREAL", "--count", "200", "--plot"]);
    assert_eq!((code, plot.is_empty()), (0, false), "{said}");
    let (code, answer, _) = desk.plcctl(&["stats"]);
    assert!(code == 0 && answer.contains("cycles"), "{answer}");
    let (code, answer, _) = desk.plcctl(&["log"]);
    assert!(code == 0 && answer.contains("started"), "{answer}");
    assert_eq!(desk.plcctl(&["rollback"]).0, 0);
    assert_eq!(desk.plcctl(&["stop"]).0, 0);
    assert_eq!(desk.plcctl(&["repair", "--yes"]).0, 0);
    assert!(desk.plcctl(&["status"]).1.contains("Empty"));
    let socket = desk.paths().api_socket();
    drop(desk);
    let gone =
        Command::new(binary("plcctl")).arg("--socket").arg(socket).arg("status").output().unwrap();
    assert_eq!(gone.status.code(), Some(4));
}
