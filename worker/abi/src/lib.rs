// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC shared object behind safe, typed calls, and the few process-wide acts that its host needs.
//!
//! A program walks a straight line, and the types hold it there:
//!
//! ```text
//! Loaded::open -> Loaded -- start --> Running -- stop --> Stopped
//! ```
//!
//! There is no way back and no unloading: a library's signal handlers, threads and atexit functions may outlive
//! any `dlclose`, so the mapping lives until its process ends ([`process_end`]). That is also why the handles
//! that other threads take from a program ([`LogReader`], [`TickCounter`], [`TraceReader`], [`PythonCaller`])
//! can never dangle.
//!
//! This crate knows no socket and no message; it is the only one with `unsafe`.
#![allow(unsafe_code, reason = "a foreign library is called here, and nowhere else")]

mod calls;
mod elf;
pub mod last_words;
mod library;
mod log;
pub mod process_end;
pub mod process_lock;
mod python;
pub mod realtime;
mod signals;
mod symbols;
mod tick;
mod trace_buffer;
mod trace_list;

pub use calls::{Facts, Loaded, Running, StartError, Stopped};
pub use library::LoadError;
pub use log::{LogEntry, LogReader};
pub use process_lock::ProcessLock;
pub use python::{PythonCaller, PythonExpression};
pub use signals::ignore_interrupts;
pub use tick::TickCounter;
pub use trace_buffer::{TraceBuffer, TraceReader};
pub use trace_list::TraceError;
