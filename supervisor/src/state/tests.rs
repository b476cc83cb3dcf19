// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of edges, and what single inputs lead to.

use plc_api::program::ProgramMd5;

use super::*;

mod promises;

fn program(number: u32) -> ProgramInfo {
    ProgramInfo {
        id: format!("{number:06}-0123456789abcdef"),
        md5: ProgramMd5::new("0123456789abcdef0123456789abcdef").unwrap(),
        since_us: 0,
    }
}

fn policy() -> Policy {
    Policy {
        load_timeout: Duration::from_secs(30),
        start_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(5),
        restart: Restart::OnCrash { limit: 3, window: Duration::from_secs(60) },
        watchdog: WatchdogAction::Stop,
    }
}

fn machine() -> Machine {
    Machine::new(Some(program(1)), Wish::Stop, policy())
}

const STATES: [&str; 15] = [
    "Empty",
    "Stopped",
    "Install",
    "Loading",
    "Committing",
    "Loaded",
    "Starting",
    "Started",
    "EndRest",
    "EndRun",
    "EndBreak",
    "Killed",
    "Forgetting",
    "Broken",
    "Off",
];

/// A machine in the state of that name.
fn in_state(name: &str) -> Machine {
    let mut m = machine();
    let client =
        |origin| Job { program: program(2), origin, start: false, tickets: vec![Ticket(90)] };
    let again = Job { program: program(1), origin: Origin::Again, start: true, tickets: vec![] };
    let deadline = Time::from_secs(1000);
    let ending = |killed| Ending {
        deadline: Some(deadline),
        clean: false,
        killed,
        ran: true,
        stops: vec![],
    };
    m.state = match name {
        "Empty" => {
            m.program = None;
            State::Empty
        }
        "Stopped" => State::Stopped,
        "Install" => State::Loading { job: client(Origin::New), deadline },
        "Loading" => State::Loading { job: again, deadline },
        "Committing" => State::Committing { job: client(Origin::New) },
        "Loaded" => State::Loaded,
        "Starting" => State::Starting { job: again, deadline },
        "Started" => State::Started,
        "EndRest" => State::Ending { ending: ending(false), then: Then::Rest },
        "EndRun" => State::Ending { ending: ending(false), then: Then::Run(client(Origin::New)) },
        "EndBreak" => State::Ending {
            ending: ending(false),
            then: Then::Break(Failure::new("a reason".into())),
        },
        "Killed" => State::Ending {
            ending: ending(true),
            then: Then::Break(Failure::new("a reason".into())),
        },
        "Forgetting" => State::Forgetting { tickets: vec![Ticket(90)] },
        "Broken" => State::Broken { reason: "a reason".into() },
        "Off" => State::Off,
        other => panic!("{other}"),
    };
    m
}

/// The name of a machine's state; a state that begins a worker's end is told by what follows it.
fn name(m: &Machine) -> &'static str {
    match &m.state {
        State::Empty => "Empty",
        State::Stopped => "Stopped",
        State::Loading { job, .. } if job.origin == Origin::New => "Install",
        State::Loading { .. } => "Loading",
        State::Committing { .. } => "Committing",
        State::Loaded => "Loaded",
        State::Starting { .. } => "Starting",
        State::Started => "Started",
        State::Ending { ending, .. } if ending.killed => "Killed",
        State::Ending { then, .. } => match then {
            Then::Rest => "EndRest",
            Then::Run(_) => "EndRun",
            Then::Forget(_) => "EndForget",
            Then::Break(_) => "EndBreak",
            Then::Off => "EndOff",
        },
        State::Forgetting { .. } => "Forgetting",
        State::Broken { .. } => "Broken",
        State::Off => "Off",
    }
}

