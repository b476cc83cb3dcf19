// SPDX-License-Identifier: MIT OR Apache-2.0
//! The basic types of IEC 61131-3 as a program keeps them in memory: values from trace samples and to force.
//!
//! # Layout
//! Byte order and the size of `long` are those of this machine: a program that we can trace runs here too.
//! A sample holds a STRING as one length byte and that many bytes; forced, it is the whole structure of 127
//! bytes. TIME, DATE, TOD and DT are `{long seconds; long nanoseconds}`.
//! Specified by: reference runtime, `runtime/typemapping.py`.

use std::{ffi::c_long, str::FromStr};

use thiserror::Error;

/// Bytes of a STRING's text.
pub(crate) const STRING_BYTES: usize = 126;
const LONG_BYTES: usize = size_of::<c_long>();
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
    /// Reads one value from the front of a sample's data and says how many bytes it took.
    /// `None`: the data ends before the value does.
    pub(crate) fn decode(self, data: &[u8]) -> Option<(Value, usize)> {
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
            Self::Time => timespec(data).map(|(ns, taken)| (Value::Time(ns), taken)),
            Self::Date => timespec(data).map(|(ns, taken)| (Value::Date(ns), taken)),
            Self::Tod => timespec(data).map(|(ns, taken)| (Value::Tod(ns), taken)),
            Self::Dt => timespec(data).map(|(ns, taken)| (Value::Dt(ns), taken)),
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
    pub(crate) fn encode(self, value: &Value) -> Result<Vec<u8>, OutOfRange> {
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
            (Self::Time, Value::Time(ns))
            | (Self::Date, Value::Date(ns))
            | (Self::Tod, Value::Tod(ns))
            | (Self::Dt, Value::Dt(ns)) => timespec_bytes(*ns),
            (Self::String, Value::Text(text)) => string_bytes(text),
            _ => None,
        };
        bytes.ok_or(OutOfRange(self))
    }
}

fn timespec(data: &[u8]) -> Option<(i128, usize)> {
    let (seconds, rest) = data.split_first_chunk::<LONG_BYTES>()?;
    let nanoseconds = rest.first_chunk::<LONG_BYTES>()?;
    let ns = i128::from(c_long::from_ne_bytes(*seconds)) * NS_PER_S
        + i128::from(c_long::from_ne_bytes(*nanoseconds));
    Some((ns, 2 * LONG_BYTES))
}

fn timespec_bytes(ns: i128) -> Option<Vec<u8>> {
    let seconds = c_long::try_from(ns.div_euclid(NS_PER_S)).ok()?;
    let nanoseconds = c_long::try_from(ns.rem_euclid(NS_PER_S)).ok()?;
    Some([seconds.to_ne_bytes(), nanoseconds.to_ne_bytes()].concat())
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
