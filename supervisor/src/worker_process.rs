// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a worker comes from, and how it is killed and its end learnt.
//!
//! On an appliance systemd starts one for each connection to its socket; at a desk the supervisor spawns it. The
//! worker cannot tell: its standard input is the control channel either way.

use std::{
    future::Future,
    io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::PathBuf,
    pin::Pin,
    process::{ExitStatus, Stdio},
};

use nix::sys::signal::Signal as SignalName;
use plc_worker_link::exit_code;
use rustix::process::{Pid, Signal};
use tokio::{
    net::UnixStream,
    process::{Child, Command},
};

use crate::pidfd::Pidfd;

/// Starts workers.
pub trait Launch: Send + Sync + std::fmt::Debug {
    /// Gets a fresh worker; its greeting is yet to come.
    ///
    /// # Cancel safety
    /// A launch that is dropped leaves no worker behind: its channel ends, and it has loaded nothing.
    fn launch(&self) -> Pin<Box<dyn Future<Output = io::Result<Launched>> + Send + '_>>;
}

/// A worker process before its greeting.
#[derive(Debug)]
pub struct Launched {
    /// The control channel.
    pub control: UnixStream,
    /// The process, if it is our child.
    pub child: Option<Child>,
}

/// Connects to the socket for which systemd starts workers.
#[derive(Debug)]
pub struct SocketLauncher {
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
pub struct SpawnLauncher {
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
pub struct WorkerProcess {
    pidfd: Pidfd,
    child: Option<Child>,
}

impl WorkerProcess {
    /// The process that `pidfd` refers to. A child's own pidfd counts more than what it sent.
    ///
    /// # Errors
    /// The descriptor cannot be watched.
    pub fn new(pidfd: OwnedFd, child: Option<Child>) -> io::Result<Self> {
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
    pub fn killer(&self) -> io::Result<Killer> {
        Ok(Killer { pidfd: self.pidfd.try_clone()? })
    }

    /// Waits for the end of the process and says how it came, as in "the worker ...".
    pub async fn ended(mut self) -> String {
        self.pidfd.ended().await;
        let Some(child) = &mut self.child else {
            return "ended; `journalctl -u 'plc-worker@*'` says how".to_owned();
        };
        // Before the child is reaped its process id, and so its group's, cannot be another's.
        if let Some(group) = child.id().and_then(to_pid) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        match child.wait().await {
            Ok(status) => describe(status),
            Err(error) => format!("ended, and its status cannot be read: {error}"),
        }
    }
}

/// Kills one worker, and never another process that got its number later.
#[derive(Debug)]
pub struct Killer {
    pidfd: OwnedFd,
}

impl Killer {
    /// Sends SIGKILL. A process that has ended already is no error.
    pub fn kill(&self) {
        if let Err(error) = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            if error != rustix::io::Errno::SRCH {
                tracing::error!(error = %error, "the worker cannot be killed");
            }
        }
    }
}

fn to_pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

fn describe(status: ExitStatus) -> String {
    if let Some(number) = status.signal() {
        let name = SignalName::try_from(number)
            .map_or_else(|_| format!("signal {number}"), |s| s.to_string());
        let core = if status.core_dumped() { ", core dumped" } else { "" };
        return format!("ended with {name}{}{core}", explain(number));
    }
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(exit_code::TERMINATED) => {
            "was stopped by a SIGTERM that did not come from us".to_owned()
        }
        Some(exit_code::CHANNEL_ENDED) => {
            "lost the supervisor: it closed descriptors it did not open".to_owned()
        }
        Some(code) => format!("called exit({code})"),
        None => format!("ended ({status})"),
    }
}

/// A signal in the words of those who do not know its name.
fn explain(number: i32) -> &'static str {
    match SignalName::try_from(number) {
        Ok(SignalName::SIGSEGV | SignalName::SIGBUS) => {
            " (invalid memory access: a wrong pointer, an index out of range, or a stack overflow)"
        }
        Ok(SignalName::SIGABRT) => " (the program gave up: an assertion or damaged memory)",
        Ok(SignalName::SIGFPE) => " (arithmetic error, such as an integer division by zero)",
        Ok(SignalName::SIGILL) => " (illegal instruction: built for another processor?)",
        Ok(SignalName::SIGKILL) => {
            " (killed: by the kernel when memory is exhausted, or by somebody)"
        }
        Ok(SignalName::SIGXCPU) => " (a real-time thread used the processor for too long)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_in_words() {
        assert!(describe(ExitStatus::from_raw(11)).contains("SIGSEGV (invalid memory access"));
        assert!(describe(ExitStatus::from_raw(11 | 0x80)).ends_with("core dumped"));
        assert_eq!(describe(ExitStatus::from_raw(0)), "called exit(0)");
    }
}
