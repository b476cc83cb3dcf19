// SPDX-License-Identifier: MIT OR Apache-2.0
//! MessagePack, as far as Python values go (github.com/msgpack/msgpack, spec.md).
//!
//! Extension types are refused: Pyro5 uses them for sets, complex numbers and dates, none of which an IDE can send.

use super::{
    Malformed,
    value::{Budget, Value},
};

/// Reads the one value in `bytes`.
///
/// # Errors
/// When there is not exactly one, or it is over the bounds of [`Budget`].
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut reader = Reader { rest: bytes, budget: Budget::default() };
    let value = reader.value()?;
    match reader.rest {
        [] => Ok(value),
        _ => Err(Malformed("bytes after the value")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value, Malformed> {
        self.budget.item()?;
        let [code] = self.take()?;
        Ok(match code {
            0x00..=0x7f => Value::Int(code.into()),
            0x80..=0x8f => self.map((code & 0x0f).into())?,
            0x90..=0x9f => self.list((code & 0x0f).into())?,
            0xa0..=0xbf => self.text((code & 0x1f).into())?,
            0xc0 => Value::None,
            0xc2 => Value::Bool(false),
            0xc3 => Value::Bool(true),
            0xc4..=0xc6 => {
                let length = self.length(code - 0xc4)?;
                Value::Bytes(self.bytes(length)?.to_vec())
            }
            0xca => Value::Float(f32::from_be_bytes(self.take()?).into()),
            0xcb => Value::Float(f64::from_be_bytes(self.take()?)),
            0xcc => Value::Int(u8::from_be_bytes(self.take()?).into()),
            0xcd => Value::Int(u16::from_be_bytes(self.take()?).into()),
            0xce => Value::Int(u32::from_be_bytes(self.take()?).into()),
            0xcf => Value::Int(u64::from_be_bytes(self.take()?).into()),
            0xd0 => Value::Int(i8::from_be_bytes(self.take()?).into()),
            0xd1 => Value::Int(i16::from_be_bytes(self.take()?).into()),
            0xd2 => Value::Int(i32::from_be_bytes(self.take()?).into()),
            0xd3 => Value::Int(i64::from_be_bytes(self.take()?).into()),
            0xd9..=0xdb => {
                let length = self.length(code - 0xd9)?;
                self.text(length)?
            }
            0xdc | 0xdd => {
                let length = self.length(code - 0xdb)?;
                self.list(length)?
            }
            0xde | 0xdf => {
                let length = self.length(code - 0xdd)?;
                self.map(length)?
            }
            0xe0..=0xff => Value::Int(i8::from_be_bytes([code]).into()),
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => {
                return Err(Malformed("a MessagePack extension"));
            }
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let split = self.rest.split_first_chunk();
        let (taken, rest) = split.ok_or(Malformed("data too short"))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A length field of one, two or four bytes.
    fn length(&mut self, width: u8) -> Result<usize, Malformed> {
        let length = match width {
            0 => u8::from_be_bytes(self.take()?).into(),
            1 => u16::from_be_bytes(self.take()?).into(),
            _ => u32::from_be_bytes(self.take()?),
        };
        usize::try_from(length).map_err(|_| Malformed("impossible length"))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let split = self.rest.split_at_checked(length);
        let (taken, rest) = split.ok_or(Malformed("data too short"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn text(&mut self, length: usize) -> Result<Value, Malformed> {
        let text = std::str::from_utf8(self.bytes(length)?);
        Ok(Value::text(text.map_err(|_| Malformed("a text is not UTF-8"))?))
    }

    // Neither takes memory for a count, only for the values that are really there.
    fn list(&mut self, count: usize) -> Result<Value, Malformed> {
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(self.nested()?);
        }
        Ok(Value::List(list))
    }

    fn map(&mut self, count: usize) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push((self.nested()?, self.nested()?));
        }
        Ok(Value::Map(entries))
    }

    fn nested(&mut self) -> Result<Value, Malformed> {
        self.budget.deeper()?;
        let value = self.value()?;
        self.budget.shallower();
        Ok(value)
    }
}

/// Writes `value` in its shortest form. What no answer of ours holds, an integer beyond 64 bits and a span of time,
/// becomes nil.
#[must_use]
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(value, &mut out);
    out
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::None | Value::Span { .. } => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Int(value) => put_int(*value, out),
        Value::Float(value) => {
            out.push(0xcb);
            out.extend(value.to_be_bytes());
        }
        Value::Text(text) => {
            put_length(text.len(), &TEXT, out);
            out.extend(text.as_bytes());
        }
        Value::Bytes(bytes) => {
            put_length(bytes.len(), &BYTES, out);
            out.extend(bytes);
        }
        Value::List(list) => {
            put_length(list.len(), &LIST, out);
            list.iter().for_each(|item| put(item, out));
        }
        Value::Map(entries) => {
            put_length(entries.len(), &MAP, out);
            for (key, value) in entries {
                put(key, out);
                put(value, out);
            }
        }
    }
}

fn put_int(value: i128, out: &mut Vec<u8>) {
    /// Writes the value after its code if it is of this type.
    macro_rules! put_as {
        ($($int:ty, $code:expr);+) => {
            $(if let Ok(value) = <$int>::try_from(value) {
                out.push($code);
                return out.extend(value.to_be_bytes());
            })+
        };
    }
    match i8::try_from(value) {
        Ok(small @ -32..) => out.extend(small.to_be_bytes()),
        _ => {
            put_as!(u8, 0xcc; u16, 0xcd; u32, 0xce; u64, 0xcf);
            put_as!(i8, 0xd0; i16, 0xd1; i32, 0xd2; i64, 0xd3);
            out.push(0xc0);
        }
    }
}

/// The codes of one kind of value, from the smallest length to the largest.
struct Lengths {
    /// The length is in the code itself: the code for 0, and the first length that does not fit.
    inside: Option<(u8, u8)>,
    one_byte: Option<u8>,
    two_bytes: u8,
    four_bytes: u8,
}

const TEXT: Lengths =
    Lengths { inside: Some((0xa0, 32)), one_byte: Some(0xd9), two_bytes: 0xda, four_bytes: 0xdb };
const BYTES: Lengths =
    Lengths { inside: None, one_byte: Some(0xc4), two_bytes: 0xc5, four_bytes: 0xc6 };
const LIST: Lengths =
    Lengths { inside: Some((0x90, 16)), one_byte: None, two_bytes: 0xdc, four_bytes: 0xdd };
const MAP: Lengths =
    Lengths { inside: Some((0x80, 16)), one_byte: None, two_bytes: 0xde, four_bytes: 0xdf };

fn put_length(length: usize, codes: &Lengths, out: &mut Vec<u8>) {
    match (u8::try_from(length), codes.inside, codes.one_byte) {
        (Ok(length), Some((code, end)), _) if length < end => out.push(code | length),
        (Ok(length), _, Some(code)) => out.extend([code, length]),
        _ => {
            if let Ok(length) = u16::try_from(length) {
                out.push(codes.two_bytes);
                out.extend(length.to_be_bytes());
            } else {
                out.push(codes.four_bytes);
                out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ide::value::{MAX_DEPTH, MAX_ITEMS, any_value};

    #[test]
    fn values_are_written_in_their_shortest_form() {
        let cases: [(Value, &[u8]); 12] = [
            (Value::None, b"\xc0"),
            (0.into(), b"\x00"),
            (127.into(), b"\x7f"),
            (128.into(), b"\xcc\x80"),
            ((-32).into(), b"\xe0"),
            ((-33).into(), b"\xd0\xdf"),
            ((-129).into(), b"\xd1\xff\x7f"),
            (65536.into(), b"\xce\x00\x01\x00\x00"),
            (Value::Int(i64::MIN.into()), b"\xd3\x80\0\0\0\0\0\0\0"),
            (Value::text("abc"), b"\xa3abc"),
            (Value::Bytes(b"abc".to_vec()), b"\xc4\x03abc"),
            (Value::List(vec![true.into()]), b"\x91\xc3"),
        ];
        for (value, bytes) in cases {
            assert_eq!(write(&value), bytes, "{value:?}");
        }
    }

    #[test]
    fn a_count_that_promises_too_much_is_refused_and_takes_no_memory() {
        for bytes in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xffx",
        ] {
            assert!(read(bytes).is_err(), "{bytes:x?}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 1)).is_err());
        assert!(read(&nested(1_000_000)).is_err());
        let long = |items: usize| write(&Value::List(vec![Value::None; items]));
        assert!(read(&long(MAX_ITEMS - 1)).is_ok());
        assert!(read(&long(MAX_ITEMS)).is_err());
    }

    proptest! {
        #[test]
        fn a_value_survives(value in any_value()) {
            prop_assert_eq!(read(&write(&value)).unwrap(), value);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
