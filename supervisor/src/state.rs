// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the PLC may do next: pure policy, no clock, no socket, no log.
//!
//! Commands of clients and news of the worker go in as [`Input`], what must be done comes out as [`Effect`].
//! Time arrives with every input. One worker process serves one program from load to end, so "stop before
//! unload" reads here: while a program runs, the only ways on are the order to stop, its own death, and a kill
//! after a missed deadline; nothing is launched, switched or forgotten before the worker is gone.
//!
//! ```text
//!            install            loaded            start              started
//!   Empty ----------> Loading ---------> Loaded ---------> Starting ---------> Started
//!     ^                ^   | fails         | stop?           | fails             | stop, install, repair,
//!     | forget         |   v               v                 v                   v rollback, watchdog, shutdown
//!     `----- Stopped --'  Ending <-------- (any order to stop, any kill) <------ '
//!               ^   start   | worker gone: rest | run next | forget | break | off
//!               `-----------+------> Broken: start, install, rollback, repair lead out of it
//! ```
//! The edges are the table `EDGES` in the tests; a test tries every state with every input against it.

use std::{collections::VecDeque, time::Duration};

use plc_api::{
    log::LogLevel,
    message::WhenRunning,
    plc::{PlcStatus, Wish},
    program::ProgramInfo,
};
use serde::{Deserialize, Serialize};

mod act;
mod commands;
mod news;
mod pause;
#[cfg(test)]
mod tests;

/// Why a running program is not replaced, and what to do.
pub(crate) const IS_RUNNING: &str =
    "the PLC is running; stop it first, or install with `plcctl install --restart`";

/// Monotonic time since an arbitrary beginning.
pub(crate) type Time = Duration;

/// Stands for the client that waits for a command's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub u64);

/// What happens to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The supervisor is up; the PLC is to be as told.
    Boot(Carry),
    /// A client wants it to run.
    Start(Ticket),
    /// A client wants it stopped.
    Stop(Ticket),
    /// A client wants the program forgotten.
    Repair(Ticket),
    /// A client wants the program before this one; `None`: there is none.
    Rollback(Ticket, Option<ProgramInfo>),
    /// A client wants this program, which is on disk already.
    Install(Ticket, ProgramInfo, WhenRunning),
    /// The supervisor is to end.
    Shutdown,
    /// The machine falls asleep; answered when nothing runs.
    Sleep(Ticket),
    /// The machine is awake again.
    Wake,
    /// A newer supervisor is installed and is to take over as soon as nothing runs and nobody is about to.
    Upgrade,
    /// No client has wanted anything of the PLC for a while.
    Quiet,
    /// The integrator decided anew.
    SetPolicy(Policy),
    /// The worker is there, and loads.
    Greeted,
    /// The worker answered the load.
    Loaded(Result<(), String>),
    /// The loaded program was made the current one on disk, or not.
    Committed(Result<(), String>),
    /// The wish could not be kept; nothing follows from it at once.
    WishUnwritten,
    /// The current program was forgotten on disk, or not.
    Forgotten(Result<(), String>),
    /// The worker answered the start.
    StartDone(Result<(), String>),
    /// The worker says that the program has stopped; its process is about to end.
    StopDone,
    /// The worker process is gone, how is said in words: "ended with signal SIGSEGV (...)".
    Gone(String),
    /// The worker has given no sign of life for too long.
    Silent,
    /// The program's cycle counter stands still, in words.
    Stalled(String),
    /// The time that [`Machine::deadline`] named has come.
    Deadline,
}

