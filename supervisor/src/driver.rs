// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one task that owns the PLC's state. Every operation passes its queue; it asks the state machine, carries
//! out what that decides, and publishes the snapshot before any reply leaves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use plc_api::{
    log::LogLevel,
    message::WhenRunning,
    plc::Wish,
    program::ProgramInfo,
    trace::{TraceRefusal, TraceVariable},
};
use plc_worker_link::{LoadOrder, Loaded, Order, Outcome, Realtime, SILENCE};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{
    gauge::Gauge,
    program::store::Store,
    state::{CommandError, Done, Effect, Input, Machine, Ticket},
    worker_link::{self, News, Sinks, Worker},
    worker_process::Launch,
};

/// What a client may want of the PLC.
#[derive(Debug)]
pub enum Command {
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
pub enum Request {
    /// A client's command.
    Command(Command, oneshot::Sender<Result<Done, CommandError>>),
    /// A client sets the trace list; the answer is its token.
    SetTrace(Vec<TraceVariable>, oneshot::Sender<Result<u32, TraceRefusal>>),
    /// A client whose lease had lapsed asks for samples again.
    ResumeTrace,
    /// The supervisor is to end; [`Driver::run`] returns when all is stopped.
    Shutdown,
}

/// How workers are made.
#[derive(Debug)]
pub struct WorkerSettings {
    /// Where they come from.
    pub launch: Arc<dyn Launch>,
    /// Scheduling and memory of the program.
    pub realtime: Realtime,
    /// Bound on the worker's address space.
    pub memory_max_bytes: Option<u64>,
    /// How long stopping may take.
    pub stop_timeout: Duration,
    /// How long loading may take.
    pub load_timeout: Duration,
    /// After how many periods without a cycle the watchdog acts; 0: never.
    pub watchdog_periods: u32,
}

/// Owner of the state; see the module.
#[derive(Debug)]
pub struct Driver {
    machine: Machine,
    store: Arc<Store>,
    settings: WorkerSettings,
    sinks: Sinks,
    gauge: Arc<Mutex<Gauge>>,
    begin: Instant,
    slot: Slot,
    last_beat: Instant,
    news: mpsc::Sender<News>,
    incoming_news: mpsc::Receiver<News>,
    tickets: HashMap<Ticket, oneshot::Sender<Result<Done, CommandError>>>,
    next_ticket: u64,
    finished: bool,
}

/// The one place for a worker.
#[derive(Debug)]
enum Slot {
    Free,
    Launching(JoinHandle<()>),
    Up { worker: Worker, loaded: Loaded, pending: HashMap<u64, Pending> },
}

/// What an order's outcome answers.
#[derive(Debug)]
enum Pending {
    Load,
    Start,
    Stop,
    Trace(u32, oneshot::Sender<Result<u32, TraceRefusal>>),
}

impl Driver {
    /// A driver for the PLC in `store`.
    #[must_use]
    pub fn new(
        machine: Machine,
        store: Arc<Store>,
        settings: WorkerSettings,
        sinks: Sinks,
        gauge: Arc<Mutex<Gauge>>,
    ) -> Self {
        let (news, incoming_news) = mpsc::channel(64);
        let now = Instant::now();
        Self {
            machine,
            store,
            settings,
            sinks,
            gauge,
            begin: now,
            slot: Slot::Free,
            last_beat: now,
            news,
            incoming_news,
            tickets: HashMap::new(),
            next_ticket: 0,
            finished: false,
        }
    }

    /// Serves the queue until a shutdown has been carried out.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>, run_at_boot: bool) {
        self.feed(Input::Boot { run: run_at_boot }).await;
        while !self.finished {
            let alarm = self.alarm();
            tokio::select! {
                biased;
                Some(news) = self.incoming_news.recv() => self.on_news(news).await,
                request = requests.recv() => match request {
                    Some(request) => self.on_request(request).await,
                    None => self.feed(Input::Shutdown).await,
                },
                () = sleep_until(alarm) => self.on_alarm(alarm).await,
            }
        }
    }

