// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every end of a program is a stop; only an expired deadline is not. Never two programs at once.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::OpenOptionsExt, net::UnixDatagram},
    },
    process::{Command, Stdio},
};

use plc_abi::ProcessLock;
use plc_worker_link::{Order, Outcome, greeting};
use rustix::{fs::OFlags, process::Signal};

use crate::harness::{MD5, PATIENCE, Plant};

/// First words of the marks that a program left in its working directory.
fn marks(plant: &Plant) -> Vec<String> {
    let text = fs::read_to_string(plant.work("marks.txt")).unwrap();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(words[1], MD5, "PLC_ID");
            words[0].to_owned()
        })
        .collect()
}

#[test]
fn a_stop_order_stops_and_ends_the_process() {
    let plant = Plant::new();
    plant.running("stopmark").stop();
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
    plant.running("stopmark").stop();
    assert_eq!(fs::read_to_string(plant.work("retain_buffer_file")).unwrap(), "2\n");
}

#[test]
fn a_worker_can_be_stopped_at_any_moment() {
    let plant = Plant::new();
    plant.worker().stop();
    plant.loaded("stopmark").stop();
    let mut worker = plant.loaded("stopmark");
    // Both are on their way before the program has started.
    let start = worker.send(Order::Start);
    let stop = worker.send(Order::Stop);
    assert_eq!(worker.outcome(start), Outcome::Started);
    assert_eq!(worker.outcome(stop), Outcome::Stopped);
    assert_eq!(worker.ended().code(), Some(0));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn sigterm_stops_the_program() {
    let plant = Plant::new();
    let mut worker = plant.running("stopmark");
    worker.signal(Signal::TERM);
    assert!(worker.notice().contains("SIGTERM"));
    assert_eq!(worker.ended().code(), Some(143));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn while_the_program_stops_no_beat_has_a_tick_that_could_be_taken_for_a_standing_cycle() {
    let plant = Plant::new();
    let mut worker = plant.running("slowstop");
    while worker.beat().tick.is_none() {}
    worker.signal(Signal::TERM);
    // It takes 4 s to stop, which is ten beats.
    while worker.beat().tick.is_some() {}
    assert_eq!(worker.beat().tick, None);
    assert_eq!(worker.ended().code(), Some(143));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn the_end_of_the_channel_stops_the_program() {
    let plant = Plant::new();
    let mut worker = plant.running("stopmark");
    worker.hang_up();
    assert_eq!(worker.ended().code(), Some(69));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn a_slow_stop_is_waited_for_when_the_supervisor_is_gone() {
    let plant = Plant::new();
    let mut worker = plant.running("slowstop");
    worker.hang_up();
    assert_eq!(worker.ended().code(), Some(69));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn a_program_that_never_stops_is_aborted_when_the_supervisor_is_gone() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("neverstop");
    order.stop_timeout_ms = 200;
    worker.load(order);
    worker.start();
    worker.hang_up();
    worker.killed_by(Signal::ABORT);
    assert_eq!(marks(&plant), ["begin", "stop"]);
}

#[test]
fn a_program_that_never_stops_is_aborted_after_sigterm() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("hang_stop");
    order.stop_timeout_ms = 200;
    worker.load(order);
    worker.start();
    worker.signal(Signal::TERM);
    worker.killed_by(Signal::ABORT);
    worker.logged("before the fault");
}

#[test]
fn a_start_that_hangs_is_aborted_when_the_supervisor_is_gone() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("hang_start");
    order.stop_timeout_ms = 200;
    worker.load(order);
    worker.send(Order::Start);
    worker.logged("before the fault");
    for _ in 0..3 {
        worker.beat();
    }
    worker.hang_up();
    worker.killed_by(Signal::ABORT);
}

/// Where a worker writes its log, and nobody reads.
struct Pipe(OwnedFd);

impl Pipe {
    fn of(command: &mut Command) -> Self {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        command.stderr(writer);
        Self(reader)
    }

    /// Leaves no room for one more byte.
    fn fill(&self) {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let mut writer = File::options().write(true).custom_flags(nonblocking).open(path).unwrap();
        for size in [4096, 1] {
            while writer.write(&[0; 4096][..size]).is_ok() {}
        }
    }
}

#[test]
fn a_log_that_is_stuck_keeps_no_program_running() {
    let plant = Plant::new();
    let mut command = plant.command();
    let log = Pipe::of(&mut command);
    let mut worker = plant.worker_by(&mut command);
    worker.load(plant.fixture("stopmark"));
    worker.start();
    log.fill();
    worker.hang_up();
    assert_eq!(worker.ended().code(), Some(69));
    assert_eq!(marks(&plant), ["begin", "stop", "end"]);
}

#[test]
fn a_log_that_is_stuck_delays_no_abort() {
    let plant = Plant::new();
    let mut command = plant.command();
    let log = Pipe::of(&mut command);
    let mut worker = plant.worker_by(&mut command);
    let mut order = plant.fixture("neverstop");
    order.stop_timeout_ms = 200;
    worker.load(order);
    worker.start();
    log.fill();
    worker.hang_up();
    worker.killed_by(Signal::ABORT);
    assert_eq!(marks(&plant), ["begin", "stop"]);
}

/// A service manager for tests, which hears what the processes of these commands tell it.
struct Manager(UnixDatagram);

impl Manager {
    fn of(plant: &Plant, command: &mut Command) -> Self {
        let path = plant.path("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", path);
        Self(socket)
    }

    fn next(&self) -> String {
        let mut text = [0; 100];
        let length = self.0.recv(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).trim().to_owned()
    }
}

#[test]
fn the_service_manager_waits_as_long_as_the_deadline_and_sees_that_the_worker_lives() {
    let plant = Plant::new();
    let mut command = plant.command();
    let manager = Manager::of(&plant, &mut command);
    let mut worker = plant.worker_by(&mut command);
    let mut order = plant.fixture("neverstop");
    order.stop_timeout_ms = 2000;
    worker.load(order);
    worker.start();
    worker.hang_up();
    while manager.next() != "EXTEND_TIMEOUT_USEC=32000000" {}
    // The program does not stop, its supervisor is gone, and that is not frozen.
    for _ in 0..2 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    worker.killed_by(Signal::ABORT);
}

#[test]
fn with_a_living_supervisor_the_deadline_is_the_supervisor_s() {
    let plant = Plant::new();
    let mut worker = plant.worker();
    let mut order = plant.fixture("hang_stop");
    order.stop_timeout_ms = 1;
    worker.load(order);
    worker.start();
    worker.send(Order::Stop);
    worker.logged("before the fault");
    // Beats of more than the deadline's time: nothing happens.
    for _ in 0..3 {
        worker.beat();
    }
    worker.signal(Signal::KILL);
    worker.killed_by(Signal::KILL);
}

#[test]
fn a_second_worker_ends_without_a_word_while_the_first_one_lives() {
    let plant = Plant::new();
    let first = plant.running("stopmark");
    let (mut second, control) = plant.spawn();
    let error = greeting::receive(&control).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(second.wait().unwrap().code(), Some(75));
    first.stop();
    plant.worker().stop();
}

#[test]
fn the_lock_is_not_released_by_closing_every_descriptor() {
    for _attempt in 0..20 {
        let plant = Plant::new();
        let mut worker = plant.running("close_fds");
        let fds = format!("/proc/{}/fd", worker.pid().as_raw_nonzero());
        let open = || fs::read_dir(&fds).map_or(0, Iterator::count);
        while open() > 3 {
            std::thread::yield_now();
        }
        // Frozen, so that it cannot end between the two looks.
        worker.signal(Signal::STOP);
        let alive = fs::read_dir(&fds).is_ok_and(|fds| fds.count() <= 3);
        let busy = ProcessLock::take(&plant.lock())
            .is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        worker.signal(Signal::CONT);
        // Its channels are gone, so it stops the program and ends.
        let status = worker.ended();
        assert_eq!(status.code(), Some(69), "{status}");
        ProcessLock::take(&plant.lock()).unwrap();
        if alive {
            assert!(busy, "the lock was free while the process lived");
            return;
        }
    }
    panic!("the worker always ended before it could be looked at");
}

#[test]
fn a_child_that_outlives_the_program_holds_neither_lock_nor_end() {
    let plant = Plant::new();
    let mut worker = plant.running("forker");
    worker.logged("child ");
    let child = worker.log.iter().find_map(|(_, text)| text.strip_prefix("child ")).unwrap();
    let child = rustix::process::Pid::from_raw(child.parse().unwrap()).unwrap();
    worker.stop();
    assert!(rustix::process::test_kill_process(child).is_ok());
    plant.worker().stop();
    rustix::process::kill_process(child, Signal::KILL).unwrap();
}

#[test]
fn a_worker_without_its_channel_says_what_is_wrong() {
    let plant = Plant::new();
    let mut command = plant.command();
    command.env_remove("JOURNAL_STREAM").stdin(Stdio::null()).stderr(Stdio::piped());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("standard input must be"), "{said}");
}

#[test]
fn a_missing_lock_file_is_an_error() {
    let plant = Plant::new();
    fs::remove_file(plant.lock()).unwrap();
    let (mut child, _control) = plant.spawn();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
