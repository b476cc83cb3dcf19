// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the start of a runtime's process to the first cycle of its program, which was installed before.
//!
//! All are started in the same way, by [`started`]; the program itself says when its first cycle was.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    str::FromStr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use plc_tests::marks::Marks;
use rustix::{
    process::{Pid, Signal},
    time::{ClockId, clock_gettime},
};
use tempfile::TempDir;

use crate::{
    erpc::Framing,
    figures::{Better, Figure},
    report::Report,
    rows::Plan,
    runtime::{Against, Runtime, Whose},
};

const ROW: &str = "start";
const FIRST_CYCLE: Figure =
    Figure { row: ROW, name: "process start to first cycle", unit: "ms", better: Better::Less };

const OURS: &str = "ours, plc-local";

/// Marks its first cycle.
const PROGRAM: &str = "first_cycle";

/// Until the first cycle, until a process listens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Until a process ends that was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Starts a command line that ends with this process, however that ends.
const WRAPPER: [&str; 4] = ["--pdeathsig", "TERM", "sh", "-c"];

/// What this row needs besides the runtimes that are there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Starts {
    /// Others that are started anew.
    pub(crate) others: Vec<ByCommand>,
    /// Ours, measured elsewhere.
    pub(crate) elsewhere: Vec<Elsewhere>,
}

/// A runtime that a command starts, and that then runs its program by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByCommand {
    name: String,
    address: SocketAddr,
    framing: Framing,
    /// Where its program is at home.
    dir: PathBuf,
    /// Program and arguments, for a shell.
    command: String,
}

impl FromStr for ByCommand {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (place, command) = text.split_once(' ').context("a command must follow the place")?;
        let (options, dir) = match place.split_once(",dir=") {
            Some((before, rest)) => {
                let (dir, after) = rest.split_once(',').unwrap_or((rest, ""));
                let comma = if after.is_empty() { "" } else { "," };
                (format!("{before}{comma}{after}"), PathBuf::from(dir))
            }
            None => bail!("dir=DIR is needed, where the program runs"),
        };
        let against: Against = options.parse()?;
        let (address, name, framing) = against.into_parts();
        Ok(Self { name, address, framing, dir, command: command.trim().to_owned() })
    }
}

/// Starts of ours that something else has measured, such as those of the service in a machine of its own.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Elsewhere {
    name: String,
    milliseconds: Vec<f64>,
}

impl FromStr for Elsewhere {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, values) = text.split_once('=').context("it has the form NAME=MS[,MS]...")?;
        let values: Result<Vec<f64>, _> = values.split(',').map(str::parse).collect();
        let milliseconds = values.context("milliseconds are numbers")?;
        ensure!(milliseconds.iter().all(|ms| ms.is_finite() && *ms >= 0.0), "a time is above 0");
        Ok(Self { name: name.to_owned(), milliseconds })
    }
}

pub(crate) fn measure(plan: &Plan, starts: &Starts, report: &mut Report) -> anyhow::Result<()> {
    let dir = desk_with_program()?;
    let local = plc_tests::binary("plc-local");
    let ours = format!("{} -p 0 -a 1 {}", local.display(), dir.path().display());
    let work_dir = plc_api::paths::Paths::of_desk(dir.path()).work_dir;
    let mut others = Vec::new();
    for other in &starts.others {
        let result = prepare(other);
        if report.unless_others(ROW, &other.name, Whose::Others, result)?.is_some() {
            others.push(other);
        }
    }
    for round in 0..plan.rounds {
        plan.progress(ROW, round, OURS);
        for _ in 0..plan.starts {
            let ms = first_cycle(&ours, &work_dir, Whose::Ours)?;
            report.add(FIRST_CYCLE, OURS, Whose::Ours, ms);
        }
        for other in &others {
            plan.progress(ROW, round, &other.name);
            for _ in 0..plan.starts {
                let result = first_cycle(&other.command, &other.dir, Whose::Others);
                if let Some(ms) = report.unless_others(ROW, &other.name, Whose::Others, result)? {
                    report.add(FIRST_CYCLE, &other.name, Whose::Others, ms);
                }
            }
        }
    }
    for Elsewhere { name, milliseconds } in &starts.elsewhere {
        for ms in milliseconds {
            report.add(FIRST_CYCLE, name, Whose::Ours, *ms);
        }
    }
    Ok(())
}

