// SPDX-License-Identifier: MIT OR Apache-2.0
//! One booted Debian system, through the script `host/machine`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use crate::{package, slot::Slot, until};

/// Seconds after which a command counts as hanging.
const COMMAND_TIMEOUT: &str = "300";

/// A booted system. Dropping it ends it and drops its files; if the test is failing, its journal is printed.
#[derive(Debug)]
pub struct Machine {
    place: PathBuf,
    slot: Slot,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; -1 for a signal.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Drop for Machine {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell();
        }
        let down = self.host(&["down"], &[]);
        if down.code != 0 {
            eprintln!("{} is left behind: {}", self.slot.name, down.stderr);
        }
    }
}

impl Machine {
    /// A system in which the package was installed and that was booted anew since.
    ///
    /// # Panics
    /// It does not boot; its last words are shown.
    #[must_use]
    pub fn installed() -> Self {
        let deb = package::deb();
        Self::up(&[&package::suite(), &deb.to_string_lossy()])
    }

    /// A system without the package.
    ///
    /// # Panics
    /// As [`Self::installed`].
    #[must_use]
    pub fn bare() -> Self {
        Self::up(&[&package::suite()])
    }

    fn up(what: &[&str]) -> Self {
        assert!(rustix::process::geteuid().is_root(), "appliance tests boot machines: run as root");
        let slot = Slot::take();
        let place = Path::new("/run/plc-machines").join(&slot.name);
        let machine = Self { place, slot };
        // What a killed test left in this slot.
        machine.host(&["down"], &[]).expect_success();
        machine.host(&["up"], what).expect_success();
        machine
    }

