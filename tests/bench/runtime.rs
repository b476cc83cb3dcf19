// SPDX-License-Identifier: MIT OR Apache-2.0
//! The runtimes that are measured: fresh desks of ours, and others that are there already.

use std::{
    fmt::Write as _,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::{SocketAddr, ToSocketAddrs as _},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use plc_tests::{desk::Desk, programs, scratch::scratch};
use rustix::process::Pid;

use crate::erpc::{self, Client, Framing, Status};

/// How long a program may take to run after the call that starts it.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The first answer comes within this from a runtime that speaks this framing at all.
const FIRST_PATIENCE: Duration = Duration::from_secs(2);

/// Started before each `plc-local`: it ends with this process however that ends, and logs as it does by default.
const WRAPPER: [&str; 6] = ["setpriv", "--pdeathsig", "TERM", "env", "-u", "RUST_LOG"];

/// Another runtime, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Against {
    address: SocketAddr,
    pid: Option<Pid>,
    name: String,
    framing: Framing,
    serves_several: bool,
}

impl FromStr for Against {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(',');
        let place = parts.next().unwrap_or_default();
        let address = place
            .to_socket_addrs()
            .with_context(|| format!("{place:?} is not HOST:PORT"))?
            .next()
            .with_context(|| format!("{place:?} has no address"))?;
        let mut against = Self::new(address, place, Framing::Six);
        for part in parts {
            match part.split_once('=') {
                Some(("pid", pid)) => {
                    let pid = pid.parse().ok().and_then(Pid::from_raw);
                    against.pid = Some(pid.context("pid= needs a process id")?);
                }
                Some(("name", name)) if !name.is_empty() => against.name = name.to_owned(),
                Some(("header", "4")) => against.framing = Framing::Four,
                Some(("header", "6")) => against.framing = Framing::Six,
                Some(("clients", "many")) => against.serves_several = true,
                _ => bail!(
                    "{part:?} is none of pid=PID, name=TEXT, header=4, header=6, clients=many"
                ),
            }
        }
        Ok(against)
    }
}

impl Against {
    /// One of which nothing else is known.
    pub(crate) fn new(address: SocketAddr, name: &str, framing: Framing) -> Self {
        Self { address, pid: None, name: name.to_owned(), framing, serves_several: false }
    }

    /// Where it is, what it is called, how it is spoken to.
    pub(crate) fn into_parts(self) -> (SocketAddr, String, Framing) {
        (self.address, self.name, self.framing)
    }
}

/// Whose failure it is when a figure cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Ours: the benchmark has failed.
    Ours,
    /// Another's: is noted.
    Others,
}

/// One runtime with an IDE connected.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) client: Client,
    /// The process that all others of it descend from.
    pub(crate) pid: Option<Pid>,
    address: SocketAddr,
    framing: Framing,
    serves_several: bool,
    desk: Option<Desk>,
    installed: Option<&'static str>,
}

impl Runtime {
    /// A fresh `plc-local` with this configuration.
    pub(crate) fn ours(name: &str, config: &str) -> anyhow::Result<Self> {
        let dir = scratch("bench");
        std::fs::write(dir.path().join("plc-runtime.toml"), config)?;
        let desk = Desk::of(&plc_tests::binary("plc-local"), dir, &WRAPPER);
        let against = Against {
            address: SocketAddr::from(([127, 0, 0, 1], desk.port())),
            pid: Some(desk.pid()),
            name: name.to_owned(),
            framing: Framing::Six,
            serves_several: true,
        };
        let mut runtime = Self::other(against)?;
        runtime.desk = Some(desk);
        Ok(runtime)
    }

    /// One that is there.
    pub(crate) fn other(against: Against) -> anyhow::Result<Self> {
        let Against { address, pid, name, framing, serves_several } = against;
        let mut client = Client::connect(address, framing).context(name.clone())?;
        client.set_patience(FIRST_PATIENCE)?;
        client.status().with_context(|| {
            format!("{name} does not answer as an eRPC runtime; another header= perhaps?")
        })?;
        client.set_patience(erpc::PATIENCE)?;
        let (desk, installed) = (None, None);
        Ok(Self { name, client, pid, address, framing, serves_several, desk, installed })
    }

    pub(crate) fn whose(&self) -> Whose {
        if self.desk.is_some() { Whose::Ours } else { Whose::Others }
    }

    /// The desk, if it is ours.
    pub(crate) fn desk(&self) -> Option<&Desk> {
        self.desk.as_ref()
    }

    /// Ends it, if it is ours; the directory that it lived in.
    pub(crate) fn end(self) -> Option<tempfile::TempDir> {
        self.desk.map(Desk::end)
    }

    /// Transfers a program of `tests/programs`, if it is not there already.
    pub(crate) fn install(&mut self, program: &'static str) -> anyhow::Result<()> {
        if self.installed != Some(program) {
            self.installed = None;
            self.client.install(&md5_text(program), &programs::bytes(program))?;
            self.installed = Some(program);
        }
        Ok(())
    }

    /// What is installed is about to be replaced by these bytes; the md5 text for them.
    pub(crate) fn forget_program(&mut self, library: &[u8]) -> String {
        self.installed = None;
        md5_text(library)
    }

    /// Runs a program while something is measured.
    pub(crate) fn run<T>(
        &mut self,
        program: &'static str,
        measure: impl FnOnce(&mut Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.install(program)?;
        self.start()?;
        let measured = measure(self);
        let stopped = self.client.stop();
        // The first failure is the one that says why.
        let measured = measured?;
        stopped?;
        Ok(measured)
    }

    /// Starts the installed program; it runs when this comes back.
    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        self.client.start()?;
        let begin = Instant::now();
        loop {
            match self.client.status()? {
                Status::STARTED => return Ok(()),
                Status::BROKEN => bail!("the program does not start"),
                _ => ensure!(begin.elapsed() < START_PATIENCE, "the program does not start"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Another connection beside the first.
    ///
    /// # Errors
    /// Nobody has said that it serves several. It is not tried, because one that does not may break by it.
    pub(crate) fn second_client(&self) -> anyhow::Result<Client> {
        ensure!(self.serves_several, "nobody said clients=many, that it serves several at once");
        Client::connect(self.address, self.framing)
    }
}

/// A text of the form that runtimes take for a program's md5; like it, another one for another program.
fn md5_text(program: impl std::hash::Hash) -> String {
    (0..2_u8).fold(String::new(), |mut text, half| {
        let mut hasher = DefaultHasher::new();
        (half, &program).hash(&mut hasher);
        let _ = write!(text, "{:016x}", hasher.finish());
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_runtime_is_named_by_address_and_options() {
        let plain: Against = "127.0.0.1:3000".parse().unwrap();
        assert_eq!((plain.pid, plain.framing), (None, Framing::Six));
        assert!(!plain.serves_several);
        assert_eq!(plain.name, "127.0.0.1:3000");
        let full: Against =
            "127.0.0.1:3000,pid=7,name=old one,header=4,clients=many".parse().unwrap();
        assert_eq!(full.pid.map(Pid::as_raw_nonzero).map(i32::from), Some(7));
        assert_eq!((full.name.as_str(), full.framing), ("old one", Framing::Four));
        assert!(full.serves_several);
        for wrong in ["", "127.0.0.1", "127.0.0.1:3000,pid=x", "127.0.0.1:3000,header=5"] {
            assert!(wrong.parse::<Against>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn programs_have_texts_of_their_own() {
        let (one, other) = (md5_text("one"), md5_text("other"));
        assert_eq!(one.len(), 32);
        assert!(one.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(one, other);
        assert_eq!(one, md5_text("one"));
    }
}
