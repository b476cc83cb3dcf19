// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor of its own in a directory that can be copied, and the examination of what a killed one left there.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use plc_api::{
    message::WhenRunning,
    paths::Paths,
    plc::{PlcStatus, Wish},
};
use plc_tests::{PATIENCE, api::Api, desk::descendants, scratch::scratch};
use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::programs::{MD5, Program};

/// The directory of one PLC.
#[derive(Debug)]
pub(crate) struct Place(TempDir);

/// What may be found after a death.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The current program, if any.
    pub(crate) current: Option<&'static str>,
    /// Programs that must be there whole: the current one, and the one before it.
    pub(crate) kept: Vec<&'static str>,
    /// The wish.
    pub(crate) wish: Wish,
}

impl Place {
    /// A place without a program.
    pub(crate) fn empty() -> Self {
        let dir = scratch("atomic");
        for inner in ["state", "work", "run", "run/connectors"] {
            fs::create_dir(dir.path().join(inner)).unwrap();
            fs::set_permissions(dir.path().join(inner), PermissionsExt::from_mode(0o700)).unwrap();
        }
        File::create(Paths::of_desk(dir.path()).worker_lock).unwrap();
        Self(dir)
    }

    /// The same again; nothing runs there.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::empty();
        for inner in ["state", "work"] {
            copy_tree(&self.path().join(inner), &copy.path().join(inner));
        }
        copy
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        Paths::of_desk(self.path()).state_dir
    }

    pub(crate) fn retain(&self) -> Vec<u8> {
        fs::read(self.path().join("work/retain_buffer_file")).unwrap_or_default()
    }

    /// The supervisor, by itself or as what this command runs.
    pub(crate) fn start(&self, command: Option<Command>) -> Supervisor<'_> {
        let mut command = command.unwrap_or_else(|| Command::new(supervisor()));
        let notify = self.path().join("run/notify");
        let _ = fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).unwrap();
        ready.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let words = File::options().append(true).create(true).open(self.words()).unwrap();
        let process = command
            .arg("--desk")
            .arg(self.path())
            .arg("--worker")
            .arg(plc_tests::binary("plc-worker"))
            .env("NOTIFY_SOCKET", &notify)
            .env("PLC_PARENT_PID", std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(words))
            .spawn()
            .expect("it can be run; `scripts/need test` installs strace");
        Supervisor { place: self, process, is_ready: false, ready, strace: None }
    }

    /// Has it done, by a supervisor that ends well.
    pub(crate) fn with(self, act: impl FnOnce(&Api)) -> Self {
        let mut supervisor = self.start(None);
        act(&supervisor.api().unwrap());
        supervisor.end();
        self
    }

    fn words(&self) -> PathBuf {
        self.path().join("words.txt")
    }

    /// Starts a supervisor on what is there, and finds one of the outcomes, whole; which.
    pub(crate) fn examine(&self, outcomes: &[&Outcome]) -> usize {
        let mut supervisor = self.start(None);
        let api = supervisor.api().expect("a supervisor comes up again");
        self.assert_no_leftovers();
        let snapshot = api.snapshot();
        let current = snapshot.program.as_ref().map(|program| {
            assert_eq!(program.md5.as_str(), MD5);
            let link = fs::read_link(self.state().join("current")).unwrap();
            assert_eq!(link, Path::new("programs").join(&program.id));
            Program::at(&self.state().join(link)).name
        });
        let wish = fs::read_to_string(self.state().join("wish")).unwrap_or_default();
        assert!(["", "run\n", "stop\n"].contains(&&*wish), "the wish is {wish:?}");
        assert_eq!(snapshot.wish == Wish::Run, wish == "run\n");
        let kept: Vec<&str> = self.programs().iter().map(|dir| Program::at(dir).name).collect();
        let found = outcomes.iter().position(|outcome| {
            outcome.current == current
                && outcome.wish == snapshot.wish
                && outcome.kept.iter().all(|name| kept.contains(name))
        });
        let found = found.unwrap_or_else(|| {
            panic!("{current:?} of {kept:?}, wish {:?}: none of {outcomes:?}", snapshot.wish)
        });
        match (current, snapshot.wish) {
            (None, _) => assert!(api.start().is_err()),
            (Some(_), Wish::Run) => drop(api.wait_status(PlcStatus::Started)),
            (Some(_), Wish::Stop) => api.start().expect("the program starts"),
        }
        supervisor.end();
        found
    }

    fn programs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state().join("programs")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn assert_no_leftovers(&self) {
        let known = ["current", "forgotten", "keys", "lock", "programs", "transfer", "wish"];
        for entry in fs::read_dir(self.state()).unwrap() {
            let name = entry.unwrap().file_name();
            assert!(known.iter().any(|known| name == *known), "{name:?} was left");
        }
        let keys = fs::read_dir(self.state().join("keys")).unwrap();
        let keys: Vec<_> = keys.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(keys, ["device.psk"]);
        let device = fs::read_to_string(self.state().join("keys/device.psk")).unwrap();
        // The secret is the base64 of 192 bytes.
        let secret = device.trim_end().rsplit_once(':').map(|(_, secret)| secret.len());
        assert_eq!(secret, Some(256), "the device's key is torn");
        assert_eq!(fs::read_dir(self.state().join("transfer")).unwrap().count(), 0, "transfers");
        for program in self.programs() {
            let name = program.file_name().unwrap().to_str().unwrap();
            assert!(!name.starts_with('.'), "{name} was left");
        }
    }

    /// Leaves what installations leave that were interrupted at many places at once.
    pub(crate) fn tear(&self) {
        let state = self.state();
        let current = state.join(fs::read_link(state.join("current")).unwrap());
        for name in [".new-3", ".trash-000001-0123456789abcdef", "000099-0123456789abcdef"] {
            let copy = state.join("programs").join(name);
            fs::create_dir(&copy).unwrap();
            copy_tree(&current, &copy);
        }
        fs::remove_file(state.join("programs/.new-3/manifest.toml")).unwrap();
        fs::write(state.join("transfer/7"), "half a").unwrap();
        fs::write(state.join("wish.new"), "ru").unwrap();
        symlink("programs/000099-0123456789abcdef", state.join("current.new")).unwrap();
    }
}

