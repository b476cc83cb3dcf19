// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-connector-pyro`: the IDE port.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use plc_connector::{options::Options, run::run};
use plc_connector_pyro::{
    conversation::{Line, converse_with},
    pyro3::header::WireVersion,
};

/// Lets Beremiz IDEs reach the PLC, whether they speak Pyro3, Pyro5 or eRPC.
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    options: Options,

    /// Wire version of Pyro3: 4 for clients with Pyro 3.9.1 and older, which none of the IDEs since 2013 needs
    #[arg(long, value_name = "4|5", default_value = "5", value_parser = wire_version)]
    pyro3_version: WireVersion,
}

fn wire_version(text: &str) -> Result<WireVersion, String> {
    let version = text.parse().ok().and_then(WireVersion::from_number);
    version.ok_or_else(|| "there are only 4 and 5".to_owned())
}

fn main() -> ExitCode {
    let CommandLine { options, pyro3_version } = CommandLine::parse();
    run("pyro", &options, move |connection| async move {
        let session = connection.caller.session(None);
        Ok(converse_with(pyro3_version, Line::Plain, connection.stream, session).await?)
    })
}
