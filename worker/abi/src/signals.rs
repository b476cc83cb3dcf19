// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signal dispositions that a PLC library changes behind its host's back.
//!
//! `startPLC` installs handlers of its own for SIGINT, SIGUSR1 and SIGUSR2 and never removes them. The last two
//! belong to the library (they steer its cycle thread). The first calls `exit(0)` in the middle of the process,
//! so SIGINT gets back what it had.

use std::{io, mem::MaybeUninit, ptr};

/// What SIGINT did before a library was started.
#[derive(Clone, Copy)]
pub(crate) struct InterruptAction(libc::sigaction);

impl InterruptAction {
    pub(crate) fn current() -> io::Result<Self> {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks for the action without changing it; the pointer is to enough room.
        let result = unsafe { libc::sigaction(libc::SIGINT, ptr::null(), action.as_mut_ptr()) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel's answer was written, and all zeros are valid besides.
        Ok(Self(unsafe { action.assume_init() }))
    }

    pub(crate) fn restore(&self) {
        // SAFETY: the action is one that was in force in this process before; with this signal and a valid
        // pointer the call cannot fail.
        unsafe { libc::sigaction(libc::SIGINT, &raw const self.0, ptr::null_mut()) };
    }
}

/// Lets SIGINT pass without effect: a Ctrl-C in a terminal is for the one who started this process, and who
/// stops it in order.
pub fn ignore_interrupts() {
    // SAFETY: ignoring a signal is always allowed.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
}
