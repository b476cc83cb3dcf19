// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stops the PLC for a while without anybody wishing it stopped: the machine's sleep, and a newer supervisor
//! that is to take over.

use plc_api::plc::Wish;

use super::{Carry, Effect, Job, Machine, Origin, State, Then, Ticket};

pub(super) const GOING_TO_SLEEP: &str =
    "the machine is going to sleep; the PLC goes on as before when it is awake again";

impl Machine {
    /// Stops what runs; the wish stays. Answered when nothing runs.
    pub(super) fn on_sleep(&mut self, state: State, ticket: Ticket) -> State {
        self.asleep = true;
        self.halt(state, ticket, GOING_TO_SLEEP)
    }

    /// The wish applies again.
    pub(super) fn on_wake(&mut self, state: State) -> State {
        let slept = std::mem::replace(&mut self.asleep, false);
        let (true, Wish::Run, Some(program)) = (slept, self.wish, self.program.clone()) else {
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
            state @ (State::Empty
            | State::Loading { .. }
            | State::Committing { .. }
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
        if !self.upgrade || self.asleep {
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
}
