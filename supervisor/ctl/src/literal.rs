// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values as people write them: the literals of IEC 61131-3, and the shorter forms that are as clear.

use std::fmt;

use plc_api::trace::TimeLayout;
use thiserror::Error;

use crate::{
    civil::Date,
    iec::{IecType, STRING_BYTES, Value},
};

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// Units of a duration, the longer name before its own beginning.
const UNITS: [(&str, i128); 7] = [
    ("d", DAY),
    ("h", 3600 * SECOND),
    ("ms", 1_000_000),
    ("m", 60 * SECOND),
    ("s", SECOND),
    ("us", 1000),
    ("ns", 1),
];

/// The text is not a value of the type.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("is not a value of {iec_type}; write it like {example}")]
pub(crate) struct BadLiteral {
    iec_type: IecType,
    example: &'static str,
}

impl IecType {
    /// Reads a value of this type.
    ///
    /// # Errors
    /// [`BadLiteral`] shows how one is written.
    pub(crate) fn parse(self, text: &str) -> Result<Value, BadLiteral> {
        let trimmed = text.trim();
        let (value, example) = match self {
            Self::Bool => (boolean(trimmed).map(Value::Bool), "TRUE"),
            Self::Sint | Self::Int | Self::Dint | Self::Lint => {
                (integer(trimmed).map(Value::Signed), "-12")
            }
            Self::Usint | Self::Uint | Self::Udint | Self::Ulint => {
                (integer(trimmed).map(Value::Unsigned), "12")
            }
            Self::Byte | Self::Word | Self::Dword | Self::Lword => {
                (integer(trimmed).map(Value::Bits), "16#1F")
            }
            Self::Real => (trimmed.parse().ok().map(Value::Real), "1.5"),
            Self::Lreal => (trimmed.parse().ok().map(Value::Lreal), "1.5"),
            Self::Time => {
                (duration(without(trimmed, &["TIME#", "T#"])).map(Value::Time), "T#1h30m5s20ms")
            }
            Self::Date => {
                (days(without(trimmed, &["DATE#", "D#"])).map(Value::Date), "D#2025-01-31")
            }
            Self::Tod => {
                (clock(without(trimmed, &["TIME_OF_DAY#", "TOD#"])).map(Value::Tod), "TOD#12:30:00")
            }
            Self::Dt => (
                moment(without(trimmed, &["DATE_AND_TIME#", "DT#"])).map(Value::Dt),
                "DT#2025-01-31-12:30:00",
            ),
            Self::String => (characters(text).map(Value::Text), "'text' of at most 126 bytes"),
        };
        let iec_type = self;
        // Times as far as any program holds them; whether the one that runs does is seen when its layout is known.
        let fits = |value: &Value| self.encode(value, TimeLayout::Long64).is_ok();
        value.filter(fits).ok_or(BadLiteral { iec_type, example })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Bool(value) => if *value { "TRUE" } else { "FALSE" }.into(),
            Self::Signed(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Bits(value) => format!("16#{value:X}"),
            Self::Real(value) => format!("{value:?}"),
            Self::Lreal(value) => format!("{value:?}"),
            Self::Time(ns) => show_duration(*ns),
            Self::Date(ns) => format!("D#{}", date_of(*ns)),
            Self::Tod(ns) => format!("TOD#{}", show_clock(*ns)),
            Self::Dt(ns) => format!("DT#{}-{}", date_of(*ns), show_clock(ns.rem_euclid(DAY))),
            Self::Text(text) => show_characters(text),
        };
        f.pad(&text)
    }
}

/// The text without the first of the prefixes that it has.
fn without<'a>(text: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes
        .iter()
        .find_map(|prefix| {
            let (head, tail) = text.split_at_checked(prefix.len())?;
            head.eq_ignore_ascii_case(prefix).then_some(tail)
        })
        .unwrap_or(text)
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_uppercase().as_str() {
        "TRUE" | "1" => Some(true),
        "FALSE" | "0" => Some(false),
        _ => None,
    }
}

/// Decimal, or with a base in front: `2#1010`, `8#17`, `16#FF`.
fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    let digits = text.replace('_', "");
    let number = match digits.split_once('#') {
        None => digits.parse().ok()?,
        Some((base, digits)) => {
            let base = match base {
                "2" => 2,
                "8" => 8,
                "16" => 16,
                _ => return None,
            };
            i128::from_str_radix(digits, base).ok()?
        }
    };
    T::try_from(number).ok()
}

/// One or more numbers with units, as in `1h30m` or `-1.5s`.
fn duration(text: &str) -> Option<i128> {
    let lower = text.replace('_', "").to_ascii_lowercase();
    let (negative, mut rest) = match lower.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, lower.as_str()),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0_i128;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, tail) = rest.split_at(end);
        let (unit, tail) =
            UNITS.iter().find_map(|(name, unit)| Some((*unit, tail.strip_prefix(name)?)))?;
        total = total.checked_add(scaled(number, unit)?)?;
        rest = tail;
    }
    Some(if negative { -total } else { total })
}

/// A decimal number times a unit; what is below a nanosecond is dropped.
fn scaled(number: &str, unit: i128) -> Option<i128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| -> Option<i128> {
        let fits = !text.is_empty() && text.len() <= 18;
        (fits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    let part = digits(fraction)? * unit / 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    Some(digits(whole)? * unit + part)
}

fn days(text: &str) -> Option<i128> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse().ok());
    let date = Date { year: parts.next()??, month: parts.next()??, day: parts.next()?? };
    Some(i128::from(date.to_days()?) * DAY)
}

