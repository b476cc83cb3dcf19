// SPDX-License-Identifier: MIT OR Apache-2.0
//! The resident process: owns the PLC's state, the program store and the policy.
//!
//! A library only so that tests reach the modules; the program is `main.rs`.
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod config;
pub mod core_dump;
pub mod crash;
pub mod dbus;
pub mod driver;
pub mod end;
pub mod flood;
pub mod gauge;
pub mod journal;
pub mod keys;
pub mod notify;
pub mod operators;
pub mod pidfd;
pub mod plc_log;
pub mod program;
pub mod publish;
pub mod refusals;
pub mod server;
pub mod services;
pub mod sleep;
pub mod state;
pub mod tail;
pub mod trace;
pub mod upgrade;
pub mod wamp;
pub mod worker_link;
pub mod worker_process;
