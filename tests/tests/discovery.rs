// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service files in `systemd/discovery`, published by the real daemons: what an IDE on another host is told is where
//! the PLC is and how to speak to it.

use std::process::Command;

/// What `avahi-browse` on another host says of the services that this daemon announces.
fn seen(daemon: &str) -> String {
    assert!(
        rustix::process::geteuid().is_root(),
        "network namespaces are for root: run this test as root"
    );
    let root = plc_tests::root().join("target/clients/discovery");
    assert!(root.exists(), "{} is missing; run `scripts/need test` as root", root.display());
    let output = Command::new("timeout")
        .args(["--kill-after=5", "120"])
        .arg(plc_tests::root().join("tests/discovery/announce"))
        .arg(root.canonicalize().unwrap())
        .arg(plc_tests::root().join("systemd/discovery"))
        .arg(daemon)
        .output()
        .expect("run `scripts/need test`");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (seen, trouble) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{seen}\n{trouble}", output.status);
    seen
}

/// Whether one line has it all: name, type, host, address and port, and what is said beside.
fn assert_announced(seen: &str, name: &str, kind: &str, port: u16, texts: &[&str]) {
    let line = format!("=;there;IPv4;{name};{kind};local;workshop.local;192.0.2.10;{port};");
    let found = seen.lines().find_map(|seen| seen.strip_prefix(&line));
    let said = found.unwrap_or_else(|| panic!("no {line} in\n{seen}"));
    for text in texts {
        assert!(said.contains(&format!("\"{text}\"")), "{text} is not in {said}");
    }
}

fn assert_all_announced(daemon: &str) {
    let seen = seen(daemon);
    let description = "description=Beremiz remote PLC";
    for (name, port, protocol) in
        [("plc-workshop", 4000, "protocol=ERPCS"), ("plc-workshop-plain", 3000, "protocol=ERPC")]
    {
        assert_announced(&seen, name, "_Beremiz._tcp", port, &[description, protocol]);
    }
    assert_announced(&seen, "Beremiz_plc-workshop", "_PYRO._tcp", 3000, &[description]);
}

#[test]
fn an_ide_on_another_host_finds_the_plc_by_the_files_for_avahi() {
    assert_all_announced("avahi");
}

#[test]
fn an_ide_on_another_host_finds_the_plc_by_the_files_for_systemd_resolved() {
    assert_all_announced("resolved");
}
