// SPDX-License-Identifier: MIT OR Apache-2.0
//! The desk's connectors: those for IDEs each with its port, which we hold whatever happens to the process; and the one
//! that joins a router, which has none.

use std::{
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
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
    /// Where IDEs come in; the link to a router has no such port.
    door_for: DoorFor,
    /// While it runs.
    pub(crate) process: Option<Process>,
    pub(crate) deaths: Restarts,
}

/// Who comes to a connector.
#[derive(Debug)]
enum DoorFor {
    /// IDEs, at this port.
    Ides(TcpListener),
    /// IDEs that take us for a router, at this port.
    Wamp(TcpListener),
    /// Nobody: it joins a router.
    Nobody,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Connectors {
    pub(crate) pyro: Connector,
    pub(crate) wamp: Option<Connector>,
    /// The link to a WAMP router; it runs once somebody asks for a router.
    pub(crate) link: Option<Connector>,
}

impl Connectors {
    /// Opens the ports; nothing is started yet.
    ///
    /// # Errors
    /// Says which port to choose instead.
    pub(crate) fn open(args: &Args, programs: &Programs) -> anyhow::Result<Self> {
        let bind = |port, option| port::bind(&args.interface, port, option);
        let pyro = DoorFor::Ides(bind(args.port, "-p ")?);
        let wamp = args.wamp.map(|port| bind(port, "--wamp=")).transpose()?;
        let of_wamp = |door_for| {
            let program = programs.wamp.as_ref()?;
            Some(Connector::new("plc-connector-wamp", program, "wamp", door_for))
        };
        Ok(Self {
            pyro: Connector::new("plc-connector-pyro", &programs.pyro, "pyro", pyro),
            wamp: wamp.and_then(|listener| of_wamp(DoorFor::Wamp(listener))),
            link: of_wamp(DoorFor::Nobody),
        })
    }

    /// Those for IDEs, which run all the time.
    pub(crate) fn each(&mut self) -> impl Iterator<Item = &mut Connector> {
        std::iter::once(&mut self.pyro).chain(&mut self.wamp)
    }

    /// All that may run, in the order in which they are ended.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Connector> {
        std::iter::once(&mut self.pyro).chain(&mut self.wamp).chain(&mut self.link)
    }
}

impl Connector {
    fn new(name: &'static str, program: &Path, door: &'static str, door_for: DoorFor) -> Self {
        let (program, deaths) = (program.to_owned(), Restarts::default());
        Self { name, program, door, door_for, process: None, deaths }
    }

    fn listener(&self) -> Option<&TcpListener> {
        match &self.door_for {
            DoorFor::Ides(listener) | DoorFor::Wamp(listener) => Some(listener),
            DoorFor::Nobody => None,
        }
    }

    /// Where IDEs find it.
    ///
    /// # Errors
    /// The kernel does not tell, or it has no port.
    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        let listener = self.listener().context("this connector has no port")?;
        Ok(listener.local_addr()?)
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
        command.arg("--api").arg(paths.connector_socket(self.door));
        if let DoorFor::Wamp(_) = self.door_for {
            command.arg("--direct");
            command.args(paths.key_dirs().iter().flat_map(|dir| [Path::new("--keys"), dir]));
        }
        if let Some(listener) = self.listener() {
            command
                .args(["--idle-exit", "0"])
                .stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
        }
        let process = Process::start(self.name, command, screen)
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.process = Some(process);
        Ok(())
    }
}
