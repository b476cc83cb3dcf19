// SPDX-License-Identifier: MIT OR Apache-2.0
//! How many machines may be up at once, over all test processes of this system.
//!
//! A slot is a file lock and the name of a machine. The lock goes with its process, so a machine that a killed test
//! left behind is found, and ended, by the next one that gets its slot.

use std::{
    fs::{self, File, OpenOptions},
    path::Path,
    thread,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};

/// Two processors boot two machines well.
const SLOTS: usize = 2;
const PLACE: &str = "/run/plc-machines";
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The right to have one machine.
#[derive(Debug)]
pub(crate) struct Slot {
    /// The machine's name.
    pub(crate) name: String,
    _lock: File,
}

impl Slot {
    /// Waits for a free one. There is no deadline: other tests may take long.
    pub(crate) fn take() -> Self {
        fs::create_dir_all(PLACE).expect("/run can be written; appliance tests need root");
        loop {
            if let Some(slot) = (0..SLOTS).find_map(Self::try_take) {
                return slot;
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    fn try_take(number: usize) -> Option<Self> {
        let name = format!("test-{number}");
        let path = Path::new(PLACE).join(format!("{name}.lock"));
        let lock = OpenOptions::new().create(true).append(true).open(path).expect("a lock file");
        flock(&lock, FlockOperation::NonBlockingLockExclusive).ok()?;
        Some(Self { name, _lock: lock })
    }
}
