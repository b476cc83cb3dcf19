// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's thread: everything that is asked of the program happens here, one after the other.
//!
//! Xenomai programs want load, start and stop on one thread, and it is the process's first. While it is inside
//! the program nothing is obeyed; beats, log and deadline have threads of their own.
//!
//! ```text
//! Waiting -- Load --> Loaded -- Start --> Running
//!    |                  |                    |
//!    `------------------+--- Stop, SIGTERM, end of the channel ---> stopPLC if it runs, exit
//! ```

use std::{
    ffi::CString, ops::ControlFlow, os::unix::ffi::OsStrExt, path::PathBuf, sync::mpsc::Receiver,
};

use plc_abi::{Loaded, Running, TraceError, last_words::Listener};
use plc_api::{
    limits,
    log::LogLevel,
    trace::{TraceRefusal, TraceVariable},
};
use plc_worker_link::{
    LoadFailure, LoadOrder, Loaded as LoadReport, Order, Outcome, Realtime, StartFailure, ToWorker,
    exit_code,
};

use crate::{
    channel::{DataChannel, Supervisor},
    control::{Cause, Event},
    deadline::Deadline,
    extra_files,
    heartbeat::Vitals,
    load::load,
    plc_log::LogDrain,
    python, realtime,
    trace::Trace,
};

/// The program and what belongs to it.
pub(crate) struct Plc {
    work_dir: PathBuf,
    supervisor: Supervisor,
    data: DataChannel,
    deadline: Deadline,
    vitals: Vitals,
    /// Until somebody reads the log and listens.
    listener: Option<Listener>,
    log: Option<LogDrain>,
    phase: Phase,
}

enum Phase {
    Waiting,
    Loaded { program: Loaded, realtime: Realtime },
    Running { program: Running, trace: Option<Trace> },
}

/// Go on, or end the process with this code.
type Step = ControlFlow<u8>;

impl Plc {
    pub(crate) fn new(
        work_dir: PathBuf,
        supervisor: Supervisor,
        data: DataChannel,
        deadline: Deadline,
        vitals: Vitals,
        listener: Listener,
    ) -> Self {
        Self {
            work_dir,
            supervisor,
            data,
            deadline,
            vitals,
            listener: Some(listener),
            log: None,
            phase: Phase::Waiting,
        }
    }

    /// Obeys until the end; returns the exit code.
    pub(crate) fn serve(&mut self, events: &Receiver<Event>) -> u8 {
        for event in events {
            let step = match event {
                Event::Order(ToWorker { id, order }) => self.obey(id, order),
                Event::End(cause) => {
                    self.end_without_order(cause, events);
                    Step::Break(match cause {
                        Cause::Terminated => exit_code::TERMINATED,
                        Cause::ChannelEnded => exit_code::CHANNEL_ENDED,
                    })
                }
            };
            if let Step::Break(code) = step {
                return code;
            }
        }
        exit_code::DONE
    }

    fn obey(&mut self, id: u64, order: Order) -> Step {
        let outcome = match order {
            Order::Load(order) => return self.load(id, *order),
            Order::Start => return self.start(id),
            Order::Stop => {
                self.stop();
                self.supervisor.answer(id, Outcome::Stopped);
                return Step::Break(exit_code::DONE);
            }
            Order::SetTrace(list) => self.set_trace(&list),
            Order::PauseTrace => match &mut self.phase {
                Phase::Running { program, .. } => refusable(program.pause_trace()),
                Phase::Waiting | Phase::Loaded { .. } => Outcome::Done,
            },
            Order::ResumeTrace => match &mut self.phase {
                Phase::Running { program, .. } => refusable(program.resume_trace()),
                Phase::Waiting | Phase::Loaded { .. } => {
                    Outcome::TraceRefused(TraceRefusal::NotPossible)
                }
            },
        };
        self.supervisor.answer(id, outcome);
        Step::Continue(())
    }

