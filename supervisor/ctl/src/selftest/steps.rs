// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps: what an IDE does with a PLC, then a fault and what must come of it.

use std::{path::PathBuf, time::Duration};

use plc_api::{
    log::LogLevel,
    message::{Reply, Request},
    plc::{PlcStatus, Snapshot},
    trace::{TraceSample, TraceVariable},
};
use rustix::process::Signal;
use serde_bytes::ByteBuf;
use tokio::time::{Instant, sleep};

use super::desk::{Desk, send};
use crate::{
    cli::InstallArgs,
    failure::Failure,
    install,
    progress::Progress,
    session::{Session, unexpected},
};

/// Samples that are fetched, one per cycle of 10 ms.
const SAMPLES: usize = 100;
/// How often they are asked for.
const POLL: Duration = Duration::from_millis(50);
/// `STARTS`, a DINT of the demo program (supervisor/local/sample/VARIABLES.csv).
const COUNTER: u32 = 3;
/// What it is forced to, for it would not get there by itself.
const FORCED: i32 = 4711;
/// What the demo program writes to its log when it starts and when it is stopped.
const READY: &str = "the plant is ready";
const AT_REST: &str = "the plant is at rest";

/// What is tried, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Begin,
    Install,
    Start,
    Trace,
    Force,
    Log,
    Stop,
    Crash,
    Recover,
    End,
}

impl Step {
    pub(super) const ALL: [Self; 10] = [
        Self::Begin,
        Self::Install,
        Self::Start,
        Self::Trace,
        Self::Force,
        Self::Log,
        Self::Stop,
        Self::Crash,
        Self::Recover,
        Self::End,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Install => "install",
            Self::Start => "start",
            Self::Trace => "trace",
            Self::Force => "force",
            Self::Log => "log",
            Self::Stop => "stop",
            Self::Crash => "crash",
            Self::Recover => "recover",
            Self::End => "end",
        }
    }
}

/// The PLC under test and what is known of it between the steps.
#[derive(Debug)]
pub(super) struct Rig {
    desk: Desk,
    sample: PathBuf,
    session: Option<Session>,
    /// The worker that was made to crash, and when.
    crashed: Option<(u32, Instant)>,
}

impl Rig {
    pub(super) fn new(desk: Desk, sample: PathBuf) -> Self {
        Self { desk, sample, session: None, crashed: None }
    }

    pub(super) fn into_desk(self) -> Desk {
        self.desk
    }