    async fn on_request(&mut self, request: Request) {
        match request {
            Request::Command(command, reply) => {
                self.next_ticket += 1;
                let ticket = Ticket(self.next_ticket);
                self.tickets.insert(ticket, reply);
                let input = match command {
                    Command::Start => Input::Start(ticket),
                    Command::Stop => Input::Stop(ticket),
                    Command::Repair => Input::Repair(ticket),
                    Command::Rollback => match self.store.former() {
                        Ok(former) => Input::Rollback(ticket, former),
                        Err(error) => {
                            tracing::error!(%error, "the earlier program cannot be read");
                            Input::Rollback(ticket, None)
                        }
                    },
                    Command::Install(program, when_running) => {
                        Input::Install(ticket, program, when_running)
                    }
                };
                self.feed(input).await;
            }
            Request::SetTrace(list, reply) => self.set_trace(list, reply),
            Request::ResumeTrace => {
                if self.machine.is_started() {
                    self.order(Order::ResumeTrace);
                }
            }
            Request::Shutdown => self.feed(Input::Shutdown).await,
        }
    }

    async fn on_news(&mut self, news: News) {
        match news {
            News::Up(worker) => {
                let Slot::Launching(_) = self.slot else {
                    return;
                };
                self.last_beat = Instant::now();
                self.sinks.published.update(|snapshot| snapshot.worker_pid = Some(worker.pid));
                // Its first order, sent by the link, is the load.
                let pending = HashMap::from([(1, Pending::Load)]);
                self.slot = Slot::Up { worker, loaded: Loaded::default(), pending };
            }
            News::NotUp(reason) => {
                self.free_slot();
                self.feed(Input::Loaded(Err(reason.clone()))).await;
                self.feed(Input::Gone(format!("could not be had: {reason}"))).await;
            }
            News::Beat(beat) => self.on_beat(beat).await,
            News::Outcome(id, outcome) => self.on_outcome(id, outcome).await,
            News::Gone(how) => {
                self.free_slot();
                self.feed(Input::Gone(how)).await;
            }
        }
    }

