// SPDX-License-Identifier: MIT OR Apache-2.0
//! Promise: a program is installed whole or not at all. Losing the power at any moment of an installation leaves the
//! old program or the new one, complete, and never loses the retain file; "done" means durable; and the PLC runs again
//! by the wish.
//!
//! The power is lost by killing the machine and the write cache of its disk. So that one boot prepares many cuts, the
//! supervisor is held after each call that changes names or syncs, and the disk is copied as it is behind the cache:
//! that is what a cut at this moment would leave. Each copy is then given to a supervisor of its own.

#[path = "power_cut/cuts.rs"]
mod cuts;
#[path = "power_cut/programs.rs"]
mod programs;

use plc_vm::{Disk, Kernel, SYNC_CALLS, Vm};

use crate::{
    cuts::{Cut, Luck, after_each_step, commit_names, try_all},
    programs::{Found, bring, install, survey},
};

/// A machine in which program A is installed and runs, and all of it is on disk.
fn machine_with_a() -> Vm {
    let mut vm = Vm::boot(Kernel::Cloud, Disk::empty());
    bring(&mut vm);
    vm.ok(&format!("{}\nplcctl start\nsync", install("A")));
    let found = survey(&mut vm);
    assert!(found.is_well("A"), "{found}");
    vm
}

#[test]
fn whenever_the_power_fails_the_old_program_runs_again_or_the_new_one() {
    let mut vm = machine_with_a();
    let unlucky = after_each_step(vm.hold(&install("B")), Luck::Nothing);
    let lucky = after_each_step(vm.hold(&install("C")), Luck::Names);
    let disk = vm.cut();

    let (count, cuts): (usize, Vec<Cut>) =
        (unlucky.len(), unlucky.into_iter().chain(lucky).collect());
    let row = Disk::row(&cuts.iter().map(|cut| &cut.disk).collect::<Vec<_>>());
    let mut vm = Vm::boot_beside(Kernel::Cloud, disk, Some(row));
    bring(&mut vm);
    let found = survey(&mut vm);
    assert!(found.is_well("C"), "the plug was pulled right after the answer: {found}");
    let found = try_all(&mut vm, &cuts);
    drop(vm);
    let first_b = assert_one_turn("A", "B", &found[..count]);
    let first_c = count + assert_one_turn("B", "C", &found[count..]);

    // The two cuts on either side of the decisive step, each as the disk of a machine that boots.
    for (index, program) in [(first_b - 1, "A"), (first_c, "C")] {
        let mut vm = Vm::boot(Kernel::Cloud, cuts[index].disk.copy());
        bring(&mut vm);
        let found = survey(&mut vm);
        println!("booted: {found}  {}", cuts[index].step);
        assert!(found.is_well(program), "{found}");
    }
}

/// Expects the old program until some step and the new one from then on, always well; at which step it turns.
fn assert_one_turn(old: &str, new: &str, found: &[Found]) -> usize {
    let turn = found.iter().position(|found| found.is_well(new)).expect("done is durable");
    assert!(turn > 10, "there are steps before the decisive one");
    for (index, found) in found.iter().enumerate() {
        let expected = if index < turn { old } else { new };
        assert!(found.is_well(expected), "step {index}: {found}, and not {expected}");
    }
    turn
}

#[test]
fn what_was_said_to_be_done_is_there_after_the_plug_is_pulled() {
    let mut vm = machine_with_a();
    vm.ok(&install("B"));
    let disk = vm.cut();
    let mut vm = Vm::boot(Kernel::Cloud, disk);
    bring(&mut vm);
    let found = survey(&mut vm);
    assert!(found.is_well("B"), "{found}");
    // The operator's wish is as durable.
    vm.ok("plcctl stop");
    let disk = vm.cut();
    let mut vm = Vm::boot(Kernel::Cloud, disk);
    bring(&mut vm);
    let found = survey(&mut vm);
    assert_eq!(
        (found.program.as_deref(), found.status.as_str()),
        (Some("B"), "Stopped"),
        "{found}"
    );
}

/// The cut is a real one: the same supervisor, whose syncs do nothing, loses the program, or tears it.
#[test]
fn without_its_syncs_the_same_is_lost_or_torn() {
    let mut vm = machine_with_a();
    vm.inject(SYNC_CALLS, "retval=0");
    vm.ok(&install("B"));
    let lost = Cut { step: "done, without syncs".to_owned(), disk: vm.stable() };
    vm.release();
    commit_names(&mut vm);
    let torn = Cut { step: "done, without syncs, all names written".to_owned(), disk: vm.cut() };

    let row = Disk::row(&[&lost.disk, &torn.disk]);
    let mut vm = Vm::boot_beside(Kernel::Cloud, Disk::empty(), Some(row));
    bring(&mut vm);
    let found = try_all(&mut vm, &[lost, torn]);
    // Lost; or torn too, for the worker's own syncs are real and may write names along.
    let is_lost = found[0].is_well("A") || found[0].program.is_none();
    assert!(is_lost, "what was said to be done needs no syncs: {}", found[0]);
    assert_eq!(found[1].program, None, "names without contents: {}", found[1]);
}
