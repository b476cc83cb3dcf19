// SPDX-License-Identifier: MIT OR Apache-2.0
//! D-Bus as the package sets it up: the system's own bus, polkit and logind, and each of them missing.

use plc_api::plc::PlcStatus;
use plc_appliance::{Machine, until};
use plc_tests::programs;

const BUSCTL: [&str; 4] = ["busctl", "org.plcruntime1", "/org/plcruntime1", "org.plcruntime1.Plc"];

/// A client that passes descriptors, which busctl of Debian 12 cannot.
const INSTALL: &str = "
import dbus, os, sys
program, extra = (dbus.types.UnixFd(os.open(path, os.O_RDONLY)) for path in sys.argv[1:])
plc = dbus.SystemBus().get_object('org.plcruntime1', '/org/plcruntime1', introspect=False)
print(plc.Install(program, '0123456789abcdef0123456789abcdef', extra, signature='hsh',
    dbus_interface='org.plcruntime1.Plc'))
";

/// Who is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    /// Of the group plc.
    Ann,
    /// Of no group.
    Bob,
}

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Done(String),
    NotAllowed(String),
}

/// A machine with users and a program that everybody may read.
fn machine() -> Machine {
    let machine = Machine::installed();
    machine.sh("useradd --groups plc ann && useradd bob");
    machine.write("/srv/good.so", programs::bytes("good"));
    machine.write("/srv/extra/recipe.csv", "1;2");
    machine.write("/srv/install.py", INSTALL);
    machine.look("chmod -R a+rX /srv");
    machine
}

/// Waits until the runtime is on the bus.
fn served(machine: &Machine) {
    until("the bus", || machine.look("busctl list").contains("org.plcruntime1").then_some(()));
}

fn call(machine: &Machine, who: Who, command: &[&str]) -> Came {
    let user = match who {
        Who::Root => "root",
        Who::Ann => "ann",
        Who::Bob => "bob",
    };
    let output = machine.enter(&[&["runuser", "-u", user, "--"], command].concat());
    if output.code == 0 {
        return Came::Done(output.stdout);
    }
    // busctl prints an error's words, the other client its name as well.
    let refused = ["is for root and", "needs a password", "does not allow you"];
    let told = refused.iter().any(|words| output.stderr.contains(words));
    assert!(told, "{who:?} {command:?}: {output:?}");
    Came::NotAllowed(output.stderr)
}

fn method(machine: &Machine, who: Who, arguments: &[&str]) -> Came {
    let [busctl, place @ ..] = BUSCTL;
    call(machine, who, &[&[busctl, "--timeout=70", "call"], &place[..], arguments].concat())
}

fn property(machine: &Machine, who: Who, name: &str) -> String {
    let [busctl, place @ ..] = BUSCTL;
    match call(machine, who, &[&[busctl, "get-property"], &place[..], &[name]].concat()) {
        Came::Done(value) => value.trim().to_owned(),
        Came::NotAllowed(why) => panic!("{who:?} may not read {name}: {why}"),
    }
}

fn install(machine: &Machine, who: Who) -> Came {
    call(machine, who, &["python3", "/srv/install.py", "/srv/good.so", "/srv/extra"])
}

fn may(machine: &Machine, who: Who, arguments: &[&str]) {
    let came = method(machine, who, arguments);
    assert!(matches!(came, Came::Done(_)), "{who:?} {arguments:?}: {came:?}");
}

fn may_not(came: &Came, words: &str) {
    assert!(matches!(came, Came::NotAllowed(why) if why.contains(words)), "{words}: {came:?}");
}

/// What root and operators may, with a program that is installed at the end.
fn operates(machine: &Machine, who: Who) {
    assert!(matches!(install(machine, who), Came::Done(_)), "{who:?}");
    for name in ["Start", "Stop", "ResetLog", "Reload", "Repair", "Rollback", "Start"] {
        may(machine, who, &[name]);
    }
    assert_eq!(property(machine, who, "Status"), "s \"Started\"");
    may(machine, who, &["GetLog", "yuu", "2", "0", "10"]);
    may(machine, who, &["Stop"]);
}

