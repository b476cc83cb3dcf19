// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-local`, the desk: supervisor, worker and IDE port as one process tree in a directory, for one person
//! on one machine, without root, systemd or a bus. It takes the command line of `Beremiz_service.py`, so an
//! IDE can start it for `LOCAL://`.
//!
//! ```text
//!  plc-local ---> plc-supervisor ---> plc-worker        started, restarted and ended in order by us
//!     |   '-----> plc-connector-pyro <== tcp            on a socket that we have bound; with --wamp
//!     |           plc-connector-wamp                    this one too
//!     '---------> DIR/run/api.sock                      status line, sample program, autostart
//! ```
//! If we are killed the children end too: they watch the process that `PLC_PARENT_PID` names.
#![forbid(unsafe_code)]

mod app;
mod args;
mod child;
#[cfg(test)]
#[path = "../../ctl/src/completions.rs"]
mod completions;
mod connector;
mod desk;
mod link;
mod opening;
mod port;
mod programs;
mod readiness;
mod restarts;
mod screen;
mod status;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args = args::from_command_line(std::env::args_os());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result =
        runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(app::run(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            screen::say_plainly(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
