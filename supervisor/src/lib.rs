// SPDX-License-Identifier: MIT OR Apache-2.0
//! The resident process: owns the PLC's state, the program store and the policy.
//!
//! A library only so that tests reach the modules; the program is `main.rs`.
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod config;
pub mod driver;
pub mod gauge;
pub mod journal;
pub mod notify;
pub mod pidfd;
pub mod plc_log;
pub mod program;
pub mod publish;
pub mod server;
pub mod state;
pub mod trace;
pub mod worker_link;
pub mod worker_process;
