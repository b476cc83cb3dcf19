// SPDX-License-Identifier: MIT OR Apache-2.0
//! A child process that ends with its owner, and can be stopped for a while.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

/// A program that serves a machine.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    words: PathBuf,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    /// Starts it; what it says goes to a file. It ends with the thread that starts it, whatever ends that.
    pub(crate) fn start(command: &Command, words: &Path) -> Self {
        let log = File::create(words).expect("the scratch directory can be written");
        let name = command.get_program().to_string_lossy().into_owned();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().expect("a descriptor")))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap_or_else(|error| panic!("setpriv, for {name}: {error}; run `scripts/need vm`"));
        Self { child, words: words.to_owned() }
    }

    /// Its end, if it has ended, with its words.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().expect("a child")?;
        Some(format!("{status}: {}", fs::read_to_string(&self.words).unwrap_or_default()))
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops it; it goes on with the end of what is returned.
    pub(crate) fn pause(&self) -> Paused {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::STOP).expect("a process of ours");
        let stat = format!("/proc/{}/stat", self.child.id());
        // The state follows the name, which is in brackets.
        let is_stopped = || {
            let text = fs::read_to_string(&stat).expect("a process of ours");
            text.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        };
        while !is_stopped() {
            std::thread::yield_now();
        }
        Paused(pid)
    }
}

/// A process that stands still.
#[derive(Debug)]
pub(crate) struct Paused(Pid);

impl Drop for Paused {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}