/// What is nobody's but theirs.
fn only_looks(machine: &Machine, who: Who, why: &str) {
    assert_eq!(property(machine, who, "Status"), "s \"Stopped\"");
    assert!(property(machine, who, "CycleTime").starts_with("(ddd)"));
    for name in ["Start", "Stop", "ResetLog", "Reload", "Repair", "Rollback"] {
        may_not(&method(machine, who, &[name]), why);
    }
    may_not(&method(machine, who, &["GetLog", "yuu", "2", "0", "10"]), "is for root and");
    may_not(&install(machine, who), why);
}

#[test]
fn with_polkit_root_and_the_group_operate_and_an_administrators_rule_may_say_otherwise() {
    let machine = machine();
    served(&machine);
    for who in [Who::Root, Who::Ann] {
        operates(&machine, who);
    }
    only_looks(&machine, Who::Bob, "needs a password");
    assert!(machine.look("busctl list").contains("org.freedesktop.PolicyKit1"), "polkit was asked");

    let rule = "polkit.addRule(function (action, subject) {
        if (action.id == 'org.plcruntime1.control' && subject.user == 'ann') return polkit.Result.NO;
        if (action.id == 'org.plcruntime1.control' && subject.user == 'bob') return polkit.Result.YES;
    });";
    machine.write("/etc/polkit-1/rules.d/10-site.rules", rule);
    machine.sh("systemctl restart polkit");
    may_not(&method(&machine, Who::Ann, &["Start"]), "does not allow you");
    may(&machine, Who::Bob, &["Start"]);
    may(&machine, Who::Bob, &["Stop"]);
    assert!(matches!(install(&machine, Who::Ann), Came::Done(_)));
    may_not(&install(&machine, Who::Bob), "needs a password");
}

#[test]
fn with_polkit_purged_root_and_the_group_operate() {
    let machine = machine();
    served(&machine);
    machine.sh("DEBIAN_FRONTEND=noninteractive dpkg --force-depends --purge polkitd");
    for who in [Who::Root, Who::Ann] {
        operates(&machine, who);
    }
    only_looks(&machine, Who::Bob, "is for root and");
}

#[test]
fn the_machines_sleep_is_delayed_and_the_interface_is_installed() {
    let machine = Machine::installed();
    let list = "systemd-inhibit --list --no-legend --no-pager";
    let inhibitors =
        until("the inhibitor", || Some(machine.look(list)).filter(|l| l.contains("plc-runtime")));
    let ours = inhibitors.lines().find(|line| line.contains("plc-runtime")).unwrap();
    assert!(ours.contains("sleep") && ours.contains("delay"), "{ours}");
    let xml = machine.look("cat /usr/share/dbus-1/interfaces/org.plcruntime1.Plc.xml");
    let [_, place @ ..] = BUSCTL;
    let served = machine.look(&format!("busctl introspect {}", place.join(" ")));
    for line in served.lines().filter(|line| line.starts_with('.')) {
        let name = line[1..].split_whitespace().next().unwrap();
        assert!(xml.contains(&format!("name=\"{name}\"")), "{name}");
    }
}

#[test]
fn a_bus_that_is_restarted_is_served_again_while_the_program_runs_on() {
    let machine = Machine::installed();
    let api = machine.run_program("good");
    let worker = api.snapshot().worker_pid;
    machine.sh("systemctl restart dbus.service");
    served(&machine);
    assert_eq!(property(&machine, Who::Root, "Status"), "s \"Started\"");
    assert_eq!(api.snapshot().worker_pid, worker);
}

#[test]
fn a_machine_without_a_bus_runs_its_plc_and_says_once_what_is_missing() {
    let machine = Machine::installed();
    machine.run_program("good");
    machine.sh("systemctl mask dbus.socket dbus.service dbus-org.freedesktop.login1.service");
    machine.stop();
    machine.boot();
    machine.wait_status(PlcStatus::Started);
    machine.wait_journal(&["-b", "-u", "plc-runtime"], "not on D-Bus");
    let said = machine.journal(&["-b", "-u", "plc-runtime"]);
    assert_eq!(said.matches("not on D-Bus").count(), 1, "{said}");
}

#[test]
fn no_message_starts_a_service_that_was_stopped() {
    let machine = Machine::installed();
    served(&machine);
    machine.runtime().systemctl("stop");
    let [busctl, place @ ..] = BUSCTL;
    let asked = [&[busctl, "call"], &place[..], &["Start"]].concat();
    let output = machine.enter(&asked);
    assert_ne!(output.code, 0);
    assert_eq!(machine.runtime().property("ActiveState"), "inactive", "{output:?}");
}