/// A desk that holds the program and runs no more.
fn desk_with_program() -> anyhow::Result<TempDir> {
    let mut runtime = Runtime::ours("ours", "")?;
    runtime.install(PROGRAM)?;
    runtime.end().context("ours has no desk")
}

/// Puts the program where the command will find it: transfers it, runs it once.
fn prepare(other: &ByCommand) -> anyhow::Result<()> {
    let mut process = started(&other.command)?;
    let begin = Instant::now();
    let mut runtime = loop {
        match Runtime::other(Against::new(other.address, &other.name, other.framing)) {
            Ok(runtime) => break runtime,
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) if process.0.try_wait()?.is_some() => bail!("its command ended at once"),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    };
    // It may run what it had before.
    runtime.client.stop()?;
    runtime.install(PROGRAM)?;
    runtime.start()?;
    runtime.client.stop()?;
    process.end(Whose::Others)
}

/// Milliseconds from the start of the process to the mark of the program's first cycle.
fn first_cycle(command: &str, work_dir: &Path, whose: Whose) -> anyhow::Result<f64> {
    let marks = work_dir.join("marks.txt");
    if marks.exists() {
        fs::remove_file(&marks).with_context(|| format!("{} stays", marks.display()))?;
    }
    let begin = clock_gettime(ClockId::Monotonic);
    let process = started(command)?;
    let waiting = Instant::now();
    let at_ns = loop {
        let marks = Marks::read(work_dir);
        if let Some(mark) = marks.0.iter().find(|mark| mark.what == "cycle") {
            break mark.at_ns;
        }
        ensure!(waiting.elapsed() < PATIENCE, "no cycle came within {PATIENCE:?}: {command}");
        thread::sleep(Duration::from_millis(5));
    };
    process.end(whose)?;
    let elapsed = Duration::from_nanos(at_ns).checked_sub(Duration::try_from(begin)?);
    Ok(elapsed.context("the first cycle was before the start")?.as_secs_f64() * 1e3)
}

/// A started runtime; it is ended when it is dropped.
#[derive(Debug)]
struct Process(Child);

/// Starts a command line, in the one way that is measured.
fn started(command: &str) -> anyhow::Result<Process> {
    let child = Command::new("setpriv")
        .args(WRAPPER)
        .arg(format!("exec {command}"))
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("setpriv cannot be run")?;
    Ok(Process(child))
}

impl Process {
    /// Asks it to end, and waits until it has. Others may have to be killed for that.
    fn end(mut self, whose: Whose) -> anyhow::Result<()> {
        rustix::process::kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        let begin = Instant::now();
        while self.0.try_wait()?.is_none() {
            if begin.elapsed() > GRACE {
                ensure!(whose == Whose::Others, "plc-local does not end");
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever has ended cannot be killed, and that is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_to_start_is_named_by_place_directory_and_command() {
        let text = "127.0.0.1:3000,dir=/tmp/x,name=old python3 Beremiz_service.py -a 1 /tmp/x";
        let other: ByCommand = text.parse().unwrap();
        assert_eq!((other.name.as_str(), other.framing), ("old", Framing::Six));
        assert_eq!(other.dir, Path::new("/tmp/x"));
        assert_eq!(other.command, "python3 Beremiz_service.py -a 1 /tmp/x");
        for wrong in ["127.0.0.1:3000 true", "127.0.0.1:3000,dir=/x", "127.0.0.1,dir=/x true"] {
            assert!(wrong.parse::<ByCommand>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_from_elsewhere_have_a_name_and_times() {
        let given: Elsewhere = "appliance=181.5,190".parse().unwrap();
        assert_eq!(given, Elsewhere { name: "appliance".into(), milliseconds: vec![181.5, 190.0] });
        for wrong in ["appliance", "a=", "a=1,x", "a=-1", "a=inf"] {
            assert!(wrong.parse::<Elsewhere>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_started_command_ends_when_it_is_told_to() {
        started("sleep 1000").unwrap().end(Whose::Ours).unwrap();
    }
}