fn clock(text: &str) -> Option<i128> {
    let mut parts = text.splitn(3, ':');
    let hours = scaled(parts.next()?, 3600 * SECOND)?;
    let minutes = scaled(parts.next()?, 60 * SECOND)?;
    let seconds = parts.next().map_or(Some(0), |text| scaled(text, SECOND))?;
    let fits = minutes < 3600 * SECOND && seconds < 60 * SECOND;
    let total = hours + minutes + seconds;
    (fits && total < DAY).then_some(total)
}

/// A date and a time of day, with `-`, `T` or a space between.
fn moment(text: &str) -> Option<i128> {
    let split = text.find([' ', 'T', 't']).or_else(|| text.rfind('-'))?;
    let (date, time) = text.split_at_checked(split)?;
    Some(days(date)? + clock(time.get(1..)?)?)
}

/// Between apostrophes with `$` before what cannot stand there, or anything else as it is.
fn characters(text: &str) -> Option<Vec<u8>> {
    let quoted = text.trim().strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
    let bytes = match quoted {
        None => text.as_bytes().to_vec(),
        Some(inner) => unescaped(inner.as_bytes())?,
    };
    (bytes.len() <= STRING_BYTES).then_some(bytes)
}

fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'$' {
            bytes.push(first);
            continue;
        }
        let (&escape, tail) = rest.split_first()?;
        rest = tail;
        bytes.push(match escape.to_ascii_uppercase() {
            b'$' | b'\'' => escape,
            b'N' | b'L' => b'\n',
            b'R' => b'\r',
            b'T' => b'\t',
            b'P' => 0x0c,
            high => {
                let (&low, tail) = rest.split_first()?;
                rest = tail;
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            }
        });
    }
    Some(bytes)
}

fn date_of(ns: i128) -> Date {
    Date::from_days(i64::try_from(ns.div_euclid(DAY)).unwrap_or(i64::MAX))
}

fn show_duration(ns: i128) -> String {
    if ns == 0 {
        return "T#0s".into();
    }
    let mut text = String::from(if ns < 0 { "T#-" } else { "T#" });
    let mut rest = ns.abs();
    for name in ["d", "h", "m", "s", "ms", "us", "ns"] {
        let unit = UNITS.iter().find(|(known, _)| *known == name);
        let unit = unit.map_or(1, |&(_, unit)| unit);
        if rest >= unit {
            text.push_str(&format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    text
}

fn show_clock(ns: i128) -> String {
    let seconds = ns.div_euclid(SECOND);
    let sign = if seconds < 0 { "-" } else { "" };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    let mut text = format!("{sign}{hours:02}:{minutes:02}:{:02}", seconds.abs() % 60);
    let fraction = ns.rem_euclid(SECOND);
    if fraction > 0 {
        let digits = format!(".{fraction:09}");
        text.push_str(digits.trim_end_matches('0'));
    }
    text
}

fn show_characters(text: &[u8]) -> String {
    let mut shown = String::from("'");
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '$' | '\'' => shown.extend(['$', character]),
                c if c.is_control() => {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        shown.push_str(&format!("${byte:02X}"));
                    }
                }
                c => shown.push(c),
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("${byte:02X}"));
        }
    }
    shown.push('\'');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(iec_type: IecType, text: &str) -> String {
        iec_type
            .parse(text)
            .map_or_else(|error| format!("{text} {error}"), |value| value.to_string())
    }

    #[test]
    fn values_are_read_as_people_write_them() {
        assert_eq!(reads(IecType::Bool, "true"), "TRUE");
        assert_eq!(reads(IecType::Bool, "0"), "FALSE");
        assert_eq!(reads(IecType::Int, "16#7f_ff"), "32767");
        assert_eq!(reads(IecType::Byte, "255"), "16#FF");
        assert_eq!(reads(IecType::Byte, "2#1010"), "16#A");
        assert_eq!(reads(IecType::Real, "0.1"), "0.1");
        assert_eq!(reads(IecType::Time, "1.5s"), "T#1s500ms");
        assert_eq!(reads(IecType::Time, "T#-1d_2h"), "T#-1d2h");
        assert_eq!(reads(IecType::Date, "2024-02-29"), "D#2024-02-29");
        assert_eq!(reads(IecType::Tod, "7:05"), "TOD#07:05:00");
        assert_eq!(reads(IecType::Dt, "2024-02-29 12:34:56.5"), "DT#2024-02-29-12:34:56.5");
        assert_eq!(reads(IecType::String, "it's $5"), "'it$'s $$5'");
        assert_eq!(reads(IecType::String, "'a$N$41'"), "'a$0AA'");
    }

    #[test]
    fn what_is_no_value_is_answered_with_how_one_is_written() {
        assert_eq!(reads(IecType::Int, "40000"), "40000 is not a value of INT; write it like -12");
        for (iec_type, text) in [
            (IecType::Bool, "2"),
            (IecType::Usint, "-1"),
            (IecType::Int, ""),
            (IecType::Int, "3#12"),
            (IecType::Time, "5"),
            (IecType::Time, "1x"),
            (IecType::Date, "2023-02-29"),
            (IecType::Tod, "24:00:00"),
            (IecType::Tod, "12:60"),
            (IecType::Dt, "2024-01-01"),
            (IecType::String, "'$4'"),
        ] {
            assert!(iec_type.parse(text).is_err(), "{iec_type} took {text:?}");
        }
    }
}
