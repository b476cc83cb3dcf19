// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a worker comes from, and how it is killed and its end learnt.
//!
//! On an appliance systemd starts one for each connection to its socket; at a desk the supervisor spawns it. The
//! worker cannot tell: its standard input is the control channel either way.

use std::{future::Future, io, os::fd::OwnedFd, path::PathBuf, pin::Pin, process::Stdio};

use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, Signal},
};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
};

use crate::{end::End, pidfd::Pidfd};

/// Starts workers.
pub(crate) trait Launch: Send + Sync + std::fmt::Debug {
    /// Gets a fresh worker; its greeting is yet to come.
    ///
    /// # Cancel safety
    /// A launch that is dropped leaves no worker behind: its channel ends, and it has loaded nothing.
    fn launch(&self) -> Pin<Box<dyn Future<Output = io::Result<Launched>> + Send + '_>>;
}

/// A worker process before its greeting.
#[derive(Debug)]
pub(crate) struct Launched {
    /// The control channel.
    pub control: UnixStream,
    /// The process, if it is our child.
    pub child: Option<Child>,
}

/// Connects to the socket for which systemd starts workers.
#[derive(Debug)]
pub(crate) struct SocketLauncher {
    /// The socket's place.
    pub socket: PathBuf,
}

impl Launch for SocketLauncher {
    fn launch(&self) -> Pin<Box<dyn Future<Output = io::Result<Launched>> + Send + '_>> {
        Box::pin(async {
            let control = UnixStream::connect(&self.socket).await.map_err(|error| {
                let socket = self.socket.display();
                io::Error::new(error.kind(), format!("no worker is to be had at {socket}: {error}"))
            })?;
            Ok(Launched { control, child: None })
        })
    }
}

/// Spawns workers as children.
#[derive(Debug)]
pub(crate) struct SpawnLauncher {
    /// The worker program.
    pub program: PathBuf,
    /// Its working directory.
    pub work_dir: PathBuf,
    /// The lock that only one worker holds.
    pub lock: PathBuf,
}

impl Launch for SpawnLauncher {
    fn launch(&self) -> Pin<Box<dyn Future<Output = io::Result<Launched>> + Send + '_>> {
        Box::pin(async {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            ours.set_nonblocking(true)?;
            let child = Command::new(&self.program)
                .arg("--work-dir")
                .arg(&self.work_dir)
                .arg("--lock")
                .arg(&self.lock)
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                // A group of its own: what the program forks is ended with it, and a Ctrl-C at the desk reaches
                // the supervisor alone.
                .process_group(0)
                .spawn()
                .map_err(|error| {
                    let program = self.program.display();
                    io::Error::new(
                        error.kind(),
                        format!("the worker {program} cannot be run: {error}"),
                    )
                })?;
            Ok(Launched { control: UnixStream::from_std(ours)?, child: Some(child) })
        })
    }
}

/// A worker after its greeting: something that can be killed and whose end can be awaited.
#[derive(Debug)]
pub(crate) struct WorkerProcess {
    pidfd: Pidfd,
    child: Option<Child>,
}

impl WorkerProcess {
    /// The process that `pidfd` refers to. A child's own pidfd counts more than what it sent.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub(crate) fn new(pidfd: OwnedFd, child: Option<Child>) -> io::Result<Self> {
        let pidfd = match child.as_ref().and_then(Child::id).and_then(to_pid) {
            Some(pid) => Pidfd::open(pid)?,
            None => Pidfd::new(pidfd)?,
        };
        Ok(Self { pidfd, child })
    }

    /// A handle for killing it while another task awaits its end.
    ///
    /// # Errors
    /// Out of descriptors.
    pub(crate) fn killer(&self) -> io::Result<Killer> {
        Ok(Killer { pidfd: self.pidfd.try_clone()? })
    }

    /// Waits for the end of the process. How it came is known of a child only.
    pub(crate) async fn ended(&mut self) -> Option<End> {
        self.pidfd.ended().await;
        let child = self.child.as_mut()?;
        // Before the child is reaped its process id, and so its group's, cannot be another's.
        if let Some(group) = child.id().and_then(to_pid) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        Some(match child.wait().await {
            Ok(status) => End::of_child(status),
            Err(error) => End::Unknown(format!("its status cannot be read: {error}")),
        })
    }
}

/// Kills one worker, and never another process that got its number later.
#[derive(Debug)]
pub(crate) struct Killer {
    pidfd: OwnedFd,
}

impl Killer {
    /// Sends SIGKILL; false if the process has ended already, which is no error.
    pub(crate) fn kill(&self) -> bool {
        // Signals to a process that nobody has reaped yet are taken without an error.
        let mut ended = [PollFd::new(&self.pidfd, PollFlags::IN)];
        if rustix::event::poll(&mut ended, Some(&Timespec::default())) == Ok(1) {
            return false;
        }
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) => true,
            Err(rustix::io::Errno::SRCH) => false,
            Err(error) => {
                tracing::error!(%error, "the worker cannot be killed: {error}");
                true
            }
        }
    }
}

fn to_pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}
