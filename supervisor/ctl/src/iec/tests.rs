// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes, values and literals of every type.

use proptest::prelude::*;

use super::*;

/// Any value of any type, with its type.
fn any_value() -> impl Strategy<Value = (IecType, Value)> {
    // What 32 bits can hold, as seconds and nanoseconds.
    let ns = || {
        (any::<i32>(), 0..NS_PER_S).prop_map(|(seconds, ns)| i128::from(seconds) * NS_PER_S + ns)
    };
    let day = (0_i128..2_932_896).prop_map(|days| days * 86_400 * NS_PER_S % (1 << 60));
    prop_oneof![
        any::<bool>().prop_map(|v| (IecType::Bool, Value::Bool(v))),
        any::<i8>().prop_map(|v| (IecType::Sint, Value::Signed(v.into()))),
        any::<i16>().prop_map(|v| (IecType::Int, Value::Signed(v.into()))),
        any::<i32>().prop_map(|v| (IecType::Dint, Value::Signed(v.into()))),
        any::<i64>().prop_map(|v| (IecType::Lint, Value::Signed(v))),
        any::<u8>().prop_map(|v| (IecType::Usint, Value::Unsigned(v.into()))),
        any::<u16>().prop_map(|v| (IecType::Uint, Value::Unsigned(v.into()))),
        any::<u32>().prop_map(|v| (IecType::Udint, Value::Unsigned(v.into()))),
        any::<u64>().prop_map(|v| (IecType::Ulint, Value::Unsigned(v))),
        any::<u8>().prop_map(|v| (IecType::Byte, Value::Bits(v.into()))),
        any::<u16>().prop_map(|v| (IecType::Word, Value::Bits(v.into()))),
        any::<u32>().prop_map(|v| (IecType::Dword, Value::Bits(v.into()))),
        any::<u64>().prop_map(|v| (IecType::Lword, Value::Bits(v))),
        any::<f32>().prop_map(|v| (IecType::Real, Value::Real(v))),
        any::<f64>().prop_map(|v| (IecType::Lreal, Value::Lreal(v))),
        ns().prop_map(|v| (IecType::Time, Value::Time(v))),
        day.prop_map(|v| (IecType::Date, Value::Date(v - v % (86_400 * NS_PER_S)))),
        (0..86_400 * NS_PER_S).prop_map(|v| (IecType::Tod, Value::Tod(v))),
        ns().prop_map(|v| (IecType::Dt, Value::Dt(v))),
        prop::collection::vec(any::<u8>(), 0..=STRING_BYTES)
            .prop_map(|v| (IecType::String, Value::Text(v))),
    ]
}

/// The form of any program's times.
fn any_layout() -> impl Strategy<Value = TimeLayout> {
    prop_oneof![Just(TimeLayout::Long32), Just(TimeLayout::Packed), Just(TimeLayout::Long64)]
}

proptest! {
    #[test]
    fn what_is_forced_is_what_is_traced((iec_type, value) in any_value(), times in any_layout()) {
        let forced = iec_type.encode(&value, times).unwrap();
        let (traced, taken) = iec_type.decode(&forced, times).unwrap();
        prop_assert_eq!(&traced, &value);
        if iec_type != IecType::String {
            prop_assert_eq!(taken, forced.len());
        }
    }

    #[test]
    fn a_value_can_be_typed_as_it_is_shown((iec_type, value) in any_value()) {
        prop_assert_eq!(iec_type.parse(&value.to_string()).unwrap(), value);
    }

    #[test]
    fn a_value_that_is_cut_short_is_no_value(
        (iec_type, value) in any_value(), times in any_layout(), cut in 1_usize..
    ) {
        let mut bytes = iec_type.encode(&value, times).unwrap();
        let taken = iec_type.decode(&bytes, times).unwrap().1;
        bytes.truncate(taken - 1 - cut % taken);
        prop_assert_eq!(iec_type.decode(&bytes, times), None);
    }

    #[test]
    fn no_text_makes_the_reader_of_literals_fall_over((iec_type, _) in any_value(), text in ".{0,20}") {
        if let Ok(value) = iec_type.parse(&text) {
            let _ = iec_type.encode(&value, TimeLayout::Long32);
        }
    }
}

#[test]
fn a_value_is_encoded_only_as_its_own_type() {
    let encode = |iec_type: IecType, value| iec_type.encode(&value, TimeLayout::Packed);
    assert_eq!(encode(IecType::Int, Value::Signed(40_000)), Err(OutOfRange(IecType::Int)));
    assert!(encode(IecType::Int, Value::Unsigned(1)).is_err());
    assert!(encode(IecType::Dt, Value::Time(1)).is_err());
    assert!(encode(IecType::String, Value::Text(vec![b'x'; 127])).is_err());
}

#[test]
fn sizes_are_those_of_the_table() {
    let size = |iec_type: IecType, literal| {
        let value = iec_type.parse(literal).unwrap();
        iec_type.encode(&value, TimeLayout::Packed).unwrap().len()
    };
    assert_eq!(size(IecType::Bool, "TRUE"), 1);
    assert_eq!(size(IecType::Int, "1"), 2);
    assert_eq!(size(IecType::Real, "1"), 4);
    assert_eq!(size(IecType::Lword, "1"), 8);
    assert_eq!(size(IecType::Time, "1s"), 12);
    assert_eq!(size(IecType::String, "abc"), 127);
}

#[test]
fn a_string_takes_its_length_byte_and_text_in_a_sample() {
    let decoded = IecType::String.decode(b"\x03abcdef", TimeLayout::Packed);
    assert_eq!(decoded, Some((Value::Text(b"abc".to_vec()), 4)));
}

/// What a program of 2026 and its IDE have sent.
#[test]
#[cfg(target_endian = "little")]
fn times_of_12_bytes_are_those_of_the_programs_that_have_them() {
    for (iec_type, literal, bytes) in [
        (IecType::Time, "T#1s500ms", "01000000000000000065cd1d"),
        (IecType::Time, "T#-1s500ms", "ffffffffffffffff009b32e2"),
        (IecType::Date, "D#2026-02-26", "008d9f690000000000000000"),
        (IecType::Tod, "TOD#12:34:56.25", "f0b000000000000080b2e60e"),
        (IecType::Dt, "DT#2100-01-01-00:00:00", "005786f40000000000000000"),
    ] {
        let value = iec_type.parse(literal).unwrap();
        let hex = |bytes: Vec<u8>| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        assert_eq!(hex(iec_type.encode(&value, TimeLayout::Packed).unwrap()), bytes, "{literal}");
    }
}

#[test]
fn a_time_below_zero_is_read_with_either_part_negative_and_with_rounded_seconds() {
    for (seconds, nanoseconds) in [(-1_i64, -500_000_000_i32), (-2, 500_000_000)] {
        let packed = [&seconds.to_ne_bytes()[..], &nanoseconds.to_ne_bytes()].concat();
        let (value, taken) = IecType::Time.decode(&packed, TimeLayout::Packed).unwrap();
        assert_eq!((value.to_string().as_str(), taken), ("T#-1s500ms", 12));
    }
}

#[test]
fn every_name_of_a_type_is_known_whatever_its_case() {
    for (name, iec_type) in NAMES {
        assert_eq!(name.parse(), Ok(iec_type));
        assert_eq!(name.to_lowercase().parse(), Ok(iec_type));
    }
    assert_eq!("WSTRING".parse::<IecType>(), Err(UnknownType));
    assert_eq!(IecType::Bool.to_string(), "BOOL");
}