    fn load(&mut self, id: u64, order: LoadOrder) -> Step {
        if !matches!(self.phase, Phase::Waiting) {
            return self.misplaced(id, "a program is loaded already");
        }
        self.deadline.set_timeout_ms(order.stop_timeout_ms);
        let (program, notices) = match load(&order, &self.work_dir) {
            Ok(loaded) => loaded,
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(
                    program_id = order.program_id,
                    "the program is not loaded: {reason}"
                );
                self.supervisor.answer(id, Outcome::LoadFailed(LoadFailure { reason }));
                return Step::Break(exit_code::FAILED);
            }
        };
        for (level, notice) in notices {
            self.supervisor.notice(level, notice);
        }
        self.begin_log(&program);
        let facts = program.facts();
        let report = LoadReport {
            period_ns: facts.period_ns,
            traceable: facts.traceable,
            logs: facts.logs,
            wants_python: facts.wants_python,
            // One that does not fit is none that anybody knows.
            time_bytes: u8::try_from(facts.time_bytes).unwrap_or(u8::MAX),
        };
        tracing::info!(
            program_id = order.program_id,
            program_md5 = order.md5.as_str(),
            "the program is loaded"
        );
        self.phase = Phase::Loaded { program, realtime: order.realtime };
        self.supervisor.answer(id, Outcome::Loaded(report));
        Step::Continue(())
    }

    /// From here on what the program logs is read, also while it starts, and if it crashes.
    fn begin_log(&mut self, program: &Loaded) {
        let Some(reader) = program.log() else { return };
        let Some(listener) = self.listener.take() else {
            return;
        };
        match LogDrain::begin(reader, listener, self.data.clone(), self.supervisor.clone()) {
            Ok(log) => self.log = Some(log),
            Err(error) => self
                .supervisor
                .notice(LogLevel::Critical, format!("The program's log cannot be read: {error}.")),
        }
    }

    fn start(&mut self, id: u64) -> Step {
        let (program, realtime) = match std::mem::replace(&mut self.phase, Phase::Waiting) {
            Phase::Loaded { program, realtime } => (program, realtime),
            other @ (Phase::Waiting | Phase::Running { .. }) => {
                self.phase = other;
                return self.misplaced(id, "no program waits for its start");
            }
        };
        if let Err(error) = extra_files::keep(&self.work_dir) {
            self.supervisor.notice(LogLevel::Warning, format!("{error:#}"));
        }
        if let Some(log) = &self.log {
            // The start empties the log of a program since 2025.
            log.catch_up();
        }
        self.vitals.starts(program.tick());
        let work_dir = CString::new(self.work_dir.as_os_str().as_bytes()).unwrap_or_default();
        let for_the_start = realtime::apply(&realtime);
        // Libraries before 2013 find their files by the first argument (reference runtime, old PLCObject.py).
        let started = program.start(&[work_dir]);
        let denied = for_the_start.denied();
        drop(for_the_start);
        if let Some(denied) = denied {
            self.supervisor.notice(LogLevel::Warning, denied);
        }
        match started {
            Ok(program) => {
                let trace = self.serve_the_running(&program, realtime);
                self.phase = Phase::Running { program, trace };
                tracing::info!("the program has started");
                self.supervisor.answer(id, Outcome::Started);
                Step::Continue(())
            }
            Err((_, error)) => {
                self.finish_log();
                let reason = realtime::explain_start_failure(error.0);
                tracing::warn!("the program did not start: {reason}");
                let failure = StartFailure { code: error.0, reason };
                self.supervisor.answer(id, Outcome::StartFailed(failure));
                Step::Break(exit_code::FAILED)
            }
        }
    }

    /// Starts the threads that a running program needs. One that cannot be had costs its service, not the PLC.
    fn serve_the_running(&self, program: &Running, realtime: Realtime) -> Option<Trace> {
        let without = |service: &str, error: std::io::Error| {
            self.supervisor.notice(
                LogLevel::Critical,
                format!("The program runs without {service}: {error}."),
            );
        };
        if let Some(blocks) = program.python() {
            if let Err(error) = python::answer(blocks, self.supervisor.clone()) {
                without("answers to its Python blocks", error);
            }
        }
        let reader = program.trace_reader()?;
        Trace::begin(reader, self.data.clone(), self.vitals.clone(), realtime)
            .map_err(|error| without("tracing", error))
            .ok()
    }

    fn set_trace(&mut self, list: &[TraceVariable]) -> Outcome {
        let Phase::Running { program, trace: Some(trace) } = &mut self.phase else {
            return Outcome::TraceRefused(TraceRefusal::NotPossible);
        };
        if list.len() > limits::TRACE_VARIABLES {
            return Outcome::TraceRefused(TraceRefusal::TooManyTraced);
        }
        let entries = list.iter().map(|variable| {
            let force = variable.force.as_ref().map(|bytes| bytes.as_slice());
            (variable.index, force)
        });
        let replaced = program.set_trace(&entries.collect::<Vec<_>>());
        // After a refusal nothing is traced, which is a change as well.
        trace.list_changed(replaced.as_ref().ok().copied().flatten());
        refusable(replaced.map(drop))
    }

    /// SIGTERM or the end of the channel. A Stop that waits in the queue gets its answer all the same.
    fn end_without_order(&mut self, cause: Cause, events: &Receiver<Event>) {
        // Before anything else, a word to the log included: nobody else stops this program now.
        self.stop();
        tracing::info!(cause = format!("{cause:?}"), "{}; no program runs", cause.as_str());
        if cause == Cause::Terminated {
            self.supervisor.notice(
                LogLevel::Warning,
                "The worker was told to end by SIGTERM; the program has been stopped.".to_owned(),
            );
        }
        for event in events.try_iter() {
            if let Event::Order(ToWorker { id, order: Order::Stop }) = event {
                self.supervisor.answer(id, Outcome::Stopped);
            }
        }
    }

    /// The one way in which a program ends: stopPLC, then everything that it left to be read.
    fn stop(&mut self) {
        self.vitals.stops();
        if let Phase::Running { program, trace } =
            std::mem::replace(&mut self.phase, Phase::Waiting)
        {
            let _stopped = program.stop();
            self.deadline.program_is_at_rest();
            tracing::info!("the program has stopped");
            if let Some(trace) = trace {
                trace.finish();
            }
        }
        self.deadline.program_is_at_rest();
        self.finish_log();
    }

    fn finish_log(&mut self) {
        if let Some(log) = self.log.take() {
            log.finish();
        }
    }

    fn misplaced(&self, id: u64, why: &str) -> Step {
        self.supervisor.answer(id, Outcome::Misplaced(why.to_owned()));
        Step::Continue(())
    }
}

fn refusable(result: Result<(), TraceError>) -> Outcome {
    match result {
        Ok(()) => Outcome::Done,
        Err(TraceError::NotTraceable) => Outcome::TraceRefused(TraceRefusal::NotPossible),
        Err(TraceError::Refused(code)) => Outcome::TraceRefused(TraceRefusal::from_library(code)),
    }
}
