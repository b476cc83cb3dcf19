// SPDX-License-Identifier: MIT OR Apache-2.0
//! plc-supervisor: arguments, logging, exit code.
#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use plc_api::paths::{DEFAULT_INSTANCE, Paths, bus_name};
use plc_supervisor::{
    app::{self, Ended, WorkerSource},
    config::Config,
    dbus::{self, Address},
};

/// `EX_CONFIG` of sysexits.h.
const EXIT_CONFIGURATION: u8 = 78;
/// Ended for a newer version; the unit's `RestartForceExitStatus=` starts it.
const EXIT_UPGRADE: u8 = 85;

/// Runs one PLC program in a worker process of its own and serves the API sockets of connectors and plcctl.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Name from which all paths, sockets and units derive
    #[arg(long, value_name = "NAME", default_value = DEFAULT_INSTANCE, conflicts_with = "desk")]
    instance: String,
    /// Live wholly in this directory instead of in the places of an appliance
    #[arg(long, value_name = "DIR")]
    desk: Option<PathBuf>,
    /// Start this worker program instead of asking for a worker at the worker socket, behind which systemd is
    #[arg(long, value_name = "FILE")]
    worker: Option<PathBuf>,
    /// Read this configuration file, and the drop-ins FILE.d/*.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Serve D-Bus at this address; without it, on the system's bus, and with --desk nowhere
    #[arg(long, value_name = "ADDRESS")]
    bus: Option<String>,
    /// Check the configuration, say what is wrong with it, and end
    #[arg(long)]
    check_config: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    plc_journal::begin();
    let mut paths = match &arguments.desk {
        Some(dir) => Paths::of_desk(dir),
        None => Paths::of_instance(&arguments.instance),
    };
    if let Some(file) = arguments.config {
        paths.config_file = file;
    }
    let config = match Config::read(&paths.config_file, &paths.config_drop_ins()) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(
                message_id = plc_journal::message_id::CONFIGURATION,
                "configuration: {error}"
            );
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    if arguments.check_config {
        tracing::info!("the configuration {} is good", paths.config_file.display());
        return ExitCode::SUCCESS;
    }
    let source = arguments.worker.map_or(WorkerSource::Socket, WorkerSource::Spawn);
    let bus = match (arguments.bus, &arguments.desk) {
        (Some(address), _) => Some(Address::At(address)),
        (None, None) => Some(Address::System),
        (None, Some(_)) => None,
    };
    let bus = bus.map(|address| dbus::Settings { address, name: bus_name(&arguments.instance) });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(app::run(paths, config, source, bus)));
    match result {
        Ok(Ended::AsTold) => ExitCode::SUCCESS,
        Ok(Ended::ForUpgrade) => ExitCode::from(EXIT_UPGRADE),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