/// What the driver must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Start a worker and have it load this program. Answer: `Loaded` or `Gone`.
    Launch(ProgramInfo),
    /// Tell the worker to start. Answer: `StartDone` or `Gone`.
    OrderStart,
    /// Tell the worker to stop and end. Answer: `StopDone`, `Gone`.
    OrderStop,
    /// Kill the worker. Answer: `Gone`.
    Kill,
    /// Make this program the current one, durably. Answer: `Committed`.
    Commit(ProgramInfo),
    /// Remove this program, which was staged and is not wanted.
    Discard(ProgramInfo),
    /// Forget the current program, durably. Answer: `Forgotten`.
    Forget,
    /// Keep the wish, durably.
    WriteWish(Wish),
    /// Answer a client.
    Reply(Ticket, Result<Done, CommandError>),
    /// Tell people, in the PLC log and the journal.
    Note(LogLevel, String),
    /// A program ended by itself.
    Crashed(String),
    /// Keep this for the supervisor that follows; `Finished` comes next.
    HandOver(Carry),
    /// Everything is stopped; the supervisor may end.
    Finished,
}

/// How one supervisor finds, and another leaves, the PLC while no worker is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Carry {
    /// The installed program is to run.
    Run,
    /// It is not to run now.
    Rest,
    /// It is Broken, for this reason, and left alone.
    Broken(String),
}

/// The good end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// It is as wanted.
    AsWanted,
    /// This program is the current one.
    Installed(ProgramInfo),
}

/// The bad end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// Not in this state; nothing was done.
    Refused(String),
    /// It was tried.
    Failed(String),
}

/// What to do when a program ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing: stay Broken.
    Never,
    /// Start it again, unless it did so too often.
    OnCrash {
        /// At this failure, 1 to 100, by default the third ...
        limit: usize,
        /// ... within this time, 1 to 86 400 s, by default 60 s, it stays Broken.
        window: Duration,
    },
}

/// What to do when a program's cycle stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchdogAction {
    /// Say so and go on.
    Log,
    /// Stop the program; the state becomes Broken.
    Stop,
    /// Stop it and treat it as a crash: the restart policy decides.
    Restart,
}

/// The integrator's decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long loading may take, 0.1 to 600 s; by default 30 s.
    pub load_timeout: Duration,
    /// How long `startPLC` may take, 0.1 to 600 s; by default 30 s.
    pub start_timeout: Duration,
    /// How long stopping may take before the worker is killed, 0.1 to 600 s; by default 5 s.
    pub stop_timeout: Duration,
    /// What follows a crash.
    pub restart: Restart,
    /// What follows a cycle that stands still.
    pub watchdog: WatchdogAction,
}

impl Policy {
    /// How long a worker may be waited for. The one before may still be stopping its program, which a lost supervisor
    /// left to it.
    pub(crate) fn launch_timeout(&self) -> Duration {
        self.stop_timeout + self.load_timeout
    }
}

/// A program on its way to being loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    program: ProgramInfo,
    origin: Origin,
    start: bool,
    tickets: Vec<Ticket>,
}

impl Job {
    /// The installed program is to run again and no client waits for it: as well a task for the next supervisor.
    fn is_resumed(&self) -> bool {
        let installed = matches!(self.origin, Origin::Current | Origin::Again);
        installed && self.start && self.tickets.is_empty()
    }
}

/// Where a job's program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// It is the current one and a client or the boot wants it to run.
    Current,
    /// It is the current one, and the restart policy wants it to run again.
    Again,
    /// It was just transferred.
    New,
    /// It was current once.
    Former,
}

/// The state, with what only that state has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No program.
    Empty,
    /// A program and no worker.
    Stopped,
    /// A worker loads a program.
    Loading {
        /// Which, and what for.
        job: Job,
        /// Until then.
        deadline: Time,
    },
    /// The loaded program is being made the current one.
    Committing {
        /// Which, and what for.
        job: Job,
    },
    /// A worker waits with the loaded program.
    Loaded,
    /// startPLC runs.
    Starting {
        /// Who waits for it, and whether a failure is retried.
        job: Job,
        /// Until then.
        deadline: Time,
    },
    /// The program runs.
    Started,
    /// The worker was told to stop, or killed; its end is awaited.
    Ending {
        /// What is known of it.
        ending: Ending,
        /// What comes after.
        then: Then,
    },
    /// The current program is being forgotten.
    Forgetting {
        /// Who waits for it.
        tickets: Vec<Ticket>,
    },
    /// The program could not be loaded or started, or ended by itself.
    Broken {
        /// In words, with the next step.
        reason: String,
    },
    /// The supervisor ends.
    Off,
}

