// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many PLCs on one machine, all at one router: of each a real supervisor and a real connector, without a program.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use plc_api::{paths::Paths, wamp::RouterLink};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{
    Connector,
    router::{OPEN, Router},
    wait_ready,
};
use crate::{PATIENCE, api::Api, desk::Log, scratch::scratch};

/// The PLCs. Dropping it ends them.
#[derive(Debug)]
pub struct Fleet(Vec<Member>);

/// One PLC.
#[derive(Debug)]
struct Member {
    // Dropped in this order.
    connector: Connector,
    supervisor: Supervisor,
    id: String,
}

#[derive(Debug)]
struct Supervisor {
    process: Child,
    log: Log,
    dir: TempDir,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
        let _ = self.process.wait();
        if thread::panicking() {
            eprintln!("--- what a supervisor of the fleet wrote ---\n{}---", self.log.text());
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // All at once; each waits for its own.
        for pid in self.processes().into_iter().flatten() {
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Fleet {
    /// So many PLCs, `plc0` and so on; all told to join this router, with these further lines of their settings.
    ///
    /// # Panics
    /// They cannot be run.
    #[must_use]
    pub fn start(router: &Router, size: usize, further: &str) -> Self {
        let settings = |id: &str| {
            format!(
                "[wamp]\nactive = true\nurl = \"{}\"\nrealm = \"{OPEN}\"\nid = \"{id}\"\n{further}",
                router.url()
            )
        };
        let ids = (0..size).map(|number| format!("plc{number}"));
        Self(ids.map(|id| Member::start(&settings(&id), id)).collect())
    }

    /// The names of all.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|member| member.id.clone()).collect()
    }

    /// Waits until each is ready and has been since this time, microseconds since the epoch; its link.
    ///
    /// # Panics
    /// One is not within [`PATIENCE`].
    #[must_use]
    pub fn wait_ready_since(&self, since_us: u64) -> Vec<RouterLink> {
        let since = |api: &Api| {
            super::wait_link(api, "a link made since", |link| link.since_us >= since_us);
            wait_ready(api)
        };
        self.0.iter().map(|member| since(&member.supervisor.api())).collect()
    }

    /// The processes of each: supervisor and connector.
    #[must_use]
    pub fn processes(&self) -> Vec<[Pid; 2]> {
        let of =
            |member: &Member| [Pid::from_child(&member.supervisor.process), member.connector.pid()];
        self.0.iter().map(of).collect()
    }
}

impl Member {
    fn start(settings: &str, id: String) -> Self {
        let supervisor = Supervisor::start(settings);
        let socket = Paths::of_desk(supervisor.dir.path()).connector_socket("wamp");
        Self { connector: Connector::joining(&socket), supervisor, id }
    }
}

impl Supervisor {
    fn start(settings: &str) -> Self {
        let dir = scratch("fleet");
        let paths = Paths::of_desk(dir.path());
        for place in [&paths.state_dir, &paths.work_dir, &paths.run_dir.join("connectors")] {
            fs::create_dir_all(place).expect("a place");
        }
        fs::write(&paths.config_file, settings).expect("written");
        let mut process = Command::new(crate::binary("plc-supervisor"))
            .arg("--desk")
            .arg(dir.path())
            .arg("--worker")
            .arg(crate::binary("plc-worker"))
            .env("PLC_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let log = Log::default();
        log.follow(process.stderr.take().expect("piped"));
        Self { process, log, dir }
    }

    fn api(&self) -> Api {
        let socket = Paths::of_desk(self.dir.path()).api_socket();
        let begin = Instant::now();
        loop {
            match Api::connect(&socket) {
                Ok(api) => return api,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
