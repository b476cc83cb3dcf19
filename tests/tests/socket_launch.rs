// SPDX-License-Identifier: MIT OR Apache-2.0
//! Workers from a socket: systemd's own activation starts one for each connection, with the connection as its standard
//! input, as a unit with `Accept=yes` does. The worker is no child of the supervisor then.

use plc_api::plc::PlcStatus;
use plc_tests::{activated::Activated, marks::Marks};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_program_runs_crashes_and_runs_again_in_workers_that_are_no_children() {
    let appliance = Activated::start();
    let api = appliance.with_program("stopmark");
    let work = appliance.paths().work_dir;
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
    let mut appliance = Activated::start();
    let api = appliance.with_program("slowstop");
    api.start().unwrap();
    drop(api);
    appliance.signal(Signal::KILL);
    appliance.wait_and_start_again();
    // It was meant to run: the new one runs it as soon as the old worker has let go of the lock.
    let api = appliance.api();
    api.wait_status(PlcStatus::Started);
    assert_eq!(api.snapshot().crashes, 0, "waiting is no crash");
    let marks = Marks::read(&appliance.paths().work_dir);
    marks.assert_no_overlap();
}
