// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plc-connector-wamp`: the PLC and WAMP.
#![forbid(unsafe_code)]

use std::{io, path::PathBuf, process::ExitCode, sync::Arc};

use clap::Parser;
use plc_connector::{
    api::paths::{DEFAULT_INSTANCE, Paths},
    options::Options,
    run::{fail, run},
    session::Supervisor,
    stop::StopWatch,
};
use plc_connector_wamp::{direct, link::Link};
use tokio::runtime;
use tracing::info;

/// The connector's name, in both modes.
const NAME: &str = "wamp";

/// Lets Beremiz IDEs and others reach the PLC by WAMP: through a router that the configuration names, or directly.
///
/// Without --direct it dials the router of section [wamp] of the configuration, or of the program's own wampconf.json, and
/// registers the PLC there.
#[derive(Parser)]
#[command(version, mut_args(of_direct_mode))]
struct CommandLine {
    #[command(flatten)]
    options: Options,

    /// Let IDEs come in without a router: WAMP://HOST:PORT#REALM#ID
    #[arg(long)]
    direct: bool,

    /// Directory of key files *.psk, lines ID:secret, of which IDEs have to show one where the configuration says so; may
    /// be repeated [default: /var/lib/plc-runtime/keys, /etc/plc-runtime/psk.d]
    #[arg(long, value_name = "DIR")]
    keys: Vec<PathBuf>,
}

/// All options but one are about who comes in.
fn of_direct_mode(argument: clap::Arg) -> clap::Arg {
    if matches!(argument.get_id().as_str(), "listen" | "idle_exit" | "refuse_user" | "keys") {
        argument.requires("direct")
    } else {
        argument
    }
}

fn main() -> ExitCode {
    let CommandLine { options, direct, mut keys } = CommandLine::parse();
    if direct {
        if keys.is_empty() {
            keys = Paths::of_instance(DEFAULT_INSTANCE).key_dirs().into();
        }
        let keys = direct::Keys::new(keys);
        return run(NAME, &options, move |connection| direct::serve(connection, keys.clone()));
    }
    match keep_link(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(NAME, &error),
    }
}

/// Keeps the link to the router until the process is to end.
fn keep_link(options: &Options) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut stop = StopWatch::new()?;
        plc_journal::begin();
        let socket = options.api_socket(NAME);
        let supervisor = Arc::new(Supervisor { socket, connector: NAME.to_owned() });
        Link::new(supervisor)
            .run(async {
                stop.wait().await;
            })
            .await;
        info!(connector = NAME, "the connector ends");
        Ok(())
    })
}
