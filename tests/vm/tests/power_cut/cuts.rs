// SPDX-License-Identifier: MIT OR Apache-2.0
//! Disks as power cuts leave them, and a machine that tries one after the other.

use plc_vm::{Disk, Hold, Next, Vm};

use crate::programs::{Found, survey};

/// What the file system may have written by itself when the power fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// Nothing: only what was synced is there.
    Nothing,
    /// All names, but no contents: its journal was committed, as happens every few seconds on other systems.
    Names,
}

/// A disk as a cut after a step leaves it.
#[derive(Debug)]
pub(crate) struct Cut {
    /// The step, in strace's words.
    pub(crate) step: String,
    pub(crate) disk: Disk,
}

/// Goes through all steps of what the supervisor is at, cutting after each; the last cut is after the answer.
pub(crate) fn after_each_step(mut hold: Hold<'_>, luck: Luck) -> Vec<Cut> {
    let mut cuts = Vec::new();
    loop {
        let next = hold.await_next();
        if luck == Luck::Names {
            commit_names(hold.vm());
        }
        let disk = hold.vm().stable();
        match next {
            Next::Step(step) => {
                cuts.push(Cut { step, disk });
                hold.go_on();
            }
            Next::Done(code, words) => {
                assert_eq!(code, 0, "{words}");
                cuts.push(Cut { step: "done".to_owned(), disk });
                hold.release();
                return cuts;
            }
        }
    }
}

/// Has the file system commit its journal, in which names are, without writing back any file of the PLC.
pub(crate) fn commit_names(vm: &mut Vm) {
    vm.ok("date > /srv/plc/other\nsync /srv/plc/other");
}

/// What a supervisor finds on each of the disks. They are the machine's third disk, one behind the other; each is
/// mounted in its turn where the PLC's state belongs, and the runtime is started as at a boot.
pub(crate) fn try_all(vm: &mut Vm, cuts: &[Cut]) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (index, cut) in cuts.iter().enumerate() {
        // Nothing reached the disk in this step.
        let same = index.checked_sub(1).filter(|before| cuts[*before].disk.is_same_as(&cut.disk));
        let result = match same {
            Some(before) => found[before].clone(),
            None => try_one(vm, index, cut),
        };
        println!("{:<32} {}", result.to_string(), cut.step);
        found.push(result);
    }
    found
}

fn try_one(vm: &mut Vm, index: usize, cut: &Cut) -> Found {
    let bytes = cut.disk.bytes();
    let offset = bytes * u64::try_from(index + 1).expect("a small number");
    vm.ok(&format!(
        "systemctl stop plc-runtime.service
         umount /var/lib/plc-runtime /var/lib/plc-work /srv/plc
         mount -o loop,offset={offset},sizelimit={bytes} /dev/vdc /srv/plc
         mount --bind /srv/plc/state /var/lib/plc-runtime
         mount --bind /srv/plc/work /var/lib/plc-work
         systemctl start plc-runtime.service"
    ));
    survey(vm)
}
