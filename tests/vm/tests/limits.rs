// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: the PLC's process has real time and locked memory without being root; its rights come from its unit, and
//! what is denied is said with the remedy. And it reaches the devices that its unit names and no others.

use plc_vm::{Disk, Kernel, Scheduling, Vm};

/// The program's cycle, and the thread that collects its samples just below.
const PRIORITY: u32 = 60;

/// A running program, with real-time settings that a stranger to this machine could have written.
fn machine_in_real_time(kernel: Kernel, unit: &str) -> (Vm, u64) {
    let mut vm = Vm::boot(kernel, Disk::empty());
    let settings =
        format!("[realtime]\npolicy = \"fifo\"\npriority = {PRIORITY}\nlock_memory = true\n");
    vm.put("/etc/plc-runtime/plc-runtime.toml.d/real-time.toml", settings.as_bytes());
    vm.put("/etc/systemd/system/plc-worker@.service.d/test.conf", unit.as_bytes());
    vm.ok("systemctl daemon-reload\nsystemctl restart plc-runtime.service");
    vm.run_program("good");
    let pid = vm.worker_pid();
    (vm, pid)
}

fn assert_real_time(vm: &mut Vm, pid: u64) {
    let status = vm.ok(&format!("cat /proc/{pid}/status"));
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap_or_else(|| panic!("no {name} in {status}")).trim().to_owned()
    };
    let worker = vm.ok("id -u plc-worker").trim().to_owned();
    assert_eq!(field("Uid"), [&*worker; 4].join("\t"), "an unprivileged user");
    assert_eq!(field("CapEff"), "0000000000000000", "no capability");
    let threads = vm.scheduling(pid);
    println!("{threads:?}, VmLck {}, VmRSS {}", field("VmLck"), field("VmRSS"));
    for priority in [PRIORITY, PRIORITY - 1] {
        let wanted = Scheduling { policy: "SCHED_FIFO".into(), priority };
        assert_eq!(threads.iter().filter(|thread| **thread == wanted).count(), 1, "{threads:?}");
    }
    assert_ne!(field("VmLck"), "0 kB", "memory is locked");
    assert_eq!(denials(vm), "", "nothing was denied");
}

/// What the PLC log says of settings that are not in force.
fn denials(vm: &mut Vm) -> String {
    vm.run("plcctl log | grep 'Not all real-time settings'").text
}

#[test]
fn an_unprivileged_worker_has_real_time_and_locked_memory() {
    let (mut vm, pid) = machine_in_real_time(Kernel::Cloud, "");
    assert_real_time(&mut vm, pid);
}

#[test]
fn without_the_limits_of_its_unit_it_is_denied_and_says_which() {
    let unit = "[Service]\nLimitRTPRIO=0\nLimitMEMLOCK=64K\n";
    let (mut vm, pid) = machine_in_real_time(Kernel::Cloud, unit);
    let threads = vm.scheduling(pid);
    assert!(threads.iter().all(|thread| thread.policy == "SCHED_OTHER"), "{threads:?}");
    let denials = denials(&mut vm);
    assert!(denials.contains("LimitRTPRIO=") && denials.contains("LimitMEMLOCK="), "{denials}");
    assert_eq!(denials.lines().count(), 1, "said once");
}

#[test]
fn on_a_real_time_kernel_it_is_the_same_and_check_knows_the_kernel() {
    let (mut vm, pid) = machine_in_real_time(Kernel::Rt, "");
    assert_eq!(vm.ok("cat /sys/kernel/realtime").trim(), "1");
    assert_real_time(&mut vm, pid);
    let examination = vm.run("plcctl --json check --no-latency").text;
    let examination: serde_json::Value = serde_json::from_str(&examination).expect("JSON");
    let findings = examination["findings"].as_array().expect("findings");
    let kernel = findings.iter().find(|finding| finding["topic"] == "kernel");
    let kernel = kernel.unwrap_or_else(|| panic!("nothing of the kernel: {examination:#}"));
    println!("{kernel}");
    assert_eq!(kernel["verdict"], "good");
    assert!(kernel["value"].to_string().contains("PREEMPT_RT"), "{kernel}");
}

/// The device policy binds even root; so root tries, from inside the worker's control group.
#[test]
fn the_worker_reaches_the_devices_of_its_drop_in_and_no_others() {
    let mut vm = Vm::boot(Kernel::Cloud, Disk::empty());
    vm.run_program("good");
    assert_eq!(reachable(&mut vm), ["/dev/null"]);
    let drop_in = "/usr/share/plc-runtime/drop-ins/serial.conf";
    // As its head says.
    let line = vm.ok(&format!("sed -n 's/^# *On: *//p' {drop_in}"));
    vm.ok(&line);
    vm.ok("plcctl stop\nplcctl start");
    assert_eq!(reachable(&mut vm), ["/dev/null", "/dev/ttyS0"]);
}

/// Those of some devices that can be opened in the worker's control group.
fn reachable(vm: &mut Vm) -> Vec<String> {
    let pid = vm.worker_pid();
    // A shell of its own enters, and the tester's does not.
    let text = vm.ok(&format!(
        "export group=/sys/fs/cgroup$(cut -d: -f3 /proc/{pid}/cgroup)
         sh -c 'echo $$ > \"$group/cgroup.procs\" || exit 1
                for device in /dev/null /dev/ttyS0 /dev/vda /dev/rtc0; do
                    test -e $device || echo $device is not there
                    (exec 3<> $device) 2> /dev/null && echo $device; done; true'"
    ));
    text.lines().map(str::to_owned).collect()
}
