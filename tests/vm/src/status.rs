// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the PLC and its process say in a machine.

use std::{thread, time::Instant};

use serde_json::Value;

use crate::{LOOK_AGAIN, PATIENCE, Vm};

/// The answer of `plcctl --json status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status(pub Value);

impl Status {
    /// `Empty`, `Stopped`, `Started` or `Broken`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    /// Why it is so.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0["reason"].as_str().unwrap_or_default()
    }

    /// Whether it will stay like this by itself.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let phase = self.0["phase"].as_str().unwrap_or_default();
        ["empty", "stopped", "started", "broken"].contains(&phase)
    }
}

/// A thread's scheduling as `chrt` knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheduling {
    /// `SCHED_OTHER`, `SCHED_FIFO` or `SCHED_RR`.
    pub policy: String,
    /// 0 to 99.
    pub priority: u32,
}

impl Vm {
    /// The PLC's status as soon as it suits.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    pub fn wait_status(&mut self, what: &str, suits: impl Fn(&Status) -> bool) -> Status {
        let begin = Instant::now();
        loop {
            let output = self.run("plcctl --json status");
            let status = serde_json::from_str(&output.text).map(Status);
            match status {
                Ok(status) if output.code == 0 && suits(&status) => return status,
                _ => assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}: {output:?}"),
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// Brings a program of `tests/programs`, installs and starts it.
    ///
    /// # Panics
    /// One of it fails.
    pub fn run_program(&mut self, name: &str) -> Status {
        let path = format!("/root/{name}.so");
        self.put(&path, &plc_tests::programs::bytes(name));
        self.ok(&format!("plcctl install {path} --restart\nplcctl start"));
        self.wait_status("the program runs", |status| status.status() == "Started")
    }

    /// The process of the PLC's program.
    ///
    /// # Panics
    /// There is none.
    pub fn worker_pid(&mut self) -> u64 {
        let status = self.wait_status("a worker", |status| status.0["worker_pid"].is_u64());
        status.0["worker_pid"].as_u64().expect("a process")
    }

    /// How all threads of a process are scheduled.
    ///
    /// # Panics
    /// It is gone.
    pub fn scheduling(&mut self, pid: u64) -> Vec<Scheduling> {
        let text = self.ok(&format!("LC_ALL=C chrt --all-tasks --pid {pid}"));
        let after = |line: &str, mark: &str| line.split_once(mark).map(|(_, rest)| rest.to_owned());
        let policies = text.lines().filter_map(|line| after(line, "scheduling policy: "));
        let priorities = text.lines().filter_map(|line| after(line, "scheduling priority: "));
        policies
            .zip(priorities)
            .map(|(policy, priority)| Scheduling {
                policy: policy.split('|').next().unwrap_or_default().to_owned(),
                priority: priority.parse().expect("a number"),
            })
            .collect()
    }
}
