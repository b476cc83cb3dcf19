// SPDX-License-Identifier: MIT OR Apache-2.0
//! A day at the IDE, whatever carries its calls.

use plc_tests::{
    api::MD5,
    desk::Desk,
    ide::{Forced, Generation, Ide, Raised, unhex},
    programs,
};
use serde_json::{Value, json};

/// Connects, transfers, runs, debugs, reads the log, stops; `another` is a second IDE of the same kind.
pub(crate) fn day(desk: &Desk, ide: &mut Ide, another: Ide) {
    connect(ide);
    assert_eq!(ide.status(), "Empty");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(false));

    let library = programs::bytes("good");
    // More than the largest chunk that any IDE sends, 1 MiB.
    let long: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let extra: &[(&str, &[u8])] = &[("recipe.csv", b"a;b\n"), ("long.bin", &long), ("empty", b"")];
    assert_eq!(ide.transfer(MD5, &library, extra), Ok(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.must("MatchMD5", json!([MD5])), json!(true));
    let work = desk.paths().work_dir;
    assert_eq!(std::fs::read(work.join("long.bin")).unwrap(), long);
    assert_eq!(std::fs::read(work.join("recipe.csv")).unwrap(), b"a;b\n");
    assert_eq!(std::fs::read(work.join("empty")).unwrap(), b"");

    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    trace_and_force(ide);
    debugging_is_taken_over(ide, another);

    assert!(ide.log(2).contains(&"started".to_owned()), "{:?}", ide.log(2));
    assert!(ide.log(3).contains(&"PLC started".to_owned()), "{:?}", ide.log(3));
    ide.must("ResetLogCount", json!([]));
    let counts = ide.status_and_counts().1;
    assert!(counts[..3] == [0, 0, 0] && counts[3] < 3, "{counts:?}");
    assert!(ide.log(2).is_empty());

    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
    assert_eq!(ide.status(), "Stopped");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true), "stopping twice is harmless");
}

/// What the IDE asks first: the identity, which must come in the way that the generation survives.
pub(crate) fn connect(ide: &mut Ide) {
    let answer = ide.call("GetPLCID", json!([]));
    match ide.generation {
        Generation::Pyro3Files
        | Generation::Pyro3
        | Generation::Pyro5Serpent
        | Generation::Pyro5
        | Generation::WampPython2
        | Generation::Wamp => assert_eq!(answer, Ok(Value::Null)),
        Generation::Wamp2025 => {
            assert_eq!(answer, Ok(Value::Null));
            let mut ask = |name: &str| ide.must("ExtendedCall", json!([name, { "hex": "" }]));
            let versions = unhex(&ask("GetVersions"));
            assert!(versions.starts_with(b"Linux "), "{versions:?}");
            assert_eq!(ask("nope"), json!({ "hex": "" }), "no error, which would end the session");
            assert_eq!(ide.must("GetLogMessage", json!([3, 4711])), Value::Null);
        }
        // "Unsupported codec version": a warning in the IDE.
        Generation::Erpc11 => assert!(is_codec_error(&answer), "{answer:?}"),
        // 2: "not supported", a warning in the IDE.
        Generation::Erpc12 => assert_eq!(answer.unwrap_err().message, "2"),
    }
}

pub(crate) fn is_codec_error(answer: &Result<Value, Raised>) -> bool {
    answer.as_ref().is_err_and(|raised| raised.class == "erpc.codec.CodecError")
}

fn trace_and_force(ide: &mut Ide) {
    let forced: Forced = (json!(1234), 1234_i16.to_le_bytes().to_vec());
    let text: Forced = (json!("forced"), string("forced"));
    let token = ide.set_trace(&[
        (0, "BOOL", None),
        (1, "SINT", None),
        (4, "INT", Some(forced)),
        (8, "UDINT", None),
        (14, "LREAL", None),
        (19, "STRING", Some(text)),
    ]);
    assert!(token > 0, "{token}");
    let mut last = None;
    let mut seen = 0;
    while seen < 300 {
        let (status, samples) = ide.read_trace(token);
        assert_eq!(status, "Started");
        for (tick, data) in samples {
            assert!(last.is_none_or(|last| tick > last), "{tick} after {last:?}");
            last = Some(tick);
            seen += 1;
            let mut expected = vec![(tick & 1) as u8, tick.to_le_bytes()[0]];
            expected.extend(1234_i16.to_le_bytes());
            expected.extend(tick.to_le_bytes());
            expected.extend((f64::from(tick) * 0.25).to_le_bytes());
            expected.push(6);
            expected.extend(b"forced");
            assert_eq!(data, expected, "at tick {tick}");
        }
    }
    // Without the force the variable follows the program again.
    let token = ide.set_trace(&[(4, "INT", None)]);
    let samples = loop {
        let (_, samples) = ide.read_trace(token);
        if samples.len() > 2 {
            break samples;
        }
    };
    let (tick, data) = samples.last().unwrap();
    assert_eq!(*data, tick.wrapping_mul(3).to_le_bytes()[..2]);
}

fn debugging_is_taken_over(first: &mut Ide, mut second: Ide) {
    let token = first.set_trace(&[(8, "UDINT", None)]);
    assert_eq!(first.read_trace(token).0, "Started");
    connect(&mut second);
    let other = second.set_trace(&[(0, "BOOL", None)]);
    assert!(other > token);
    assert_eq!(
        first.read_trace(token),
        ("Broken".to_owned(), vec![]),
        "the first has lost the token"
    );
    assert_eq!(second.read_trace(other).0, "Started");
    assert_eq!(first.status(), "Started", "and is served on");
    second.set_trace(&[]);
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = vec![u8::try_from(text.len()).unwrap()];
    bytes.extend(text.as_bytes());
    bytes.resize(127, 0);
    bytes
}
