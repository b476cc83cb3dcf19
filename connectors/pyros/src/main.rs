// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-connector-pyros`: the IDE port for the network.
#![forbid(unsafe_code)]

use std::{env, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use plc_connector::{
    api::paths::{DEFAULT_INSTANCE, Paths},
    options::Options,
    run::{fail, run},
};
use plc_connector_pyros::port::Port;

/// Lets Beremiz IDEs reach the PLC through TLS with pre-shared keys (PYROS://, ERPCS://).
#[derive(Parser)]
#[command(version)]
struct CommandLine {
    #[command(flatten)]
    options: Options,

    /// Directory of key files *.psk, lines ID:secret; may be repeated [default: /var/lib/plc-runtime/keys,
    /// /etc/plc-runtime/psk.d, and the credentials that systemd passes]
    #[arg(long, value_name = "DIR")]
    keys: Vec<PathBuf>,
}

/// Where the keys of the installed service are.
fn installed() -> Vec<PathBuf> {
    let mut dirs = Vec::from(Paths::of_instance(DEFAULT_INSTANCE).key_dirs());
    dirs.extend(env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from));
    dirs
}

fn main() -> ExitCode {
    let CommandLine { options, keys } = CommandLine::parse();
    let port = match Port::new(if keys.is_empty() { installed() } else { keys }) {
        Ok(port) => Arc::new(port),
        Err(error) => return fail("pyros", &error),
    };
    run("pyros", &options, move |connection| {
        let port = port.clone();
        async move { port.serve(connection).await }
    })
}
