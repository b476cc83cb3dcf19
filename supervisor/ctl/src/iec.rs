// SPDX-License-Identifier: MIT OR Apache-2.0
//! The basic types of IEC 61131-3 as a program keeps them in memory: values from trace samples and to force.
//!
//! # Layout
//! Byte order is that of this machine: a program that we can trace runs here too.
//! A sample holds a STRING as one length byte and that many bytes; forced, it is the whole structure of 127
//! bytes. TIME, DATE, TOD and DT are seconds and nanoseconds in the program's own [`TimeLayout`].
//! Specified by: reference runtime, `runtime/typemapping.py`.

use std::str::FromStr;

use plc_api::trace::TimeLayout;
use thiserror::Error;

/// Bytes of a STRING's text.
pub(crate) const STRING_BYTES: usize = 126;
const NS_PER_S: i128 = 1_000_000_000;

/// A basic type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IecType {
    /// Also the type of steps, transitions and actions.
    Bool,
    Sint,
    Int,
    Dint,
    Lint,
    Usint,
    Uint,
    Udint,
    Ulint,
    Byte,
    Word,
    Dword,
    Lword,
    Real,
    Lreal,
    Time,
    Date,
    Tod,
    Dt,
    String,
}

/// Every name of a type; the first of a type is its own.
const NAMES: [(&str, IecType); 25] = [
    ("BOOL", IecType::Bool),
    ("STEP", IecType::Bool),
    ("TRANSITION", IecType::Bool),
    ("ACTION", IecType::Bool),
    ("SINT", IecType::Sint),
    ("INT", IecType::Int),
    ("DINT", IecType::Dint),
    ("LINT", IecType::Lint),
    ("USINT", IecType::Usint),
    ("UINT", IecType::Uint),
    ("UDINT", IecType::Udint),
    ("ULINT", IecType::Ulint),
    ("BYTE", IecType::Byte),
    ("WORD", IecType::Word),
    ("DWORD", IecType::Dword),
    ("LWORD", IecType::Lword),
    ("REAL", IecType::Real),
    ("LREAL", IecType::Lreal),
    ("TIME", IecType::Time),
    ("DATE", IecType::Date),
    ("TOD", IecType::Tod),
    ("TIME_OF_DAY", IecType::Tod),
    ("DT", IecType::Dt),
    ("DATE_AND_TIME", IecType::Dt),
    ("STRING", IecType::String),
];

/// No basic type has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a basic IEC type")]
pub(crate) struct UnknownType;

impl FromStr for IecType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, iec_type)| iec_type)
            .ok_or(UnknownType)
    }
}

impl std::fmt::Display for IecType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = NAMES.iter().find(|(_, iec_type)| iec_type == self);
        f.pad(name.map_or("", |&(name, _)| name))
    }
}

/// A value of a basic type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    /// BYTE to LWORD: the same numbers, read as bits.
    Bits(u64),
    Real(f32),
    Lreal(f64),
    /// Nanoseconds.
    Time(i128),
    /// Nanoseconds since 1970-01-01.
    Date(i128),
    /// Nanoseconds since midnight.
    Tod(i128),
    /// Nanoseconds since 1970-01-01.
    Dt(i128),
    /// In the program's own character set, mostly UTF-8.
    Text(Vec<u8>),
}

impl Value {
    /// Where it lies on a vertical axis; text lies nowhere.
    pub(crate) fn height(&self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a picture has fewer dots than a double has digits"
        )]
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Signed(value) => Some(*value as f64),
            Self::Unsigned(value) | Self::Bits(value) => Some(*value as f64),
            Self::Real(value) => Some(f64::from(*value)),
            Self::Lreal(value) => Some(*value),
            Self::Time(ns) | Self::Date(ns) | Self::Tod(ns) | Self::Dt(ns) => {
                Some(*ns as f64 / 1e9)
            }
            Self::Text(_) => None,
        }
        .filter(|height| height.is_finite())
    }
}

/// A value does not fit its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is out of the range of {0}")]
pub(crate) struct OutOfRange(IecType);

impl IecType {
    /// Whether its bytes depend on a program's [`TimeLayout`].
    pub(crate) const fn is_time(self) -> bool {
        matches!(self, Self::Time | Self::Date | Self::Tod | Self::Dt)
    }

