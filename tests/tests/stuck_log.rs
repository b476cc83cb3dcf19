// SPDX-License-Identifier: MIT OR Apache-2.0
//! A log that takes nothing more, as a frozen journal or a pipe that nobody reads, is no reason for supervisor and worker
//! to stand still.

use std::{
    fs::{self, File},
    io::Write,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{fs::OpenOptionsExt, net::UnixDatagram},
    },
    process::{Child, Command, Stdio},
};

use plc_api::{message::WhenRunning, paths::Paths, plc::PlcStatus};
use plc_tests::{
    PATIENCE,
    api::{Api, MD5},
    binary,
    marks::Marks,
    programs,
    scratch::scratch,
};
use rustix::{
    fs::OFlags,
    process::{Pid, Signal, kill_process},
};

/// Ends with the test, however that ends.
struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Harmless if it has ended in order.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_plc_is_operated_as_ever_while_its_log_takes_nothing() {
    let dir = scratch("log");
    let paths = Paths::of_desk(dir.path());
    for place in [&paths.state_dir, &paths.work_dir, &paths.run_dir.join("connectors")] {
        fs::create_dir_all(place).unwrap();
    }
    File::create(&paths.worker_lock).unwrap();
    let ready = UnixDatagram::bind(dir.path().join("notify")).unwrap();
    ready.set_read_timeout(Some(PATIENCE)).unwrap();
    let (_reader, log) = full_pipe();
    let supervisor = Command::new(binary("plc-supervisor"))
        .arg("--desk")
        .arg(dir.path())
        .arg("--worker")
        .arg(binary("plc-worker"))
        .env("NOTIFY_SOCKET", dir.path().join("notify"))
        .env("RUST_LOG", "debug")
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut supervisor = Supervisor(supervisor);
    let mut word = [0; 100];
    let length = ready.recv(&mut word).expect("it becomes ready");
    assert!(word[..length].starts_with(b"READY=1"));
    // Nobody reads it any more: it must not be what is waited for.
    drop(ready);

    let api = Api::connect(&paths.api_socket()).unwrap();
    api.install(MD5, &programs::bytes("stopmark"), &[], WhenRunning::Refuse).unwrap();
    for _ in 0..2 {
        api.start().unwrap();
        assert_eq!(api.snapshot().status, PlcStatus::Started);
        api.stop().unwrap();
    }
    api.start().unwrap();
    kill_process(Pid::from_child(&supervisor.0), Signal::TERM).unwrap();
    assert!(supervisor.0.wait().unwrap().success());
    let marks = Marks::read(&paths.work_dir);
    marks.assert_each_was_stopped_before_the_next();
    assert_eq!((marks.count("begin"), marks.count("end")), (3, 3));
}

/// A pipe without room for one more byte.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", writer.as_raw_fd());
    // Opened anew: whoever writes to the other one is to wait.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut filler = File::options().write(true).custom_flags(nonblocking).open(path).unwrap();
    for size in [4096, 1] {
        while filler.write(&[0; 4096][..size]).is_ok() {}
    }
    (reader, writer)
}
