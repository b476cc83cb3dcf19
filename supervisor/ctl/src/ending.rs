// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signals that ask a command to end, for those that leave something to be put in order: Ctrl-C and Ctrl-\, `kill`,
//! and a terminal or an ssh session that goes away.

use std::{fs, future::poll_fn, task::Poll};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Those signals, none of which ends the process by itself any more.
#[derive(Debug)]
pub(crate) struct Ending(Vec<Signal>);

impl Ending {
    /// From now on they are waited for.
    ///
    /// # Errors
    /// [`Failure::Failed`]: the kernel says no.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        // nohup(1) has it ignored, and means it.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if !ignores(&status, SignalKind::hangup()) {
            kinds.push(SignalKind::hangup());
        }
        let signals = kinds.into_iter().map(signal).collect::<Result<_, _>>();
        signals.map(Self).map_err(|error| Failure::Failed(error.to_string()))
    }

    /// Waits for one of them.
    ///
    /// # Cancel safety
    /// None is lost.
    pub(crate) async fn asked(&mut self) {
        poll_fn(|context| {
            let came = self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
            if came { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Whether a process of this status (proc(5)) ignores a signal.
fn ignores(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| (mask >> (kind.as_raw_value() - 1)) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_that_is_ignored_from_the_start_is_seen() {
        let status = "Name:\tplcctl\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000002\n";
        assert!(ignores(status, SignalKind::hangup()));
        assert!(!ignores(status, SignalKind::interrupt()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
