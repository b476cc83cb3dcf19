// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the worker and the clock report: each an exhaustive match over the states.

use plc_api::log::LogLevel;

use super::{Done, Effect, Ending, Failure, Machine, Origin, State, Then, WatchdogAction};

impl Machine {
    /// The wait for a worker is over, and what it is given for loading begins.
    pub(super) fn on_greeted(&mut self, state: State) -> State {
        match state {
            State::Loading { job, .. } => {
                State::Loading { job, deadline: self.now + self.policy.load_timeout }
            }
            state @ (State::Empty
            | State::Stopped
            | State::Committing { .. }
            | State::Loaded
            | State::Starting { .. }
            | State::Started
            | State::Ending { .. }
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off) => state,
        }
    }

    pub(super) fn on_loaded(&mut self, state: State, result: Result<(), String>) -> State {
        match (state, result) {
            (State::Loading { job, .. }, Ok(())) => match job.origin {
                Origin::Current | Origin::Again => self.go_on(job),
                Origin::New | Origin::Former => {
                    self.effects.push(Effect::Commit(job.program.clone()));
                    State::Committing { job }
                }
            },
            (State::Loading { job, .. }, Err(reason)) => {
                let reason = format!("the program {} cannot be loaded: {reason}", job.program.id);
                self.note(LogLevel::Critical, reason.clone());
                let failure = self.fail_job(job, reason);
                self.await_end(Then::Break(failure))
            }
            // The answer crossed an order to stop; the end of the worker is what counts.
            (state, _) => state,
        }
    }

    pub(super) fn on_committed(&mut self, state: State, result: Result<(), String>) -> State {
        match (state, result) {
            (State::Committing { job }, Ok(())) => {
                self.program = Some(job.program.clone());
                self.note(LogLevel::Debug, format!("program {} installed", job.program.id));
                self.go_on(job)
            }
            (State::Committing { job }, Err(error)) => {
                let reason = format!("the program {} cannot be stored: {error}", job.program.id);
                self.note(LogLevel::Critical, reason.clone());
                let failure = self.fail_job(job, reason);
                self.order_stop(Then::Break(failure), false, Vec::new())
            }
            (state, _) => state,
        }
    }

    pub(super) fn on_forgotten(&mut self, state: State, result: Result<(), String>) -> State {
        match (state, result) {
            (State::Forgetting { tickets }, Ok(())) => {
                self.program = None;
                self.done_all(&tickets);
                State::Empty
            }
            (State::Forgetting { tickets }, Err(error)) => {
                let reason = format!("the program could not be removed: {error}");
                self.broken(Failure { reason, tickets })
            }
            (state, _) => state,
        }
    }

    pub(super) fn on_start_done(&mut self, state: State, result: Result<(), String>) -> State {
        match (state, result) {
            (State::Starting { job, .. }, Ok(())) => {
                self.note(LogLevel::Debug, "PLC started".into());
                for ticket in &job.tickets {
                    let done = match job.origin {
                        Origin::Current | Origin::Again => Done::AsWanted,
                        Origin::New | Origin::Former => Done::Installed(job.program.clone()),
                    };
                    self.reply(*ticket, Ok(done));
                }
                State::Started
            }
            (State::Starting { job, .. }, Err(reason)) => {
                let reason = format!("the program did not start: {reason}");
                self.note(LogLevel::Critical, reason.clone());
                let then = self.after_failed_start(job, reason);
                self.await_end(then)
            }
            (state, _) => state,
        }
    }

    pub(super) fn on_stop_done(&mut self, mut state: State) -> State {
        // In another state the worker was told to stop by somebody else; its end will say so.
        if let State::Ending { ending, .. } = &mut state {
            ending.clean = true;
        }
        state
    }

    pub(super) fn on_gone(&mut self, state: State, how: &str) -> State {
        match state {
            State::Loading { job, .. } => {
                let reason = self.crash(format!("the worker {how} while it loaded the program"));
                let failure = self.fail_job(job, reason);
                self.broken(failure)
            }
            State::Committing { job } => {
                let reason = self.crash(format!("the worker {how} after it loaded the program"));
                let failure = self.fail_job(job, reason);
                self.broken(failure)
            }
            State::Loaded => {
                // Nothing ran, nothing is lost: the next start gets a fresh worker.
                self.note(LogLevel::Warning, format!("the waiting worker {how}"));
                State::Stopped
            }
            State::Starting { job, .. } => {
                let reason = self.crash(format!("the program {how} while it started"));
                let then = self.after_failed_start(job, reason);
                self.after_end(then)
            }
            State::Started => {
                let reason = self.crash(format!("the program {how}"));
                match self.try_again() {
                    Some(job) => self.launch(job),
                    None => self.broken(Failure::new(reason)),
                }
            }
            State::Ending { ending, then } if ending.clean || ending.killed => {
                if ending.ran && ending.clean {
                    self.note(LogLevel::Debug, "PLC stopped".into());
                }
                self.done_all(&ending.stops);
                self.after_end(then)
            }
            State::Ending { ending, then } => {
                let during =
                    if ending.ran { "while it stopped" } else { "before it could be stopped" };
                let reason = self.crash(format!("the program {how} {during}"));
                if then == Then::Rest {
                    return self.broken(Failure { reason, tickets: ending.stops });
                }
                self.fail_all(&ending.stops, &reason);
                self.after_end(then)
            }
            state @ (State::Empty
            | State::Stopped
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off) => state,
        }
    }

