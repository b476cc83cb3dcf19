// SPDX-License-Identifier: MIT OR Apache-2.0
//! A supervisor for tests: starts one worker, sends orders, waits for what comes back.

use std::{
    env,
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use plc_api::{
    log::LogLevel,
    program::ProgramMd5,
    trace::{TraceSample, TraceVariable},
};
use plc_worker_link::{
    Beat, Data, FromWorker, Hello, LoadOrder, Loaded, Order, Outcome, Realtime, ToWorker,
    greeting::{self, Greeting},
    wire::{self, WireError},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, Signal, kill_process},
};
use tempfile::TempDir;

/// Longer than anything takes on the slowest machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The file for what workers write.
const STDERR: &str = "stderr.txt";

pub(crate) const MD5: &str = "0123456789abcdef0123456789abcdef";

/// A place for several workers one after the other: programs, working directory, lock. What they write is for the test
/// that fails.
pub(crate) struct Plant {
    dir: TempDir,
}

impl Drop for Plant {
    fn drop(&mut self) {
        if thread::panicking() {
            let written = fs::read(self.path(STDERR)).unwrap_or_default();
            eprintln!("--- what the workers wrote ---\n{}---", String::from_utf8_lossy(&written));
        }
    }
}

impl Plant {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("work")).unwrap();
        File::create(dir.path().join("lock")).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.path("work").join(name)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path("lock")
    }

    /// A program directory with this library and these extra files.
    pub(crate) fn program(&self, id: &str, library: &[u8], extra: &[(&str, &str)]) -> LoadOrder {
        let program_dir = self.path(id);
        fs::create_dir_all(program_dir.join("extra")).unwrap();
        fs::write(program_dir.join("program.so"), library).unwrap();
        for (name, text) in extra {
            fs::write(program_dir.join("extra").join(name), text).unwrap();
        }
        LoadOrder {
            program_dir,
            program_id: id.to_owned(),
            md5: ProgramMd5::new(MD5).unwrap(),
            logic_md5: None,
            stop_timeout_ms: 60_000,
            memory_max_bytes: None,
            realtime: Realtime::default(),
        }
    }

    /// A fixture program without extra files.
    pub(crate) fn fixture(&self, name: &str) -> LoadOrder {
        let library = compile(name);
        let id = library.file_stem().unwrap().to_str().unwrap();
        self.program(id, &fs::read(&library).unwrap(), &[])
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plc-worker"));
        command.arg("--work-dir").arg(self.path("work"));
        command.arg("--lock").arg(self.lock());
        command.stderr(File::options().append(true).create(true).open(self.path(STDERR)).unwrap());
        command
    }

    /// Starts a worker without listening to it.
    pub(crate) fn spawn(&self) -> (Child, UnixStream) {
        Self::spawn_by(&mut self.command())
    }

    fn spawn_by(command: &mut Command) -> (Child, UnixStream) {
        let (control, theirs) = UnixStream::pair().unwrap();
        let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn().unwrap();
        // A command keeps what it has given away; while it does, a worker that dies at once is not seen to end.
        command.stdin(Stdio::null());
        (child, control)
    }

    /// Starts a worker up to its hello.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_by(&mut self.command())
    }

    /// The same, by a [`Self::command`] that was changed.
    pub(crate) fn worker_by(&self, command: &mut Command) -> Worker {
        let (child, control) = Self::spawn_by(command);
        Worker::listen(child, control)
    }

    /// Starts a worker and loads a fixture program.
    pub(crate) fn loaded(&self, name: &str) -> Worker {
        let mut worker = self.worker();
        worker.load(self.fixture(name));
        worker
    }

    /// Starts a worker and runs a fixture program.
    pub(crate) fn running(&self, name: &str) -> Worker {
        let mut worker = self.loaded(name);
        worker.start();
        worker
    }
}

/// One worker and what has come from it.
pub(crate) struct Worker {
    child: Child,
    pidfd: OwnedFd,
    control: Option<UnixStream>,
    messages: Receiver<FromWorker>,
    data: Receiver<Data>,
    pub(crate) hello: Hello,
    /// Everything that came besides what was waited for.
    pub(crate) notices: Vec<(LogLevel, String)>,
    /// How many of them [`Self::notice`] has given out.
    noticed: usize,
    pub(crate) log: Vec<(LogLevel, String)>,
    next_id: u64,
}

impl Worker {
    fn listen(child: Child, control: UnixStream) -> Self {
        let Greeting { data, pidfd } = greeting::receive(&control).unwrap();
        let Ok(FromWorker::Hello(hello)) = wire::receive(&control) else {
            panic!("no hello");
        };
        Self {
            child,
            pidfd,
            messages: receive_all(control.try_clone().unwrap(), |channel| wire::receive(channel)),
            data: receive_all(data.into(), |channel| wire::receive(channel)),
            control: Some(control),
            hello,
            notices: Vec::new(),
            noticed: 0,
            log: Vec::new(),
            next_id: 1,
        }
    }