/// A running supervisor, perhaps below strace.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    place: &'a Place,
    process: Child,
    is_ready: bool,
    ready: UnixDatagram,
    strace: Option<Child>,
}

impl Supervisor<'_> {
    /// The API as soon as it is served; nothing if the supervisor ends before.
    pub(crate) fn api(&mut self) -> Option<Api> {
        self.await_ready().then(|| Api::connect(&self.socket()).ok())?
    }

    pub(crate) fn socket(&self) -> PathBuf {
        Paths::of_desk(self.place.path()).api_socket()
    }

    pub(crate) fn await_ready(&mut self) -> bool {
        let begin = Instant::now();
        let mut text = [0; 256];
        while !self.is_ready {
            if let Ok(length) = self.ready.recv(&mut text) {
                self.is_ready = text[..length].starts_with(b"READY=1");
            } else if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(begin.elapsed() < PATIENCE, "the supervisor is not ready");
        }
        true
    }

    /// The supervisor's own process id, strace or not.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let own = Pid::from_child(&self.process);
        let is_supervisor = |pid: &Pid| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == supervisor())
        };
        std::iter::once(own).chain(descendants(own)).find(is_supervisor)
    }

    /// Puts a running one under strace; from when this returns, nothing it does escapes.
    pub(crate) fn attach(&mut self, mut strace: Command) {
        let pid = self.pid().expect("it runs").to_string();
        let mut strace = strace
            .args(["-p", &pid])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace can be run; `scripts/need test` installs it");
        let mut words = BufReader::new(strace.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(" attached") {
            let length = words.read_line(&mut said).unwrap();
            assert!(
                length > 0,
                "strace cannot attach (kernel.yama.ptrace_scope, no root?): {said}"
            );
        }
        // It goes on to tell of each thread, and must not find the pipe full or closed.
        thread::spawn(move || io::copy(&mut words, &mut io::sink()));
        self.strace = Some(strace);
    }

    /// Ends it as `systemctl stop` does.
    pub(crate) fn end(mut self) {
        let pid = self.pid().expect("it still runs");
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the supervisor ended with {status}");
    }

    /// Waits until it, its worker and strace are gone.
    pub(crate) fn await_end(&mut self) {
        self.process.wait().unwrap();
        if let Some(strace) = &mut self.strace {
            strace.wait().unwrap();
        }
        let begin = Instant::now();
        let lock = File::open(Paths::of_desk(self.place.path()).worker_lock).unwrap();
        // A worker without its supervisor stops its program; until then it holds the lock.
        while rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive)
            .is_err()
        {
            assert!(begin.elapsed() < PATIENCE, "the worker does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        if let Some(pid) = matches!(self.process.try_wait(), Ok(None)).then(|| self.pid()).flatten()
        {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        let _ = self.process.wait();
        if let Some(strace) = &mut self.strace {
            let _ = strace.wait();
        }
        if thread::panicking() {
            let words = fs::read_to_string(self.place.words()).unwrap_or_default();
            eprintln!("--- what the supervisors wrote ---\n{words}---");
        }
    }
}

pub(crate) fn supervisor() -> PathBuf {
    plc_tests::binary("plc-supervisor")
}

/// Installs a program on a PLC that does not run.
pub(crate) fn install(api: &Api, program: &Program) {
    let extra: Vec<(&str, &[u8])> =
        program.extra.iter().map(|(name, data)| (*name, &data[..])).collect();
    api.install(MD5, &program.library, &extra, WhenRunning::Refuse).unwrap();
}

/// The files of a directory.
pub(crate) fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| file(entry.unwrap())).collect()
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (kind, place) = (entry.file_type().unwrap(), to.join(entry.file_name()));
        if kind.is_dir() {
            fs::create_dir(&place).unwrap();
            copy_tree(&entry.path(), &place);
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), &place).unwrap();
        } else {
            fs::copy(entry.path(), &place).unwrap();
        }
    }
}
