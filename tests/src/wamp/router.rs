// SPDX-License-Identifier: MIT OR Apache-2.0
//! A real WAMP router: Crossbar, with the realms that a test wants.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::certificates::Certificate;
use crate::{desk::Log, scratch::scratch};

/// The realm that everybody may join.
pub const OPEN: &str = "Automation";
/// The realm of [`MEMBER`], [`SALTED`] and [`IDE`], who show that they know [`SECRET`]: by a challenge, or by handing it
/// over.
pub const CLOSED: &str = "Members";
/// A PLC.
pub const MEMBER: &str = "plc1";
/// A PLC whose secret is salted before it counts.
pub const SALTED: &str = "plc2";
/// Who calls them.
pub const IDE: &str = "ide";
/// The secret of them all.
pub const SECRET: &str = "a secret, käse and all";

/// What a router is to be like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it listens.
    pub address: Ipv4Addr,
    /// The command in front of it, such as one that enters another network.
    pub wrapper: Vec<String>,
    /// Realms besides [`OPEN`] that are open to everybody.
    pub further_realms: Vec<String>,
    /// It speaks TLS, and shows this.
    pub certificate: Option<Certificate>,
    /// It wants clients to show certificates of this authority, and knows these, by their names, in [`CLOSED`].
    pub clients: Option<Clients>,
    /// After how many milliseconds it notices that a client is gone without a word.
    pub notices_ms: u32,
}

/// Clients that a router knows by their certificates.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Who issued them, PEM.
    pub authority: PathBuf,
    /// Name and fingerprint of each.
    pub known: Vec<(String, String)>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST,
            wrapper: Vec::new(),
            further_realms: Vec::new(),
            certificate: None,
            clients: None,
            notices_ms: 10_000,
        }
    }
}

/// A running router. Dropping it ends it; if the test is failing, what it wrote is printed.
#[derive(Debug)]
pub struct Router {
    plan: Plan,
    port: u16,
    /// `None` while it is killed.
    running: Option<Running>,
    log: Log,
}

#[derive(Debug)]
struct Running {
    process: Child,
    _dir: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // The group, for it has processes of its own.
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            eprintln!("--- what the router wrote ---\n{}---", self.log.text());
        }
    }
}

impl Router {
    /// A router on this machine, without TLS.
    #[must_use]
    pub fn start() -> Self {
        Self::planned(Plan::default())
    }

