// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a connector has to end: at a signal, or with the process it belongs to.

use std::{env, io, os::fd::OwnedFd, thread};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
};

/// Names the process that this connector must not outlive, by its id. The desk's program sets it.
pub const PARENT_VARIABLE: &str = "PLC_PARENT_PID";

/// Waits for the reasons to end.
#[derive(Debug)]
pub struct StopWatch {
    terminate: Signal,
    interrupt: Signal,
    parent: Option<oneshot::Receiver<()>>,
}

/// Why a connector ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// SIGTERM or SIGINT.
    Signal,
    /// The process named by [`PARENT_VARIABLE`] has ended.
    ParentEnded,
}

impl StopWatch {
    /// Begins to watch; from now on SIGTERM and SIGINT do not end the process by themselves.
    ///
    /// # Errors
    /// When a signal cannot be caught, or [`PARENT_VARIABLE`] names no process id.
    pub fn new() -> io::Result<Self> {
        Self::watching(env::var(PARENT_VARIABLE).ok().as_deref())
    }

    fn watching(parent: Option<&str>) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent: parent.map(end_of_process).transpose()?,
        })
    }

    /// Waits until there is a reason to end.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn wait(&mut self) -> StopReason {
        let parent = async {
            match &mut self.parent {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => StopReason::Signal,
            _ = self.interrupt.recv() => StopReason::Signal,
            () = parent => StopReason::ParentEnded,
        }
    }
}

/// The end of a process as a message; a thread waits for it, as only few connectors have anybody to wait for.
fn end_of_process(text: &str) -> io::Result<oneshot::Receiver<()>> {
    let error = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
    let pid = text.parse().ok().filter(|&id: &i32| id > 0);
    let pid = pid.and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| error(format!("{PARENT_VARIABLE}={text} is no process id")))?;
    let process = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|errno| error(format!("{PARENT_VARIABLE}={text}: {errno}")))?;
    let (ended, end) = oneshot::channel();
    thread::Builder::new().name("parent".to_owned()).spawn(move || {
        wait_readable(&process);
        // Nobody listens any more if the connector is ending for another reason.
        let _ = ended.send(());
    })?;
    Ok(end)
}

/// Blocks until the process of this pidfd has ended (`pidfd_open(2)`: it becomes readable then).
fn wait_readable(process: &OwnedFd) {
    while let Err(Errno::INTR) = poll(&mut [PollFd::new(process, PollFlags::IN)], None) {}
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn the_end_of_the_named_process_is_a_reason_to_end() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let mut watch = StopWatch::watching(Some(&child.id().to_string())).unwrap();
        // End of its input ends it; its exit is seen before anybody has reaped it.
        drop(child.stdin.take());
        assert_eq!(watch.wait().await, StopReason::ParentEnded);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn a_parent_that_is_no_process_id_is_refused() {
        for bad in ["", "x", "0", "-1"] {
            assert!(StopWatch::watching(Some(bad)).is_err(), "{bad:?}");
        }
    }
}