    /// Reads one value from the front of a sample's data and says how many bytes it took.
    /// `None`: the data ends before the value does.
    pub(crate) fn decode(self, data: &[u8], times: TimeLayout) -> Option<(Value, usize)> {
        macro_rules! number {
            ($number:ty, $wide:ty, $variant:ident) => {{
                let bytes = data.first_chunk::<{ size_of::<$number>() }>()?;
                let value = <$wide>::from(<$number>::from_ne_bytes(*bytes));
                Some((Value::$variant(value), bytes.len()))
            }};
        }
        match self {
            Self::Bool => data.first().map(|&byte| (Value::Bool(byte != 0), 1)),
            Self::Sint => number!(i8, i64, Signed),
            Self::Int => number!(i16, i64, Signed),
            Self::Dint => number!(i32, i64, Signed),
            Self::Lint => number!(i64, i64, Signed),
            Self::Usint => number!(u8, u64, Unsigned),
            Self::Uint => number!(u16, u64, Unsigned),
            Self::Udint => number!(u32, u64, Unsigned),
            Self::Ulint => number!(u64, u64, Unsigned),
            Self::Byte => number!(u8, u64, Bits),
            Self::Word => number!(u16, u64, Bits),
            Self::Dword => number!(u32, u64, Bits),
            Self::Lword => number!(u64, u64, Bits),
            Self::Real => number!(f32, f32, Real),
            Self::Lreal => number!(f64, f64, Lreal),
            Self::Time => Some((Value::Time(time(data, times)?), times.bytes())),
            Self::Date => Some((Value::Date(time(data, times)?), times.bytes())),
            Self::Tod => Some((Value::Tod(time(data, times)?), times.bytes())),
            Self::Dt => Some((Value::Dt(time(data, times)?), times.bytes())),
            Self::String => {
                let length = usize::from(*data.first()?);
                let text = data.get(1..=length)?;
                Some((Value::Text(text.to_vec()), 1 + length))
            }
        }
    }

    /// The bytes that force a variable of this type to `value`.
    ///
    /// # Errors
    /// [`OutOfRange`] when the type cannot hold it, or is another one than the value's.
    pub(crate) fn encode(self, value: &Value, times: TimeLayout) -> Result<Vec<u8>, OutOfRange> {
        macro_rules! narrow {
            ($number:ty, $value:expr) => {
                <$number>::try_from(*$value).ok().map(|value| value.to_ne_bytes().to_vec())
            };
        }
        let bytes = match (self, value) {
            (Self::Bool, Value::Bool(value)) => Some(vec![u8::from(*value)]),
            (Self::Sint, Value::Signed(value)) => narrow!(i8, value),
            (Self::Int, Value::Signed(value)) => narrow!(i16, value),
            (Self::Dint, Value::Signed(value)) => narrow!(i32, value),
            (Self::Lint, Value::Signed(value)) => Some(value.to_ne_bytes().to_vec()),
            (Self::Usint, Value::Unsigned(value)) | (Self::Byte, Value::Bits(value)) => {
                narrow!(u8, value)
            }
            (Self::Uint, Value::Unsigned(value)) | (Self::Word, Value::Bits(value)) => {
                narrow!(u16, value)
            }
            (Self::Udint, Value::Unsigned(value)) | (Self::Dword, Value::Bits(value)) => {
                narrow!(u32, value)
            }
            (Self::Ulint, Value::Unsigned(value)) | (Self::Lword, Value::Bits(value)) => {
                Some(value.to_ne_bytes().to_vec())
            }
            (Self::Real, Value::Real(value)) => Some(value.to_ne_bytes().to_vec()),
            (Self::Lreal, Value::Lreal(value)) => Some(value.to_ne_bytes().to_vec()),
            // Both parts of one sign, as programs compute durations: else the program would find it unequal to its own.
            (Self::Time, Value::Time(ns)) => time_bytes(ns / NS_PER_S, ns % NS_PER_S, times),
            (Self::Date, Value::Date(ns))
            | (Self::Tod, Value::Tod(ns))
            | (Self::Dt, Value::Dt(ns)) => {
                time_bytes(ns.div_euclid(NS_PER_S), ns.rem_euclid(NS_PER_S), times)
            }
            (Self::String, Value::Text(text)) => string_bytes(text),
            _ => None,
        };
        bytes.ok_or(OutOfRange(self))
    }
}

/// Nanoseconds.
fn time(data: &[u8], layout: TimeLayout) -> Option<i128> {
    let data = data.get(..layout.bytes())?;
    let (seconds, nanoseconds) = data.split_at(if layout == TimeLayout::Long32 { 4 } else { 8 });
    Some(integer(seconds)? * NS_PER_S + integer(nanoseconds)?)
}

/// A signed integer of 4 or 8 bytes.
fn integer(bytes: &[u8]) -> Option<i128> {
    match bytes.len() {
        4 => Some(i32::from_ne_bytes(bytes.try_into().ok()?).into()),
        _ => Some(i64::from_ne_bytes(bytes.try_into().ok()?).into()),
    }
}

fn time_bytes(seconds: i128, nanoseconds: i128, layout: TimeLayout) -> Option<Vec<u8>> {
    let narrow = |number| i32::try_from(number).ok().map(|number| number.to_ne_bytes().to_vec());
    let wide = |number| i64::try_from(number).ok().map(|number| number.to_ne_bytes().to_vec());
    let parts = match layout {
        TimeLayout::Long32 => [narrow(seconds)?, narrow(nanoseconds)?],
        TimeLayout::Packed => [wide(seconds)?, narrow(nanoseconds)?],
        TimeLayout::Long64 => [wide(seconds)?, wide(nanoseconds)?],
    };
    Some(parts.concat())
}

fn string_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len()).ok().filter(|_| text.len() <= STRING_BYTES)?;
    let mut bytes = vec![length];
    bytes.extend_from_slice(text);
    bytes.resize(1 + STRING_BYTES, 0);
    Some(bytes)
}

#[cfg(test)]
mod tests;
