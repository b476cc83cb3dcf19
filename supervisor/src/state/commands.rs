// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients, the boot and the end of the supervisor want: each an exhaustive match over the states.

use plc_api::{message::WhenRunning, plc::Wish};

use super::{
    Carry, Done, IS_RUNNING, Job, Machine, Origin, State, Then, Ticket,
    act::{KILL_PATIENCE, SHUTTING_DOWN},
    pause::GOING_TO_SLEEP,
};

const STOPPED_FIRST: &str = "it was stopped before it had started";

impl Machine {
    pub(super) fn on_boot(&mut self, state: State, carry: Carry) -> State {
        match (state, carry, self.program.clone()) {
            (State::Stopped, Carry::Run, Some(program)) => self.launch(Job {
                program,
                origin: Origin::Current,
                start: true,
                tickets: Vec::new(),
            }),
            (State::Empty | State::Stopped, Carry::Broken(reason), _) => State::Broken { reason },
            (state, _, _) => state,
        }
    }

    pub(super) fn on_start(&mut self, state: State, ticket: Ticket) -> State {
        if self.asleep.is_some() {
            self.refuse(ticket, GOING_TO_SLEEP.into());
            return state;
        }
        // A person decided: what failed before no longer counts.
        self.recent_crashes.clear();
        match state {
            State::Stopped | State::Broken { .. } => {
                let Some(program) = self.program.clone() else {
                    self.refuse(ticket, "no program is installed; transfer one first".into());
                    return state;
                };
                self.set_wish(Wish::Run);
                self.launch(Job {
                    program,
                    origin: Origin::Current,
                    start: true,
                    tickets: vec![ticket],
                })
            }
            State::Loaded => {
                let Some(program) = self.program.clone() else {
                    return state;
                };
                self.set_wish(Wish::Run);
                self.order_start(Job {
                    program,
                    origin: Origin::Current,
                    start: true,
                    tickets: vec![ticket],
                })
            }
            State::Loading { mut job, deadline } if job.start => {
                self.set_wish(Wish::Run);
                job.tickets.push(ticket);
                State::Loading { job, deadline }
            }
            State::Starting { mut job, deadline } => {
                self.set_wish(Wish::Run);
                job.tickets.push(ticket);
                State::Starting { job, deadline }
            }
            State::Started => {
                self.set_wish(Wish::Run);
                self.reply(ticket, Ok(Done::AsWanted));
                State::Started
            }
            State::Empty => {
                self.refuse(ticket, "no program is installed; transfer one first".into());
                State::Empty
            }
            State::Loading { .. }
            | State::Committing { .. }
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Off => self.refuse_busy(state, ticket),
        }
    }

    pub(super) fn on_stop(&mut self, state: State, ticket: Ticket) -> State {
        if matches!(state, State::Off) {
            return self.refuse_busy(state, ticket);
        }
        self.set_wish(Wish::Stop);
        self.halt(state, ticket, STOPPED_FIRST)
    }

    /// Stops what runs, and starts nothing that is on its way; `why` is for those who wanted it to run. Answered when
    /// nothing runs.
    pub(super) fn halt(&mut self, state: State, ticket: Ticket, why: &str) -> State {
        match state {
            State::Started => self.order_stop(Then::Rest, true, vec![ticket]),
            State::Starting { job, .. } => {
                self.fail_all(&job.tickets, why);
                self.order_stop(Then::Rest, false, vec![ticket])
            }
            State::Loading { job, .. } if job.start => {
                self.drop_job(&job, why);
                self.order_stop(Then::Rest, false, vec![ticket])
            }
            State::Ending { mut ending, then } => {
                ending.stops.push(ticket);
                State::Ending { ending, then: self.without_start(then, why) }
            }
            // It is installed, and waits.
            State::Committing { mut job } => {
                job.start = false;
                self.reply(ticket, Ok(Done::AsWanted));
                State::Committing { job }
            }
            State::Empty
            | State::Stopped
            | State::Loading { .. }
            | State::Loaded
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off => {
                self.reply(ticket, Ok(Done::AsWanted));
                state
            }
        }
    }

