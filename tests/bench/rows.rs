// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rows of the benchmark have in common: how long everything takes, and our runtime in two schedulings.

use std::{fs, time::Duration};

use clap::ValueEnum;
use rustix::process::Pid;

use crate::{
    attack, fleet, gauge, memory, report::Report, restart, runtime::Runtime, start, start::Starts,
    status, tls, trace, transfer, wakeup,
};

/// Of the program's cycle where it runs in real time.
pub(crate) const FIFO_PRIORITY: u8 = 50;

/// `SCHED_FIFO`, as in `/proc/PID/stat`.
const FIFO: &str = "1";

/// Something that is measured for all runtimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    // First: the others are not started anew for it, and what came before would count against them.
    /// Memory of all processes
    Memory,
    /// Status calls: how many, how fast, also while another client keeps the runtime busy
    Status,
    /// TLS: handshakes, and what it adds to a status call, beside stunnel before the plain port; ours alone
    Tls,
    /// Status calls while somebody attacks the IDE ports, and the connectors' memory; ours alone
    Attack,
    /// Transfer of a 20 MB program
    Transfer,
    /// Ticks that a trace misses
    Trace,
    /// How late the cycle wakes up under load
    Wakeup,
    /// Process start to the program's first cycle; others by --against-start
    Start,
    /// Crash to the first cycle of the next run; ours alone
    Restart,
    /// Many PLCs at one WAMP router; ours alone
    Fleet,
}

impl Row {
    /// Measures all runtimes in turn, once in each round.
    pub(crate) fn measure(
        self,
        plan: &Plan,
        others: &mut [Runtime],
        starts: &Starts,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        match self {
            Self::Memory => memory::measure(plan, others, report),
            Self::Status => status::measure(plan, others, report),
            Self::Tls => tls::measure(plan, report),
            Self::Attack => attack::measure(plan, report),
            Self::Transfer => transfer::measure(plan, others, report),
            Self::Trace => trace::measure(plan, others, report),
            Self::Wakeup => wakeup::measure(plan, others, report),
            Self::Start => start::measure(plan, starts, report),
            Self::Restart => restart::measure(plan, report),
            Self::Fleet => fleet::measure(plan, report),
        }
    }
}

/// How long, how much, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    /// Of status calls.
    pub(crate) status: Duration,
    /// Until a hanging start or stop is ended.
    pub(crate) hang: Duration,
    pub(crate) transfer_bytes: usize,
    /// Of polling a trace.
    pub(crate) trace: Duration,
    /// Of running before memory is looked at.
    pub(crate) settle: Duration,
    /// Of counting wake-ups.
    pub(crate) wakeup: Duration,
    pub(crate) starts: usize,
    pub(crate) crashes: usize,
    /// PLCs at the router.
    pub(crate) fleet: usize,
}

impl Plan {
    /// For figures to be quoted.
    pub(crate) const FULL: Self = Self {
        rounds: 3,
        status: Duration::from_millis(1500),
        hang: Duration::from_millis(1500),
        transfer_bytes: 20_000_000,
        trace: Duration::from_secs(3),
        settle: Duration::from_millis(500),
        wakeup: Duration::from_secs(5),
        starts: 5,
        crashes: 20,
        fleet: 200,
    };

    /// For a look whether everything works.
    pub(crate) const QUICK: Self = Self {
        rounds: 1,
        status: Duration::from_millis(500),
        hang: Duration::from_millis(500),
        transfer_bytes: 20_000_000,
        trace: Duration::from_secs(1),
        settle: Duration::from_millis(300),
        wakeup: Duration::from_secs(2),
        starts: 3,
        crashes: 5,
        fleet: 30,
    };

    /// Says what is done now.
    pub(crate) fn progress(&self, what: &str, round: u32, runtime: &str) {
        eprintln!("bench: round {} of {}: {what}: {runtime}", round + 1, self.rounds);
    }
}

/// Ours as it comes, and in real time where that is permitted.
pub(crate) fn ours_with_and_without_fifo(report: &mut Report) -> anyhow::Result<Vec<Runtime>> {
    let config = format!("[realtime]\npolicy = \"fifo\"\npriority = {FIFO_PRIORITY}\n");
    let mut ours = vec![Runtime::ours("ours", "")?];
    let mut fifo = Runtime::ours("ours, fifo", &config)?;
    if fifo.run(gauge::PROGRAM, |runtime| Ok(has_fifo_thread(runtime)))? {
        ours.push(fifo);
    } else {
        report.note(
            "ours, fifo left out: SCHED_FIFO is denied; raise RLIMIT_RTPRIO (ulimit -r)".to_owned(),
        );
    }
    Ok(ours)
}

fn has_fifo_thread(runtime: &Runtime) -> bool {
    let workers = runtime.desk().map(|desk| desk.children("plc-worker")).unwrap_or_default();
    workers.into_iter().flat_map(policies).any(|policy| policy == FIFO)
}

/// The scheduling policy of each thread of a process.
fn policies(pid: Pid) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.filter_map(|stat| policy(&stat)).collect()
}

/// Field 41 of a thread's `stat` (proc(5)). The name, field 2, ends with the last parenthesis and may hold blanks.
fn policy(stat: &str) -> Option<String> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.split(' ').nth(41 - 3).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_of_this_thread_is_not_fifo() {
        let own = policies(rustix::process::getpid());
        assert!(!own.is_empty());
        assert!(own.iter().all(|policy| policy.parse::<u8>().is_ok() && policy != FIFO), "{own:?}");
    }

    #[test]
    fn a_name_with_blanks_does_not_shift_the_fields() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("7 (a) b) {}", fields.join(" "));
        assert_eq!(policy(&stat).as_deref(), Some("41"));
    }
}
