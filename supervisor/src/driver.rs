// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one task that owns the PLC's state. Every operation passes its queue; it asks the state machine, carries
//! out what that decides, and publishes the snapshot before any reply leaves.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plc_api::{
    limits,
    log::LogLevel,
    message::{ConnectorSettings, WhenRunning},
    plc::Wish,
    program::ProgramInfo,
    trace::{TraceRefusal, TraceVariable},
};
use plc_journal::message_id;
use plc_worker_link::{CORE_DUMP, Loaded, Order, Outcome, SILENCE};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

mod pulse;
mod slot;
mod telling;
mod traced;

use self::{
    pulse::Pulse,
    slot::{Pending, Slot},
};
use crate::{
    config::Config,
    crash::Witness,
    gauge::Gauge,
    notify,
    program::{blobs::TransferArea, store::Store},
    state::{Carry, CommandError, Done, Effect, Input, Machine, Ticket},
    upgrade,
    wamp::Wamp,
    worker_link::{News, Sinks},
    worker_process::Launch,
};

/// For how long nobody may have wanted anything before a newer version takes over.
const QUIET: Duration = Duration::from_secs(5);

/// What a client may want of the PLC.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run.
    Start,
    /// Stop.
    Stop,
    /// Forget the program.
    Repair,
    /// Go back to the program before.
    Rollback,
    /// Take this program, which is on disk.
    Install(ProgramInfo, WhenRunning),
}

/// What comes into the driver's queue.
#[derive(Debug)]
pub(crate) enum Request {
    /// A client's command.
    Command(Command, oneshot::Sender<Result<Done, CommandError>>),
    /// A client, known by its connection, sets the trace list; the answer is its token.
    SetTrace {
        list: Vec<TraceVariable>,
        owner: u64,
        reply: oneshot::Sender<Result<u32, TraceRefusal>>,
    },
    /// This connection is gone, and what it has forced is to be free.
    ReleaseTrace(u64),
    /// A client whose lease had lapsed asks for samples again.
    ResumeTrace,
    /// The machine falls asleep: stop what runs, leave the wish alone. Answered when nothing runs.
    Sleep(oneshot::Sender<Result<Done, CommandError>>),
    /// The machine is awake again: what ran goes on.
    Wake,
    /// Read the configuration again, and see whether a newer supervisor is installed.
    Reload(oneshot::Sender<Result<(), String>>),
    /// The supervisor is to end; [`Driver::run`] returns when all is stopped.
    Shutdown,
}

/// What the driver works with besides the state.
#[derive(Debug)]
pub(crate) struct Means {
    /// Where workers come from.
    pub launch: Arc<dyn Launch>,
    /// What the integrator decided.
    pub config: Config,
    /// Where that was read, and its drop-ins.
    pub config_files: (PathBuf, PathBuf),
    /// What of it connectors are told.
    pub connectors: watch::Sender<ConnectorSettings>,
    /// Where programs run.
    pub work_dir: PathBuf,
    /// Where the next supervisor looks, should this one die.
    pub run_dir: PathBuf,
    /// Programs under way.
    pub transfers: Arc<TransferArea>,
    /// Who is told when the program or the configuration is another one.
    pub wamp: Arc<Wamp>,
    /// Whether another supervisor may follow this one.
    pub upgrades: Upgrades,
}

/// What a newer supervisor on disk means to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upgrades {
    /// systemd starts it when this one ends for it.
    TakeOver,
    /// Nothing: nobody would start it.
    Ignored,
}

/// Owner of the state; see the module.
#[derive(Debug)]
pub(crate) struct Driver {
    machine: Machine,
    store: Arc<Store>,
    means: Means,
    sinks: Sinks,
    gauge: Arc<Mutex<Gauge>>,
    begin: Instant,
    slot: Slot,
    witness: Witness,
    /// The installed program that others were told of.
    told_program: Option<String>,
    /// What the next supervisor was told last, and the wish at that time.
    kept: Option<(Carry, Wish)>,
    last_beat: Instant,
    last_command: Option<Instant>,
    news: mpsc::Sender<News>,
    incoming_news: mpsc::Receiver<News>,
    tickets: HashMap<Ticket, oneshot::Sender<Result<Done, CommandError>>>,
    next_ticket: u64,
    carry: Option<Carry>,
    finished: bool,
}

