// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the other tests take for granted about a machine.

use plc_appliance::{Machine, Output};
use std::process::Command;

#[test]
fn a_machine_is_up_alone_and_its_files_survive_a_kill_and_a_reboot() {
    let machine = Machine::bare();
    assert_eq!(machine.look("systemctl is-system-running"), "running\n");
    machine.sh("echo one > /root/file; test $(cat /root/file) = one");
    machine.kill();
    machine.boot();
    assert_eq!(machine.look("cat /root/file"), "one\n");
    let boots = machine.boots();
    let _ = machine.run(&["systemctl", "reboot"]);
    machine.wait_reboot(boots);
    assert_eq!(
        machine.look("cat /root/file; systemctl is-system-running --wait"),
        "one\nrunning\n"
    );
    machine.sh("systemctl poweroff");
    machine.wait_off();
    assert_eq!(std::fs::read_to_string(machine.disk("/root/file")).unwrap(), "one\n");
}

#[test]
fn a_limit_of_memory_holds_and_the_network_is_its_own() {
    let machine = Machine::bare();
    let eater = "head -c 200M /dev/zero | tail";
    let eaten = machine.run(&["-p", "MemoryMax=64M", "sh", "-c", eater]);
    assert_ne!(eaten.code, 0, "200 MiB were eaten in a unit with 64");
    assert_eq!(machine.run(&["sh", "-c", eater]).code, 0, "and without a limit there is enough");

    // Nobody listens there, and the machine says so.
    let knock = "import socket; print(socket.socket().connect_ex(('10.77.0.2', 9)))";
    let knock = |from: &[String]| {
        Output::of(Command::new(&from[0]).args(&from[1..]).args(["python3", "-c", knock]))
    };
    assert_eq!(knock(&machine.beside()).expect_success(), "111\n");
    assert_eq!(machine.look("ip route show default"), "", "it reaches nobody else");
}