fn inputs() -> Vec<(&'static str, Input)> {
    let gone = || "ended with SIGSEGV".to_owned();
    vec![
        ("start", Input::Start(Ticket(1))),
        ("stop", Input::Stop(Ticket(1))),
        ("repair", Input::Repair(Ticket(1))),
        ("rollback", Input::Rollback(Ticket(1), Some(program(3)))),
        ("install", Input::Install(Ticket(1), program(4), WhenRunning::Refuse)),
        ("replace", Input::Install(Ticket(1), program(4), WhenRunning::Restart)),
        ("shutdown", Input::Shutdown),
        ("sleep", Input::Sleep(Ticket(1))),
        ("upgrade", Input::Upgrade),
        ("upgrade, then quiet", Input::Quiet),
        ("greeted", Input::Greeted),
        ("loaded", Input::Loaded(Ok(()))),
        ("unloadable", Input::Loaded(Err("no".into()))),
        ("committed", Input::Committed(Ok(()))),
        ("disk full", Input::Committed(Err("full".into()))),
        ("wish unwritten", Input::WishUnwritten),
        ("forgotten", Input::Forgotten(Ok(()))),
        ("running", Input::StartDone(Ok(()))),
        ("unstartable", Input::StartDone(Err("no".into()))),
        ("stopped", Input::StopDone),
        ("gone", Input::Gone(gone())),
        ("silent", Input::Silent),
        ("stalled", Input::Stalled("stands".into())),
        ("deadline", Input::Deadline),
    ]
}

