// SPDX-License-Identifier: MIT OR Apache-2.0
//! The resident process: owns the PLC's state, the program store and the policy.
//!
//! A library only so that tests reach some of the modules, the public ones; the program is `main.rs`.
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod config;
mod core_dump;
mod crash;
pub mod dbus;
mod driver;
mod end;
mod flood;
mod gauge;
mod journal;
mod keys;
mod note;
mod notify;
mod operators;
mod pidfd;
mod plc_log;
pub mod program;
mod publish;
mod refusals;
mod server;
mod services;
mod sleep;
mod state;
mod tail;
mod trace;
mod upgrade;
pub mod wamp;
mod worker_link;
mod worker_process;
