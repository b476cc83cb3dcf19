// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the journal says: facts in fields, a story for people, and no more than it has room for.

use plc_api::plc::PlcStatus;
use plc_appliance::Machine;
use serde_json::Value;

/// Entries that fit these matches, oldest first.
fn entries(machine: &Machine, matches: &[&str]) -> Vec<Value> {
    let journal = machine.journal(&[&["-o", "json", "--all"], matches].concat());
    journal.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect()
}

#[test]
fn a_crash_leaves_one_entry_each_time_with_all_that_is_known() {
    let machine = Machine::installed();
    let api = machine.run_program("segv_cycle");
    let broken = api.wait("the last crash", |s| s.status == PlcStatus::Broken && s.crashes == 3);
    let program = broken.program.clone().unwrap();
    machine.wait_journal(&["-u", "plc-runtime"], "PLC broken");
    let crashes = entries(&machine, &["SIGNAL=SIGSEGV"]);
    assert_eq!(crashes.len(), 3, "{crashes:#?}");
    for crash in &crashes {
        assert_eq!(crash["PRIORITY"], "3");
        assert_eq!(crash["SYSLOG_IDENTIFIER"], "plc-supervisor");
        assert_eq!(crash["PROGRAM_ID"], program.id.as_str());
        assert_eq!(crash["PROGRAM_MD5"], program.md5.as_str());
        let text = crash["MESSAGE"].as_str().unwrap();
        assert!(text.contains("SIGSEGV (invalid memory access"), "{text}");
        assert!(text.contains(crash["CORE"].as_str().unwrap()), "{text}");
        assert!(crash["PLC_LOG"].as_str().unwrap().contains("warning: before the fault"));
        assert!(crash["PLC_TICK"].as_str().unwrap().parse::<u32>().unwrap() >= 50);
    }
    let explained = machine.look("journalctl -x --no-pager SIGNAL=SIGSEGV");
    assert!(explained.contains("Subject: The PLC program failed"), "{explained}");
}

#[test]
fn the_journal_of_our_units_reads_as_a_story() {
    let machine = Machine::installed();
    let api = machine.run_program("good");
    api.stop().unwrap();
    machine.runtime().systemctl("stop");
    machine.wait_journal(&["-u", "plc-*"], "the runtime has ended");
    let story = machine.journal(&["-u", "plc-*", "-o", "cat"]);
    let mut rest = story.as_str();
    for told in [
        "the runtime is ready",
        "PLC loading (program 000001-",
        "PLC starting (program 000001-",
        "PLC started (program 000001-",
        "PLC stopping",
        "PLC stopped",
        "the runtime ends because of SIGTERM",
        "the runtime has ended",
    ] {
        let at = rest.find(told).unwrap_or_else(|| panic!("{told:?} does not follow in:\n{story}"));
        rest = &rest[at..];
    }
    let states = entries(&machine, &["PLC_STATE=started"]);
    assert_eq!(states.len(), 1);
    assert_eq!(states[0]["PRIORITY"], "6");
    let said = entries(&machine, &["PLC_SOURCE=program", "PLC_LEVEL=info"]);
    assert_eq!(said[0]["MESSAGE"], "program: started");
    assert_eq!(said[0]["PROGRAM_ID"], states[0]["PROGRAM_ID"]);
}

#[test]
fn a_program_that_floods_its_log_neither_fills_the_journal_nor_hides_our_own_lines() {
    let machine = Machine::installed();
    let api = machine.run_program("log_flood");
    api.wait("a flood", |snapshot| snapshot.log_counts[3] > 50_000);
    api.stop().unwrap();
    machine.wait_journal(&["PLC_STATE=stopped"], "PLC stopped");
    let flood = entries(&machine, &["PLC_SOURCE=program"]);
    assert!(!flood.is_empty() && flood.len() < 1_000, "{} entries", flood.len());
    let left_out = machine.journal(&["-u", "plc-runtime"]);
    assert!(left_out.contains("`plcctl log` has the newest"), "{left_out}");
    let journald = machine.journal(&["-u", "systemd-journald", "-o", "cat"]);
    assert!(!journald.contains("Suppressed"), "{journald}");
}
