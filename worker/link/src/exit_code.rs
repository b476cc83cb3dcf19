// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a worker's exit code means to its supervisor. A program that calls `exit` may end with any of them, so they
//! only put an end into words; whether it was in order is said by [`crate::Outcome::Stopped`].

/// The program was stopped by order, or never ran.
pub const DONE: u8 = 0;
/// It could not be loaded or started, or the worker itself failed.
pub const FAILED: u8 = 1;
/// Wrong usage.
pub const USAGE: u8 = 2;
/// The control channel ended: the supervisor is gone, or the program closed the descriptor. The program was
/// stopped. `EX_UNAVAILABLE` of sysexits.h.
pub const CHANNEL_ENDED: u8 = 69;
/// Another worker still holds the lock. `EX_TEMPFAIL` of sysexits.h: try again later.
pub const LOCK_IS_BUSY: u8 = 75;
/// Somebody sent SIGTERM, as a shell would report it. The program was stopped.
pub const TERMINATED: u8 = 128 + 15;
