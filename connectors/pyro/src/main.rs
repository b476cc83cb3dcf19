// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-connector-pyro`: the IDE port.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use plc_connector::{options::Options, run::run};
use plc_connector_pyro::conversation::converse;

/// Lets Beremiz IDEs that speak Pyro5 or eRPC reach the PLC.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let CommandLine { options } = CommandLine::parse();
    run("pyro", &options, |connection| async move {
        let session = connection.session("");
        Ok(converse(connection.stream, session).await?)
    })
}