/// A worker on its way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    /// When patience ends; `None`: nothing is left to try.
    deadline: Option<Time>,
    /// The worker said that the program has stopped, or that it failed and ends by itself.
    clean: bool,
    /// It was killed.
    killed: bool,
    /// The program was running when this began.
    ran: bool,
    /// Who waits for it to be stopped.
    stops: Vec<Ticket>,
}

/// Why the state becomes Broken, and which clients are told so once it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    reason: String,
    tickets: Vec<Ticket>,
}

impl Failure {
    fn new(reason: String) -> Self {
        Self { reason, tickets: Vec::new() }
    }
}

/// What follows the end of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Stopped.
    Rest,
    /// The next program, or the same again.
    Run(Job),
    /// Empty.
    Forget(Vec<Ticket>),
    /// Broken.
    Break(Failure),
    /// The end of the supervisor.
    Off,
}

/// The PLC's state machine.
#[derive(Debug)]
pub(crate) struct Machine {
    state: State,
    program: Option<ProgramInfo>,
    policy: Policy,
    wish: Wish,
    /// The wish on disk may be another one, so the next decision is written even if it is the same.
    wish_unwritten: bool,
    crashes: u32,
    recent_crashes: VecDeque<Time>,
    /// The machine sleeps, or is about to; this is how the PLC is to be afterwards.
    asleep: Option<Carry>,
    upgrade: bool,
    now: Time,
    effects: Vec<Effect>,
}

impl Machine {
    /// A machine that finds `program` installed and `wish` on disk.
    #[must_use]
    pub(crate) fn new(program: Option<ProgramInfo>, wish: Wish, policy: Policy) -> Self {
        Self {
            state: if program.is_some() { State::Stopped } else { State::Empty },
            program,
            policy,
            wish,
            wish_unwritten: false,
            crashes: 0,
            recent_crashes: VecDeque::new(),
            asleep: None,
            upgrade: false,
            now: Time::ZERO,
            effects: Vec::new(),
        }
    }

    /// Takes one input at time `now`; what is returned must be done in that order.
    pub(crate) fn handle(&mut self, now: Time, input: Input) -> Vec<Effect> {
        self.now = now;
        let state = std::mem::replace(&mut self.state, State::Off);
        self.state = self.step(state, input);
        std::mem::take(&mut self.effects)
    }

    /// When [`Input::Deadline`] is due.
    #[must_use]
    pub(crate) fn deadline(&self) -> Option<Time> {
        match &self.state {
            State::Loading { deadline, .. } | State::Starting { deadline, .. } => Some(*deadline),
            State::Ending { ending, .. } => ending.deadline,
            State::Empty
            | State::Stopped
            | State::Committing { .. }
            | State::Loaded
            | State::Started
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off => None,
        }
    }

    /// The state in the protocol's words.
    #[must_use]
    pub(crate) fn status(&self) -> PlcStatus {
        match &self.state {
            State::Started => PlcStatus::Started,
            State::Ending { ending, .. } if ending.ran => PlcStatus::Started,
            State::Broken { .. } => PlcStatus::Broken,
            State::Empty
            | State::Stopped
            | State::Loading { .. }
            | State::Committing { .. }
            | State::Loaded
            | State::Starting { .. }
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Off => match self.program {
                Some(_) => PlcStatus::Stopped,
                None => PlcStatus::Empty,
            },
        }
    }

