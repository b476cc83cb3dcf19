// SPDX-License-Identifier: MIT OR Apache-2.0
//! The port for the network beside a desk, and who comes there: stunnel as the IDE's manual has it, and OpenSSL's own
//! client.

use std::{
    fs,
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::Pid;
use tempfile::TempDir;

use crate::{
    desk::{Desk, Log},
    ide::{Generation, Ide},
};

/// The keys of a [`TlsPort`]: whose, and the secret.
pub const ANNA: (&str, &str) = ("anna", "n0t.Hexadecimal+and/long=enough");

/// A running `plc-connector-pyros`. Dropping it ends it; if the test is failing, what it wrote is printed.
#[derive(Debug)]
pub struct TlsPort {
    /// The directory of the integrator's keys.
    keys: PathBuf,
    process: Child,
    port: u16,
    log: Log,
}

impl Drop for TlsPort {
    fn drop(&mut self) {
        end(&mut self.process);
        if thread::panicking() {
            eprintln!("--- what the TLS port wrote ---\n{}---", self.log.text());
        }
    }
}

impl TlsPort {
    /// The port of this desk, with the one key [`ANNA`].
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn beside(desk: &Desk) -> Self {
        let [made, brought] = desk.paths().key_dirs();
        fs::create_dir_all(&brought).expect("a directory");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut process = Command::new(crate::binary("plc-connector-pyros"))
            .arg("--api")
            .arg(desk.paths().connector_socket("pyros"))
            .arg("--keys")
            .arg(made)
            .arg("--keys")
            .arg(&brought)
            .args(["--idle-exit", "0"])
            .env("PLC_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::from(OwnedFd::from(listener)))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be run");
        let log = Log::default();
        log.follow(process.stderr.take().expect("piped"));
        let port = Self { keys: brought, process, port, log };
        port.set_keys(&format!("{}\n", port.key()));
        port
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The key, as an IDE keeps it.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}:{}", ANNA.0, ANNA.1)
    }

    /// Replaces the file of keys as a whole.
    ///
    /// # Panics
    /// The disk is full.
    pub fn set_keys(&self, text: &str) {
        let place = |name| self.keys.join(name);
        fs::write(place("new"), text).expect("written");
        fs::rename(place("new"), place("clients.psk")).expect("renamed");
    }

    /// An IDE that speaks TLS itself, with the key.
    #[must_use]
    pub fn ide(&self, generation: Generation) -> Ide {
        Ide::with_key(generation, &self.key(), self.port)
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

    /// Connects OpenSSL's own client, which closes when the handshake is done or has failed; what it says, each
    /// message of the handshake included.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn openssl(&self, options: &[&str]) -> String {
        let output = Command::new("openssl")
            .args(["s_client", "-msg", "-connect"])
            .arg(format!("127.0.0.1:{}", self.port))
            .args(options)
            // Its end is the client's farewell.
            .stdin(Stdio::null())
            .output()
            .expect("run `scripts/need test`");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }
}

/// A key as OpenSSL's client wants it.
#[must_use]
pub fn hexadecimal(secret: &str) -> String {
    secret.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// A running stunnel, configured as in the manual of the IDE. Dropping it ends it.
#[derive(Debug)]
pub struct Stunnel {
    process: Child,
    port: u16,
    _files: TempDir,
}

impl Drop for Stunnel {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

impl Stunnel {
    /// The IDE's, in front of a TLS port; with these further lines.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn before(tls: &TlsPort, further: &str) -> Self {
        let client = format!("client = yes\nPSKidentity = {}\n{further}\n", ANNA.0);
        Self::run(&tls.key(), tls.port(), &client)
    }

    /// The reference runtime's, in front of a plain port.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn serving(key: &str, plain: u16) -> Self {
        Self::run(key, plain, "ciphers = PSK\nsslVersion = TLSv1.2\n")
    }

    /// One with these lines in `psk.txt` and in `stunnel.conf`, beside each other. The configuration says
    /// `127.0.0.1:3000` for where it accepts and `HOST:4000` for the port that it connects to.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn as_told(secrets: &str, configuration: &str, connect: u16) -> Self {
        let files = tempfile::tempdir().expect("a directory");
        written(files.path(), "psk.txt", secrets);
        // stunnel tells no port that it has chosen.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let port = port.expect("a port").port();
        let here = configuration.replace("127.0.0.1:3000", &format!("127.0.0.1:{port}"));
        let there = here.replace("HOST:4000", &format!("127.0.0.1:{connect}"));
        let configuration = format!("foreground = yes\npid =\n\n{there}");
        let configuration = written(files.path(), "stunnel.conf", &configuration);
        let mut process = Command::new("stunnel")
            .arg(configuration)
            .current_dir(files.path())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run `scripts/need test`");
        let log = Log::default();
        log.follow(process.stderr.take().expect("piped"));
        let _ = log.wait("Configuration successful");
        Self { process, port, _files: files }
    }

    /// Where it accepts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn run(key: &str, connect: u16, further: &str) -> Self {
        let configuration =
            "[ERPCPSK]\naccept = 127.0.0.1:3000\nconnect = HOST:4000\nPSKsecrets = psk.txt\n";
        Self::as_told(&format!("{key}\n"), &format!("{configuration}{further}"), connect)
    }

    /// An IDE that comes through it.
    #[must_use]
    pub fn ide(&self, generation: Generation) -> Ide {
        Ide::new(generation, self.port)
    }
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