    /// A program to come was also to be started, and now is not.
    pub(super) fn without_start(&mut self, then: Then, why: &str) -> Then {
        match then {
            Then::Run(mut job) => match job.origin {
                Origin::Current | Origin::Again => {
                    self.fail_all(&job.tickets, why);
                    Then::Rest
                }
                Origin::New | Origin::Former => {
                    job.start = false;
                    Then::Run(job)
                }
            },
            then @ (Then::Rest | Then::Forget(_) | Then::Break(_) | Then::Off) => then,
        }
    }

    pub(super) fn on_repair(&mut self, state: State, ticket: Ticket) -> State {
        match state {
            State::Empty => {
                self.reply(ticket, Ok(Done::AsWanted));
                State::Empty
            }
            State::Stopped | State::Broken { .. } => {
                self.set_wish(Wish::Stop);
                self.forget(vec![ticket])
            }
            State::Loaded | State::Started => {
                self.set_wish(Wish::Stop);
                let ran = matches!(state, State::Started);
                self.order_stop(Then::Forget(vec![ticket]), ran, Vec::new())
            }
            State::Starting { job, .. } => {
                self.set_wish(Wish::Stop);
                self.fail_all(&job.tickets, "the program was given up before it had started");
                self.order_stop(Then::Forget(vec![ticket]), false, Vec::new())
            }
            State::Loading { .. }
            | State::Committing { .. }
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Off => self.refuse_busy(state, ticket),
        }
    }

    /// Installation and rollback: both load a program that is on disk and make it the current one.
    pub(super) fn on_install(
        &mut self,
        state: State,
        mut job: Job,
        when_running: WhenRunning,
    ) -> State {
        match (state, when_running) {
            (State::Empty | State::Stopped | State::Broken { .. }, _) => self.launch(job),
            (State::Loaded, _) => self.order_stop(Then::Run(job), false, Vec::new()),
            (State::Started, WhenRunning::Restart) => {
                job.start = true;
                self.order_stop(Then::Run(job), true, Vec::new())
            }
            (State::Started, WhenRunning::Refuse) => {
                self.discard_if_new(&job);
                for ticket in job.tickets {
                    self.refuse(ticket, IS_RUNNING.into());
                }
                State::Started
            }
            (
                state @ (State::Loading { .. }
                | State::Committing { .. }
                | State::Starting { .. }
                | State::Ending { .. }
                | State::Forgetting { .. }
                | State::Off),
                _,
            ) => {
                self.discard_if_new(&job);
                job.tickets.iter().fold(state, |state, ticket| self.refuse_busy(state, *ticket))
            }
        }
    }

    pub(super) fn on_shutdown(&mut self, state: State) -> State {
        match state {
            State::Empty | State::Stopped | State::Broken { .. } => self.finish(),
            State::Loaded => self.order_stop(Then::Off, false, Vec::new()),
            State::Started => self.order_stop(Then::Off, true, Vec::new()),
            State::Loading { job, .. } => {
                self.drop_job(&job, SHUTTING_DOWN);
                self.order_stop(Then::Off, false, Vec::new())
            }
            State::Committing { job } => {
                self.fail_all(&job.tickets, SHUTTING_DOWN);
                self.order_stop(Then::Off, false, Vec::new())
            }
            State::Starting { job, .. } => {
                self.fail_all(&job.tickets, SHUTTING_DOWN);
                self.order_stop(Then::Off, false, Vec::new())
            }
            State::Ending { mut ending, then } => {
                match then {
                    Then::Forget(tickets) => self.fail_all(&tickets, SHUTTING_DOWN),
                    Then::Run(job) => self.drop_job(&job, SHUTTING_DOWN),
                    Then::Break(failure) => self.fail_all(&failure.tickets, &failure.reason),
                    Then::Rest | Then::Off => {}
                }
                // A killed worker that does not die must not hold the shutdown for ever.
                ending.deadline = ending.deadline.or(Some(self.now + KILL_PATIENCE));
                State::Ending { ending, then: Then::Off }
            }
            State::Forgetting { tickets } => {
                self.fail_all(&tickets, SHUTTING_DOWN);
                self.finish()
            }
            State::Off => State::Off,
        }
    }
}
