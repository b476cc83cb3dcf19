// SPDX-License-Identifier: MIT OR Apache-2.0
//! The desk's connectors: each with its port, which we hold whatever happens to the process.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::PathBuf,
    process::Stdio,
};

use anyhow::Context as _;
use plc_api::paths::Paths;

use crate::{
    args::Args,
    child::{self, Process, Talk},
    port,
    programs::Programs,
    restarts::Restarts,
    screen::Screen,
};

/// One of them.
#[derive(Debug)]
pub(crate) struct Connector {
    /// Of the process, for people.
    name: &'static str,
    program: PathBuf,
    /// What its socket of the supervisor is called.
    door: &'static str,
    options: &'static [&'static str],
    listener: TcpListener,
    /// While it runs.
    pub(crate) process: Option<Process>,
    pub(crate) deaths: Restarts,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Connectors {
    pub(crate) pyro: Connector,
    pub(crate) wamp: Option<Connector>,
}

impl Connectors {
    /// Opens the ports; nothing is started yet.
    ///
    /// # Errors
    /// Says which port to choose instead.
    pub(crate) fn open(args: &Args, programs: &Programs) -> anyhow::Result<Self> {
        let bind = |port, option| port::bind(&args.interface, port, option);
        let pyro = Connector {
            name: "plc-connector-pyro",
            program: programs.pyro.clone(),
            door: "pyro",
            options: &[],
            listener: bind(args.port, "-p ")?,
            process: None,
            deaths: Restarts::default(),
        };
        let wamp = match programs.wamp.clone().zip(args.wamp) {
            Some((program, port)) => Some(Connector {
                name: "plc-connector-wamp",
                program,
                door: "wamp",
                options: &["--direct"],
                listener: bind(port, "--wamp=")?,
                process: None,
                deaths: Restarts::default(),
            }),
            None => None,
        };
        Ok(Self { pyro, wamp })
    }

    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Connector> {
        std::iter::once(&mut self.pyro).chain(&mut self.wamp)
    }
}

impl Connector {
    /// Where IDEs find it.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Starts it, for the supervisor of these places.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        &mut self,
        paths: &Paths,
        talk: Talk,
        screen: &Screen,
    ) -> anyhow::Result<()> {
        let mut command = child::command(&self.program, talk);
        command
            .args(self.options)
            .arg("--api")
            .arg(paths.connector_socket(self.door))
            .args(["--idle-exit", "0"])
            .stdin(Stdio::from(OwnedFd::from(self.listener.try_clone()?)));
        let process = Process::start(self.name, command, screen)
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.process = Some(process);
        Ok(())
    }
}
