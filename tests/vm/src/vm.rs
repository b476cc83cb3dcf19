// SPDX-License-Identifier: MIT OR Apache-2.0
//! One virtual machine.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use plc_tests::scratch::scratch;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::{
    LOOK_AGAIN, PATIENCE, agent::Agent, disk::Disk, image::Image, process::Process, qmp::Qmp,
};

/// One machine at a time on this host: software emulation takes all of it.
const LOCK: &str = "/run/plc-vm.lock";

/// What a failing test waits for the machine's journal.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// Which of Debian's kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// `linux-image-cloud-amd64`
    Cloud,
    /// `linux-image-rt-amd64`, with `PREEMPT_RT`.
    Rt,
}

impl Kernel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Rt => "rt",
        }
    }
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code.
    pub code: i32,
    /// What it wrote.
    pub text: String,
}

/// A running machine. Its root file system forgets everything when it is off; the PLC's state is on a disk of its own.
///
/// Dropping it ends it; if the test is failing, its journal and console are printed.
#[derive(Debug)]
pub struct Vm {
    agent: Agent,
    qmp: Qmp,
    qemu: Process,
    cache: Process,
    /// Nothing if the disk was taken out.
    disk: Option<Disk>,
    dir: TempDir,
    _beside: Option<Disk>,
    _only_one: File,
}

impl Drop for Vm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.tell();
        }
    }
}

impl Vm {
    /// Boots a machine with this disk and waits until it is up.
    ///
    /// # Panics
    /// It does not come up; its console is shown.
    #[must_use]
    pub fn boot(kernel: Kernel, disk: Disk) -> Self {
        Self::boot_beside(kernel, disk, None)
    }

    /// The same with one more disk in it, `/dev/vdc`.
    ///
    /// # Panics
    /// As [`Self::boot`].
    #[must_use]
    pub fn boot_beside(kernel: Kernel, disk: Disk, beside: Option<Disk>) -> Self {
        let only_one = OpenOptions::new().create(true).append(true).open(LOCK);
        let only_one = only_one.expect("/run can be written; these tests need root");
        flock(&only_one, FlockOperation::LockExclusive).expect("a lock");
        let image = Image::installed();
        let dir = scratch("vm");
        let (cache, address) = disk.serve();
        let listen = |name| UnixListener::bind(dir.path().join(name)).expect("a socket");
        let (agent, qmp) = (listen("agent.sock"), listen("qmp.sock"));
        let mut command = qemu(&image, kernel, dir.path(), &address);
        if let Some(beside) = &beside {
            command.args(["-drive", &drive(&beside.file().display().to_string(), "snapshot=on")]);
        }
        let mut qemu = Process::start(&command, &dir.path().join("qemu.log"));
        let agent = Agent::new(accept(&agent, &mut qemu));
        let qmp = Qmp::new(accept(&qmp, &mut qemu));
        let disk = Some(disk);
        let mut vm =
            Self { agent, qmp, qemu, cache, disk, dir, _beside: beside, _only_one: only_one };
        vm.await_up();
        vm
    }

    fn await_up(&mut self) {
        let qemu = &mut self.qemu;
        self.agent.await_ready(|| {
            if let Some(end) = qemu.ended() {
                panic!("the machine has ended: {end}");
            }
        });
        // "degraded" is for tests to judge.
        let _ = self.run("systemctl is-system-running --wait");
    }

    /// Runs a shell script as root.
    ///
    /// # Panics
    /// The machine does not answer.
    pub fn run(&mut self, script: &str) -> Output {
        self.run_within(script, PATIENCE)
    }

    fn run_within(&mut self, script: &str, patience: Duration) -> Output {
        let answer = self.agent.run(script.as_bytes(), patience);
        answer.unwrap_or_else(|error| panic!("no answer ({error}) to: {script}"))
    }

    /// Runs a shell script that must succeed; what it wrote.
    ///
    /// # Panics
    /// It fails; says what it wrote.
    pub fn ok(&mut self, script: &str) -> String {
        let output = self.run(&format!("set -e\n{script}"));
        assert_eq!(output.code, 0, "{script}\n{}", output.text);
        output.text
    }