    pub(super) fn on_silent(&mut self, state: State) -> State {
        let reason = "the worker gave no sign of life and was killed";
        match state {
            State::Loading { job, .. }
            | State::Committing { job }
            | State::Starting { job, .. } => {
                let reason = self.crash(reason.into());
                let failure = self.fail_job(job, reason);
                self.kill(Then::Break(failure), false)
            }
            State::Loaded => self.kill(Then::Rest, false),
            State::Started => {
                let reason = self.crash(reason.into());
                self.kill(Then::Break(Failure::new(reason)), true)
            }
            state @ State::Ending { .. } => self.on_deadline(state),
            state @ (State::Empty
            | State::Stopped
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off) => state,
        }
    }

    pub(super) fn on_stalled(&mut self, state: State, how: String) -> State {
        match (state, self.policy.watchdog) {
            (State::Started, WatchdogAction::Log) => {
                self.note(LogLevel::Critical, how);
                State::Started
            }
            (State::Started, WatchdogAction::Stop) => {
                let reason = self.crash(format!("{how}; the watchdog stopped the program"));
                self.order_stop(Then::Break(Failure::new(reason)), true, Vec::new())
            }
            (State::Started, WatchdogAction::Restart) => {
                let reason = self.crash(format!("{how}; the watchdog stopped the program"));
                let again = self.try_again();
                let then = again.map_or_else(|| Then::Break(Failure::new(reason)), Then::Run);
                self.order_stop(then, true, Vec::new())
            }
            (state, _) => state,
        }
    }

    pub(super) fn on_deadline(&mut self, state: State) -> State {
        match state {
            State::Loading { job, .. } => {
                let seconds = self.policy.load_timeout.as_secs_f32();
                let reason = format!("loading took longer than {seconds} s; the worker was killed");
                let reason = self.crash(reason);
                let failure = self.fail_job(job, reason);
                self.kill(Then::Break(failure), false)
            }
            State::Starting { job, .. } => {
                let seconds = self.policy.start_timeout.as_secs_f32();
                let reason =
                    format!("startPLC did not return within {seconds} s; the program was killed");
                let reason = self.crash(reason);
                let then = self.after_failed_start(job, reason);
                self.kill(then, false)
            }
            State::Ending { ending, then } if !ending.killed => self.kill_late(ending, then),
            State::Ending { then: Then::Off, .. } => self.finish(),
            State::Ending { mut ending, then } => {
                let text = "the killed program does not end: it hangs in the kernel, most likely in a driver; \
                            only a reboot may help";
                self.note(LogLevel::Critical, text.into());
                ending.deadline = None;
                State::Ending { ending, then }
            }
            state @ (State::Empty
            | State::Stopped
            | State::Committing { .. }
            | State::Loaded
            | State::Started
            | State::Forgetting { .. }
            | State::Broken { .. }
            | State::Off) => state,
        }
    }

    /// The program did not stop in time. What was to follow is given up, but for what needs nothing of it, and for
    /// the restart of what has failed already.
    pub(super) fn kill_late(&mut self, ending: Ending, then: Then) -> State {
        let seconds = self.policy.stop_timeout.as_secs_f32();
        let reason = format!("the program did not stop within {seconds} s and was killed");
        // What failed before it was to stop was counted then, and the restart policy has decided.
        let is_counted = match &then {
            Then::Run(job) => job.origin == Origin::Again,
            Then::Break(_) => ending.ran,
            Then::Rest | Then::Forget(_) | Then::Off => false,
        };
        let reason = if is_counted {
            self.note(LogLevel::Critical, reason.clone());
            reason
        } else {
            self.crash(reason)
        };
        let mut failure = match then {
            Then::Rest => Failure::new(reason),
            then @ Then::Run(_) if is_counted => return self.kill(then, ending.ran),
            Then::Run(job) => self.fail_job(job, reason),
            Then::Break(first) => {
                Failure { reason: format!("{}; {reason}", first.reason), tickets: first.tickets }
            }
            then @ (Then::Forget(_) | Then::Off) => {
                self.fail_all(&ending.stops, &reason);
                return self.kill(then, ending.ran);
            }
        };
        failure.tickets.extend(ending.stops);
        self.kill(Then::Break(failure), ending.ran)
    }
}