    /// The state in more detail, for people.
    #[must_use]
    pub(crate) fn phase(&self) -> &'static str {
        match &self.state {
            State::Empty => "empty",
            State::Off if self.program.is_none() => "empty",
            State::Stopped | State::Loaded | State::Off => "stopped",
            State::Loading { .. } | State::Committing { .. } => "loading",
            State::Starting { .. } => "starting",
            State::Started => "started",
            State::Ending { .. } | State::Forgetting { .. } => "stopping",
            State::Broken { .. } => "broken",
        }
    }

    /// Why it is Broken.
    #[must_use]
    pub(crate) fn reason(&self) -> Option<&str> {
        if let State::Broken { reason } = &self.state { Some(reason) } else { None }
    }

    /// Whether a program is running that can be traced.
    #[must_use]
    pub(crate) fn is_started(&self) -> bool {
        matches!(self.state, State::Started)
    }

    /// The installed program.
    #[must_use]
    pub(crate) fn program(&self) -> Option<&ProgramInfo> {
        self.program.as_ref()
    }

    /// Whether a newer supervisor waits until nothing runs.
    #[must_use]
    pub(crate) fn upgrade_waits(&self) -> bool {
        self.upgrade
    }

    /// Whether only [`Input::Quiet`] is missing for a newer supervisor to take over.
    #[must_use]
    pub(crate) fn awaits_quiet(&self) -> bool {
        let idle = match &self.state {
            State::Empty | State::Stopped | State::Loaded | State::Broken { .. } => true,
            State::Loading { .. }
            | State::Committing { .. }
            | State::Starting { .. }
            | State::Started
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Off => false,
        };
        idle && self.upgrade && self.asleep.is_none()
    }

    /// Whether the PLC is meant to run.
    #[must_use]
    pub(crate) fn wish(&self) -> Wish {
        self.wish
    }

    /// How often a program ended by itself, or had to be killed, since this machine was made.
    #[must_use]
    pub(crate) fn crashes(&self) -> u32 {
        self.crashes
    }

    fn step(&mut self, state: State, input: Input) -> State {
        match input {
            Input::Boot(carry) => self.on_boot(state, carry),
            Input::Start(ticket) => self.on_start(state, ticket),
            Input::Stop(ticket) => self.on_stop(state, ticket),
            Input::Repair(ticket) => self.on_repair(state, ticket),
            Input::Rollback(ticket, Some(program)) => {
                let job =
                    Job { program, origin: Origin::Former, start: false, tickets: vec![ticket] };
                self.on_install(state, job, WhenRunning::Restart)
            }
            Input::Rollback(ticket, None) => {
                self.refuse(ticket, "there is no earlier program to go back to".into());
                state
            }
            Input::Install(ticket, program, when_running) => {
                let job = Job { program, origin: Origin::New, start: false, tickets: vec![ticket] };
                self.on_install(state, job, when_running)
            }
            Input::Shutdown => self.on_shutdown(state),
            Input::Sleep(ticket) => self.on_sleep(state, ticket),
            Input::Wake => self.on_wake(state),
            Input::Upgrade => {
                self.upgrade = true;
                state
            }
            Input::Quiet => self.on_quiet(state),
            Input::SetPolicy(policy) => {
                self.policy = policy;
                state
            }
            Input::Greeted => self.on_greeted(state),
            Input::Loaded(result) => self.on_loaded(state, result),
            Input::Committed(result) => self.on_committed(state, result),
            Input::WishUnwritten => {
                self.wish_unwritten = true;
                state
            }
            Input::Forgotten(result) => self.on_forgotten(state, result),
            Input::StartDone(result) => self.on_start_done(state, result),
            Input::StopDone => self.on_stop_done(state),
            Input::Gone(how) => self.on_gone(state, &how),
            Input::Silent => self.on_silent(state),
            Input::Stalled(how) => self.on_stalled(state, how),
            Input::Deadline => self.on_deadline(state),
        }
    }
}