    /// Runs a shell script again and again until it succeeds; what it wrote.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    pub fn until(&mut self, what: &str, script: &str) -> String {
        let begin = Instant::now();
        loop {
            let output = self.run(script);
            if output.code == 0 {
                return output.text;
            }
            assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}: {}", output.text);
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Writes a file in the machine, and the directories above it.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn put(&mut self, path: &str, content: &[u8]) {
        // The content follows the script in its file; the shell never comes so far.
        let length = content.len();
        let script =
            format!("mkdir -p $(dirname {path}) && tail -c {length} \"$0\" > {path}\nexit $?\n");
        let mut script = script.into_bytes();
        script.extend_from_slice(content);
        let output = self.agent.run(&script, PATIENCE).expect("the machine answers");
        assert_eq!(output.code, 0, "{path} cannot be written: {}", output.text);
    }

    /// What a power cut right now would leave of the disk.
    ///
    /// # Panics
    /// There is no room for a copy.
    #[must_use]
    pub fn stable(&self) -> Disk {
        // In the middle of whatever both do: so is a cut.
        let _machine = self.qemu.pause();
        let _cache = self.cache.pause();
        Disk::copy_of(&self.disk.as_ref().expect("a disk").file())
    }

    /// Pulls the plug: the machine is gone, and what was in the disk's write cache.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn cut(mut self) -> Disk {
        self.qemu.kill();
        self.cache.kill();
        self.disk.take().expect("a disk")
    }

    /// Has it fall asleep, as its power key would, and wakes it.
    ///
    /// # Panics
    /// It does not fall asleep, or does not wake, within [`PATIENCE`].
    pub fn sleep_and_wake(&mut self) {
        // The answer may come before the sleep, or after.
        self.agent.send(b"systemctl suspend").expect("the machine listens");
        self.qmp.await_event("SUSPEND");
        self.qmp.execute("system_wakeup");
        self.qmp.await_event("WAKEUP");
        let answer = self.agent.answer(PATIENCE).expect("the machine is awake");
        assert_eq!(answer.code, 0, "{}", answer.text);
    }

    fn tell(&mut self) {
        let console = fs::read_to_string(self.dir.path().join("console.log")).unwrap_or_default();
        let lines: Vec<&str> = console.lines().collect();
        let tail = lines.len().saturating_sub(40);
        eprintln!("--- console\n{}", lines[tail..].join("\n"));
        let script = "journalctl --no-pager -o short-precise -n 300 -u 'plc-*'; \
                      echo '--- everything'; journalctl --no-pager -n 60";
        match self.agent.run(script.as_bytes(), LAST_WORDS) {
            Ok(journal) => eprintln!("--- journal\n{}", journal.text),
            Err(error) => eprintln!("--- the machine's journal cannot be had: {error}"),
        }
    }
}

fn qemu(image: &Image, kernel: Kernel, dir: &Path, disk: &str) -> Command {
    let (vmlinuz, initrd) = image.kernel(kernel);
    let socket =
        |id: &str| format!("socket,id={id},path={}", dir.join(format!("{id}.sock")).display());
    let mut command = Command::new("qemu-system-x86_64");
    // No network, no screen, nothing but what is named here. Hardware support is not used where there is some:
    // then a test would mean something else there.
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1024"]);
    // Suspend to RAM.
    command.args(["-global", "ICH9-LPC.disable_s3=0"]);
    command.arg("-kernel").arg(vmlinuz).arg("-initrd").arg(initrd);
    command.args(["-append", "root=LABEL=plc-root rw console=ttyS0"]);
    command.arg("-serial").arg(format!("file:{}", dir.join("console.log").display()));
    command.args(["-device", "virtio-serial", "-chardev", &socket("agent")]);
    command.args(["-device", "virtserialport,chardev=agent,name=plc"]);
    command.args(["-chardev", &socket("qmp"), "-mon", "chardev=qmp,mode=control"]);
    let root = image.root();
    command.args(["-drive", &drive(&root.display().to_string(), "snapshot=on,cache=unsafe")]);
    command.args(["-drive", &drive(disk, "cache=writeback")]);
    command
}

fn drive(file: &str, how: &str) -> String {
    format!("file={file},format=raw,if=virtio,{how}")
}

/// Waits for QEMU at one of its sockets.
fn accept(listener: &UnixListener, qemu: &mut Process) -> UnixStream {
    listener.set_nonblocking(true).expect("a socket");
    let begin = Instant::now();
    loop {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false).expect("a socket");
            return stream;
        }
        if let Some(end) = qemu.ended() {
            panic!("qemu: {end}; `scripts/need vm` installs what is missing");
        }
        assert!(begin.elapsed() < PATIENCE, "qemu does not connect");
        thread::sleep(LOOK_AGAIN / 10);
    }
}
