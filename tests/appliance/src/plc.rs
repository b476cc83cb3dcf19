// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC in a machine: its units, its clients, its programs' marks.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use plc_api::{
    message::WhenRunning,
    paths::{DEFAULT_INSTANCE, Paths},
    plc::PlcStatus,
};
use plc_tests::{
    api::{Api, MD5},
    ide::{Generation, Ide},
    marks::Marks,
    programs,
};

use crate::{
    deb,
    machine::{Machine, Output},
    until,
};

/// The IDE port, on the machine's loopback.
pub const IDE_PORT: u16 = 3000;

/// A systemd unit in a machine.
#[derive(Clone, Copy, Debug)]
pub struct Unit<'a> {
    machine: &'a Machine,
    name: &'a str,
}

impl Machine {
    /// A unit by its full name.
    #[must_use]
    pub fn unit<'a>(&'a self, name: &'a str) -> Unit<'a> {
        Unit { machine: self, name }
    }

    /// The supervisor's unit.
    #[must_use]
    pub fn runtime(&self) -> Unit<'_> {
        self.unit("plc-runtime.service")
    }

    /// Installs a package with apt, as a person would; what apt wrote.
    ///
    /// # Panics
    /// apt fails; says what it wrote.
    pub fn apt_install(&self, deb: &Path) -> String {
        let name = deb.file_name().expect("a file").to_string_lossy();
        self.lend(deb, &name);
        let deb = format!("/debs/{name}");
        let apt = ["apt-get", "-y", "--allow-downgrades", "install", &deb];
        self.run(&[&["--setenv=DEBIAN_FRONTEND=noninteractive"], &apt[..]].concat())
            .expect_success()
    }

    /// A later version of the package under test, made for this machine: other files, the same programs.
    ///
    /// # Panics
    /// It cannot be made; says why.
    #[must_use]
    pub fn later_deb(&self) -> PathBuf {
        let mut script = Command::new(plc_tests::root().join("scripts/deb-higher"));
        let made = Output::of(script.arg(deb()).arg(self.scratch())).expect_success();
        made.trim_end().into()
    }

    /// `plcctl` as root.
    #[must_use]
    pub fn plcctl(&self, arguments: &[&str]) -> Output {
        self.enter(&[&["plcctl"], arguments].concat())
    }

    /// The API as root; waits until it is served.
    ///
    /// # Panics
    /// Nobody serves it within [`crate::PATIENCE`].
    #[must_use]
    pub fn api(&self) -> Api {
        let socket = Paths::of_instance(DEFAULT_INSTANCE).api_socket();
        let socket = socket.to_string_lossy();
        until("the API to be served", || Api::connect(&self.live(&socket)).ok())
    }

    /// An IDE of this generation, on the machine's loopback. It connects with its first call.
    #[must_use]
    pub fn ide(&self, generation: Generation) -> Ide {
        Ide::behind(&self.in_network(), generation, IDE_PORT)
    }

    /// Installs and starts a program of `tests/programs`; the API that did it.
    ///
    /// # Panics
    /// It does not run.
    pub fn run_program(&self, name: &str) -> Api {
        let api = self.api();
        api.install(MD5, &programs::bytes(name), &[], WhenRunning::Restart)
            .unwrap_or_else(|error| panic!("{name} cannot be installed: {error}"));
        api.start().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        api
    }

    /// Waits until the PLC has a status, through whichever supervisor there is.
    ///
    /// # Panics
    /// It has not within [`crate::PATIENCE`].
    pub fn wait_status(&self, status: PlcStatus) {
        self.api().wait_status(status);
    }

    /// Begin, stop and end of every program that marked them.
    #[must_use]
    pub fn marks(&self) -> Marks {
        Marks::read(&self.work_dir())
    }

    /// Waits until programs have written so many marks of a kind.
    ///
    /// # Panics
    /// They have not within [`crate::PATIENCE`].
    pub fn wait_marks(&self, count: usize, what: &str) -> Marks {
        Marks::wait(&self.work_dir(), count, what)
    }

    /// Begin, stop, end, begin...: what the marks say, in short.
    #[must_use]
    pub fn story(&self) -> Vec<String> {
        self.marks().0.into_iter().map(|mark| mark.what).collect()
    }

    fn work_dir(&self) -> PathBuf {
        let dir: &Path = &Paths::of_instance(DEFAULT_INSTANCE).work_dir;
        self.disk(&dir.to_string_lossy())
    }
}

impl Unit<'_> {
    /// A property in systemd's words.
    ///
    /// # Panics
    /// systemd does not answer.
    #[must_use]
    pub fn property(&self, property: &str) -> String {
        let value = self.machine.enter(&["systemctl", "show", "-P", property, self.name]);
        value.expect_success().trim_end().to_owned()
    }

    /// Its main process, as the machine numbers it; 0 when there is none.
    ///
    /// # Panics
    /// systemd does not answer.
    #[must_use]
    pub fn main_pid(&self) -> u32 {
        self.property("MainPID").parse().expect("a process id")
    }

    /// Waits until a property has a value.
    ///
    /// # Panics
    /// It has not within [`crate::PATIENCE`].
    pub fn wait(&self, property: &str, value: &str) {
        until(&format!("{} {property}={value}", self.name), || {
            (self.property(property) == value).then_some(())
        });
    }

    /// Runs a verb of systemctl on it; it must succeed.
    ///
    /// # Panics
    /// It fails; says what systemctl wrote.
    pub fn systemctl(&self, verb: &str) {
        self.machine.enter(&["systemctl", verb, self.name]).expect_success();
    }

    /// Sends a signal to its main process.
    ///
    /// # Panics
    /// It has none.
    pub fn signal(&self, signal: &str) {
        let pid = self.main_pid().to_string();
        self.machine.enter(&["kill", "-s", signal, &pid]).expect_success();
    }
}
