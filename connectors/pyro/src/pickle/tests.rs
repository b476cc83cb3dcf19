// SPDX-License-Identifier: MIT OR Apache-2.0
//! What CPython 2.7 writes and reads, and what it would be wrong to believe.

use proptest::prelude::*;

use super::*;
use crate::{
    codec::Malformed,
    value::{MAX_DEPTH, MAX_ITEMS, Value, any_value},
    vectors::bytes,
};

/// Any value as our writer writes it; what it has no word for is none.
fn put(value: &Value, out: &mut Writer) {
    match value {
        Value::Bool(value) => out.bool(*value),
        // Our writer has no more than 64 bits.
        Value::Int(value) => out.int(i64::try_from(*value).unwrap_or(i64::MAX)),
        Value::Text(text) => out.str(text),
        Value::Bytes(bytes) => out.str(bytes),
        Value::List(list) => out.list(|out| list.iter().for_each(|item| put(item, out))),
        Value::None | Value::Float(_) | Value::Map(_) | Value::Span { .. } => out.none(),
    }
}

/// The value as it comes back: Python 2 has one type for texts and bytes.
fn as_python_2(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Bytes(text.into_bytes()),
        Value::List(list) => Value::List(list.into_iter().map(as_python_2).collect()),
        Value::Float(_) | Value::Map(_) | Value::Span { .. } => Value::None,
        Value::Int(value) => Value::Int(value.min(i64::MAX.into())),
        Value::None | Value::Bool(_) | Value::Bytes(_) => value,
    }
}

