// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a crash stays in the worker, and it says why: a crash has a core dump that can be found, a program that eats
//! all memory is killed in its own control group and told so.

use plc_vm::{Disk, Kernel, Status, Vm};

/// A machine on which a program that fails stays Broken.
fn machine_without_restarts() -> Vm {
    let mut vm = Vm::boot(Kernel::Cloud, Disk::empty());
    let settings = b"[plc]\nrestart = \"never\"\n";
    vm.put("/etc/plc-runtime/plc-runtime.toml.d/no-restart.toml", settings);
    vm.ok("systemctl restart plc-runtime.service");
    vm
}

/// Has a program fail; how the PLC is then. The supervisor must be the same as before.
fn failure_of(vm: &mut Vm, name: &str) -> Status {
    let supervisor = vm.supervisor_pid();
    let path = format!("/root/{name}.so");
    vm.put(&path, &plc_tests::programs::bytes(name));
    // It may fail while the answer is under way.
    vm.ok(&format!("plcctl install {path}\nplcctl start || true"));
    let status = vm.wait_status("the program fails", |status| status.status() == "Broken");
    assert_eq!(vm.supervisor_pid(), supervisor);
    println!("{}", status.reason());
    status
}

#[test]
fn the_core_dump_of_a_crash_is_where_the_runtime_says() {
    let mut vm = machine_without_restarts();
    let status = failure_of(&mut vm, "segv_cycle");
    assert!(status.reason().contains("SIGSEGV"), "{}", status.reason());
    let crash = &status.0["last_crash"];
    let core = crash["core"].as_str().expect("where the core is").to_owned();
    println!("core: {core}");
    let command = core.split('`').nth(1).unwrap_or_else(|| panic!("no command in {core:?}"));
    // It is compressed while we look.
    let info = vm.until(
        "the core is on disk",
        &format!("{command} --no-pager | tee /dev/stderr | grep -q '(present)'"),
    );
    assert!(info.contains("Signal: 11 (SEGV)"), "{info}");
    assert!(info.contains("/usr/libexec/plc-runtime/plc-worker"), "{info}");
    let list = vm.ok("coredumpctl list --no-pager --no-legend");
    assert_eq!(list.lines().count(), 1, "{list}");
    let entry = vm.ok("journalctl --no-pager -u plc-runtime.service -p err");
    assert!(entry.contains(&core), "the crash's entry names the place: {entry}");
}

#[test]
fn a_program_that_eats_all_memory_is_killed_alone_and_told_so() {
    let mut vm = machine_without_restarts();
    let status = failure_of(&mut vm, "eat_memory");
    let words = ["SIGKILL", "memory", "MemoryMax="];
    assert!(words.iter().all(|word| status.reason().contains(word)), "{}", status.reason());
    let journal = vm.ok("journalctl --no-pager -u 'plc-worker@*'");
    assert!(journal.contains("Failed with result 'oom-kill'"), "{journal}");
    // One process was killed, in its own group, and the machine had enough all the time.
    let kernel = vm.ok("journalctl --no-pager -k");
    let kills: Vec<&str> = kernel.lines().filter(|line| line.contains("oom-kill:")).collect();
    assert_eq!(kills.len(), 1, "{kills:?}");
    assert!(kills[0].contains("CONSTRAINT_MEMCG"), "{}", kills[0]);
    assert!(kills[0].contains("plc-worker@"), "{}", kills[0]);
    assert_eq!(vm.ok("systemctl list-units --failed --no-legend 'plc-*'"), "");
    // The next program is none the worse.
    vm.run_program("good");
}