    /// Carries out one step; what was seen, for people.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub(super) async fn carry_out(&mut self, step: Step) -> Result<String, Failure> {
        match step {
            Step::Begin => {
                self.desk.begin().await?;
                self.session = Some(Session::open(&self.desk.socket()).await?);
                Ok(format!("a PLC of its own in {}", self.desk.home().display()))
            }
            Step::Install => self.install().await,
            Step::Start => self.start().await,
            Step::Trace => self.trace().await,
            Step::Force => self.force().await,
            Step::Log => {
                self.find_in_log(READY).await?;
                Ok(format!("the program says \"{READY}\""))
            }
            Step::Stop => self.stop().await,
            Step::Crash => self.crash().await,
            Step::Recover => self.recover().await,
            Step::End => {
                self.session = None;
                self.desk.end().await?;
                Ok("it stopped the program and ended".into())
            }
        }
    }

    fn session(&self) -> Result<&Session, Failure> {
        self.session.as_ref().ok_or_else(|| failed("there is no PLC"))
    }

    async fn install(&self) -> Result<String, Failure> {
        let program = self.sample.clone();
        let args = InstallArgs { program, extra: Vec::new(), md5: None, restart: false };
        let plan = install::Plan::new(&args)?;
        let id = install::install(self.session()?, plan, Progress::silent()).await?;
        Ok(format!("the demo program as {id}"))
    }

    async fn start(&self) -> Result<String, Failure> {
        let session = self.session()?;
        session.call(Request::Start).await?;
        let snapshot = session.snapshot();
        match (snapshot.status, snapshot.worker_pid) {
            (PlcStatus::Started, Some(pid)) => Ok(format!("it runs as process {pid}")),
            (status, _) => Err(failed(&format!("the PLC is {status}"))),
        }
    }

    async fn trace(&self) -> Result<String, Failure> {
        let samples = self.samples(None, |samples| samples.len() >= SAMPLES).await?;
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
            return Err(failed("no samples"));
        };
        let cycles = u64::from(last.tick.wrapping_sub(first.tick)) + 1;
        let seen = u64::try_from(samples.len()).unwrap_or(u64::MAX);
        if cycles < seen {
            return Err(failed(&format!("{seen} samples of {cycles} cycles")));
        }
        Ok(format!("{seen} samples of {cycles} cycles"))
    }

    async fn force(&self) -> Result<String, Failure> {
        let bytes = FORCED.to_ne_bytes();
        let holds = |sample: &TraceSample| sample.data == bytes;
        self.samples(Some(&bytes), |samples| samples.iter().any(holds)).await?;
        Ok(format!("a counter is held at {FORCED}"))
    }

    /// Traces the counter until there is enough.
    async fn samples(
        &self,
        force: Option<&[u8]>,
        enough: impl Fn(&[TraceSample]) -> bool,
    ) -> Result<Vec<TraceSample>, Failure> {
        let session = self.session()?;
        let force = force.map(|bytes| ByteBuf::from(bytes.to_vec()));
        let list = vec![TraceVariable { index: COUNTER, force }];
        let Reply::Token(token) = session.call(Request::SetTrace(list)).await? else {
            return Err(unexpected());
        };
        let mut samples = Vec::new();
        while !enough(&samples) {
            sleep(POLL).await;
            let request = Request::ReadTrace { token: Some(token), max_bytes: 65_536 };
            let Reply::Trace(batch) = session.call(request).await? else {
                return Err(unexpected());
            };
            if batch.status != PlcStatus::Started {
                return Err(failed(&format!("the PLC is {}", batch.status)));
            }
            samples.extend(batch.samples);
        }
        session.call(Request::SetTrace(Vec::new())).await?;
        Ok(samples)
    }

    /// Waits until the program has written this.
    async fn find_in_log(&self, text: &str) -> Result<(), Failure> {
        let session = self.session()?;
        let mut snapshots = session.snapshots();
        loop {
            let request = Request::ReadLog { level: LogLevel::Info, from: 0, max: 64 };
            let Reply::Log(messages) = session.call(request).await? else {
                return Err(unexpected());
            };
            if messages.iter().any(|message| message.text == text) {
                return Ok(());
            }
            session.changed(&mut snapshots).await?;
        }
    }

    async fn stop(&self) -> Result<String, Failure> {
        let session = self.session()?;
        session.call(Request::Stop).await?;
        let status = session.snapshot().status;
        if status != PlcStatus::Stopped {
            return Err(failed(&format!("the PLC is {status}")));
        }
        self.find_in_log(AT_REST).await?;
        Ok(format!("the program was stopped in order: \"{AT_REST}\""))
    }

    async fn crash(&mut self) -> Result<String, Failure> {
        self.start().await?;
        let session = self.session()?;
        let before = session.snapshot();
        let pid = before.worker_pid.ok_or_else(|| failed("there is no worker"))?;
        let begun = Instant::now();
        send(pid, Signal::SEGV)?;
        let after = self.until(|now| now.crashes > before.crashes).await?;
        self.crashed = Some((pid, begun));
        let reason = after.last_crash.map(|crash| crash.reason).unwrap_or_default();
        if reason.contains("SIGSEGV") {
            Ok(reason)
        } else {
            Err(failed(&format!("a SIGSEGV was told as: {reason}")))
        }
    }

    async fn recover(&self) -> Result<String, Failure> {
        let (crashed, at) = self.crashed.ok_or_else(|| failed("nothing crashed"))?;
        let runs = |now: &Snapshot| {
            now.status == PlcStatus::Started && now.worker_pid.is_some_and(|pid| pid != crashed)
        };
        self.until(runs).await?;
        let ms = at.elapsed().as_millis();
        Ok(format!("the program runs again, {ms} ms after the crash"))
    }

    /// Waits for a snapshot of which this is true.
    async fn until(&self, is_so: impl Fn(&Snapshot) -> bool) -> Result<Snapshot, Failure> {
        let session = self.session()?;
        let mut snapshots = session.snapshots();
        let mut now = session.snapshot();
        while !is_so(&now) {
            now = session.changed(&mut snapshots).await?;
        }
        Ok(Snapshot::clone(&now))
    }
}

fn failed(text: &str) -> Failure {
    Failure::Failed(text.to_owned())
}
