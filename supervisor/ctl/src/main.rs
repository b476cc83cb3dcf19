// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl`, the operator's command line: arguments, one conversation with the supervisor, text or JSON.
//!
//! `cli.rs` says what may be asked, one module per family of verbs carries it out over a session (`session.rs`), and
//! `answer.rs` writes to stdout, where nothing but the answer goes; every message goes to stderr.
#![forbid(unsafe_code)]

mod answer;
mod check;
mod civil;
mod cli;
#[cfg(test)]
mod completions;
mod control;
mod ending;
mod failure;
mod iec;
mod install;
mod key_files;
mod keys;
mod literal;
mod picture;
mod plc_log;
mod plot;
mod progress;
mod recording;
mod render;
mod router;
mod selftest;
mod session;
mod stats;
mod status;
mod terminal;
mod trace;
mod user;
mod variables;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    answer::Answer,
    cli::{Cli, Verb},
    failure::Failure,
    session::Session,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::Failed(format!("cannot begin: {error}")).report(),
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(cli: Cli) -> Result<(), Failure> {
    let socket = cli.socket();
    let mut answer = Answer::new(cli.json);
    match cli.verb {
        // What is wrong with the arguments is said before anybody is asked.
        Verb::Install(args) => {
            let plan = install::Plan::new(&args)?;
            install::run(&Session::open(&socket).await?, &mut answer, plan).await
        }
        Verb::Trace(args) => {
            let plan = trace::Plan::new(&args, cli.json)?;
            trace::run(&Session::open(&socket).await?, &mut answer, plan).await
        }
        Verb::Repair(args) => {
            control::confirm_repair(&args)?;
            control::repair(&Session::open(&socket).await?, &mut answer).await
        }
        Verb::Check(args) => check::run(&socket, &mut answer, &args).await,
        Verb::Reload => control::reload(&Session::open(&socket).await?, &mut answer).await,
        Verb::Status(args) => status::run(&Session::open(&socket).await?, &mut answer, &args).await,
        Verb::Start => control::start(&Session::open(&socket).await?, &mut answer).await,
        Verb::Stop => control::stop(&Session::open(&socket).await?, &mut answer).await,
        Verb::Rollback => control::rollback(&Session::open(&socket).await?, &mut answer).await,
        Verb::Log(args) => plc_log::run(&Session::open(&socket).await?, &mut answer, &args).await,
        Verb::Pair(args) => keys::pair(&Session::open(&socket).await?, &mut answer, &args).await,
        Verb::Psk(args) => {
            let order = keys::Order::new(args.verb, cli.json)?;
            keys::psk(&Session::open(&socket).await?, &mut answer, order).await
        }
        Verb::Selftest(args) => selftest::run(&mut answer, &args).await,
        Verb::Stats => stats::run(&Session::open(&socket).await?, &mut answer).await,
    }
}