impl Driver {
    /// A driver for the PLC in `store`.
    #[must_use]
    pub(crate) fn new(
        machine: Machine,
        store: Arc<Store>,
        means: Means,
        sinks: Sinks,
        gauge: Arc<Mutex<Gauge>>,
    ) -> Self {
        let (news, incoming_news) = mpsc::channel(64);
        let witness = Witness::new(means.work_dir.clone());
        let told_program = machine.program().map(|program| program.id.clone());
        let now = Instant::now();
        Self {
            machine,
            store,
            means,
            sinks,
            gauge,
            begin: now,
            slot: Slot::Free,
            witness,
            told_program,
            kept: None,
            last_beat: now,
            last_command: None,
            news,
            incoming_news,
            tickets: HashMap::new(),
            next_ticket: 0,
            carry: None,
            finished: false,
        }
    }

    /// Serves the queue until the end; what is returned is for the supervisor that is to follow.
    pub(crate) async fn run(
        mut self,
        mut requests: mpsc::Receiver<Request>,
        first: Carry,
    ) -> Option<Carry> {
        let mut alive = Pulse::begin();
        self.feed(Input::Boot(first)).await;
        while !self.finished {
            let alarm = self.alarm();
            tokio::select! {
                biased;
                () = alive.due() => {}
                Some(news) = self.incoming_news.recv() => self.on_news(news).await,
                request = requests.recv() => match request {
                    Some(request) => self.on_request(request).await,
                    None => self.feed(Input::Shutdown).await,
                },
                () = sleep_until(alarm) => self.on_alarm(alarm).await,
            }
        }
        self.carry
    }

    async fn on_request(&mut self, request: Request) {
        match request {
            Request::Command(command, reply) => {
                let ticket = self.ticket(reply);
                self.last_command = Some(Instant::now());
                let input = match command {
                    Command::Start => Input::Start(ticket),
                    Command::Stop => Input::Stop(ticket),
                    Command::Repair => Input::Repair(ticket),
                    Command::Rollback => match self.store.former() {
                        Ok(former) => Input::Rollback(ticket, former),
                        Err(error) => {
                            tracing::error!(%error, "the earlier program cannot be read: {error}");
                            Input::Rollback(ticket, None)
                        }
                    },
                    Command::Install(program, when_running) => {
                        Input::Install(ticket, program, when_running)
                    }
                };
                self.feed(input).await;
            }
            Request::SetTrace { list, owner, reply } => self.set_trace(list, owner, reply),
            Request::ReleaseTrace(owner) => self.release_trace(owner),
            Request::ResumeTrace => {
                if self.machine.is_started() {
                    self.order(Order::ResumeTrace);
                }
            }
            Request::Sleep(reply) => {
                let ticket = self.ticket(reply);
                self.feed(Input::Sleep(ticket)).await;
            }
            Request::Wake => self.feed(Input::Wake).await,
            Request::Reload(reply) => {
                let result = self.reload().await;
                let _ = reply.send(result);
                if self.means.upgrades == Upgrades::TakeOver && upgrade::is_waiting() {
                    self.upgrade().await;
                }
            }
            Request::Shutdown => {
                notify::stopping(self.means.config.policy.stop_timeout + limits::STOPPING_BESIDES);
                self.feed(Input::Shutdown).await;
            }
        }
    }

    fn ticket(&mut self, reply: oneshot::Sender<Result<Done, CommandError>>) -> Ticket {
        self.next_ticket += 1;
        let ticket = Ticket(self.next_ticket);
        self.tickets.insert(ticket, reply);
        ticket
    }

    /// Takes the configuration as it is on disk now, or leaves everything as it is and says why.
    async fn reload(&mut self) -> Result<(), String> {
        let (file, drop_ins) = self.means.config_files.clone();
        let read = tokio::task::spawn_blocking(move || Config::read(&file, &drop_ins)).await;
        let config = read
            .map_err(|error| error.to_string())?
            .map_err(|error| format!("the configuration was not changed: {error}"))?;
        // In any case: files that it names may have changed.
        let wamp = config.wamp.clone();
        self.tell_wamp(move |told| told.configure(wamp)).await;
        if config == self.means.config {
            tracing::info!("the configuration is as it was");
            return Ok(());
        }
        self.feed(Input::SetPolicy(config.policy)).await;
        self.means.connectors.send_replace(config.connectors);
        self.means.config = config;
        self.publish();
        tracing::info!(
            "the configuration was read again; what concerns the program's process counts from its next start"
        );
        Ok(())
    }

