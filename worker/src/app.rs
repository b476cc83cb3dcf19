// SPDX-License-Identifier: MIT OR Apache-2.0
//! The order in which a worker comes to life.
//!
//! ```text
//! SIGTERM blocked    standard input -> control channel    lock    greeting, hello    threads    serve
//! ```
//!
//! Nothing is said to the supervisor before the lock is held: a worker that cannot have it ends quietly, and the
//! supervisor, who sees the end of the channel, tries again.

use std::{io, os::fd::AsFd, os::unix::net::UnixStream, path::Path, process::ExitCode, sync::mpsc};

use anyhow::Context;
use nix::sys::signal::{SigSet, Signal};
use plc_abi::{ProcessLock, last_words};
use plc_worker_link::{FromWorker, Hello, LINK_VERSION, exit_code, greeting};
use rustix::process::{PidfdFlags, getpid, pidfd_open};

use crate::{
    channel::{self, DataChannel, Supervisor},
    control,
    deadline::Deadline,
    heartbeat::{self, Vitals},
    plc::Plc,
    threads,
};

/// Runs until the program has ended. Returns only if it never came to a conversation; otherwise the process
/// ends here.
///
/// # Errors
/// Whatever kept it from speaking to the supervisor.
pub(crate) fn run(work_dir: &Path, lock: &Path) -> anyhow::Result<ExitCode> {
    // Before any thread is there, so that all of them inherit it: only the waiting thread takes it.
    let mut terminate = SigSet::empty();
    terminate.add(Signal::SIGTERM);
    let blocked = terminate.thread_block();
    plc_journal::begin();
    blocked.context("blocking SIGTERM")?;
    let control = match channel::take_standard_input() {
        Ok(control) => control,
        Err(error) => {
            tracing::error!(
                error = error.to_string(),
                "standard input must be the supervisor's Unix stream socket"
            );
            return Ok(ExitCode::from(exit_code::USAGE));
        }
    };
    plc_abi::ignore_interrupts();

    match ProcessLock::take(lock) {
        Ok(lock) => lock.keep(),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Ok(ExitCode::from(exit_code::LOCK_IS_BUSY));
        }
        Err(error) => {
            return Err(error).with_context(|| format!("taking the lock on {}", lock.display()));
        }
    }
    let listener = last_words::install().context("preparing for a crash")?;

    let supervisor = Supervisor::new(control.try_clone().context("the control channel")?);
    let data = match say_hello(&control, &supervisor) {
        Ok(data) => data,
        Err(error) if is_gone(&error) => {
            tracing::info!(
                "nobody wants this worker any more: the program was stopped while it was loading"
            );
            return Ok(ExitCode::from(exit_code::CHANNEL_ENDED));
        }
        Err(error) => return Err(error.context("greeting the supervisor")),
    };

    threads::register_all();
    let (events, received) = mpsc::channel();
    let deadline = Deadline::begin()?;
    let vitals = Vitals::new();
    control::read_orders(control, events.clone(), deadline.clone())?;
    control::await_termination(terminate, events.clone(), deadline.clone())?;
    heartbeat::begin(supervisor.clone(), vitals.clone(), events, deadline.clone())?;
    // The program may be elsewhere when the path is needed again.
    let work_dir = std::path::absolute(work_dir).context("the working directory")?;
    let mut plc = Plc::new(work_dir, supervisor, data, deadline, vitals, listener);
    let code = plc.serve(&received);
    // Nothing is dropped: what a descriptor of ours refers to now is the program's to know.
    plc_abi::process_end::end_process(code)
}

/// Whether the supervisor has closed its end.
fn is_gone(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
    causes.any(|cause| gone.contains(&cause.kind()))
}

/// Sends the greeting with pidfd and data channel, then the hello; keeps the data channel's other end.
fn say_hello(control: &UnixStream, supervisor: &Supervisor) -> anyhow::Result<DataChannel> {
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty())?;
    let (data, theirs) = UnixStream::pair()?;
    greeting::send(control, pidfd.as_fd(), theirs.as_fd())?;
    supervisor.send(&FromWorker::Hello(Hello {
        link_version: LINK_VERSION,
        release: plc_api::RELEASE.to_owned(),
        pid: std::process::id(),
    }))?;
    Ok(DataChannel::new(data))
}