    /// Such a router.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn planned(plan: Plan) -> Self {
        // It tells no port that it has chosen.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a port").port();
        let mut router = Self { plan, port, running: None, log: Log::default() };
        router.start_again();
        router
    }

    /// Its address, for a PLC.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.plan.certificate.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}:{}", self.plan.address, self.port)
    }

    /// The address of a PLC there, for an IDE.
    #[must_use]
    pub fn uri(&self, realm: &str, id: &str) -> String {
        let scheme = if self.plan.certificate.is_some() { "WAMPS" } else { "WAMP" };
        self.uri_by(scheme, realm, id)
    }

    /// The same with this scheme.
    #[must_use]
    pub fn uri_by(&self, scheme: &str, realm: &str, id: &str) -> String {
        format!("{scheme}://{}:{}#{realm}#{id}", self.plan.address, self.port)
    }

    /// The section `[wamp]` of a PLC that is to join it.
    #[must_use]
    pub fn settings(&self, realm: &str, id: &str) -> String {
        // In a test a lost link is noticed and tried again soon.
        format!(
            "[wamp]\nactive = true\nurl = \"{}\"\nrealm = \"{realm}\"\nid = \"{id}\"\nping_interval_s = 2\n\
             ping_timeout_s = 2\ninitial_delay_ms = 200\nmax_delay_s = 2\n",
            self.url()
        )
    }

    /// Kills it: nobody gets a word of farewell.
    pub fn kill(&mut self) {
        self.running = None;
    }

    /// Starts it at the same address, with another plan.
    ///
    /// # Panics
    /// It does not become ready.
    pub fn start_otherwise(&mut self, change: impl FnOnce(&mut Plan)) {
        self.kill();
        change(&mut self.plan);
        self.start_again();
    }

    /// Starts it again.
    ///
    /// # Panics
    /// It does not become ready.
    pub fn start_again(&mut self) {
        self.kill();
        let program = crate::root().join("target/clients/wamp/bin/crossbar");
        assert!(program.exists(), "{} is missing; run `scripts/need test`", program.display());
        let dir = scratch("router");
        let configuration = self.configuration().to_string();
        fs::write(dir.path().join("config.json"), configuration).expect("written");
        let mut line = self.plan.wrapper.clone();
        line.push(program.display().to_string());
        let process = Command::new(&line[0])
            .args(&line[1..])
            .args(["start", "--color", "false", "--cbdir"])
            .arg(dir.path())
            // Else the end of its last line waits for the next one, by the Python of Debian 13.
            .env("PYTHONUNBUFFERED", "1")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut running = Running { process: process.expect("it can be run"), _dir: dir };
        let log = Log::default();
        log.follow(running.process.stdout.take().expect("piped"));
        log.follow(running.process.stderr.take().expect("piped"));
        self.running = Some(running);
        self.log = log;
        let _ = self.log.wait("NODE_BOOT_COMPLETE");
    }

    fn configuration(&self) -> Value {
        let further = self.plan.further_realms.iter().map(String::as_str);
        let open = further.chain([OPEN]).map(|name| realm(name, "anonymous"));
        let realms: Vec<Value> = open.chain([realm(CLOSED, "member")]).collect();
        json!({
            "version": 2,
            "controller": {},
            "workers": [{ "type": "router", "realms": realms, "transports": [self.transport()] }],
        })
    }

    fn transport(&self) -> Value {
        let mut endpoint = json!({
            "type": "tcp", "port": self.port, "interface": self.plan.address.to_string(),
        });
        if let Some(certificate) = &self.plan.certificate {
            endpoint["tls"] =
                json!({ "certificate": certificate.certificate, "key": certificate.key });
        }
        let clients = self.plan.clients.as_ref();
        if let Some(Clients { authority, .. }) = clients {
            endpoint["tls"]["ca_certificates"] = json!([authority]);
        }
        let known = clients.into_iter().flat_map(|clients| &clients.known);
        let known: Map<String, Value> = known
            .map(|(name, sha1)| {
                (name.clone(), json!({ "certificate-sha1": sha1, "role": "member" }))
            })
            .collect();
        let half = self.plan.notices_ms / 2;
        json!({
            "type": "websocket",
            "endpoint": endpoint,
            "serializers": ["msgpack", "json"],
            "options": { "auto_ping_interval": half, "auto_ping_timeout": half },
            "auth": {
                "anonymous": { "type": "static", "role": "anonymous" },
                "wampcra": { "type": "static", "users": {
                    MEMBER: member("secret", SECRET),
                    IDE: member("secret", SECRET),
                    SALTED: salted(),
                } },
                "tls": { "type": "static", "principals": known },
                "ticket": { "type": "static", "principals": {
                    MEMBER: member("ticket", SECRET),
                    IDE: member("ticket", SECRET),
                } },
            },
        })
    }
}

/// A realm where this role may do everything.
fn realm(name: &str, role: &str) -> Value {
    let everything = json!({ "call": true, "register": true, "publish": true, "subscribe": true });
    let permission = json!({ "uri": "", "match": "prefix", "allow": everything });
    json!({ "name": name, "roles": [{ "name": role, "permissions": [permission] }] })
}

fn member(kind: &str, secret: &str) -> Value {
    json!({ kind: secret, "role": "member" })
}

/// A member who is told with what to salt the secret.
fn salted() -> Value {
    let mut salted = member("secret", SECRET);
    for (name, value) in
        [("salt", json!("salt of the test")), ("iterations", json!(1000)), ("keylen", json!(32))]
    {
        salted[name] = value;
    }
    salted
}
