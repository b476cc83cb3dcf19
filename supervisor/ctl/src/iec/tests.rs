// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes, values and literals of every type.

use proptest::prelude::*;

use super::*;

/// Any value of any type, with its type.
fn any_value() -> impl Strategy<Value = (IecType, Value)> {
    // What a C long can hold, as seconds and nanoseconds.
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

proptest! {
    #[test]
    fn what_is_forced_is_what_is_traced((iec_type, value) in any_value()) {
        let forced = iec_type.encode(&value).unwrap();
        let (traced, taken) = iec_type.decode(&forced).unwrap();
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
    fn a_value_that_is_cut_short_is_no_value((iec_type, value) in any_value(), cut in 1_usize..) {
        let mut bytes = iec_type.encode(&value).unwrap();
        let taken = iec_type.decode(&bytes).unwrap().1;
        bytes.truncate(taken - 1 - cut % taken);
        prop_assert_eq!(iec_type.decode(&bytes), None);
    }

    #[test]
    fn no_text_makes_the_reader_of_literals_fall_over((iec_type, _) in any_value(), text in ".{0,20}") {
        if let Ok(value) = iec_type.parse(&text) {
            let _ = iec_type.encode(&value);
        }
    }
}

#[test]
fn a_value_is_encoded_only_as_its_own_type() {
    assert_eq!(IecType::Int.encode(&Value::Signed(40_000)), Err(OutOfRange(IecType::Int)));
    assert!(IecType::Int.encode(&Value::Unsigned(1)).is_err());
    assert!(IecType::Dt.encode(&Value::Time(1)).is_err());
    assert!(IecType::String.encode(&Value::Text(vec![b'x'; 127])).is_err());
}

#[test]
fn sizes_are_those_of_the_table() {
    let size = |iec_type: IecType, literal| {
        let value = iec_type.parse(literal).unwrap();
        iec_type.encode(&value).unwrap().len()
    };
    assert_eq!(size(IecType::Bool, "TRUE"), 1);
    assert_eq!(size(IecType::Int, "1"), 2);
    assert_eq!(size(IecType::Real, "1"), 4);
    assert_eq!(size(IecType::Lword, "1"), 8);
    assert_eq!(size(IecType::Time, "1s"), 2 * LONG_BYTES);
    assert_eq!(size(IecType::String, "abc"), 127);
}

#[test]
fn a_string_takes_its_length_byte_and_text_in_a_sample() {
    assert_eq!(IecType::String.decode(b"\x03abcdef"), Some((Value::Text(b"abc".to_vec()), 4)));
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
