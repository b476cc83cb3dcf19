// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers from a socket: systemd's own activation starts one for each connection, with the connection as its standard
//! input, as a unit with `Accept=yes` does. The worker is no child of the supervisor then.

use std::{
    fs,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use plc_api::{message::WhenRunning, paths::Paths, plc::PlcStatus};
use plc_tests::{
    PATIENCE,
    api::{Api, MD5},
    binary,
    marks::Marks,
    programs,
};
use rustix::process::{Pid, Signal, kill_process};

/// A supervisor, and systemd's socket activation in front of the worker program.
struct Appliance {
    dir: tempfile::TempDir,
    activation: Child,
    supervisor: Child,
}

impl Appliance {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("unit-").tempdir().unwrap();
        let paths = Paths::of_desk(dir.path());
        for place in [&paths.state_dir, &paths.work_dir, &paths.run_dir.join("connectors")] {
            fs::create_dir_all(place).unwrap();
        }
        fs::write(&paths.worker_lock, "").unwrap();
        let activation = Command::new("systemd-socket-activate")
            .args(["--accept", "--inetd", "--listen"])
            .arg(&paths.worker_socket)
            .arg(binary("plc-worker"))
            .arg("--work-dir")
            .arg(&paths.work_dir)
            .arg("--lock")
            .arg(&paths.worker_lock)
            .spawn()
            .unwrap();
        let supervisor = supervisor(dir.path());
        Self { dir, activation, supervisor }
    }

    fn paths(&self) -> Paths {
        Paths::of_desk(self.dir.path())
    }

    fn api(&self) -> Api {
        let begin = Instant::now();
        loop {
            match Api::connect(&self.paths().api_socket()) {
                Ok(api) => return api,
                Err(error) => assert!(begin.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        // The supervisor first: its workers are children of the other.
        for child in [&mut self.supervisor, &mut self.activation] {
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
            let _ = child.wait();
        }
    }
}

fn supervisor(dir: &std::path::Path) -> Child {
    Command::new(binary("plc-supervisor")).arg("--desk").arg(dir).spawn().unwrap()
}

#[test]
fn a_program_runs_crashes_and_runs_again_in_workers_that_are_no_children() {
    let appliance = Appliance::start();
    let api = appliance.api();
    let work = appliance.paths().work_dir;
    // The first try may come before the activation listens; then the reason names the socket.
    let library = programs::bytes("stopmark");
    let begin = Instant::now();
    while let Err(error) = api.install(MD5, &library, &[], WhenRunning::Refuse) {
        assert!(error.to_string().contains("worker.sock"), "{error}");
        assert!(begin.elapsed() < PATIENCE, "{error}");
    }
    api.start().unwrap();
    api.stop().unwrap();
    Marks::read(&work).assert_each_was_stopped_before_the_next();

    api.start().unwrap();
    let worker = api.wait("a worker", |s| s.worker_pid.is_some()).worker_pid.unwrap();
    let worker = Pid::from_raw(worker.try_into().unwrap()).unwrap();
    kill_process(worker, Signal::SEGV).unwrap();
    api.wait("another worker", |s| {
        s.status == PlcStatus::Started
            && s.worker_pid.is_some_and(|pid| pid != worker.as_raw_nonzero().get().unsigned_abs())
    });
    assert_eq!(api.snapshot().crashes, 1);
    api.stop().unwrap();
    assert_eq!(Marks::read(&work).count("begin"), 3);
}

#[test]
fn the_next_supervisor_waits_for_the_worker_of_the_one_before() {
    let mut appliance = Appliance::start();
    let api = appliance.api();
    let begin = Instant::now();
    let library = programs::bytes("slowstop");
    while let Err(error) = api.install(MD5, &library, &[], WhenRunning::Refuse) {
        assert!(begin.elapsed() < PATIENCE, "{error}");
    }
    api.start().unwrap();
    drop(api);
    let old = Pid::from_child(&appliance.supervisor);
    kill_process(old, Signal::KILL).unwrap();
    let _ = appliance.supervisor.wait();
    appliance.supervisor = supervisor(appliance.dir.path());
    // It was meant to run: the new one runs it as soon as the old worker has let go of the lock.
    let api = appliance.api();
    api.wait_status(PlcStatus::Started);
    assert_eq!(api.snapshot().crashes, 0, "waiting is no crash");
    let marks = Marks::read(&appliance.paths().work_dir);
    marks.assert_no_overlap();
    assert_eq!((marks.count("begin"), marks.count("end")), (2, 1));
}
