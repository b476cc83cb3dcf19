// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-worker`: one process that loads, runs and stops one PLC program, for the supervisor at the other end of
//! its standard input.
//!
//! Exit codes: see [`plc_worker_link::exit_code`]. SIGABRT: the program did not stop in time and nobody else was
//! there to end it.
#![forbid(unsafe_code)]

mod app;
mod channel;
mod control;
mod cycle_thread;
mod deadline;
mod extra_files;
mod heartbeat;
mod load;
mod plc;
mod plc_log;
mod python;
mod python_files;
mod realtime;
mod report_end;
mod threads;
mod trace;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;

/// Runs one PLC program for the supervisor, which speaks through standard input. Not meant to be started by hand.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// The program's working directory: its extra files, and what it writes
    #[arg(long, value_name = "DIR", required_unless_present = "report_end")]
    work_dir: Option<PathBuf>,
    /// An existing file; only one worker at a time gets a lock on it
    #[arg(long, value_name = "FILE", required_unless_present = "report_end")]
    lock: Option<PathBuf>,
    /// Only tell the supervisor how the worker of this unit ended; for the unit's ExecStopPost=
    #[arg(long, exclusive = true)]
    report_end: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let (Some(work_dir), Some(lock)) = (args.work_dir, args.lock) else {
        report_end::send_report();
        return ExitCode::SUCCESS;
    };
    match app::run(&work_dir, &lock) {
        Ok(refusal) => refusal,
        Err(error) => {
            tracing::error!("the worker failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}
