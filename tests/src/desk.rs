// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole runtime in a directory of its own: a real `plc-local` and what it starts.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread,
    time::Instant,
};

use plc_api::paths::Paths;
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::{
    PATIENCE,
    api::Api,
    ide::{Generation, Ide},
    marks::Marks,
    scratch::scratch,
};

/// A running desk. Dropping it ends it; if the test is failing, what it wrote is printed.
#[derive(Debug)]
pub struct Desk {
    dir: TempDir,
    process: Child,
    port: u16,
    log: Log,
}

/// What processes wrote so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Arc<(Mutex<String>, Condvar)>);

impl Drop for Desk {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        if thread::panicking() {
            let _ = self.process.wait();
            eprintln!("--- what the desk wrote ---\n{}---", self.log.text());
        } else {
            let _ = self.process.wait();
        }
    }
}

impl Desk {
    /// A desk without a program, with the standard configuration.
    #[must_use]
    pub fn start() -> Self {
        Self::configured("")
    }

    /// A desk without a program, with this configuration.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn configured(config: &str) -> Self {
        let dir = scratch("desk");
        fs::write(dir.path().join("plc-runtime.toml"), config)
            .expect("the configuration is written");
        Self::in_dir(dir)
    }

    /// A desk in a directory that may have been used before. It joins no router by itself: tests of that run the connector.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn in_dir(dir: TempDir) -> Self {
        let no_link = ["--wamp-connector", "/nonexistent"];
        Self::run(&crate::binary("plc-local"), dir, &[], &no_link)
    }

    /// A desk of this `plc-local`, run by a command in front of it.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn of(program: &Path, dir: TempDir, wrapper: &[&str]) -> Self {
        Self::run(program, dir, wrapper, &[])
    }

    fn run(program: &Path, dir: TempDir, wrapper: &[&str], options: &[&str]) -> Self {
        let mut command = match wrapper {
            [] => Command::new(program),
            [first, rest @ ..] => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        let mut process = command
            .args(["-p", "0", "--no-sample"])
            .args(options)
            .arg(dir.path())
            .env("RUST_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("plc-local can be run");
        let log = Log::default();
        log.follow(process.stderr.take().expect("piped"));
        let mut announced = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("piped"));
        let _ = output.read_line(&mut announced);
        let mut desk = Self { dir, process, port: 0, log };
        assert_eq!(
            announced.trim_end(),
            desk.dir.path().display().to_string(),
            "plc-local is not ready"
        );
        let line = desk.wait_log("IDEs connect to 127.0.0.1:");
        let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
        desk.port = digits.parse().expect("a port");
        desk
    }

    /// The IDE port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its places.
    #[must_use]
    pub fn paths(&self) -> Paths {
        Paths::of_desk(self.dir.path())
    }

    /// The API, as an operator.
    ///
    /// # Panics
    /// Nobody serves it within [`PATIENCE`].
    #[must_use]
    pub fn api(&self) -> Api {
        let begin = Instant::now();
        loop {
            match Api::connect(&self.paths().api_socket()) {
                Ok(api) => return api,
                // A killed supervisor is being started again.
                Err(error) if begin.elapsed() > PATIENCE => {
                    panic!("the API cannot be reached: {error}")
                }
                Err(_) => thread::sleep(std::time::Duration::from_millis(20)),
            }
        }
    }

    /// An IDE pointed at it.
    #[must_use]
    pub fn ide(&self, generation: Generation) -> Ide {
        Ide::new(generation, self.port)
    }

    /// `plcctl` with these arguments: exit code, standard output, standard error.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn plcctl(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(crate::binary("plcctl"))
            .arg("--socket")
            .arg(self.paths().api_socket())
            .args(arguments)
            .output()
            .expect("plcctl can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
    }

    /// Begin, stop and end of every program that marked them.
    #[must_use]
    pub fn marks(&self) -> Marks {
        Marks::read(&self.paths().work_dir)
    }

    /// The process id of `plc-local` itself.
    #[must_use]
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The process ids of the program `name` below this desk.
    #[must_use]
    pub fn children(&self, name: &str) -> Vec<Pid> {
        descendants(self.pid())
            .into_iter()
            .filter(|pid| command_of(*pid).as_deref() == Some(name))
            .collect()
    }

    /// The supervisor's process id.
    ///
    /// # Panics
    /// There is not exactly one.
    #[must_use]
    pub fn supervisor(&self) -> Pid {
        let found = self.children("plc-supervisor");
        assert_eq!(found.len(), 1, "supervisors");
        found[0]
    }

    /// Sends a signal to `plc-local`.
    pub fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(self.pid(), signal);
    }

    /// Ends it and gives the directory back.
    ///
    /// # Panics
    /// It does not end well.
    #[must_use]
    pub fn end(mut self) -> TempDir {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "plc-local ended with {status}");
        std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a directory"))
    }

    /// Waits for the end of `plc-local`.
    ///
    /// # Panics
    /// It does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().expect("a child") {
                return status;
            }
            assert!(begin.elapsed() < PATIENCE, "plc-local does not end");
            thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits until something is in the log; what follows it there.
    ///
    /// # Panics
    /// It does not come within [`PATIENCE`].
    #[must_use]
    pub fn wait_log(&self, wanted: &str) -> String {
        self.log.wait(wanted)
    }

    /// What all processes wrote so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }
}

impl Log {
    pub(crate) fn follow(&self, from: impl Read + Send + 'static) {
        let log = self.clone();
        thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                let (text, grown) = &*log.0;
                let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
                grown.notify_all();
            }
        });
    }

    pub(crate) fn text(&self) -> String {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn wait(&self, wanted: &str) -> String {
        let (text, grown) = &*self.0;
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = grown.wait_timeout_while(text, PATIENCE, |text| !text.contains(wanted));
        let (text, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match text.split_once(wanted) {
            Some((_, rest)) => rest.to_owned(),
            None => panic!("{wanted:?} was never written; this was:\n{text}"),
        }
    }
}

/// All processes below one.
#[must_use]
pub fn descendants(of: Pid) -> Vec<Pid> {
    let mut found = vec![of];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        next += 1;
        let tasks = format!("/proc/{parent}/task");
        for task in fs::read_dir(tasks).into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(
                children
                    .split_whitespace()
                    .filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw)),
            );
        }
    }
    found.split_off(1)
}

/// The name of a process's program file.
fn command_of(pid: Pid) -> Option<String> {
    let program: PathBuf = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(program.file_name()?.to_str()?.to_owned())
}