    async fn upgrade(&mut self) {
        if !self.machine.upgrade_waits() {
            tracing::info!(
                message_id = message_id::UPGRADE_WAITS,
                "a newer version is installed; it takes over as soon as no program runs"
            );
        }
        self.feed(Input::Upgrade).await;
    }

    async fn on_news(&mut self, news: News) {
        match news {
            News::Up(worker) => {
                let Slot::Launching(_) = self.slot else {
                    return;
                };
                self.last_beat = Instant::now();
                self.witness.up(worker.pid);
                self.sinks.published.update(|snapshot| snapshot.worker_pid = Some(worker.pid));
                // Its first order, sent by the link, is the load.
                let pending = HashMap::from([(1, Pending::Load)]);
                self.slot = Slot::Up { worker, loaded: Loaded::default(), pending };
                self.feed(Input::Greeted).await;
            }
            News::NotUp(reason) => {
                self.free_slot();
                self.feed(Input::Loaded(Err(reason.clone()))).await;
                self.feed(Input::Gone(format!("could not be had: {reason}"))).await;
            }
            News::Beat(beat) => self.on_beat(beat).await,
            // Beats that are still on their way do not take this back.
            News::Dying => self.last_beat = Instant::now() + CORE_DUMP,
            News::Outcome(id, outcome) => self.on_outcome(id, outcome).await,
            News::Gone(end) => {
                self.free_slot();
                self.sinks.journal.end_program();
                let how = end.to_string();
                self.witness.gone(end);
                self.feed(Input::Gone(how)).await;
            }
        }
    }

    async fn on_beat(&mut self, beat: plc_worker_link::Beat) {
        self.last_beat = self.last_beat.max(Instant::now());
        let stalled = {
            let mut gauge = lock(&self.gauge);
            gauge.take(beat, self.means.config.watchdog_periods)
        };
        // Before its start a program has none, and the figures are still those of the program before.
        if let Some(tick) = beat.tick {
            self.sinks.journal.set_tick(tick);
        }
        lock(&self.sinks.trace).set_worker_dropped(beat.trace_dropped);
        if let Some(how) = stalled {
            self.feed(Input::Stalled(how)).await;
        }
    }

    async fn on_outcome(&mut self, id: u64, outcome: Outcome) {
        let Slot::Up { pending, loaded, .. } = &mut self.slot else {
            return;
        };
        let input = match (pending.remove(&id), outcome) {
            (Some(Pending::Load), Outcome::Loaded(found)) => {
                lock(&self.sinks.trace).set_time_bytes(found.time_bytes);
                *loaded = found;
                Input::Loaded(Ok(()))
            }
            (Some(Pending::Load), Outcome::LoadFailed(failure)) => {
                Input::Loaded(Err(failure.reason))
            }
            (Some(Pending::Start), Outcome::Started) => {
                self.begin_run();
                Input::StartDone(Ok(()))
            }
            (Some(Pending::Start), Outcome::StartFailed(failure)) => {
                Input::StartDone(Err(failure.reason))
            }
            (Some(Pending::Stop), Outcome::Stopped) => Input::StopDone,
            (Some(Pending::Trace(token, reply)), Outcome::Done) => {
                let _ = reply.send(Ok(token));
                return;
            }
            (Some(Pending::Trace(_, reply)), Outcome::TraceRefused(refusal)) => {
                if refusal == TraceRefusal::NotPossible {
                    lock(&self.sinks.trace).list_not_given();
                }
                let _ = reply.send(Err(refusal));
                return;
            }
            // Pausing, resuming and the list at a start are not waited for. Only the last needs a mark, and it
            // goes to a program that runs.
            (None, Outcome::Done | Outcome::TraceRefused(_)) => return,
            (_, outcome) => {
                tracing::error!(
                    ?outcome,
                    "the worker's outcome does not fit its order; it is killed"
                );
                if let Slot::Up { worker, .. } = &self.slot {
                    worker.kill();
                }
                return;
            }
        };
        self.feed(input).await;
    }

    /// When to look at the clocks next.
    fn alarm(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let state = self.machine.deadline().map(|at| self.begin + at);
        let silence = matches!(self.slot, Slot::Up { .. }).then(|| self.last_beat + SILENCE);
        let lease = lock(&self.sinks.trace).lease_ends().map(Instant::from_std);
        let quiet = self.machine.awaits_quiet().then(|| self.quiet_at());
        [state, silence, lease, quiet].into_iter().flatten().min().unwrap_or(far)
    }