    pub(crate) fn send(&mut self, order: Order) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        wire::send(self.control.as_ref().unwrap(), &ToWorker { id, order }).unwrap();
        id
    }

    pub(crate) fn order(&mut self, order: Order) -> Outcome {
        let id = self.send(order);
        self.outcome(id)
    }

    pub(crate) fn outcome(&mut self, wanted: u64) -> Outcome {
        loop {
            if let FromWorker::Outcome { id, outcome } = self.message() {
                assert_eq!(id, wanted);
                return outcome;
            }
        }
    }

    pub(crate) fn beat(&mut self) -> Beat {
        loop {
            if let FromWorker::Beat(beat) = self.message() {
                return beat;
            }
        }
    }

    /// The next notice, also one that came while something else was waited for.
    pub(crate) fn notice(&mut self) -> String {
        while self.notices.len() == self.noticed {
            self.message();
        }
        self.noticed += 1;
        self.notices[self.noticed - 1].1.clone()
    }

    fn message(&mut self) -> FromWorker {
        let message = self.messages.recv_timeout(PATIENCE).expect("a message");
        if let FromWorker::Notice { level, text } = &message {
            self.notices.push((*level, text.clone()));
        }
        message
    }

    pub(crate) fn load(&mut self, order: LoadOrder) -> Loaded {
        let outcome = self.order(Order::Load(Box::new(order)));
        let Outcome::Loaded(loaded) = outcome else {
            panic!("not loaded: {outcome:?}");
        };
        loaded
    }

    pub(crate) fn start(&mut self) {
        assert_eq!(self.order(Order::Start), Outcome::Started);
    }

    pub(crate) fn trace(&mut self, list: &[(u32, Option<&[u8]>)]) -> Outcome {
        self.order(Order::SetTrace(variables(list)))
    }

    /// The next message on the data channel, `None` at its end.
    pub(crate) fn data(&mut self) -> Option<Data> {
        let data = match self.data.recv_timeout(PATIENCE) {
            Ok(data) => data,
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("nothing came on the data channel"),
        };
        if let Data::Log(messages) = &data {
            let texts = messages.iter().map(|message| {
                (message.level, String::from_utf8_lossy(&message.text).into_owned())
            });
            self.log.extend(texts);
        }
        Some(data)
    }

    /// Waits until the program has logged this.
    pub(crate) fn logged(&mut self, text: &str) -> LogLevel {
        loop {
            if let Some((level, _)) = self.log.iter().find(|(_, logged)| logged.starts_with(text)) {
                return *level;
            }
            assert!(self.data().is_some(), "the data channel ended without {text:?}");
        }
    }

    /// At least this many samples of the newest list; those of older lists are let go.
    pub(crate) fn samples(&mut self, at_least: usize) -> Vec<TraceSample> {
        let mut samples = Vec::new();
        while samples.len() < at_least {
            match self.data().expect("the data channel goes on") {
                Data::Trace(empty) if empty.is_empty() => samples.clear(),
                Data::Trace(more) => samples.extend(more),
                Data::Log(_) => {}
            }
        }
        samples
    }

    /// Sets a list and returns samples of it.
    pub(crate) fn traced(
        &mut self,
        list: &[(u32, Option<&[u8]>)],
        at_least: usize,
    ) -> Vec<TraceSample> {
        assert_eq!(self.trace(list), Outcome::Done);
        while self.data() != Some(Data::Trace(Vec::new())) {}
        self.samples(at_least)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Goes away as a supervisor does that died.
    pub(crate) fn hang_up(&mut self) {
        // The reading thread has a descriptor of its own, so closing this one is not enough.
        if let Some(control) = self.control.take() {
            control.shutdown(std::net::Shutdown::Both).unwrap();
        }
    }

    /// Orders a stop and sees the worker off.
    pub(crate) fn stop(mut self) {
        assert_eq!(self.order(Order::Stop), Outcome::Stopped);
        assert_eq!(self.ended().code(), Some(0));
    }

    /// Waits for the end of the process; what it still said is kept.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut pidfd = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let patience = Timespec::try_from(PATIENCE).unwrap();
        assert_eq!(poll(&mut pidfd, Some(&patience)).unwrap(), 1, "it lives on");
        let status = self.child.wait().unwrap();
        while let Ok(message) = self.messages.try_recv() {
            if let FromWorker::Notice { level, text } = message {
                self.notices.push((level, text));
            }
        }
        status
    }

    /// Waits for the end by this signal, then reads the rest of the log.
    pub(crate) fn killed_by(&mut self, signal: Signal) {
        assert_eq!(self.ended().signal(), Some(signal.as_raw()));
        while self.data().is_some() {}
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Harmless if it has ended in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn receive_all<T: Send + 'static>(
    channel: UnixStream,
    receive: impl Fn(&UnixStream) -> Result<T, WireError> + Send + 'static,
) -> Receiver<T> {
    let (to, from) = mpsc::channel();
    thread::spawn(move || {
        while let Ok(message) = receive(&channel) {
            if to.send(message).is_err() {
                return;
            }
        }
    });
    from
}

pub(crate) fn variables(list: &[(u32, Option<&[u8]>)]) -> Vec<TraceVariable> {
    list.iter()
        .map(|(index, force)| TraceVariable {
            index: *index,
            force: force.map(|bytes| bytes.to_vec().into()),
        })
        .collect()
}

/// The library of a fixture program (a path from there without `.c`), compiled if it or the scaffold changed.
pub(crate) fn compile(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs = root.join("tests/programs");
    let source = programs.join(format!("{name}.c"));
    let file_name = source.with_extension("so");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file_name.file_name().unwrap());
    let scaffold = root.join("supervisor/local/sample/scaffold.h");
    let parts = [source.clone(), scaffold, programs.join("fault.h"), programs.join("marks.h")];
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified());
    let newest = parts.iter().map(|part| changed(part).unwrap()).max();
    if changed(&library).ok() > newest {
        return library;
    }
    // Tests of several processes compile at once: each under its own name first.
    let own =
        tempfile::Builder::new().suffix(".so").tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let status = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1", "-g", "-o"])
        .arg(own.path())
        .arg(&source)
        .args(["-lpthread", "-lm"])
        .status()
        .expect("a C compiler, cc or what CC says");
    assert!(status.success(), "{} does not compile", source.display());
    own.persist(&library).unwrap();
    library
}
