// SPDX-License-Identifier: MIT OR Apache-2.0
//! The acts that transitions are made of.

use std::time::Duration;

use plc_api::{log::LogLevel, plc::Wish};

use super::{
    Carry, CommandError, Done, Effect, Ending, Failure, Job, Machine, Origin, Restart, State, Then,
    Ticket,
};

/// How long a killed worker may take to disappear before people are told.
pub(super) const KILL_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const SHUTTING_DOWN: &str = "the runtime is shutting down";
pub(super) const NEXT_STEP: &str =
    "start it again, transfer a corrected program, or go back with `plcctl rollback`";

impl Machine {
    pub(super) fn after_end(&mut self, then: Then) -> State {
        match then {
            Then::Rest if self.program.is_some() => State::Stopped,
            Then::Rest => State::Empty,
            Then::Run(job) => self.launch(job),
            Then::Forget(tickets) => self.forget(tickets),
            Then::Break(failure) => self.broken(failure),
            Then::Off => self.finish(),
        }
    }

    /// The program is loaded and current: start it, or rest.
    pub(super) fn go_on(&mut self, job: Job) -> State {
        if job.start {
            return self.order_start(job);
        }
        for ticket in &job.tickets {
            self.reply(*ticket, Ok(Done::Installed(job.program.clone())));
        }
        State::Loaded
    }

    /// A start that failed: automatic ones may be tried again, a client's own is answered.
    pub(super) fn after_failed_start(&mut self, job: Job, reason: String) -> Then {
        if job.tickets.is_empty() {
            if let Some(job) = self.try_again() {
                return Then::Run(job);
            }
        }
        Then::Break(Failure { reason, tickets: job.tickets })
    }

    /// What the restart policy says to a program that just ended by itself.
    pub(super) fn try_again(&mut self) -> Option<Job> {
        let program = self.program.clone()?;
        let Restart::OnCrash { limit, window } = self.policy.restart else {
            return None;
        };
        self.recent_crashes.retain(|at| self.now.saturating_sub(*at) < window);
        self.recent_crashes.push_back(self.now);
        if self.recent_crashes.len() >= limit {
            let text =
                format!("not started again: it failed {limit} times in {} s", window.as_secs());
            self.note(LogLevel::Critical, text);
            return None;
        }
        self.note(LogLevel::Warning, "the program is started again".into());
        Some(Job { program, origin: Origin::Again, start: true, tickets: Vec::new() })
    }

    pub(super) fn launch(&mut self, job: Job) -> State {
        if self.upgrade && job.is_resumed() {
            return self.hand_over(Carry::Run);
        }
        self.effects.push(Effect::Launch(job.program.clone()));
        State::Loading { job, deadline: self.now + self.policy.launch_timeout() }
    }

    pub(super) fn order_start(&mut self, job: Job) -> State {
        self.effects.push(Effect::OrderStart);
        State::Starting { job, deadline: self.now + self.policy.start_timeout }
    }

    pub(super) fn order_stop(&mut self, then: Then, ran: bool, stops: Vec<Ticket>) -> State {
        // Before the wish is written: a slow disk must not hold up a stop.
        self.effects.insert(0, Effect::OrderStop);
        let deadline = Some(self.now + self.policy.stop_timeout);
        State::Ending { ending: Ending { deadline, clean: false, killed: false, ran, stops }, then }
    }

    /// The worker said that it failed and ends by itself.
    pub(super) fn await_end(&mut self, then: Then) -> State {
        let deadline = Some(self.now + self.policy.stop_timeout);
        State::Ending {
            ending: Ending { deadline, clean: true, killed: false, ran: false, stops: Vec::new() },
            then,
        }
    }

    pub(super) fn kill(&mut self, then: Then, ran: bool) -> State {
        self.effects.push(Effect::Kill);
        let deadline = Some(self.now + KILL_PATIENCE);
        State::Ending {
            ending: Ending { deadline, clean: false, killed: true, ran, stops: Vec::new() },
            then,
        }
    }

    pub(super) fn forget(&mut self, tickets: Vec<Ticket>) -> State {
        self.effects.push(Effect::Forget);
        State::Forgetting { tickets }
    }

    pub(super) fn finish(&mut self) -> State {
        self.effects.push(Effect::Finished);
        State::Off
    }

    pub(super) fn broken(&mut self, Failure { reason, tickets }: Failure) -> State {
        self.fail_all(&tickets, &reason);
        State::Broken { reason: reason + "; " + NEXT_STEP }
    }

    /// Counts and tells an end that nobody asked for; gives the reason back.
    pub(super) fn crash(&mut self, reason: String) -> String {
        self.crashes = self.crashes.saturating_add(1);
        self.effects.push(Effect::Crashed(reason.clone()));
        reason
    }

    pub(super) fn set_wish(&mut self, wish: Wish) {
        if let (Wish::Stop, Some(after_sleep)) = (wish, &mut self.asleep) {
            *after_sleep = Carry::Rest;
        }
        if self.wish != wish || self.wish_unwritten {
            self.wish = wish;
            self.wish_unwritten = false;
            self.effects.push(Effect::WriteWish(wish));
        }
    }

    /// A job that came to nothing; the program it was to replace stays installed.
    pub(super) fn fail_job(&mut self, job: Job, reason: String) -> Failure {
        self.discard_if_new(&job);
        let reason = match (job.origin, &self.program) {
            (Origin::New | Origin::Former, Some(kept)) if kept.id != job.program.id => {
                format!("{reason}; {} stays installed", kept.id)
            }
            _ => reason,
        };
        Failure { reason, tickets: job.tickets }
    }

    pub(super) fn drop_job(&mut self, job: &Job, reason: &str) {
        self.discard_if_new(job);
        self.fail_all(&job.tickets, reason);
    }

    pub(super) fn discard_if_new(&mut self, job: &Job) {
        let committed = self.program.as_ref().is_some_and(|current| current.id == job.program.id);
        if job.origin == Origin::New && !committed {
            self.effects.push(Effect::Discard(job.program.clone()));
        }
    }

    pub(super) fn refuse_busy(&mut self, state: State, ticket: Ticket) -> State {
        let what = match &state {
            State::Loading { .. } | State::Committing { .. } => {
                "a program is being loaded; try again in a moment"
            }
            State::Starting { .. } => "the program is starting; wait, or stop it first",
            State::Ending { ending, .. } if ending.killed => {
                "the killed program has not ended yet; try again in a moment"
            }
            State::Ending { .. } | State::Forgetting { .. } => {
                "the program is being stopped; try again in a moment"
            }
            State::Off => SHUTTING_DOWN,
            State::Empty
            | State::Stopped
            | State::Loaded
            | State::Started
            | State::Broken { .. } => "this is not possible now",
        };
        self.refuse(ticket, what.into());
        state
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, reason: String) {
        self.reply(ticket, Err(CommandError::Refused(reason)));
    }

    pub(super) fn reply(&mut self, ticket: Ticket, result: Result<Done, CommandError>) {
        self.effects.push(Effect::Reply(ticket, result));
    }

    pub(super) fn done_all(&mut self, tickets: &[Ticket]) {
        for ticket in tickets {
            self.reply(*ticket, Ok(Done::AsWanted));
        }
    }

    pub(super) fn fail_all(&mut self, tickets: &[Ticket], reason: &str) {
        for ticket in tickets {
            self.reply(*ticket, Err(CommandError::Failed(reason.to_owned())));
        }
    }

    pub(super) fn note(&mut self, level: LogLevel, text: String) {
        self.effects.push(Effect::Note(level, text));
    }
}