    /// When it will have been quiet for long enough.
    fn quiet_at(&self) -> Instant {
        let transfer = self.means.transfers.touched().map(Instant::from_std);
        let last = [self.last_command, transfer].into_iter().flatten().max();
        last.map_or(self.begin, |last| last + QUIET)
    }

    async fn on_alarm(&mut self, alarm: Instant) {
        let now = Instant::now();
        if now > alarm + Duration::from_secs(1) {
            // It was us who did not run: the worker's beats are waiting to be read.
            self.last_beat = self.last_beat.max(now);
        }
        if lock(&self.sinks.trace).lapse(now.into_std()) && self.machine.is_started() {
            self.order(Order::PauseTrace);
        }
        if matches!(self.slot, Slot::Up { .. }) && self.last_beat + SILENCE <= now {
            self.last_beat = now;
            self.feed(Input::Silent).await;
        }
        if self.machine.deadline().is_some_and(|at| self.begin + at <= now) {
            self.feed(Input::Deadline).await;
        }
        if self.machine.awaits_quiet() && self.quiet_at() <= now {
            self.feed(Input::Quiet).await;
        }
    }

    /// Puts an input through the machine and carries out what it decides, until nothing follows from it.
    async fn feed(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let was_started = self.machine.is_started();
            let phase_before = self.machine.phase();
            let effects = self.machine.handle(self.begin.elapsed(), input);
            if was_started != self.machine.is_started() {
                self.mark_start();
            }
            self.tell_crashes(&effects);
            self.publish();
            self.tell_program().await;
            for effect in effects {
                if let Some(follows) = self.carry_out(effect).await {
                    next = Some(follows);
                }
            }
            self.keep_carry().await;
            self.tell_phase(phase_before);
        }
    }

    /// Does one thing; what follows at once is the next input.
    async fn carry_out(&mut self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Launch(program) => self.launch(&program),
            Effect::OrderStart => self.order_pending(Order::Start, Pending::Start),
            Effect::OrderStop => return self.stop_worker(),
            Effect::Kill => match &self.slot {
                Slot::Up { worker, .. } => worker.kill(),
                Slot::Free | Slot::Launching(_) => return self.stop_worker(),
            },
            Effect::Commit(program) => {
                let done = self.on_disk(move |store| store.commit(&program)).await;
                return Some(Input::Committed(done));
            }
            Effect::Forget => {
                let done = self.on_disk(Store::forget).await;
                return Some(Input::Forgotten(done));
            }
            Effect::Discard(program) => {
                if let Err(error) = self.on_disk(move |store| store.discard(&program)).await {
                    tracing::warn!(%error, "a program that is not wanted cannot be removed yet: {error}");
                }
            }
            Effect::WriteWish(wish) => {
                if let Err(error) = self.on_disk(move |store| store.write_wish(wish)).await {
                    let after = if wish == Wish::Run { "not run" } else { "run" };
                    let text = format!(
                        "this cannot be recorded ({error}): after a reboot the PLC may {after}; see to the disk and \
                         {} the PLC once more",
                        if wish == Wish::Run { "start" } else { "stop" }
                    );
                    self.note(LogLevel::Critical, &text);
                    // Nothing follows from it.
                    self.machine.handle(self.begin.elapsed(), Input::WishUnwritten);
                }
            }
            Effect::Reply(ticket, result) => {
                if let Some(reply) = self.tickets.remove(&ticket) {
                    // A client that has gone needs no answer.
                    let _ = reply.send(result);
                }
            }
            Effect::Note(level, text) => self.note(level, &text),
            // Told before the change was published.
            Effect::Crashed(_) => {}
            Effect::HandOver(carry) => self.carry = Some(carry),
            Effect::Finished => self.finished = true,
        }
        None
    }

    async fn on_disk(
        &self,
        act: impl FnOnce(&Store) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let store = self.store.clone();
        let mut act = tokio::task::spawn_blocking(move || act(&store));
        // A slow disk is no reason to be taken for dead.
        let mut alive = Pulse::begin();
        let done = loop {
            tokio::select! {
                done = &mut act => break done,
                () = alive.due() => {}
            }
        };
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
