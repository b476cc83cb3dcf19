// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDEs of 2013 to 2022, with the real Pyro 3.16 under a real Python 2.7, and IDEs of all generations at once.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::Instant,
};

use plc_api::plc::PlcStatus;
use plc_tests::{
    PATIENCE,
    api::MD5,
    desk::Desk,
    errors::Errors,
    for_each_generation,
    ide::{Forced, Generation, Ide, hex, unhex},
    marks::Marks,
    programs,
};
use serde_json::{Value, json};

for_each_generation! {
    a_day_of_an_ide_that_sends_whole_files => day(Pyro3Files);
    a_day_of_an_ide_of_2019 => day(Pyro3);
    every_type_can_be_forced_by_an_ide_that_sends_whole_files => force_every_type(Pyro3Files);
    every_type_can_be_forced_by_an_ide_of_2019 => force_every_type(Pyro3);
}

fn day(generation: Generation) {
    let desk = Desk::start();
    let mut ide = desk.ide(generation);
    assert_eq!(ide.status(), "Empty");
    assert_eq!(ide.must("GetPLCID", json!([])), Value::Null, "there is no key");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(false));

    let library = programs::bytes("good");
    // As long as several messages of an IDE of 2019.
    let long: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
    let extra: &[(&str, &[u8])] =
        &[("sixteen.txt", b"sixteen bytes..."), ("long.bin", &long), ("empty", b"")];
    assert_eq!(ide.transfer(MD5, &library, extra), Ok(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.must("MatchMD5", json!([{ "unicode": MD5 }])), json!(true));
    for (name, content) in extra {
        let found = std::fs::read(desk.paths().work_dir.join(name)).unwrap();
        assert!(found == *content, "{name} was changed");
    }

    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    trace(&mut ide);
    assert!(ide.log(2).contains(&"started".to_owned()), "{:?}", ide.log(2));
    assert!(ide.log(3).contains(&"PLC started".to_owned()), "{:?}", ide.log(3));
    assert_eq!(ide.must("GetLogMessage", json!([3, 4711])), Value::Null);
    ide.must("ResetLogCount", json!([]));
    assert_eq!(ide.status_and_counts().1[..3], [0, 0, 0]);

    assert_eq!(ide.transfer(MD5, &library, &[]), Ok(false), "a running program is not replaced");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.transfer(MD5, &programs::bytes("missing_symbol"), &[]), Ok(false));
    assert_eq!(ide.status(), "Broken");
    assert!(ide.log(0).iter().any(|text| text.contains("startPLC")), "{:?}", ide.log(0));
    ide.must("RepairPLC", json!([]));
    assert_eq!(ide.status(), "Empty");
}

/// One sample of the list with this token.
fn sample(ide: &mut Ide, token: i64) -> (u32, Vec<u8>) {
    let begin = Instant::now();
    loop {
        let (status, samples) = ide.read_trace(token);
        assert_eq!(status, "Started");
        if let Some(last) = samples.into_iter().last() {
            return last;
        }
        assert!(begin.elapsed() < PATIENCE, "no samples come");
    }
}

fn trace(ide: &mut Ide) {
    let list = [(0, "BOOL", None), (8, "UDINT", None), (19, "STRING", None)];
    let token = ide.set_trace(&list);
    assert!(token > 0, "{token}");
    let mut last = 0;
    for _ in 0..20 {
        let (tick, data) = sample(ide, token);
        assert!(tick > last, "{tick} after {last}");
        last = tick;
        let text = format!("tick {tick}");
        let mut expected = vec![(tick & 1) as u8];
        expected.extend(tick.to_le_bytes());
        expected.push(u8::try_from(text.len()).unwrap());
        expected.extend(text.bytes());
        assert_eq!(data, expected, "at tick {tick}");
    }
}

/// A C `struct { long seconds, nanoseconds; }`.
fn time(seconds: i64, nanoseconds: i64) -> Vec<u8> {
    [seconds, nanoseconds].map(i64::to_le_bytes).concat()
}

fn span(days: i64, seconds: i64, microseconds: i64) -> Value {
    json!({ "timedelta": [days, seconds, microseconds] })
}

