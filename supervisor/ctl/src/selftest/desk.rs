// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC that is tried: `plc-local` in a directory of its own.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use plc_api::paths::{LIBEXEC, Paths};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

use crate::failure::Failure;

/// The part of the runtime's messages that is shown after a failure.
const LAST_LINES: usize = 20;

/// What is tried.
#[derive(Debug)]
pub(super) struct Installed {
    /// The program that runs a PLC in a directory.
    pub(super) local: PathBuf,
    /// The demo program.
    pub(super) sample: PathBuf,
}

impl Installed {
    /// Finds it beside this program, or where packages put it.
    ///
    /// # Errors
    /// [`Failure::Failed`] names what is missing.
    pub(super) fn find() -> Result<Self, Failure> {
        let this = env::current_exe()
            .map_err(|error| Failure::Failed(format!("cannot tell where plcctl lies: {error}")))?;
        let beside = this.parent().unwrap_or(Path::new("/usr/bin"));
        let find = |name: &str| {
            let places = [beside, Path::new(LIBEXEC)].map(|dir| dir.join(name));
            let found = places.iter().find(|path| path.is_file()).cloned();
            found.ok_or_else(|| {
                Failure::Failed(format!(
                    "{name} is not to be found in {} or {LIBEXEC}; install the package plc-runtime whole, or \
                     build with: make build",
                    beside.display()
                ))
            })
        };
        Ok(Self { local: find("plc-local")?, sample: find("sample.so")? })
    }
}

/// The PLC's process tree and its directory, which goes with it.
#[derive(Debug)]
pub(super) struct Desk {
    local: PathBuf,
    dir: TempDir,
    child: Option<Child>,
    /// It was asked to end; asked again, it would not wait for its program.
    asked: bool,
}

impl Desk {
    /// Makes the directory, below `above` or where scratch files go.
    ///
    /// # Errors
    /// [`Failure::Failed`] when it cannot be made.
    pub(super) fn new(installed: &Installed, above: Option<&Path>) -> Result<Self, Failure> {
        let above = above.map_or_else(env::temp_dir, Path::to_owned);
        let dir = tempfile::Builder::new().prefix("plc-selftest-").tempdir_in(&above);
        let dir = dir.map_err(|error| {
            let above = above.display();
            Failure::Failed(format!(
                "no directory can be made in {above}: {error}; name another one with --dir"
            ))
        })?;
        Ok(Self { local: installed.local.clone(), dir, child: None, asked: false })
    }

    /// Starts the PLC, without a program and with a port that is free, and waits until it is ready.
    ///
    /// # Errors
    /// What of it could not be done.
    pub(super) async fn begin(&mut self) -> Result<(), Failure> {
        let failed = |what: &str, error: &io::Error| Failure::Failed(format!("{what}: {error}"));
        let messages = File::create(self.messages())
            .map_err(|error| failed("its messages cannot be kept", &error))?;
        let mut child = Command::new(&self.local)
            .args(["--port", "0"])
            .arg(self.home())
            // Killed, we could not end it.
            .env("PLC_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(messages)
            // The terminal's Ctrl-C is for us alone; the PLC is asked to end once.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(&format!("{} does not start", self.local.display()), &error))?;
        let stdout = child.stdout.take();
        self.child = Some(child);
        let mut line = String::new();
        if let Some(stdout) = stdout {
            let read = BufReader::new(stdout).read_line(&mut line).await;
            read.map_err(|error| failed("plc-local cannot be read", &error))?;
        }
        if line.is_empty() {
            return Err(Failure::Failed("plc-local ended before it was ready".into()));
        }
        Ok(())
    }

    /// Where the PLC lives.
    pub(super) fn home(&self) -> PathBuf {
        self.dir.path().join("plc")
    }

    /// Its API socket.
    pub(super) fn socket(&self) -> PathBuf {
        Paths::of_desk(&self.home()).api_socket()
    }

    fn messages(&self) -> PathBuf {
        self.dir.path().join("messages")
    }

    /// Asks the PLC to end, as systemd and Ctrl-C do, and waits for it.
    ///
    /// # Errors
    /// When it was not there, or did not end well.
    ///
    /// # Cancel safety
    /// Called again, it goes on waiting.
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        let failed = |text: String| Failure::Failed(text);
        let Some(child) = &mut self.child else {
            return Err(failed("it never began".into()));
        };
        if let Some(pid) = child.id().filter(|_| !self.asked) {
            send(pid, Signal::TERM)?;
            self.asked = true;
        }
        let ended = child.wait().await;
        self.child = None;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("plc-local ended with {status}"))),
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// What a person should know after a failure; the directory stays.
    pub(super) fn what_it_said(self) -> String {
        let text = fs::read(self.messages()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LAST_LINES));
        let last: String = last.map(|line| format!("  {line}\n")).collect();
        let dir = self.dir.keep();
        format!(
            "the self-test failed; what the runtime said last:\n{last}All of it is in {}",
            dir.display()
        )
    }
}

/// Sends a signal to a process.
///
/// # Errors
/// When there is no such process, or it is another user's.
pub(super) fn send(pid: u32, signal: Signal) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::Failed(format!("no signal can be sent to process {pid}: {error}"))
    };
    let process = i32::try_from(pid).map_err(|error| failed(&error))?;
    let process = Pid::from_raw(process).ok_or_else(|| failed(&"it has no number"))?;
    kill_process(process, signal).map_err(|error| failed(&error))
}
