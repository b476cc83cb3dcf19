// SPDX-License-Identifier: MIT OR Apache-2.0
//! `--report-end`: a process of its own, run by the service manager after a worker has ended, with the same control
//! channel as its standard input. It tells the supervisor what only the service manager knows.

use std::{env, io, os::fd::AsFd};

use plc_api::frame;
use plc_worker_link::{Ended, FromWorker};
use rustix::net::{SendFlags, send};

/// Sends the report. A supervisor that is gone, that does not read, or a standard input that is no socket are
/// nobody's fault here: the unit has ended in order all the same.
pub(crate) fn send_report() {
    let word = |name: &str| env::var(name).unwrap_or_default();
    let ended = Ended::new(&word("SERVICE_RESULT"), &word("EXIT_CODE"), &word("EXIT_STATUS"));
    if let Ok(report) = frame::encode(&FromWorker::Ended(ended)) {
        // One call that never waits: it is sent whole or not at all.
        let _ = send(io::stdin().as_fd(), &report, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}
