// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold whatever happens.

use proptest::prelude::*;

use super::*;

/// A worker and a disk that do what they are told or fail, and watch that they are told nothing wrong.
#[derive(Debug, Default)]
struct World {
    now: Time,
    worker: Option<Simulated>,
    open: Vec<Ticket>,
    answered: Vec<Ticket>,
    deadline_passed: bool,
    upgrade: bool,
    finished: bool,
}

#[derive(Debug, Default)]
struct Simulated {
    program: String,
    loaded: bool,
    start_ordered: bool,
    started: bool,
    stop_ordered: bool,
    stopped: bool,
    killed: bool,
}

impl World {
    /// Feeds one input and carries out its effects, as the driver does.
    fn feed(&mut self, m: &mut Machine, input: Input) {
        let killing = matches!(input, Input::Silent) || self.deadline_passed;
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let effects = m.handle(self.now, input);
            for effect in effects {
                if let Some(follows) = self.carry_out(effect, killing) {
                    assert!(next.replace(follows).is_none(), "two inputs follow at once");
                }
            }
        }
        if let State::Broken { reason } = &m.state {
            assert!(!reason.is_empty());
        }
    }

    fn carry_out(&mut self, effect: Effect, killing: bool) -> Option<Input> {
        match effect {
            Effect::Launch(program) => {
                assert!(self.worker.is_none(), "two programs at once");
                assert!(!self.finished);
                self.worker = Some(Simulated { program: program.id, ..Simulated::default() });
            }
            Effect::OrderStart => {
                let worker = self.worker.as_mut().expect("start without a worker");
                assert!(worker.loaded && !worker.start_ordered && !worker.stop_ordered);
                worker.start_ordered = true;
            }
            Effect::OrderStop => {
                let worker = self.worker.as_mut().expect("stop without a worker");
                assert!(!worker.stop_ordered);
                worker.stop_ordered = true;
            }
            Effect::Kill => {
                assert!(killing, "killed without a missed deadline");
                self.worker.as_mut().expect("kill without a worker").killed = true;
            }
            Effect::Commit(program) => {
                let worker = self.worker.as_ref().expect("committed without having been loaded");
                assert!(worker.loaded && worker.program == program.id && !worker.start_ordered);
                return Some(Input::Committed(Ok(())));
            }
            Effect::Forget => {
                assert!(self.worker.is_none(), "forgotten under a program's feet");
                return Some(Input::Forgotten(Ok(())));
            }
            Effect::HandOver(carry) => {
                assert!(self.worker.is_none(), "handed over with a worker");
                assert!(carry != Carry::Run || self.upgrade);
            }
            Effect::Finished => {
                assert!(
                    self.worker.as_ref().is_none_or(|worker| worker.killed),
                    "ended with a program running"
                );
                self.finished = true;
            }
            Effect::Reply(ticket, _) => {
                let place = self.open.iter().position(|open| *open == ticket);
                self.open.swap_remove(place.expect("answered twice"));
                self.answered.push(ticket);
            }
            Effect::Discard(_) | Effect::WriteWish(_) | Effect::Note(..) | Effect::Crashed(_) => {}
        }
        None
    }

    /// What the worker may report now; `choice` picks.
    fn news(&mut self, choice: u8) -> Option<Input> {
        let worker = self.worker.as_mut()?;
        let fails = choice % 4 == 0;
        let dies = choice % 7 == 0;
        if worker.killed || worker.stopped || dies {
            self.worker = None;
            return Some(Input::Gone("ended".into()));
        }
        if !worker.loaded {
            worker.loaded = !fails;
            worker.stopped = fails;
            return Some(Input::Loaded(if fails { Err("no".into()) } else { Ok(()) }));
        }
        if worker.start_ordered && !worker.started {
            worker.started = !fails;
            worker.stopped = fails;
            return Some(Input::StartDone(if fails { Err("no".into()) } else { Ok(()) }));
        }
        if worker.stop_ordered {
            worker.stopped = true;
            return Some(Input::StopDone);
        }
        if choice % 11 == 0 { Some(Input::Silent) } else { None }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Command(u8),
    News(u8),
    Pass(u16),
    Stalled,
    Sleep,
    Wake,
    Upgrade,
    Quiet,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<u8>().prop_map(Event::Command),
        6 => any::<u8>().prop_map(Event::News),
        2 => (0..20_000_u16).prop_map(Event::Pass),
        1 => Just(Event::Stalled),
        1 => Just(Event::Sleep),
        1 => Just(Event::Wake),
        1 => Just(Event::Upgrade),
        1 => Just(Event::Quiet),
    ]
}

fn command(kind: u8, ticket: Ticket) -> Input {
    match kind % 7 {
        0 | 1 => Input::Start(ticket),
        2 => Input::Stop(ticket),
        3 => Input::Repair(ticket),
        4 => Input::Rollback(ticket, (kind > 100).then(|| program(3))),
        5 => Input::Install(ticket, program(4), WhenRunning::Refuse),
        _ => Input::Install(ticket, program(5), WhenRunning::Restart),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Stop before unload, one program at a time, no kill without cause, one answer for each client, and an end
    /// that always comes: whatever clients, worker and clock do.
    #[test]
    fn whatever_happens_the_promises_hold(
        installed: bool,
        run: bool,
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut m = Machine::new(installed.then(|| program(1)), Wish::Stop, policy());
        let mut world = World::default();
        world.feed(&mut m, Input::Boot(if run { Carry::Run } else { Carry::Rest }));
        for (number, event) in events.into_iter().enumerate() {
            if world.finished {
                break;
            }
            match event {
                Event::Sleep => {
                    let ticket = Ticket(u64::try_from(number).unwrap());
                    world.open.push(ticket);
                    world.feed(&mut m, Input::Sleep(ticket));
                }
                Event::Wake => world.feed(&mut m, Input::Wake),
                Event::Quiet => world.feed(&mut m, Input::Quiet),
                Event::Upgrade => {
                    world.upgrade = true;
                    world.feed(&mut m, Input::Upgrade);
                }
                Event::Command(kind) => {
                    let ticket = Ticket(u64::try_from(number).unwrap());
                    world.open.push(ticket);
                    world.feed(&mut m, command(kind, ticket));
                }
                Event::News(choice) => {
                    if let Some(input) = world.news(choice) {
                        world.feed(&mut m, input);
                    }
                }
                Event::Stalled => world.feed(&mut m, Input::Stalled("stands".into())),
                Event::Pass(ms) => {
                    world.now += Duration::from_millis(ms.into());
                    if m.deadline().is_some_and(|deadline| deadline <= world.now) {
                        world.deadline_passed = true;
                        world.feed(&mut m, Input::Deadline);
                        world.deadline_passed = false;
                    }
                }
            }
        }
        if !world.finished {
            world.feed(&mut m, Input::Shutdown);
        }
        for _ in 0..20 {
            if world.finished {
                break;
            }
            if let Some(input) = world.news(1) {
                world.feed(&mut m, input);
            }
        }
        prop_assert!(world.finished, "the end never came: {m:?}");
        prop_assert!(world.open.is_empty(), "never answered: {:?}", world.open);
    }
}