/// Each type, a value for it, and the bytes of a sample of it.
fn every_type() -> Vec<(&'static str, Value, Vec<u8>)> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    vec![
        ("BOOL", json!(true), vec![1]),
        ("SINT", json!(-5), vec![0xfb]),
        ("USINT", json!(200), vec![200]),
        ("BYTE", json!(0xa5), vec![0xa5]),
        ("INT", json!(-1234), (-1234_i16).to_le_bytes().into()),
        ("UINT", json!(40_000), 40_000_u16.to_le_bytes().into()),
        ("WORD", json!(0xbeef), 0xbeef_u16.to_le_bytes().into()),
        ("DINT", json!(-100_000), (-100_000_i32).to_le_bytes().into()),
        ("UDINT", json!(4_000_000_000_u32), 4_000_000_000_u32.to_le_bytes().into()),
        ("DWORD", json!(0xdead_beef_u32), 0xdead_beef_u32.to_le_bytes().into()),
        ("REAL", json!(1.5), 1.5_f32.to_le_bytes().into()),
        ("LINT", json!(-(1_i64 << 40)), (-(1_i64 << 40)).to_le_bytes().into()),
        ("ULINT", json!(u64::MAX), u64::MAX.to_le_bytes().into()),
        ("LWORD", json!(1_u64 << 63), (1_u64 << 63).to_le_bytes().into()),
        ("LREAL", json!(-0.1), (-0.1_f64).to_le_bytes().into()),
        ("TIME", span(-1, 86_399, 500_000), time(-1, 500_000_000)),
        ("DATE", span(19_000, 0, 0), time(19_000 * 86_400, 0)),
        ("TOD", span(0, 3600, 250_000), time(3600, 250_000_000)),
        ("DT", span(19_000, 3661, 1), time(19_000 * 86_400 + 3661, 1000)),
        ("STRING", json!({ "unicode": "forced" }), text("forced")),
    ]
}

