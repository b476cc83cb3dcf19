// SPDX-License-Identifier: MIT OR Apache-2.0
//! Turns the Python value to which an IDE forces a variable into the bytes of the variable's C type.
//!
//! The IDEs before eRPC send a value and the name of the IEC type; the program takes bytes in target byte order.

use super::value::Value;

/// Bytes of an IEC STRING's body, after its length byte.
const STRING_BODY: usize = 126;

/// The bytes of `value` as a variable of `iec_type`; `None` if the two do not go together.
///
/// Integers wrap around at their type's width, as the reference runtime's do; a STRING is one length byte and 126
/// bytes, padded with zeros. The types of time come as a `timedelta`, which only Pyro3 can carry.
#[must_use]
pub(crate) fn bytes_of(iec_type: &str, value: &Value) -> Option<Vec<u8>> {
    match iec_type {
        "BOOL" | "STEP" | "TRANSITION" | "ACTION" => Some(vec![u8::from(truth(value)?)]),
        "SINT" | "USINT" | "BYTE" => integer(value, 1),
        "INT" | "UINT" | "WORD" => integer(value, 2),
        "DINT" | "UDINT" | "DWORD" => integer(value, 4),
        "LINT" | "ULINT" | "LWORD" => integer(value, 8),
        "REAL" => Some(single(float(value)?).to_ne_bytes().to_vec()),
        "LREAL" => Some(float(value)?.to_ne_bytes().to_vec()),
        "STRING" => string(value),
        "TIME" | "DATE" | "TOD" | "DT" => {
            let Value::Span { days, seconds, microseconds } = value else {
                return None;
            };
            time_bytes(*days, *seconds, *microseconds)
        }
        _ => None,
    }
}

/// The bytes of a TIME, DATE, TOD or DT from a Python `timedelta` in its normal form: two C `long`s, seconds and
/// nanoseconds. `None` if it is not normal, or does not fit.
fn time_bytes(days: i64, seconds: i64, microseconds: i64) -> Option<Vec<u8>> {
    if !(0..86_400).contains(&seconds) || !(0..1_000_000).contains(&microseconds) {
        return None;
    }
    let seconds = days.checked_mul(86_400)?.checked_add(seconds)?;
    // C's long is as wide as a pointer on every Linux.
    let seconds = isize::try_from(seconds).ok()?;
    let nanoseconds = isize::try_from(microseconds * 1000).ok()?;
    Some([seconds.to_ne_bytes(), nanoseconds.to_ne_bytes()].concat())
}

/// Python's idea of true, for numbers.
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(value) => Some(*value != 0),
        Value::Float(value) => Some(*value != 0.0),
        Value::None
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Span { .. } => None,
    }
}

/// The lowest `width` bytes of an integer.
fn integer(value: &Value, width: usize) -> Option<Vec<u8>> {
    let number =
        if let Value::Bool(value) = value { i128::from(*value) } else { value.as_int()? };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.truncate(width);
    if cfg!(target_endian = "big") {
        bytes.reverse();
    }
    Some(bytes)
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Bool(value) => Some(f64::from(u8::from(*value))),
        #[allow(
            clippy::cast_precision_loss,
            reason = "an integer becomes the nearest float, as in Python"
        )]
        Value::Int(value) => Some(*value as f64),
        Value::None
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Span { .. } => None,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "the nearest single, infinite beyond its range, as C converts"
)]
const fn single(value: f64) -> f32 {
    value as f32
}

fn string(value: &Value) -> Option<Vec<u8>> {
    let text = match value {
        Value::Text(text) => text.as_bytes(),
        Value::Bytes(bytes) => bytes,
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Span { .. } => return None,
    };
    let length = u8::try_from(text.len()).ok()?;
    let mut bytes = vec![0; 1 + STRING_BODY];
    *bytes.first_mut()? = length;
    bytes.get_mut(1..=text.len())?.copy_from_slice(text);
    Some(bytes)
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_width_and_integers_wrap() {
        let cases: [(&str, Value, &[u8]); 12] = [
            ("BOOL", true.into(), &[1]),
            ("BOOL", 0.into(), &[0]),
            ("SINT", (-1).into(), &[0xff]),
            ("USINT", 256.into(), &[0]),
            ("INT", 42.into(), &[0x2a, 0]),
            ("WORD", 0x12345.into(), &[0x45, 0x23]),
            ("DINT", (-2).into(), &[0xfe, 0xff, 0xff, 0xff]),
            ("ULINT", Value::Int(u64::MAX.into()), &[0xff; 8]),
            ("LINT", Value::Int(i64::MIN.into()), &[0, 0, 0, 0, 0, 0, 0, 0x80]),
            ("REAL", Value::Float(1.5), &1.5_f32.to_le_bytes()),
            ("REAL", 2.into(), &2.0_f32.to_le_bytes()),
            ("LREAL", Value::Float(-0.1), &(-0.1_f64).to_le_bytes()),
        ];
        for (iec_type, value, bytes) in cases {
            assert_eq!(bytes_of(iec_type, &value).as_deref(), Some(bytes), "{iec_type}");
        }
    }

    #[test]
    fn a_string_is_padded_and_one_that_is_too_long_is_refused() {
        let forced = bytes_of("STRING", &Value::text("ab")).unwrap();
        assert_eq!((forced.len(), &forced[..4]), (127, &b"\x02ab\0"[..]));
        let longest = Value::Bytes(vec![7; 126]);
        assert_eq!(bytes_of("STRING", &longest).unwrap()[126], 7);
        for length in [127, 200, 256, 1000] {
            assert_eq!(bytes_of("STRING", &Value::Bytes(vec![7; length])), None);
        }
    }

    #[test]
    fn a_value_that_does_not_suit_the_type_is_refused() {
        for (iec_type, value) in [
            ("INT", Value::Float(1.0)),
            ("BOOL", Value::text("1")),
            ("STRING", 1.into()),
            ("REAL", Value::None),
            ("TIME", 1.into()),
            ("INT", Value::Span { days: 0, seconds: 1, microseconds: 0 }),
            ("WSTRING", Value::text("x")),
        ] {
            assert_eq!(bytes_of(iec_type, &value), None, "{iec_type}");
        }
    }

    #[test]
    fn every_type_of_time_takes_a_timedelta() {
        let value = Value::Span { days: 1, seconds: 2, microseconds: 3 };
        let expected = [86_402_isize.to_ne_bytes(), 3000_isize.to_ne_bytes()].concat();
        for iec_type in ["TIME", "DATE", "TOD", "DT"] {
            assert_eq!(bytes_of(iec_type, &value).as_ref(), Some(&expected), "{iec_type}");
        }
    }

    #[test]
    fn a_time_before_the_epoch_has_negative_seconds_and_positive_nanoseconds() {
        let expected = [(-1_isize).to_ne_bytes(), 500_000_000_isize.to_ne_bytes()].concat();
        assert_eq!(time_bytes(-1, 86_399, 500_000), Some(expected));
        assert_eq!(time_bytes(0, 86_400, 0), None);
        assert_eq!(time_bytes(0, 0, 1_000_000), None);
        assert_eq!(time_bytes(i64::MAX, 0, 0), None);
    }
}