/// Values, and bytes of text in them.
fn size(value: &Value) -> (usize, usize) {
    let sum = |sizes: &mut dyn Iterator<Item = (usize, usize)>| {
        sizes.fold((1, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    };
    match value {
        Value::Text(text) => (1, text.len()),
        Value::Bytes(bytes) => (1, bytes.len()),
        Value::List(list) => sum(&mut list.iter().map(size)),
        Value::Map(map) => sum(&mut map.iter().flat_map(|(key, value)| [size(key), size(value)])),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Span { .. } => {
            (1, 0)
        }
    }
}

fn str(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

fn list<const N: usize>(items: [Value; N]) -> Value {
    Value::List(items.into())
}

fn refused(pickle: &[u8]) -> &'static str {
    let Malformed(reason) = read(pickle).unwrap_err();
    reason
}

#[test]
fn what_python_2_pickles_is_read() {
    let timedelta = "datetime\ntimedelta\n".bytes().map(|b| format!("{b:02x}"));
    let timedelta: String = timedelta.collect();
    let long = [&b"\x80\x02T\x70\x11\x01\0"[..], &[7; 70_000], b"."].concat();
    assert_eq!(read(&long), Ok(Value::Bytes(vec![7; 70_000])));
    let span = Value::Span { days: 0, seconds: 1, microseconds: 500_000 };
    let cases = [
        ("80024e2e", Value::None),
        ("8002882e", true.into()),
        ("8002892e", false.into()),
        ("80024bff2e", 255.into()),
        ("80024dffff2e", 65535.into()),
        ("80024affffffff2e", (-1).into()),
        ("80028a05ffffffff002e", u32::MAX.into()),
        ("80028a01ff2e", (-1).into()),
        ("80028a002e", 0.into()),
        ("80028b02000000ff7f2e", 32767.into()),
        ("8002473ff00000000000002e", Value::Float(1.0)),
        ("80025503616263712e2e", str("abc")),
        ("80025803000000e282ac71002e", Value::text("\u{20ac}")),
        ("8002292e", list([])),
        ("80024b01852e", list([1.into()])),
        ("80024b014b02862e", list([1.into(), 2.into()])),
        ("80024b014b024b03872e", list([1.into(), 2.into(), 3.into()])),
        ("8002284b014b024b034b0474712a2e", list([1.into(), 2.into(), 3.into(), 4.into()])),
        ("80025d71014b01612e", list([1.into()])),
        ("80025d7101284b014b02652e", list([1.into(), 2.into()])),
        ("80027d71012e", Value::Map(vec![])),
        ("80027d71015501614b01732e", Value::Map(vec![(str("a"), 1.into())])),
        (
            "80027d710128550161 4b01 550162 4b02 752e",
            Value::Map(vec![(str("a"), 1.into()), (str("b"), 2.into())]),
        ),
        ("80025501617101680186 2e", list([str("a"), str("a")])),
        ("800255016172040302016a0403020186 2e", list([str("a"), str("a")])),
    ];
    for (digits, value) in cases {
        assert_eq!(read(&bytes(digits)), Ok(value), "{digits}");
    }
    let digits = format!("800263{timedelta}71014b004b014a20a107008771025271032e");
    assert_eq!(read(&bytes(&digits)), Ok(span));
    assert_eq!(read(b"\x80\x02I1099511627776\n."), Ok(Value::Int(1 << 40)));
    assert_eq!(read(b"\x80\x02(I01\nI00\nt."), Ok(list([true.into(), false.into()])));
}

#[test]
fn a_list_that_grows_after_it_was_remembered_is_remembered_whole() {
    // x = [1]; (x, x), written before x was filled
    let pickle = b"\x80\x02]q\x01K\x01ah\x01\x86.";
    let x = list([1.into()]);
    assert_eq!(read(pickle), Ok(list([x.clone(), x])));
}

#[test]
fn no_class_or_function_is_looked_up() {
    for pickle in [
        &b"cos\nsystem\n(S'true'\ntR."[..],
        b"\x80\x02cos\nsystem\nU\x04true\x85R.",
        b"\x80\x02c__builtin__\neval\nU\x011\x85R.",
        b"\x80\x02cposix\nsystem\n.",
        b"\x80\x02cdatetime\ndatetime\nU\x01x\x85R.",
        b"\x80\x02cdatetime\ntimedeltas\n.",
        b"\x80\x02c",
    ] {
        assert!(refused(pickle).contains("none is looked up"), "{}", pickle.escape_ascii());
    }
    // Instructions that would make an instance without naming the class in the same breath.
    for code in [b'i', b'o', b'b', b'P', b'Q', 0x81, 0x82, 0x83, 0x84, 0x92, 0x93] {
        assert_eq!(refused(&[0x80, 2, b'N', code, b'.']), "a pickle with more than plain values");
    }
}

#[test]
fn a_timedelta_is_called_with_three_numbers_or_not_at_all() {
    const CLASS: &str = "\u{2}cdatetime\ntimedelta\n";
    for rest in [".", ")R.", "K\u{1}\u{1}R.", "NR.", "(K\u{1}K\u{2}tR.", "(K\u{1}K\u{2}NtR.", "R."]
    {
        let pickle = [b"\x80", CLASS.as_bytes(), rest.as_bytes()].concat();
        assert!(read(&pickle).is_err(), "{rest:?}");
    }
    assert!(read(b"\x80\x02K\x01)R.").is_err(), "a number is not called");
}

#[test]
fn a_length_that_promises_too_much_is_refused_and_takes_no_memory() {
    for code in [b'T', b'X', 0x8b] {
        assert_eq!(refused(&[0x80, 2, code, 0xff, 0xff, 0xff, 0xff, b'x']), "data too short");
    }
    assert_eq!(refused(b"\x80\x02U\x09x."), "data too short");
    let wide = [&b"\x80\x02\x8a\xff"[..], &[1; 255], b"."].concat();
    assert_eq!(refused(&wide), "a number too large");
    assert!(read(&[&b"I"[..], &[b'1'; 1_000_000], b"\n."].concat()).is_err());
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let nested = |depth: usize| [&b"\x80\x02N"[..], &vec![0x85; depth], b"."].concat();
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert!(read(&nested(MAX_DEPTH + 1)).is_err());
    assert!(read(&nested(1_000_000)).is_err());
    for opening in [&b"]"[..], b"(", b"}", b")", b"N", b"Nq\x01", b"h\x01"] {
        assert!(read(&[b"\x80\x02", &*opening.repeat(1_000_000), b"."].concat()).is_err());
    }
    let deep_lists = [b"]".repeat(1_000_000), b"a".repeat(999_999), b".".to_vec()].concat();
    assert!(read(&deep_lists).is_err());
    let long = |items: usize| [&b"("[..], &b"N".repeat(items), b"t."].concat();
    assert!(read(&long(MAX_ITEMS - 1)).is_ok());
    assert!(read(&long(MAX_ITEMS)).is_err());
}

#[test]
fn a_memo_cannot_multiply() {
    // Each tuple holds the one before it twice: 2^n values.
    let mut laughs = b"\x80\x02U\x01x".to_vec();
    for level in 0..30_u8 {
        laughs.extend([b'q', level, b'h', level, 0x86]);
    }
    laughs.push(b'.');
    assert!(matches!(refused(&laughs), "too many values" | "nested too deeply"));
    // A long text a thousand times.
    let text = [&b"\x80\x02(T\0\0\x01\0"[..], &[7; 65_536], b"q\x01"].concat();
    let often = [&text[..], &b"h\x01".repeat(1000), b"t."].concat();
    assert_eq!(refused(&often), "the memo multiplies the data");
    // A list that contains itself.
    assert_eq!(refused(b"\x80\x02]q\x01h\x01a."), "nested too deeply");
    assert_eq!(refused(b"\x80\x02h\x07."), "a memo that is not there");
}

#[test]
fn what_is_no_pickle_is_refused() {
    for pickle in [
        &b""[..],
        b".",
        b"\x80",
        b"\x80\x03N.",
        b"\x80\x02N",
        b"\x80\x02N.N",
        b"\x80\x02NN.",
        b"\x80\x02(N.",
        b"\x80\x02t.",
        b"\x80\x02N(a.",
        b"\x80\x02Na.",
        b"\x80\x02NNa.",
        b"\x80\x02}(Nu.",
        b"\x80\x02]NNs.",
        b"\x80\x02q\x01.",
        b"\x80\x02\x86.",
        b"\x80\x02N(\x85.",
        b"\x80\x02Ix\n.",
        b"\x80\x02X\x01\0\0\0\xff.",
        // What lies below a mark is out of reach.
        b"\x80\x02]N(aNNt\x87.",
        b"\x80\x02NN(\x86Nt\x87.",
    ] {
        assert!(read(pickle).is_err(), "{}", pickle.escape_ascii());
    }
}

#[test]
fn answers_are_what_python_2_would_write_but_for_its_memo() {
    let int = |value: i64| Writer::pickle(|out| out.int(value));
    for (value, digits) in [
        (0, "80024b002e"),
        (256, "80024d00012e"),
        (-1, "80024affffffff2e"),
        (0x7fff_ffff, "80024affffff7f2e"),
        (0x8000_0000, "80028a0500000080002e"),
        (u32::MAX.into(), "80028a05ffffffff002e"),
        (i64::from(i32::MIN) - 1, "80028a05ffffff7fff2e"),
        (i64::MAX, "80028a08ffffffffffffff7f2e"),
        (i64::MIN, "80028a0800000000000000802e"),
    ] {
        assert_eq!(int(value), bytes(digits), "{value}");
        assert_eq!(read(&int(value)), Ok(Value::Int(value.into())), "{value}");
    }
    assert_eq!(Writer::pickle(Writer::none), bytes("80024e2e"));
    assert_eq!(Writer::pickle(|out| out.bool(true)), bytes("8002882e"));
    assert_eq!(Writer::pickle(|out| out.str("abc")), b"\x80\x02U\x03abc.");
    assert_eq!(Writer::pickle(|out| out.str([7; 256]))[..7], *b"\x80\x02T\x00\x01\x00\x00");
    let capsule = b"\x80\x02(cPyro.errors\nPyroExceptionCapsule\no}(U\x06excObj\
        cPyro.errors\nProtocolError\nU\x02no\x85RU\x04argsNub.";
    assert_eq!(Writer::pickle(|out| out.protocol_error("no")), capsule);
}

proptest! {
    #[test]
    fn a_value_survives(value in any_value()) {
        let pickle = Writer::pickle(|out| put(&value, out));
        prop_assert_eq!(read(&pickle).unwrap(), as_python_2(value));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = read(&bytes);
    }

    #[test]
    fn any_instructions_are_carried_out_or_refused(
        codes in prop::collection::vec(
            prop::sample::select(b"NKUX()tae}usqhqhcR]\x85\x86\x87\x01\x02.".to_vec()), 0..400,
        ),
    ) {
        if let Ok(value) = read(&codes) {
            let (values, bytes) = size(&value);
            prop_assert!(values <= MAX_ITEMS && bytes <= codes.len() + (64 << 10));
        }
    }
}