    async fn on_beat(&mut self, beat: plc_worker_link::Beat) {
        self.last_beat = Instant::now();
        let stalled = {
            let mut gauge = lock(&self.gauge);
            let stalled = gauge.take(beat, self.settings.watchdog_periods);
            self.sinks.journal.set_tick(gauge.tick());
            stalled
        };
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

    /// A program runs: its figures begin anew, and whoever still traces goes on tracing.
    fn begin_run(&mut self) {
        let Slot::Up { loaded, .. } = &self.slot else {
            return;
        };
        *lock(&self.gauge) = Gauge::new(loaded.period_ns);
        let list = {
            let mut trace = lock(&self.sinks.trace);
            trace.begin();
            trace.live_list()
        };
        if let Some(list) = list {
            self.give_list(list);
        }
    }

    fn set_trace(
        &mut self,
        list: Vec<TraceVariable>,
        reply: oneshot::Sender<Result<u32, TraceRefusal>>,
    ) {
        let installed = self.machine.program().is_some() && self.machine.reason().is_none();
        if !installed && !list.is_empty() {
            let _ = reply.send(Err(TraceRefusal::NotPossible));
            return;
        }
        let token = lock(&self.sinks.trace).take_over(list.clone(), Instant::now().into_std());
        if !self.machine.is_started() {
            // The list is kept and given to the program when it starts.
            let _ = reply.send(Ok(token));
            return;
        }
        let id = self.give_list(list);
        match (&mut self.slot, id) {
            (Slot::Up { pending, .. }, Some(id)) => {
                pending.insert(id, Pending::Trace(token, reply));
            }
            _ => {
                let _ = reply.send(Err(TraceRefusal::NotPossible));
            }
        }
    }

    fn give_list(&mut self, list: Vec<TraceVariable>) -> Option<u64> {
        lock(&self.sinks.trace).list_given();
        self.order(Order::SetTrace(list))
    }

    /// When to look at the clocks next.
    fn alarm(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let state = self.machine.deadline().map(|at| self.begin + at);
        let silence = matches!(self.slot, Slot::Up { .. }).then(|| self.last_beat + SILENCE);
        let lease = lock(&self.sinks.trace).lease_ends().map(Instant::from_std);
        [state, silence, lease].into_iter().flatten().min().unwrap_or(far)
    }

    async fn on_alarm(&mut self, alarm: Instant) {
        let now = Instant::now();
        if now > alarm + Duration::from_secs(1) {
            // It was us who did not run: the worker's beats are waiting to be read.
            self.last_beat = now;
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
            self.publish();
            for effect in effects {
                if let Some(follows) = self.carry_out(effect).await {
                    next = Some(follows);
                }
            }
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
                    tracing::warn!(%error, "a program that is not wanted cannot be removed yet");
                }
            }
            Effect::WriteWish(wish) => {
                if let Err(error) = self.on_disk(move |store| store.write_wish(wish)).await {
                    let after = if wish == Wish::Run { "not run" } else { "run" };
                    let text = format!(
                        "this cannot be recorded ({error}): after a reboot the PLC will {after}"
                    );
                    self.note(LogLevel::Critical, &text);
                }
            }
            Effect::Reply(ticket, result) => {
                if let Some(reply) = self.tickets.remove(&ticket) {
                    // A client that has gone needs no answer.
                    let _ = reply.send(result);
                }
            }
            Effect::Note(level, text) => self.note(level, &text),
            Effect::Crashed(reason) => self.note(LogLevel::Critical, &reason),
            Effect::Finished => self.finished = true,
        }
        None
    }

    fn launch(&mut self, program: &ProgramInfo) {
        let load = LoadOrder {
            program_dir: self.store.program_dir(program),
            program_id: program.id.clone(),
            md5: program.md5.clone(),
            stop_timeout_ms: u64::try_from(self.settings.stop_timeout.as_millis())
                .unwrap_or(u64::MAX),
            memory_max_bytes: self.settings.memory_max_bytes,
            realtime: self.settings.realtime.clone(),
        };
        self.sinks.journal.set_tick(0);
        let deadline = Instant::now() + self.settings.load_timeout;
        let launch = self.settings.launch.clone();
        let task =
            worker_link::start(launch, load, deadline, self.sinks.clone(), self.news.clone());
        self.slot = Slot::Launching(task);
    }

    /// Tells the worker to stop. One that has not greeted yet has loaded nothing and is simply let go.
    fn stop_worker(&mut self) -> Option<Input> {
        if let Slot::Launching(task) = &self.slot {
            task.abort();
            // It may have reported in the meantime; that report is about a worker we no longer have.
            while self.incoming_news.try_recv().is_ok() {}
            self.free_slot();
            return Some(Input::Gone("was given up".into()));
        }
        self.order_pending(Order::Stop, Pending::Stop);
        None
    }

    fn order(&mut self, order: Order) -> Option<u64> {
        if let Slot::Up { worker, .. } = &mut self.slot { Some(worker.order(order)) } else { None }
    }

    fn order_pending(&mut self, order: Order, answer: Pending) {
        if let Slot::Up { worker, pending, .. } = &mut self.slot {
            let id = worker.order(order);
            pending.insert(id, answer);
        }
    }

    fn free_slot(&mut self) {
        // Clients that wait for a trace list are told by the drop of their answer's sender.
        self.slot = Slot::Free;
        self.sinks.published.update(|snapshot| snapshot.worker_pid = None);
    }

    async fn on_disk(
        &self,
        act: impl FnOnce(&Store) -> std::io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || act(&store)).await;
        done.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    fn note(&self, level: LogLevel, text: &str) {
        self.sinks.journal.own(level, text);
        self.sinks.published.log_counts(self.sinks.journal.counts());
    }

    fn mark_start(&self) {
        let started_at = self.machine.is_started().then(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
        });
        self.sinks.published.update(|snapshot| snapshot.started_at_us = started_at);
    }

    fn publish(&self) {
        let machine = &self.machine;
        self.sinks.published.update(|snapshot| {
            snapshot.status = machine.status();
            machine.phase().clone_into(&mut snapshot.phase);
            snapshot.reason = machine.reason().map(str::to_owned);
            snapshot.program = machine.program().cloned();
            snapshot.crashes = machine.crashes();
            snapshot.wish = machine.wish();
            snapshot.log_counts = self.sinks.journal.counts();
        });
    }

    /// One line for each change, after the lines that say why.
    fn tell_phase(&self, before: &str) {
        let machine = &self.machine;
        if before != machine.phase() {
            let program = machine.program().map(|program| program.id.as_str());
            tracing::info!(
                plc_state = machine.phase(),
                program,
                reason = machine.reason(),
                "state"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