    /// Runs a command in a unit of its own. For everything that lasts, or that starts what lasts.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn run(&self, command: &[&str]) -> Output {
        self.host(&["run"], command)
    }

    /// Runs a command in the machine but in no unit: fast, for looking.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn enter(&self, command: &[&str]) -> Output {
        self.host(&["enter"], command)
    }

    /// Runs a shell script in a unit; what it wrote. It must succeed.
    ///
    /// # Panics
    /// It fails; says what it wrote.
    pub fn sh(&self, script: &str) -> String {
        // systemd-run would expand the dollars.
        self.run(&["sh", "-ec", &script.replace('$', "$$")]).expect_success()
    }

    /// Runs a shell script in the machine but in no unit; what it wrote. It must succeed.
    ///
    /// # Panics
    /// As [`Self::sh`].
    pub fn look(&self, script: &str) -> String {
        self.enter(&["sh", "-ec", script]).expect_success()
    }

    /// The start of a command line that runs a program of this system in the machine's network, where 127.0.0.1 is
    /// the machine's own.
    #[must_use]
    pub fn in_network(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/plc-{}", self.slot.name)]
    }

    /// The start of a command line that runs a program of this system as another one on the network, at 10.77.0.1;
    /// the machine is at 10.77.0.2.
    #[must_use]
    pub fn beside(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net=/run/netns/net-{}", self.slot.name)]
    }

    /// Where a file of the machine's disk is to be found, whether it runs or not. Not for /run, /tmp and /proc.
    #[must_use]
    pub fn disk(&self, path: &str) -> PathBuf {
        self.place.join("root").join(path.trim_start_matches('/'))
    }

    /// Where a file is to be found while the machine runs, as its first process sees it.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn live(&self, path: &str) -> PathBuf {
        let root = Path::new("/proc").join(self.leader().to_string()).join("root");
        root.join(path.trim_start_matches('/'))
    }

    /// Its first process, as this system numbers it.
    ///
    /// # Panics
    /// It does not run.
    #[must_use]
    pub fn leader(&self) -> i32 {
        let text = fs::read_to_string(self.place.join("leader")).expect("the machine runs");
        text.trim().parse().expect("a process id")
    }

    /// A directory of this system that goes with the machine.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        &self.place
    }

    /// Copies a file in, where commands find it below `/debs`.
    ///
    /// # Panics
    /// It cannot be read.
    pub fn lend(&self, file: &Path, name: &str) {
        fs::copy(file, self.place.join("debs").join(name)).expect("the file can be copied");
    }

    /// Writes a file on its disk, with the directories above it.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.disk(path);
        fs::create_dir_all(file.parent().expect("a file has a parent")).expect("a directory");
        fs::write(&file, content).expect("the machine's disk can be written");
    }

    /// The journal of all boots, as `journalctl` prints it with these arguments.
    ///
    /// # Panics
    /// `journalctl` cannot be run.
    #[must_use]
    pub fn journal(&self, arguments: &[&str]) -> String {
        let output = Command::new("journalctl")
            .args(["--quiet", "--no-pager", "-D"])
            .arg(self.disk("/var/log/journal"))
            .args(arguments)
            .output()
            .expect("journalctl is there");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the journal, read with these arguments, holds a text; the first line with it.
    ///
    /// # Panics
    /// It does not within [`crate::PATIENCE`].
    pub fn wait_journal(&self, arguments: &[&str], text: &str) -> String {
        until(&format!("the journal's {text:?}"), || {
            self.journal(arguments).lines().find(|line| line.contains(text)).map(str::to_owned)
        })
    }

    /// How often the system came up since it was last booted by us; a reboot from inside adds one.
    #[must_use]
    pub fn boots(&self) -> u32 {
        let text = fs::read_to_string(self.place.join("boots")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    }

    /// Waits until it has come up again after a reboot from inside.
    ///
    /// # Panics
    /// It does not within [`crate::PATIENCE`].
    pub fn wait_reboot(&self, boots_before: u32) {
        until("the machine to come up again", || {
            (self.boots() > boots_before && self.place.join("ready").exists()).then_some(())
        });
    }

    /// Waits until it is off, after a poweroff from inside.
    ///
    /// # Panics
    /// It is not within [`crate::PATIENCE`].
    pub fn wait_off(&self) {
        until("the machine to be off", || (!self.place.join("watch").exists()).then_some(()));
    }

    /// Powers it off in order, as its power key would. Its files stay.
    ///
    /// # Panics
    /// It does not end.
    pub fn stop(&self) {
        self.host(&["stop"], &[]).expect_success();
    }

    /// Ends all its processes at once. Its files stay.
    ///
    /// # Panics
    /// It does not end.
    pub fn kill(&self) {
        self.host(&["kill"], &[]).expect_success();
    }

    /// Boots it on the files that are left.
    ///
    /// # Panics
    /// It does not boot; its last words are shown.
    pub fn boot(&self) {
        self.host(&["boot"], &[]).expect_success();
    }

    /// What it told: the story of our units, the end of everything, the console.
    fn tell(&self) {
        eprintln!("--- journal of plc-* ---\n{}", self.journal(&["-u", "plc-*"]));
        eprintln!("--- end of the journal ---\n{}", self.journal(&["-n", "60"]));
        eprintln!(
            "--- warnings, with all fields ---\n{}",
            self.journal(&["-u", "plc-*", "-p", "warning", "-o", "verbose"])
        );
        let console = fs::read_to_string(self.place.join("console")).unwrap_or_default();
        eprintln!("--- console of {} ---\n{console}---", self.slot.name);
    }

    fn host(&self, verb: &[&str], rest: &[&str]) -> Output {
        let script = plc_tests::root().join("tests/appliance/host/machine");
        let mut command = Command::new("timeout");
        command.arg(COMMAND_TIMEOUT).arg(script).args(verb).arg(&self.slot.name).args(rest);
        Output::of(command.stdin(Stdio::null()))
    }
}

impl Output {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// It cannot be run.
    #[must_use]
    pub fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// What it wrote to standard output, if it succeeded.
    ///
    /// # Panics
    /// It failed; says what it wrote.
    #[expect(clippy::must_use_candidate, reason = "often only the success matters")]
    pub fn expect_success(self) -> String {
        assert_eq!(self.code, 0, "a command failed:\n{}{}", self.stdout, self.stderr);
        self.stdout
    }
}
