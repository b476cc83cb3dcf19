// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl` as an operator and a script use it, against a supervisor that only pretends.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect has failed"
)]

mod stub;

use std::process::Output;

use plc_api::{
    log::LogLevel,
    message::ApiError,
    plc::{ConnectionInfo, Crash, PlcStatus, Snapshot},
    program::{ProgramInfo, ProgramMd5},
};
use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::stub::{Plc, Stub, batch};

fn with_program(status: PlcStatus) -> Plc {
    Plc {
        snapshot: Snapshot {
            status,
            phase: status.as_str().to_lowercase(),
            program: Some(ProgramInfo {
                id: "1-f00d".into(),
                md5: ProgramMd5::new(&"a".repeat(32)).unwrap(),
                since_us: 1,
            }),
            ..Snapshot::default()
        },
        ..Plc::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The exit code, stdout, stderr.
fn parts(output: &Output) -> (i32, String, String) {
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn json_lines(output: &Output) -> Vec<Json> {
    let lines = text(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn status_is_one_object_in_json() {
    let stub = Stub::serve(with_program(PlcStatus::Stopped));
    let answers = json_lines(&stub.run(&["--json", "status"]).await);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["format"], 1);
    assert_eq!(answers[0]["status"], "Stopped");
    assert_eq!(answers[0]["program"]["id"], "1-f00d");
    assert_eq!(stub.plc.lock().unwrap().requests, 0, "a status needs no call");
}

#[tokio::test]
async fn start_answers_with_the_state_after_it() {
    let stub = Stub::serve(with_program(PlcStatus::Stopped));
    let answers = json_lines(&stub.run(&["start", "--json"]).await);
    assert_eq!(answers[0]["status"], "Started");
    let (code, out, err) = parts(&stub.run(&["stop"]).await);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "The PLC is stopped.\n", ""));
}

#[tokio::test]
async fn exit_codes_tell_refused_from_failed_from_unreachable_from_usage() {
    let stub = Stub::serve(Plc::default());
    let (code, out, err) = parts(&stub.run(&["start"]).await);
    assert_eq!((code, out.as_str()), (3, ""));
    assert_eq!(err, "plcctl: no program is installed; install one first\n");

    let (code, _, err) = parts(&stub.run(&["--socket", "/nowhere/api.sock", "status"]).await);
    assert_eq!(code, 4);
    assert!(err.contains("/nowhere/api.sock"), "{err}");
    assert!(err.contains("systemctl start plc-runtime"), "{err}");

    assert_eq!(parts(&stub.run(&["dance"]).await).0, 2);
    assert_eq!(parts(&stub.run(&["install", "missing.so"]).await).0, 1);
}

#[tokio::test]
async fn a_reload_is_answered_with_the_state_and_a_bad_configuration_fails() {
    let mut plc = with_program(PlcStatus::Started);
    plc.snapshot.upgrade_waits = true;
    let stub = Stub::serve(plc);
    let (code, out, err) = parts(&stub.run(&["reload"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("systemctl restart plc-runtime"), "{out}");
    let answers = json_lines(&stub.run(&["reload", "--json"]).await);
    assert_eq!(answers[0]["upgrade_waits"], true);
    stub.change(|plc| plc.snapshot.reason = Some("bad".into()));
    let (code, _, err) = parts(&stub.run(&["reload"]).await);
    assert_eq!((code, err.as_str()), (1, "plcctl: plc-runtime.toml: bad\n"));
}

#[tokio::test]
async fn the_last_crash_is_in_the_status() {
    let mut plc = with_program(PlcStatus::Broken);
    let (reason, core) = ("killed by SIGSEGV".into(), "none".into());
    plc.snapshot.last_crash = Some(Crash { time_us: 7, reason, core });
    let stub = Stub::serve(plc);
    let answers = json_lines(&stub.run(&["status", "--json"]).await);
    assert_eq!(answers[0]["last_crash"]["reason"], "killed by SIGSEGV");
    assert_eq!(answers[0]["upgrade_waits"], false);
}

#[tokio::test]
async fn pairing_is_opened_and_says_how_an_ide_comes_by_the_key() {
    let stub = Stub::serve(Plc::default());
    let (code, out, err) = parts(&stub.run(&["pair"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("10 min") && out.contains("ERPCS://HOST:4000#plc-test"), "{out}");
    let answers = json_lines(&stub.run(&["pair", "--seconds", "7", "--json"]).await);
    assert_eq!((&answers[0]["id"], &answers[0]["until_us"]), (&"plc-test".into(), &7.into()));
    stub.change(|plc| plc.snapshot.pairing_until_us = Some(7));
    let answers = json_lines(&stub.run(&["status", "--json"]).await);
    assert_eq!(answers[0]["pairing_until_us"], 7);
    for bad in ["0", "3601", "long"] {
        assert_eq!(parts(&stub.run(&["pair", "--seconds", bad]).await).0, 2, "{bad}");
    }
}

#[tokio::test]
async fn a_key_is_made_listed_and_revoked() {
    let stub = Stub::serve(Plc::default());
    let (code, out, err) = parts(&stub.run(&["psk", "add", "anna"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains("psk/anna.secret") && out.contains("\nanna:a-new-secret-it-is\n"),
        "{out}"
    );
    stub.file("secret", "0123456789abcdef0123456789abcdef\n".as_bytes());
    let line = ["psk", "add", "otto", "--secret-file", "secret", "--json"];
    let output = stub.run(&line).await;
    assert_eq!(json_lines(&output)[0]["secret"], "0123456789abcdef0123456789abcdef");
    assert!(text(&output.stderr).contains("looks like a number in hexadecimal"));
    let answers = json_lines(&stub.run(&["psk", "list", "--json"]).await);
    let ids: Vec<_> = answers[0]["keys"].as_array().unwrap().iter().map(|key| &key["id"]).collect();
    assert_eq!(ids, ["anna", "otto"]);
    let (code, out, _) = parts(&stub.run(&["psk", "revoke", "anna"]).await);
    assert!(code == 0 && out.contains("connections"), "{out}");
    let (_, out, _) = parts(&stub.run(&["psk", "list"]).await);
    assert!(out.starts_with("otto  client") && !out.contains("anna"), "{out}");
    let (code, _, err) = parts(&stub.run(&["psk", "show", "otto"]).await);
    assert_eq!((code, err.as_str()), (1, "plcctl: this is for others\n"));
}

#[tokio::test]
async fn a_check_answers_with_and_without_a_runtime() {
    let stub = Stub::serve(with_program(PlcStatus::Started));
    let verdict = |output: &Output| {
        let answers = json_lines(output);
        let findings = answers[0]["findings"].as_array().unwrap().clone();
        let of = findings.iter().find(|finding| finding["topic"] == "answers").unwrap();
        (answers[0]["format"].clone(), of["verdict"].clone(), answers[0]["latency"].clone())
    };
    let good = stub.run(&["check", "--no-latency", "--json"]).await;
    assert_eq!(verdict(&good), (1.into(), "good".into(), Json::Null));

    let line = ["--socket", "/nowhere/run/api.sock", "check", "--seconds", "1", "--json"];
    let nobody = stub.run(&line).await;
    let (_, verdict, latency) = verdict(&nobody);
    assert_eq!(verdict, "problem");
    assert!(latency["wake_ups"].as_u64().unwrap() > 0, "{latency}");
    assert_eq!(nobody.status.code(), Some(1));
}

#[tokio::test]
async fn watch_tells_a_change_and_ends_with_the_runtime() {
    let stub = Stub::serve(with_program(PlcStatus::Stopped));
    let mut child = stub.begin(&["status", "--watch", "--json"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first: Json = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(first["status"], "Stopped");
    stub.change(|plc| plc.snapshot.status = PlcStatus::Broken);
    let next: Json = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    assert_eq!(next["status"], "Broken");
    drop(stub);
    assert_eq!(child.wait().await.unwrap().code(), Some(4));
}

#[tokio::test]
async fn follow_shows_new_messages_and_begins_again_when_the_log_was_emptied() {
    let mut plc = Plc::default();
    for number in 0..12 {
        plc.log(LogLevel::Info, number, &format!("old {number}"));
    }
    let stub = Stub::serve(plc);
    let mut child = stub.begin(&["log", "--follow"]);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for number in 2..12 {
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.ends_with(&format!("old {number}")), "{line}");
    }
    stub.change(|plc| plc.log(LogLevel::Debug, 20, "new"));
    assert!(lines.next_line().await.unwrap().unwrap().ends_with("new"));
    stub.change(|plc| {
        plc.log.clear();
        plc.snapshot.log_counts = [0; 4];
        plc.log(LogLevel::Info, 30, "after");
    });
    assert!(lines.next_line().await.unwrap().unwrap().ends_with("after"));
}

#[tokio::test]
async fn an_installation_transfers_library_and_extra_files_whole() {
    let stub = Stub::serve(Plc::default());
    let library: Vec<u8> = (0_u32..700_000).flat_map(u32::to_le_bytes).collect();
    stub.file("p.so", &library);
    stub.file("files/a.csv", b"1;2;3");
    stub.file("files/empty", b"");
    let (code, out, err) = parts(&stub.run(&["install", "p.so", "--extra", "files"]).await);
    assert_eq!(code, 0, "{err}");
    assert_eq!(out, "Program 2-cafe is installed; start it with: plcctl start\n");
    assert_eq!(
        err,
        "plcctl: sent a.csv, 5 B\nplcctl: sent empty, 0 B\nplcctl: sent p.so, 2.6 MiB\n"
    );
    let plc = stub.plc.lock().unwrap();
    assert_eq!(plc.installed["library"], library);
    assert_eq!(plc.installed["a.csv"], b"1;2;3");
    assert_eq!(plc.installed["empty"], b"");
}

#[tokio::test]
async fn a_running_plc_is_replaced_only_with_restart() {
    let stub = Stub::serve(with_program(PlcStatus::Started));
    stub.file("p.so", b"library");
    let (code, _, err) = parts(&stub.run(&["install", "p.so"]).await);
    assert_eq!(code, 3);
    assert!(err.contains("--restart"), "{err}");
    assert_eq!(stub.plc.lock().unwrap().requests, 0, "nothing was sent");
    let (code, out, _) = parts(&stub.run(&["install", "p.so", "--restart"]).await);
    assert_eq!((code, out.as_str()), (0, "Program 2-cafe is installed; the PLC runs\n"));
}

#[tokio::test]
async fn a_damaged_transfer_installs_nothing() {
    let stub = Stub::serve(Plc { damage: true, ..Plc::default() });
    stub.file("p.so", b"library");
    let (code, _, err) = parts(&stub.run(&["install", "p.so"]).await);
    assert_eq!(code, 1);
    assert!(err.contains("damaged"), "{err}");
    assert!(stub.plc.lock().unwrap().installed.is_empty());
}

#[tokio::test]
async fn repair_is_not_done_unasked() {
    let stub = Stub::serve(with_program(PlcStatus::Stopped));
    assert_eq!(parts(&stub.run(&["repair"]).await).0, 2);
    assert!(stub.plc.lock().unwrap().snapshot.program.is_some());
    assert_eq!(parts(&stub.run(&["repair", "--yes"]).await).0, 0);
    assert!(stub.plc.lock().unwrap().snapshot.program.is_none());
}

#[tokio::test]
async fn the_log_is_merged_by_time_and_cut_from_its_end() {
    let mut plc = Plc::default();
    for number in 0_u32..150 {
        let level = LogLevel::ALL[usize::try_from(number % 4).unwrap()];
        plc.log(level, u64::from(number), &format!("message {number}"));
    }
    let stub = Stub::serve(plc);
    let all = json_lines(&stub.run(&["log", "--json"]).await);
    let messages = all[0]["messages"].as_array().unwrap();
    let times: Vec<u64> = messages.iter().map(|m| m["time_us"].as_u64().unwrap()).collect();
    assert_eq!(times, (0..150).collect::<Vec<u64>>());

    let last = text(&stub.run(&["log", "--lines", "2"]).await.stdout);
    let ends: Vec<&str> = last.lines().map(|line| &line[line.len() - 11..]).collect();
    assert_eq!(ends, ["message 148", "message 149"]);

    let one = json_lines(&stub.run(&["log", "--level", "warning", "--json"]).await);
    assert_eq!(one[0]["messages"].as_array().unwrap().len(), 38);

    stub.run(&["log", "--reset"]).await;
    assert_eq!(text(&stub.run(&["log"]).await.stdout), "");
}

#[tokio::test]
async fn a_trace_decodes_its_samples_and_gives_the_forced_variables_free() {
    let mut plc = with_program(PlcStatus::Started);
    let first: &[u8] = &[1, 0xfb, 0xff];
    plc.batches = vec![Ok(batch(PlcStatus::Started, &[(10, first), (11, &[0, 5, 0])]))];
    plc.connections = vec![ConnectionInfo {
        connector: "pyro".into(),
        peer: "10.0.0.7:5000".into(),
        identity: String::new(),
    }];
    let stub = Stub::serve(plc);
    stub.file("v.csv", b"4;LAMP;BOOL\n9;SPEED;INT\n");
    let line = ["trace", "SPEED", "--force", "LAMP=TRUE", "--variables", "v.csv"];
    let output = stub.run(&[&line[..], &["--count", "2", "--json"]].concat()).await;
    let samples = json_lines(&output);
    assert_eq!(samples[0]["tick"], 10);
    assert_eq!(samples[0]["values"]["LAMP"], true);
    assert_eq!(samples[0]["values"]["SPEED"], -5);
    assert_eq!(samples[1]["values"]["SPEED"], 5);
    let err = text(&output.stderr);
    assert!(err.contains("takes debugging") && err.contains("10.0.0.7:5000"), "{err}");
    let lists = stub.plc.lock().unwrap().lists.clone();
    assert_eq!(lists[0][0].force.as_ref().unwrap().as_slice(), [1]);
    assert_eq!(lists[0][1].force, None);
    assert_eq!(lists[1], [], "the list is emptied in the end");
}

#[tokio::test]
async fn a_trace_that_is_taken_over_says_so_and_leaves_the_new_owner_alone() {
    let mut plc = with_program(PlcStatus::Started);
    plc.batches = vec![Err(ApiError::TokenLost)];
    let stub = Stub::serve(plc);
    let (code, out, err) = parts(&stub.run(&["trace", "1:INT"]).await);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("another client has taken over"), "{err}");
    assert_eq!(stub.plc.lock().unwrap().lists.len(), 1);
}

#[tokio::test]
async fn a_program_that_is_started_again_gets_its_trace_list_again() {
    let mut plc = with_program(PlcStatus::Started);
    plc.batches = vec![
        Ok(batch(PlcStatus::Stopped, &[])),
        Ok(batch(PlcStatus::Started, &[])),
        Ok(batch(PlcStatus::Started, &[(1, &[2, 0])])),
    ];
    let stub = Stub::serve(plc);
    let (code, out, err) = parts(&stub.run(&["trace", "1:INT", "--count", "1"]).await);
    assert_eq!(code, 0, "{err}");
    assert!(out.lines().last().unwrap().ends_with(" 2"), "{out}");
    assert_eq!(stub.plc.lock().unwrap().lists.len(), 3);
}

#[tokio::test]
async fn a_sample_of_another_length_is_shown_as_far_as_it_goes_and_told_once() {
    let mut plc = with_program(PlcStatus::Started);
    let short: &[u8] = &[3, 0];
    plc.batches = vec![Ok(batch(PlcStatus::Started, &[(1, short), (2, short)]))];
    let stub = Stub::serve(plc);
    let line = ["trace", "1:INT", "2:DINT", "--count", "2", "--json"];
    let output = stub.run(&line).await;
    let samples = json_lines(&output);
    assert_eq!(samples[0]["values"]["1:INT"], 3);
    assert_eq!(samples[0]["values"]["2:DINT"], Json::Null);
    assert_eq!(text(&output.stderr).matches("not as long").count(), 1);
}

#[tokio::test]
async fn a_plot_that_goes_into_a_file_is_drawn_once() {
    let mut plc = with_program(PlcStatus::Started);
    let data: Vec<[u8; 2]> = (0_u16..64).map(u16::to_ne_bytes).collect();
    let samples: Vec<(u32, &[u8])> = (0..).zip(data.iter().map(|d| &d[..])).collect();
    plc.batches = vec![Ok(batch(PlcStatus::Started, &samples))];
    let stub = Stub::serve(plc);
    let (code, out, _) = parts(&stub.run(&["trace", "1:INT", "--count", "64", "--plot"]).await);
    assert_eq!(code, 0);
    assert!(out.starts_with("1:INT = 63\n"), "{out}");
    assert!(!out.contains('\x1b'), "{out}");
    assert_eq!(out.matches("now").count(), 1);
}