/// Where each input leads from each state; `.` is: nowhere. A state that is not listed ignores the input.
#[rustfmt::skip]
const EDGES: &[(&str, &[(&str, &str)])] = &[
    ("Empty", &[
        ("rollback", "Loading"), ("install", "Install"), ("replace", "Install"), ("shutdown", "Off"), ("upgrade, then quiet", "Off"),
    ]),
    ("Stopped", &[
        ("start", "Loading"), ("repair", "Forgetting"), ("rollback", "Loading"), ("install", "Install"),
        ("replace", "Install"), ("shutdown", "Off"), ("upgrade, then quiet", "Off"),
    ]),
    ("Install", &[
        ("shutdown", "EndOff"), ("loaded", "Committing"), ("unloadable", "EndBreak"), ("gone", "Broken"),
        ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("Loading", &[
        ("stop", "EndRest"), ("shutdown", "EndOff"), ("sleep", "EndRest"), ("loaded", "Starting"), ("unloadable", "EndBreak"),
        ("gone", "Broken"), ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("Committing", &[
        ("shutdown", "EndOff"), ("committed", "Loaded"), ("disk full", "EndBreak"), ("gone", "Broken"),
        ("silent", "Killed"),
    ]),
    ("Loaded", &[
        ("start", "Starting"), ("repair", "EndForget"), ("rollback", "EndRun"), ("install", "EndRun"),
        ("replace", "EndRun"), ("shutdown", "EndOff"), ("upgrade, then quiet", "EndRest"), ("gone", "Stopped"), ("silent", "Killed"),
    ]),
    ("Starting", &[
        ("stop", "EndRest"), ("repair", "EndForget"), ("shutdown", "EndOff"), ("sleep", "EndRest"), ("running", "Started"),
        ("unstartable", "EndRun"), ("gone", "Loading"), ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("Started", &[
        ("stop", "EndRest"), ("repair", "EndForget"), ("rollback", "EndRun"), ("replace", "EndRun"),
        ("shutdown", "EndOff"), ("sleep", "EndRest"), ("gone", "Loading"), ("silent", "Killed"), ("stalled", "EndBreak"),
    ]),
    ("EndRest", &[
        ("shutdown", "EndOff"), ("gone", "Broken"), ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("EndRun", &[
        ("shutdown", "EndOff"), ("gone", "Install"), ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("EndBreak", &[
        ("shutdown", "EndOff"), ("gone", "Broken"), ("silent", "Killed"), ("deadline", "Killed"),
    ]),
    ("Killed", &[("gone", "Broken")]),
    ("Forgetting", &[("shutdown", "Off"), ("forgotten", "Empty")]),
    ("Broken", &[
        ("start", "Loading"), ("repair", "Forgetting"), ("rollback", "Loading"), ("install", "Install"),
        ("replace", "Install"), ("shutdown", "Off"), ("upgrade, then quiet", "Off"),
    ]),
    ("Off", &[]),
];

#[test]
fn every_state_takes_every_input_as_the_table_says() {
    assert_eq!(EDGES.iter().map(|(state, _)| *state).collect::<Vec<_>>(), STATES);
    let mut wrong = Vec::new();
    for (state, edges) in EDGES {
        for (label, input) in inputs() {
            let mut m = in_state(state);
            m.upgrade = label.starts_with("upgrade,");
            m.handle(Time::from_secs(1), input);
            let expected =
                edges.iter().find(|(edge, _)| *edge == label).map_or(*state, |(_, to)| to);
            if name(&m) != expected {
                wrong.push(format!("{state} --{label}--> {} and not {expected}", name(&m)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn replies(effects: &[Effect]) -> Vec<(Ticket, bool)> {
    effects
        .iter()
        .filter_map(|effect| {
            let Effect::Reply(ticket, result) = effect else { return None };
            Some((*ticket, result.is_ok()))
        })
        .collect()
}

#[test]
fn stop_is_ordered_before_the_wish_is_written() {
    let mut m = in_state("Started");
    m.wish = Wish::Run;
    let effects = m.handle(Time::ZERO, Input::Stop(Ticket(1)));
    assert_eq!(effects, [Effect::OrderStop, Effect::WriteWish(Wish::Stop)]);
    assert_eq!(m.handle(Time::ZERO, Input::StopDone), []);
    let effects = m.handle(Time::ZERO, Input::Gone("called exit(0)".into()));
    assert_eq!(replies(&effects), [(Ticket(1), true)]);
    assert_eq!(name(&m), "Stopped");
}

#[test]
fn a_wish_that_could_not_be_written_is_written_with_the_next_decision() {
    let mut m = in_state("Stopped");
    let writes = |m: &mut Machine| {
        m.handle(Time::ZERO, Input::Stop(Ticket(1))).contains(&Effect::WriteWish(Wish::Stop))
    };
    m.wish = Wish::Run;
    assert!(writes(&mut m));
    m.handle(Time::ZERO, Input::WishUnwritten);
    assert!(writes(&mut m), "it was not kept");
    assert!(!writes(&mut m), "now it is");
}

#[test]
fn the_wait_for_the_worker_before_is_no_part_of_the_time_for_loading() {
    let mut m = machine();
    m.policy.load_timeout = Duration::from_secs(1);
    m.handle(Time::ZERO, Input::Boot(Carry::Run));
    assert_eq!(m.deadline(), Some(Time::from_secs(6)), "the one before may take 5 s to stop");
    m.handle(Time::from_secs(4), Input::Greeted);
    assert_eq!(m.deadline(), Some(Time::from_secs(5)));
}

#[test]
fn a_program_that_hangs_is_killed_and_counted_once_and_restarted_if_the_watchdog_restarts() {
    for (action, after) in [(WatchdogAction::Restart, "Loading"), (WatchdogAction::Stop, "Broken")]
    {
        let mut m = in_state("Started");
        m.policy.watchdog = action;
        m.handle(Time::ZERO, Input::Stalled("it stands".into()));
        let effects = m.handle(policy().stop_timeout, Input::Deadline);
        assert!(effects.contains(&Effect::Kill));
        m.handle(policy().stop_timeout, Input::Gone("ended with SIGKILL".into()));
        assert_eq!((name(&m), m.crashes()), (after, 1));
    }
}

#[test]
fn a_stop_during_a_hanging_start_is_answered_when_the_killed_worker_is_given_up() {
    let mut m = in_state("Starting");
    m.handle(Time::ZERO, Input::Stop(Ticket(1)));
    assert_eq!(m.deadline(), Some(policy().stop_timeout));
    let effects = m.handle(policy().stop_timeout, Input::Deadline);
    assert!(effects.contains(&Effect::Kill));
    assert_eq!(replies(&effects), []);
    let effects = m.handle(policy().stop_timeout, Input::Gone("ended with SIGKILL".into()));
    assert_eq!(replies(&effects), [(Ticket(1), false)]);
    assert!(m.reason().unwrap().contains("did not stop within 5 s"));
}

#[test]
fn the_third_crash_in_a_minute_stays_broken_and_a_person_s_start_begins_anew() {
    let mut m = in_state("Started");
    for second in [1, 2] {
        m.state = State::Started;
        m.handle(Time::from_secs(second), Input::Gone("ended with SIGSEGV".into()));
        assert_eq!(name(&m), "Loading");
    }
    m.state = State::Started;
    m.handle(Time::from_secs(3), Input::Gone("ended with SIGSEGV".into()));
    assert_eq!(name(&m), "Broken");
    assert_eq!(m.crashes(), 3);
    m.handle(Time::from_secs(4), Input::Start(Ticket(1)));
    m.state = State::Started;
    m.handle(Time::from_secs(5), Input::Gone("ended with SIGSEGV".into()));
    assert_eq!(name(&m), "Loading");
}

#[test]
fn crashes_far_apart_are_always_followed_by_a_start() {
    let mut m = in_state("Started");
    for minute in 1..20 {
        m.state = State::Started;
        m.handle(Time::from_secs(minute * 61), Input::Gone("ended with SIGSEGV".into()));
        assert_eq!(name(&m), "Loading");
    }
}

#[test]
fn a_program_that_does_not_load_is_never_made_current() {
    let mut m = in_state("Install");
    let effects = m.handle(Time::ZERO, Input::Loaded(Err("undefined symbol: foo".into())));
    assert!(effects.contains(&Effect::Discard(program(2))));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Commit(_))));
    assert_eq!(replies(&effects), [], "not before the state is Broken");
    let effects = m.handle(Time::ZERO, Input::Gone("called exit(1)".into()));
    assert_eq!(replies(&effects), [(Ticket(90), false)]);
    assert_eq!(m.program(), Some(&program(1)));
    assert!(m.reason().unwrap().contains("undefined symbol: foo"), "{:?}", m.reason());
}

#[test]
fn the_wish_is_left_alone_by_crashes_and_by_the_end_of_the_supervisor() {
    for input in
        [Input::Gone("ended".into()), Input::Shutdown, Input::Silent, Input::Stalled("x".into())]
    {
        let mut m = in_state("Started");
        m.wish = Wish::Run;
        let effects = m.handle(Time::ZERO, input);
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::WriteWish(_))));
        assert_eq!(m.wish(), Wish::Run);
    }
}

#[test]
fn a_program_that_was_to_be_started_as_soon_as_it_is_stored_is_not_after_a_stop() {
    for input in [Input::Stop(Ticket(1)), Input::Sleep(Ticket(1))] {
        let mut m = in_state("Committing");
        if let State::Committing { job } = &mut m.state {
            job.start = true;
        }
        m.handle(Time::ZERO, input);
        let effects = m.handle(Time::ZERO, Input::Committed(Ok(())));
        assert!(!effects.contains(&Effect::OrderStart), "{effects:?}");
        assert_eq!(replies(&effects), [(Ticket(90), true)]);
        assert_eq!(name(&m), "Loaded");
    }
}

#[test]
fn sleep_stops_the_program_and_leaves_the_wish_and_waking_starts_it_again() {
    let mut m = in_state("Started");
    m.wish = Wish::Run;
    assert_eq!(m.handle(Time::ZERO, Input::Sleep(Ticket(1))), [Effect::OrderStop]);
    m.handle(Time::ZERO, Input::StopDone);
    let effects = m.handle(Time::ZERO, Input::Gone("called exit(0)".into()));
    assert_eq!(replies(&effects), [(Ticket(1), true)]);
    assert_eq!((name(&m), m.wish()), ("Stopped", Wish::Run));
    let effects = m.handle(Time::ZERO, Input::Start(Ticket(2)));
    assert_eq!(replies(&effects), [(Ticket(2), false)], "nothing starts on the way to sleep");
    m.handle(Time::ZERO, Input::Wake);
    assert_eq!(name(&m), "Loading");
}

#[test]
fn a_program_that_stops_more_slowly_than_the_machine_sleeps_runs_again_too() {
    let mut m = in_state("Started");
    m.wish = Wish::Run;
    m.handle(Time::ZERO, Input::Sleep(Ticket(1)));
    m.handle(Time::ZERO, Input::Wake);
    m.handle(Time::ZERO, Input::StopDone);
    m.handle(Time::ZERO, Input::Gone("called exit(0)".into()));
    assert_eq!(name(&m), "Loading");
}

#[test]
fn what_was_stopped_or_broken_before_sleep_is_so_after_it() {
    for state in ["Stopped", "Loaded", "Broken"] {
        for wish in [Wish::Stop, Wish::Run] {
            let mut m = in_state(state);
            m.wish = wish;
            let effects = m.handle(Time::ZERO, Input::Sleep(Ticket(1)));
            assert_eq!(replies(&effects), [(Ticket(1), true)]);
            assert_eq!(m.handle(Time::ZERO, Input::Wake), []);
            assert_eq!(name(&m), state);
        }
    }
}

#[test]
fn what_ran_before_sleep_runs_after_it_whatever_the_wish_unless_somebody_stopped_it() {
    for (during, after) in [(Input::Wake, "Loading"), (Input::Stop(Ticket(2)), "Stopped")] {
        let mut m = in_state("Started");
        assert_eq!(m.wish, Wish::Stop);
        m.handle(Time::ZERO, Input::Sleep(Ticket(1)));
        m.handle(Time::ZERO, Input::StopDone);
        m.handle(Time::ZERO, Input::Gone("called exit(0)".into()));
        m.handle(Time::ZERO, during);
        m.handle(Time::ZERO, Input::Wake);
        assert_eq!(name(&m), after);
    }
}

#[test]
fn a_program_on_its_way_in_place_of_one_that_ran_is_started_after_a_sleep() {
    for state in ["EndRun", "Install", "Committing"] {
        let mut m = in_state(state);
        let (State::Ending { then: Then::Run(job), .. }
        | State::Loading { job, .. }
        | State::Committing { job }) = &mut m.state
        else {
            panic!("{state} has no job");
        };
        job.start = true;
        m.handle(Time::ZERO, Input::Sleep(Ticket(1)));
        m.handle(Time::ZERO, Input::Wake);
        assert_eq!(m.carry(), Some(Carry::Run), "{state}");
    }
}

#[test]
fn the_supervisor_after_an_unexpected_end_finds_the_plc_as_this_one_meant_it() {
    let broken = || Some(Carry::Broken("a reason".into()));
    let breaks = || Some(Carry::Broken(format!("a reason; {}", act::NEXT_STEP)));
    for (state, carry) in [
        ("Empty", Some(Carry::Rest)),
        ("Stopped", Some(Carry::Rest)),
        ("Install", Some(Carry::Rest)),
        ("Loading", Some(Carry::Run)),
        ("Committing", Some(Carry::Rest)),
        ("Loaded", Some(Carry::Rest)),
        ("Starting", Some(Carry::Run)),
        ("Started", Some(Carry::Run)),
        ("EndRest", Some(Carry::Rest)),
        ("EndRun", Some(Carry::Rest)),
        ("EndBreak", breaks()),
        ("Killed", breaks()),
        ("Forgetting", Some(Carry::Rest)),
        ("Broken", broken()),
        ("Off", None),
    ] {
        for wish in [Wish::Run, Wish::Stop] {
            let mut m = in_state(state);
            m.wish = wish;
            assert_eq!(m.carry(), carry, "{state}");
        }
    }
    let mut m = in_state("Started");
    m.handle(Time::ZERO, Input::Sleep(Ticket(1)));
    assert_eq!(m.carry(), Some(Carry::Run), "asleep");
    m.handle(Time::ZERO, Input::Shutdown);
    assert_eq!(m.carry(), Some(Carry::Run), "shut down in its sleep");
}

#[test]
fn a_newer_version_waits_while_a_program_runs_and_takes_over_when_it_has_crashed() {
    let mut m = in_state("Started");
    m.wish = Wish::Run;
    assert_eq!(m.handle(Time::ZERO, Input::Upgrade), []);
    assert!(m.is_started() && m.upgrade_waits());
    let effects = m.handle(Time::ZERO, Input::Gone("ended with SIGSEGV".into()));
    assert!(effects.ends_with(&[Effect::HandOver(Carry::Run), Effect::Finished]), "{effects:?}");
}

#[test]
fn a_newer_version_finds_what_is_broken_broken() {
    let mut m = in_state("Broken");
    m.wish = Wish::Run;
    assert_eq!(m.handle(Time::ZERO, Input::Quiet), []);
    assert_eq!(m.handle(Time::ZERO, Input::Upgrade), []);
    assert!(m.awaits_quiet());
    let effects = m.handle(Time::ZERO, Input::Quiet);
    assert_eq!(effects, [Effect::HandOver(Carry::Broken("a reason".into())), Effect::Finished]);
    let mut next = machine();
    assert_eq!(next.handle(Time::ZERO, Input::Boot(Carry::Broken("a reason".into()))), []);
    assert_eq!(next.reason(), Some("a reason"));
}

#[test]
fn a_newer_version_waits_for_the_answer_that_a_client_waits_for() {
    let mut m = in_state("Started");
    m.handle(Time::ZERO, Input::Upgrade);
    m.handle(Time::ZERO, Input::Install(Ticket(1), program(4), WhenRunning::Restart));
    m.handle(Time::ZERO, Input::StopDone);
    let effects = m.handle(Time::ZERO, Input::Gone("called exit(0)".into()));
    assert_eq!(
        effects,
        [Effect::Note(LogLevel::Debug, "PLC stopped".into()), Effect::Launch(program(4))]
    );
}
