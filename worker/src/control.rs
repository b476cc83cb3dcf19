// SPDX-License-Identifier: MIT OR Apache-2.0
//! What reaches the program's thread from outside: orders, SIGTERM, the end of the control channel.

use std::{io, os::unix::net::UnixStream, sync::mpsc::Sender};

use nix::sys::signal::SigSet;
use plc_worker_link::{
    ToWorker,
    wire::{self, WireError},
};

use crate::{deadline::Deadline, threads};

/// One thing for the program's thread to do.
#[derive(Debug)]
pub(crate) enum Event {
    /// The supervisor's order.
    Order(ToWorker),
    /// Stop the program and end.
    End(Cause),
}

/// Why a worker ends without an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// SIGTERM.
    Terminated,
    /// The control channel ended, or holds something that is no order.
    ChannelEnded,
}

impl Cause {
    /// For people.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Terminated => "SIGTERM has come",
            Self::ChannelEnded => "the supervisor is gone",
        }
    }
}

/// Reads orders on a thread of its own, so that they arrive while the program's thread is inside the program.
///
/// # Errors
/// The thread cannot be made.
pub(crate) fn read_orders(
    channel: UnixStream,
    events: Sender<Event>,
    deadline: Deadline,
) -> io::Result<()> {
    threads::spawn("plc-control", move || {
        let error = loop {
            match wire::receive::<ToWorker>(&channel) {
                Ok(order) => {
                    if events.send(Event::Order(order)).is_err() {
                        return;
                    }
                }
                Err(error) => break error,
            }
        };
        deadline.arm();
        // The receiver lives as long as the process.
        let _ = events.send(Event::End(Cause::ChannelEnded));
        // Not closed: a program that closes all descriptors may have been here, and the number be its own now.
        std::mem::forget(channel);
        if let WireError::Frame(error) = &error {
            tracing::error!(error = error.to_string(), "the supervisor is not understood");
        }
    })
    .map(drop)
}

/// Waits for SIGTERM, which every thread has blocked.
///
/// # Errors
/// The thread cannot be made.
pub(crate) fn await_termination(
    signals: SigSet,
    events: Sender<Event>,
    deadline: Deadline,
) -> io::Result<()> {
    threads::spawn("plc-sigterm", move || {
        if let Err(error) = signals.wait() {
            tracing::error!(error = error.to_string(), "SIGTERM cannot be awaited");
            return;
        }
        deadline.arm();
        // The receiver lives as long as the process.
        let _ = events.send(Event::End(Cause::Terminated));
    })
    .map(drop)
}
