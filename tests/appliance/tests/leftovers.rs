// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing is left over: after hundreds of starts and transfers there are as many descriptors, processes, units and
//! files as after the first ones, and not more memory in use.

use plc_api::{message::WhenRunning, plc::PlcStatus};
use plc_appliance::{Machine, figure};
use plc_tests::{
    api::{Api, MD5},
    ide::{Generation, Ide},
    programs,
};
use serde_json::json;

/// What one count finds; memory apart, since it is compared otherwise.
#[derive(Debug, PartialEq, Eq)]
struct Count {
    supervisor: usize,
    connectors: Vec<usize>,
    manager: usize,
    processes: String,
    units: String,
    files: String,
}

/// Those that have an IDE while it is counted, the same one all the while.
const CONNECTORS: [&str; 2] = ["plc-connector-pyro.service", "plc-connector-wamp-direct.service"];

/// Counts while the PLC is stopped: descriptors of the supervisor, the connectors and systemd, and the lists of what
/// else there is.
fn count(machine: &Machine) -> Count {
    let descriptors = |pid: u32| {
        machine.look(&format!("ls /proc/{pid}/fd | wc -l")).trim().parse().expect("a number")
    };
    Count {
        supervisor: descriptors(machine.runtime().main_pid()),
        connectors: CONNECTORS.map(|unit| descriptors(machine.unit(unit).main_pid())).into(),
        manager: descriptors(1),
        processes: machine.look("ps -e -o comm= | grep '^plc-' | sort"),
        // Numbers of instances go up, and that is all.
        units: machine.look(
            "systemctl list-units --all --plain --no-legend 'plc-*' | sed 's/@[^ ]*/@/; s/(PID.*//' | sort",
        ),
        files: machine.look(
            "find /run/plc-* /var/lib/plc-* /tmp /dev/shm /run/systemd/transient -mindepth 1 \
             | sed -E 's,/programs/[0-9]+-[0-9a-f]+,/programs/X,' | sort",
        ),
    }
}

/// Memory of the supervisor that is its own, KiB.
fn memory(machine: &Machine) -> u64 {
    let pid = machine.runtime().main_pid();
    let text = machine.look(&format!("sed -n 's/^Private_Dirty: *//p' /proc/{pid}/smaps_rollup"));
    text.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

/// Runs `one` so often, counting after the first few and at the end.
fn nothing_grows(machine: &Machine, times: usize, mut one: impl FnMut(usize)) {
    // The first ones may fill caches.
    const FIRST: usize = 10;
    (0..FIRST).for_each(&mut one);
    let (before, memory_before) = (count(machine), memory(machine));
    (FIRST..times).for_each(&mut one);
    assert_eq!(count(machine), before, "after {times}, compared with after {FIRST}");
    let memory_after = memory(machine);
    figure(&format!(
        "the supervisor's memory: {memory_before} KiB after {FIRST}, {memory_after} KiB after {times}"
    ));
    // A leak of 8 KiB for each time would show.
    assert!(
        memory_after < memory_before + 1024 + 8 * times as u64,
        "{memory_before} {memory_after}"
    );
}

/// The API, and an IDE at each of [`CONNECTORS`].
fn connected(machine: &Machine) -> (Api, [Ide; 2]) {
    let wamp = "WAMP://127.0.0.1:8888#Automation#plc";
    let wamp = Ide::with_uri_behind(&machine.in_network(), Generation::Wamp, wamp, &[]);
    let mut ides = [machine.ide(Generation::Erpc12), wamp];
    for ide in &mut ides {
        assert_eq!(ide.status(), "Empty");
    }
    (machine.api(), ides)
}

#[test]
fn five_hundred_starts_and_stops_leave_nothing() {
    let machine = Machine::installed();
    let (api, _ides) = connected(&machine);
    api.install(MD5, &programs::bytes("good"), &[], WhenRunning::Refuse).unwrap();
    nothing_grows(&machine, 500, |round| {
        api.start().unwrap_or_else(|error| panic!("start {round}: {error}"));
        api.stop().unwrap_or_else(|error| panic!("stop {round}: {error}"));
    });
    let last = api.snapshot();
    assert_eq!((last.status, last.crashes), (PlcStatus::Stopped, 0));
    assert_eq!(machine.look("systemctl is-system-running"), "running\n");
}

#[test]
fn a_hundred_transfers_leave_the_last_three_programs() {
    let machine = Machine::installed();
    let (api, mut ides) = connected(&machine);
    let library = programs::bytes("stopmark");
    nothing_grows(&machine, 100, |round| {
        // Each is another program, with an extra file of its own.
        let library = [&library[..], &round.to_le_bytes()].concat();
        let extra: [(&str, &[u8]); 1] = [("recipe.txt", b"of this round")];
        let ide = &mut ides[round % 2];
        assert_eq!(ide.transfer(&format!("{round:032x}"), &library, &extra), Ok(true), "{round}");
        ide.must("StartPLC", json!([]));
        assert_eq!(ide.must("StopPLC", json!([])), json!(true), "{round}");
    });
    assert_eq!(machine.look("ls /var/lib/plc-runtime/programs").lines().count(), 3);
    assert_eq!(api.snapshot().crashes, 0);
    let marks = machine.marks();
    assert_eq!(marks.count("end"), 100);
    marks.assert_each_was_stopped_before_the_next();
}
