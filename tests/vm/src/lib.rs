// SPDX-License-Identifier: MIT OR Apache-2.0
//! The harness of the tests in virtual machines: a Debian under QEMU with a kernel of its own and the package in it,
//! and a disk for the PLC's state whose write cache is lost with the power.
//!
//! [`Vm::boot`] brings one up, [`Vm::cut`] pulls its plug, [`Vm::stable`] shows what a cut right now would leave,
//! and [`Hold`] stops the supervisor after each call that changes its files. How to write such tests, and why they
//! are built like this: `tests/vm/README.md`.
#![forbid(unsafe_code)]

mod agent;
mod disk;
mod hold;
mod image;
mod process;
mod qmp;
mod status;
mod vm;

use std::time::Duration;

pub use disk::Disk;
pub use hold::{Hold, Next, SYNC_CALLS};
pub use status::{Scheduling, Status};
pub use vm::{Kernel, Output, Vm};

/// How long an event may take in a machine without hardware support, on a loaded host, before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
