// SPDX-License-Identifier: MIT OR Apache-2.0
//! The whole of a connector's `main`: log, sockets, serving, exit code.

use std::{error::Error, process::ExitCode};

use tokio::runtime;
use tracing::{error, info};

use crate::{
    admission::RefusedUsers,
    listen::{self, ListenError},
    options::Options,
    serve::{self, Chain, Connection, Ended, Service},
    session::Supervisor,
    stop::StopWatch,
};

/// Exit code for a wrong call, as for a wrong option.
const USAGE: u8 = 2;

/// Runs the connector `name`: each connection is served by `converse`.
///
/// Exit codes: 0 asked to end or idle, 1 failed, 2 wrong usage.
pub fn run<C, F>(name: &str, options: &Options, converse: C) -> ExitCode
where
    C: Fn(Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    plc_journal::begin();
    match try_run(name, options, converse) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(connector = name, "cannot serve: {}", Chain(&*error));
            let no_socket = matches!(error.downcast_ref(), Some(ListenError::NoSocket));
            ExitCode::from(if no_socket { USAGE } else { 1 })
        }
    }
}

/// What a connector's `main` returns when it cannot even begin to [`run`].
#[must_use]
pub fn fail(name: &str, error: &(dyn Error + 'static)) -> ExitCode {
    plc_journal::begin();
    error!(connector = name, "cannot serve: {}", Chain(error));
    ExitCode::FAILURE
}

fn try_run<C, F>(name: &str, options: &Options, converse: C) -> Result<(), Box<dyn Error>>
where
    C: Fn(Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    // One thread: the work is waiting, and a connector is to be small.
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let stop = StopWatch::new()?;
        let service = Service {
            supervisor: Supervisor { socket: options.api_socket(name), connector: name.to_owned() },
            refused: RefusedUsers::new(&options.refuse_user)?,
            idle_exit: options.idle_exit(),
        };
        let listeners = listen::listeners(&options.listen)?;
        let finished = serve::serve(service, listeners, stop, converse).await;
        info!(connector = name, ?finished, "the connector ends");
        Ok(())
    })
}
