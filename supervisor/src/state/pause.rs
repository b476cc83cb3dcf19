// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stops the PLC for a while without anybody wishing it stopped: the machine's sleep, and a newer supervisor
//! that is to take over.

use super::{Carry, Effect, Job, Machine, Origin, State, Then, Ticket, act::NEXT_STEP};

pub(super) const GOING_TO_SLEEP: &str =
    "the machine is going to sleep; the PLC goes on as before when it is awake again";

impl Machine {
    /// Stops what runs; the wish stays. Answered when nothing runs.
    pub(super) fn on_sleep(&mut self, state: State, ticket: Ticket) -> State {
        if self.asleep.is_none() {
            self.asleep = meant(&state);
        }
        self.halt(state, ticket, GOING_TO_SLEEP)
    }

    /// What ran, or was about to, does so again.
    pub(super) fn on_wake(&mut self, state: State) -> State {
        let (Some(Carry::Run), Some(program)) = (self.asleep.take(), self.program.clone()) else {
            return state;
        };
        let job = Job { program, origin: Origin::Current, start: true, tickets: Vec::new() };
        match state {
            State::Stopped => self.launch(job),
            State::Loaded => self.order_start(job),
            // It took longer to stop than the machine took to fall asleep.
            State::Ending { ending, then: Then::Rest } => {
                State::Ending { ending, then: Then::Run(job) }
            }
            // A new program is on its way in place of the one that ran.
            State::Loading { mut job, deadline } => {
                job.start = true;
                State::Loading { job, deadline }
            }
            State::Committing { mut job } => {
                job.start = true;
                State::Committing { job }
            }
            State::Ending { ending, then: Then::Run(mut job) } => {
                job.start = true;
                State::Ending { ending, then: Then::Run(job) }
            }
            state @ (State::Empty
            | State::Starting { .. }
            | State::Started
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off) => state,
        }
    }

    /// If a newer supervisor is installed it takes over where nothing runs. Not at once after a stop: who stops a
    /// program often sends another one, and would lose it to the change.
    pub(super) fn on_quiet(&mut self, state: State) -> State {
        if !self.upgrade || self.asleep.is_some() {
            return state;
        }
        match state {
            State::Empty | State::Stopped => self.hand_over(Carry::Rest),
            State::Broken { reason } => self.hand_over(Carry::Broken(reason)),
            // It loaded a program and runs nothing; the next quiet finds it stopped.
            State::Loaded => self.order_stop(Then::Rest, false, Vec::new()),
            state @ (State::Loading { .. }
            | State::Committing { .. }
            | State::Starting { .. }
            | State::Started
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Off) => state,
        }
    }

    pub(super) fn hand_over(&mut self, carry: Carry) -> State {
        self.effects.push(Effect::HandOver(carry));
        self.finish()
    }

    /// How the PLC is to be when this supervisor, or the one that follows its unexpected end, is free to act; `None`:
    /// as was said before.
    #[must_use]
    pub(crate) fn carry(&self) -> Option<Carry> {
        self.asleep.clone().or_else(|| meant(&self.state))
    }
}

/// Not the wish: that knows nothing of what the integrator decided for a boot, nor of what is broken.
fn meant(state: &State) -> Option<Carry> {
    let after = |job: &Job| if job.start { Carry::Run } else { Carry::Rest };
    match state {
        State::Starting { .. } | State::Started => Some(Carry::Run),
        State::Loading { job, .. } | State::Committing { job } => Some(after(job)),
        State::Broken { reason } => Some(Carry::Broken(reason.clone())),
        State::Ending { then, .. } => match then {
            Then::Run(job) => Some(after(job)),
            Then::Break(failure) => Some(Carry::Broken(format!("{}; {NEXT_STEP}", failure.reason))),
            Then::Rest | Then::Forget(_) => Some(Carry::Rest),
            Then::Off => None,
        },
        State::Empty | State::Stopped | State::Loaded | State::Forgetting { .. } => {
            Some(Carry::Rest)
        }
        State::Off => None,
    }
}
