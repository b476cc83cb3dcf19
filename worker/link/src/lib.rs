// SPDX-License-Identifier: MIT OR Apache-2.0
//! The back contract: what supervisor and worker say to each other.
//!
//! Two channels, so that a Stop never waits behind a megabyte of trace:
//!
//! * **control**, the worker's standard input: the worker first sends one byte that carries two descriptors
//!   ([`greeting`]: its own pidfd and the data channel), then [`FromWorker::Hello`]; after that the supervisor
//!   sends [`ToWorker`], and the worker [`FromWorker`]. Under a service manager the last message says how the
//!   worker ended ([`ended`]), and is there even if nothing else ever came.
//! * **data**, worker to supervisor only: [`Data`], trace samples and the program's log.
//!
//! Both carry the frames of [`plc_api::frame`]. A worker serves one program: one `Load`, at most one `Start`,
//! and its process ends with the program. A worker that cannot have the lock says no hello.
#![forbid(unsafe_code)]

pub mod ended;
pub mod exit_code;
pub mod greeting;
pub mod message;
pub mod wire;

pub use ended::Ended;
pub use message::{
    Beat, Data, FromWorker, Hello, LoadFailure, LoadOrder, Loaded, LoggedMessage, Order, Outcome,
    Realtime, SchedulingPolicy, StartFailure, ToWorker,
};

/// The version of this conversation. The worker names it in its hello; the supervisor refuses another one.
pub const LINK_VERSION: u16 = 1;

/// A worker sends its beat at least this often; [`SILENCE`] without one is a fault.
pub const BEAT_PERIOD: std::time::Duration = std::time::Duration::from_millis(400);

/// How long a worker may say nothing after [`FromWorker::Dying`].
pub const CORE_DUMP: std::time::Duration = std::time::Duration::from_secs(30);

/// How long a worker may say nothing at all before it counts as frozen.
pub const SILENCE: std::time::Duration = std::time::Duration::from_secs(3);
