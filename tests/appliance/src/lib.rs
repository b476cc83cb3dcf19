// SPDX-License-Identifier: MIT OR Apache-2.0
//! The harness of the appliance tests: booted Debian systems with the package in them.
//!
//! [`Machine`] boots a throw-away copy and drops it at the end; a failing test prints the machine's journal and
//! console. How to write and run such tests: `tests/appliance/README.md`.
#![forbid(unsafe_code)]

mod machine;
mod package;
mod plc;
mod slot;

pub use machine::{Machine, Output};
pub use package::{deb, suite};
pub use plc::{IDE_PORT, Unit};

use std::{
    fs::OpenOptions,
    io::Write as _,
    time::{Duration, Instant},
};

/// How long an event may take on a loaded machine before the test fails.
pub use plc_tests::PATIENCE;

/// How often [`until`] looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Notes what a test measured in `target/figures.txt`, which `make appliance` and `make vm` show in the end. Nothing is
/// asserted about time in machines that share processors.
///
/// # Panics
/// The file cannot be written.
pub fn figure(text: &str) {
    let path = plc_tests::root().join("target/figures.txt");
    let file = OpenOptions::new().create(true).append(true).open(path);
    writeln!(file.expect("target/ can be written"), "figure: {text}").expect("a line");
}

/// Waits until a condition gives a value, and gives it.
///
/// # Panics
/// It does not within [`PATIENCE`].
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}