fn force_every_type(generation: Generation) {
    let desk = Desk::start();
    let mut ide = desk.ide(generation);
    assert_eq!(ide.transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    let types = every_type();
    let list: Vec<(u32, &str, Option<Forced>)> = (0..)
        .zip(&types)
        .map(|(index, (name, value, bytes))| (index, *name, Some((value.clone(), bytes.clone()))))
        .collect();
    let token = ide.set_trace(&list);
    assert!(token > 0, "{token}");
    let (_, mut data) = sample(&mut ide, token);
    for (name, value, bytes) in &types {
        let rest = data.split_off(bytes.len());
        assert_eq!(data, *bytes, "{name} forced to {value}");
        data = rest;
    }
    assert!(data.is_empty());

    // Without the force the variables follow the program again.
    let token = ide.set_trace(&[(4, "INT", None), (8, "UDINT", None)]);
    let (tick, data) = sample(&mut ide, token);
    assert_eq!(data[..2], tick.wrapping_mul(3).to_le_bytes()[..2]);
    assert_eq!(data[2..], tick.to_le_bytes());

    // A value that does not suit its type is refused by number, and the IDE stays.
    let unfit: Forced = (json!("x"), vec![]);
    assert_eq!(ide.set_trace(&[(0, "BOOL", Some(unfit))]), -3);
    assert_eq!(ide.status(), "Started");
}

/// As the IDEs of December 2018: chunks of 16 KiB, no seed, nothing at all for an empty file.
#[test]
fn blobs_need_no_seed() {
    let desk = Desk::start();
    let mut ide = desk.ide(Generation::Pyro3);
    let nothing = hex(&[
        0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0, 0xb2, 4, 0xe9, 0x80, 9, 0x98, 0xec, 0xf8, 0x42, 0x7e,
    ]);
    let mut upload = |data: &[u8]| {
        data.chunks(16_384).fold(nothing.clone(), |id, chunk| {
            let id = ide.must("AppendChunkToBlob", json!([hex(chunk), id]));
            assert_eq!(unhex(&id).len(), 16, "the chunk was not taken");
            id
        })
    };
    let long: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
    let files = json!([
        ["long", upload(&long)],
        ["empty", upload(b"")],
        ["same", upload(b"twice")],
        ["again", upload(b"twice")],
        ["nothing", upload(b"")]
    ]);
    let library = upload(&programs::bytes("good"));
    assert_eq!(ide.must("NewPLC", json!([MD5, library, files])), json!(true));
    let read = |name| std::fs::read(desk.paths().work_dir.join(name)).unwrap();
    assert!(read("long") == long, "the file was changed");
    assert_eq!([read("empty"), read("nothing")], [b"", b""]);
    assert_eq!([read("same"), read("again")], [b"twice", b"twice"]);
}

#[test]
fn what_is_refused_is_told_and_the_ide_stays_connected() {
    let desk = Desk::start();
    let mut ide = desk.ide(Generation::Pyro3);
    let heard = ide.send(&json!({ "logger": true })).unwrap();
    assert!(heard["lines"].to_string().contains("did not provide identity"), "{heard}");
    assert_eq!(heard["keys"], json!([]), "a key was enrolled");

    assert_eq!(ide.must("Format", json!(["c:"])), Value::Null);
    let script = ide.send(&json!({ "call": "RemoteExec", "args": ["1"], "kwargs": { "a": 1 } }));
    assert_eq!(script.unwrap()[0], json!(-1));
    let library = programs::bytes("good");
    for name in ["../x", "/etc/x", "", "a/b", "retain_buffer_file"] {
        assert_ne!(ide.transfer(MD5, &library, &[(name, b"evil")]), Ok(true), "{name:?}");
    }
    let odd = json!([{ "hex": "e47c" }, ide.upload("x", b"y")]);
    let blob = ide.upload(MD5, &library);
    assert_eq!(ide.must("NewPLC", json!([MD5, blob, [odd]])), Value::Null);
    assert_eq!(ide.must("NewPLC", json!(["no md5", blob, []])), Value::Null);
    assert_eq!(ide.must("AppendChunkToBlob", json!([hex(b"x"), hex(&[7; 16])])), Value::Null);
    assert_eq!(ide.set_trace(&[(0, "BOOL", None)]), -5, "nothing is there to be traced");
    assert_eq!(ide.read_trace(-5), ("Broken".to_owned(), vec![]));

    let heard = ide.send(&json!({ "logger": true })).unwrap();
    for words in ["no method Format", "plain letters", "path separator", "32 hexadecimal digits"] {
        assert!(heard["lines"].to_string().contains(words), "{words:?} is not in {heard}");
    }
    assert_eq!(heard["dropped"], json!(false));
    assert_eq!(ide.status(), "Empty");
}

#[test]
fn an_ide_of_every_kind_is_served_at_once_and_the_last_to_set_a_list_owns_debugging() {
    let desk = Desk::start();
    let kinds = [Generation::PYTHON2.as_slice(), &Generation::ALL].concat();
    let mut ides: Vec<Ide> = kinds.iter().map(|kind| desk.ide(*kind)).collect();
    for ide in &mut ides {
        assert_eq!(ide.status(), "Empty");
    }
    assert_eq!(ides[0].transfer(MD5, &programs::bytes("good"), &[]), Ok(true));
    ides[1].must("StartPLC", json!([]));
    for ide in &mut ides {
        assert_eq!(ide.status(), "Started");
    }
    // Twice around, so that each takes over from a neighbour of another kind and gets its own back.
    let mut owner: Option<(usize, i64)> = None;
    for turn in 0..2 * ides.len() {
        let next = turn % ides.len();
        // A list of another length for each, so that no one's samples are taken for another's.
        let list: Vec<(u32, &str, Option<Forced>)> =
            (2..3 + u32::try_from(next).unwrap()).map(|index| (index, "BYTE", None)).collect();
        let token = ides[next].set_trace(&list);
        assert!(owner.is_none_or(|(_, before)| token > before), "{token} after {owner:?}");
        if let Some((before, lost)) = owner {
            let answer = ides[before].read_trace(lost);
            assert_eq!(answer, ("Broken".to_owned(), vec![]), "{:?}", ides[before].generation);
            assert_eq!(ides[before].status(), "Started", "and is served on");
        }
        let bytes = [1, 1, 2, 2, 2, 4, 4, 4, 4][..list.len()].iter().sum::<usize>();
        assert_eq!(sample(&mut ides[next], token).1.len(), bytes);
        owner = Some((next, token));
    }
    assert!(pyro_connections(&desk) >= ides.len());
    assert_eq!(ides[0].must("StopPLC", json!([])), json!(true));
    for ide in &mut ides {
        assert_eq!(ide.status(), "Stopped");
    }
}

fn pyro_connections(desk: &Desk) -> usize {
    desk.api().stats().connections.iter().filter(|c| c.connector == "pyro").count()
}

#[test]
fn an_ide_goes_without_a_word_and_its_program_runs_on() {
    let desk = Desk::start();
    let mut ide = desk.ide(Generation::Pyro3Files);
    assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    let token = ide.set_trace(&[(0, "UDINT", None)]);
    ide.read_trace(token);
    drop(ide);
    let api = desk.api();
    api.wait("the connections' end", |_| pyro_connections(&desk) == 0);
    let mut next = desk.ide(Generation::Pyro3);
    assert_eq!(next.status(), "Started");
    assert_eq!(next.must("StopPLC", json!([])), json!(true));
    api.wait_status(PlcStatus::Stopped);
    Marks::read(&desk.paths().work_dir).assert_each_was_stopped_before_the_next();
}

#[test]
fn a_client_of_wire_version_4_is_served_where_that_is_set() {
    let desk = Desk::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let errors = Errors::new();
    let mut connector = Command::new(plc_tests::binary("plc-connector-pyro"))
        .args(["--pyro3-version", "4", "--api"])
        .arg(desk.paths().connector_socket("pyro"))
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stderr(errors.stdio())
        .spawn()
        .unwrap();
    let mut ide = Ide::new(Generation::Pyro3Files, port);
    let refused = ide.call("GetPLCstatus", json!([]));
    let _ = ide.send(&json!({ "wire": 4 })).unwrap();
    let served = ide.call("GetPLCstatus", json!([]));
    drop(ide);
    connector.kill().unwrap();
    connector.wait().unwrap();
    assert!(refused.is_err(), "version 5 was served: {refused:?}");
    assert_eq!(served.unwrap()[0], json!("Empty"));
}
