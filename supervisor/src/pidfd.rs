// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process that may be awaited and killed without being mistaken for a later one of the same number.

use std::{io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags};
use tokio::io::unix::AsyncFd;

/// Refers to one process.
#[derive(Debug)]
pub(crate) struct Pidfd(AsyncFd<OwnedFd>);

impl Pidfd {
    /// Takes a descriptor over.
    ///
    /// # Errors
    /// It cannot be watched.
    #[allow(
        deprecated,
        reason = "sound for an OwnedFd, whose number never changes; the successor is unsafe to call"
    )]
    pub(crate) fn new(pidfd: OwnedFd) -> io::Result<Self> {
        AsyncFd::new(pidfd).map(Self)
    }

    /// The process with this number now.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn open(pid: Pid) -> io::Result<Self> {
        Self::new(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
    }

    /// Another descriptor of the same process.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn try_clone(&self) -> io::Result<OwnedFd> {
        self.0.get_ref().try_clone()
    }

    /// Waits until the process has ended; its children and threads do not matter.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn ended(&self) {
        // An error means that there is nothing to watch: as good as ended.
        let _ = self.0.readable().await.map(|mut guard| guard.retain_ready());
    }
}
