// SPDX-License-Identifier: MIT OR Apache-2.0
//! The WAMP connector beside a desk, and those it deals with: a real router in [`router`], its certificates in
//! [`certificates`], a network between the two that can be cut in [`network`], many PLCs in [`fleet`].

pub mod certificates;
pub mod fleet;
pub mod network;
pub mod router;

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
};

use plc_api::{
    plc::Snapshot,
    wamp::{LinkState, RouterLink},
};
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    api::Api,
    desk::{Desk, Log},
};

/// A running `plc-connector-wamp`. Dropping it ends it; if the test is failing, what it wrote is printed.
#[derive(Debug)]
pub struct Connector {
    process: Child,
    log: Log,
}

impl Drop for Connector {
    fn drop(&mut self) {
        let _ = kill_process(self.pid(), Signal::TERM);
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("--- what the WAMP connector wrote ---\n{}---", self.log.text());
        }
    }
}

impl Connector {
    /// The one that joins the router which the settings of this supervisor name.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn joining(api: &Path) -> Self {
        Self::behind(&[], api)
    }

    /// The same, run by a command in front of it, such as one that enters another network.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn behind(wrapper: &[String], api: &Path) -> Self {
        let mut line = wrapper.to_vec();
        line.push(crate::binary("plc-connector-wamp").display().to_string());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).arg("--api").arg(api).stdin(Stdio::null());
        Self::run(command)
    }

    /// The one that IDEs connect to without a router, and its port.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn direct(desk: &Desk) -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut command = Command::new(crate::binary("plc-connector-wamp"));
        command
            .args(["--direct", "--idle-exit", "0", "--api"])
            .arg(desk.paths().connector_socket("wamp"))
            .args(desk.paths().key_dirs().iter().flat_map(|dir| [Path::new("--keys"), dir]))
            .stdin(Stdio::from(OwnedFd::from(listener)));
        (Self::run(command), port)
    }

    fn run(mut command: Command) -> Self {
        let mut process = command
            .env("PLC_PARENT_PID", std::process::id().to_string())
            .env("RUST_LOG", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let log = Log::default();
        log.follow(process.stderr.take().expect("piped"));
        Self { process, log }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Waits until something is in its log; what follows it there.
    ///
    /// # Panics
    /// It does not come.
    #[must_use]
    pub fn wait_log(&self, wanted: &str) -> String {
        self.log.wait(wanted)
    }

    /// What it wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }
}

/// Waits until the link to the router fits; the link.
///
/// # Panics
/// It does not; shows the last snapshot.
pub fn wait_link(api: &Api, what: &str, fits: impl Fn(&RouterLink) -> bool) -> RouterLink {
    let of = |snapshot: &Snapshot| snapshot.router.clone();
    let found: Arc<Snapshot> =
        api.wait(what, |snapshot| of(snapshot).is_some_and(|link| fits(&link)));
    of(&found).unwrap_or_default()
}

/// Waits until IDEs can call.
///
/// # Panics
/// As [`wait_link`].
pub fn wait_ready(api: &Api) -> RouterLink {
    wait_link(api, "IDEs can call", |link| link.state == LinkState::Ready)
}

/// Waits until the link is not there, for a reason that has these words; the reason.
///
/// # Panics
/// As [`wait_link`].
pub fn wait_reason(api: &Api, words: &[&str]) -> String {
    let link = wait_link(api, &format!("a link that is not ready because {words:?}"), |link| {
        let reason = link.reason.as_deref().unwrap_or_default();
        link.state != LinkState::Ready && words.iter().all(|word| reason.contains(word))
    });
    link.reason.unwrap_or_default()
}
