// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: stop before everything that ends a program, also before the machine falls asleep; and after it the PLC runs
//! again by the wish.

use plc_vm::{Disk, Kernel, Vm};

/// Microseconds since the boot of the first journal entry with this text.
fn moment_of(vm: &mut Vm, text: &str) -> u64 {
    let script = format!("journalctl --no-pager -o json --output-fields=MESSAGE -g '{text}'");
    let entries = vm.ok(&script);
    let first = entries.lines().next().unwrap_or_else(|| panic!("nothing says {text:?}"));
    let entry: serde_json::Value = serde_json::from_str(first).expect("JSON");
    entry["__MONOTONIC_TIMESTAMP"].as_str().and_then(|text| text.parse().ok()).expect("a time")
}

/// What the program wrote about itself: what, when (microseconds since the boot).
fn marks(vm: &mut Vm) -> Vec<(String, u64)> {
    let text = vm.ok("cat /var/lib/plc-work/marks.txt");
    let mark = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        (fields[0].to_owned(), fields[3].parse::<u64>().expect("nanoseconds") / 1000)
    };
    text.lines().map(mark).collect()
}

#[test]
fn the_plc_is_stopped_before_the_machine_sleeps_and_runs_again_after() {
    let mut vm = Vm::boot(Kernel::Cloud, Disk::empty());
    vm.run_program("stopmark");
    vm.sleep_and_wake();
    vm.until(
        "it was stopped and runs again",
        "test $(grep -c ^begin /var/lib/plc-work/marks.txt) = 2",
    );
    vm.wait_status("the PLC runs", |status| status.status() == "Started");
    let marks = marks(&mut vm);
    let kinds: Vec<&str> = marks.iter().map(|(what, _)| &**what).collect();
    assert_eq!(kinds, ["begin", "stop", "end", "begin"]);
    // The clock of both stands still while the machine sleeps.
    let asleep = moment_of(&mut vm, "PM: suspend entry");
    let (end, again) = (marks[2].1, marks[3].1);
    println!("stopped at {end} µs, asleep at {asleep} µs, running again at {again} µs");
    assert!(end < asleep, "stopped before");
    assert!(asleep < again, "running after");
}
