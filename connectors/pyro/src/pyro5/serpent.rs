// SPDX-License-Identifier: MIT OR Apache-2.0
//! Serpent: Python literals as text, such as `('PLCObject','SeedBlob',['abc'],{})` (github.com/irmen/Serpent).
//!
//! Of Python's literals those are read that a serializer writes: no expressions, no triple quotes, no names but
//! `None`, `True` and `False`. Bytes are `b'..'` literals in both directions, as the IDEs of this generation expect.

use crate::{
    codec::Malformed,
    value::{Budget, Value},
};

/// The line in front of every value.
const HEADER: &str = "# serpent utf-8 python3.2\n";

/// Reads the one value in `bytes`.
///
/// # Errors
/// When there is not exactly one, or it is over the bounds of [`Budget`].
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed("not UTF-8"))?;
    let mut reader = Reader { rest: text, budget: Budget::default() };
    while reader.rest.starts_with('#') {
        reader.rest = reader.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }
    let value = reader.value()?;
    reader.skip_space();
    match reader.rest {
        "" => Ok(value),
        _ => Err(Malformed("text after the value")),
    }
}

struct Reader<'a> {
    rest: &'a str,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Goes over `token` if it comes next, after white space.
    fn eat(&mut self, token: &str) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Result<char, Malformed> {
        let mut chars = self.rest.chars();
        let next = chars.next().ok_or(Malformed("text too short"))?;
        self.rest = chars.as_str();
        Ok(next)
    }

    fn value(&mut self) -> Result<Value, Malformed> {
        self.budget.item()?;
        self.skip_space();
        if self.eat("(") {
            self.tuple()
        } else if self.eat("[") {
            self.list("]", Vec::new()).map(Value::List)
        } else if self.eat("{") {
            self.dict_or_set()
        } else if self.eat("b'") {
            self.bytes('\'')
        } else if self.eat("b\"") {
            self.bytes('"')
        } else if self.eat("'") {
            self.text('\'')
        } else if self.eat("\"") {
            self.text('"')
        } else {
            self.word()
        }
    }

    /// A value inside a container.
    fn inner(&mut self) -> Result<Value, Malformed> {
        self.budget.deeper()?;
        let value = self.value()?;
        self.budget.shallower();
        Ok(value)
    }

    fn tuple(&mut self) -> Result<Value, Malformed> {
        if self.eat(")") {
            return Ok(Value::List(Vec::new()));
        }
        let first = self.inner()?;
        // `(x)` is x and `(x,)` a tuple of it.
        if self.eat(")") {
            return Ok(first);
        }
        self.list_after(")", vec![first]).map(Value::List)
    }

    /// Elements up to `end`.
    fn list(&mut self, end: &str, mut list: Vec<Value>) -> Result<Vec<Value>, Malformed> {
        if self.eat(end) {
            return Ok(list);
        }
        list.push(self.inner()?);
        self.list_after(end, list)
    }

    /// What follows an element, up to `end`; a comma may be the last.
    fn list_after(&mut self, end: &str, mut list: Vec<Value>) -> Result<Vec<Value>, Malformed> {
        loop {
            if self.eat(end) {
                return Ok(list);
            }
            self.comma()?;
            if self.eat(end) {
                return Ok(list);
            }
            list.push(self.inner()?);
        }
    }

    fn comma(&mut self) -> Result<(), Malformed> {
        match self.eat(",") {
            true => Ok(()),
            false => Err(Malformed("no comma between values")),
        }
    }

    fn dict_or_set(&mut self) -> Result<Value, Malformed> {
        let mut entries = Vec::new();
        loop {
            if self.eat("}") {
                return Ok(Value::Map(entries));
            }
            if !entries.is_empty() {
                self.comma()?;
                if self.eat("}") {
                    return Ok(Value::Map(entries));
                }
            }
            let key = self.inner()?;
            if !self.eat(":") {
                return match entries.is_empty() {
                    true => self.list_after("}", vec![key]).map(Value::List),
                    false => Err(Malformed("no value for a key")),
                };
            }
            entries.push((key, self.inner()?));
        }
    }

    fn text(&mut self, quote: char) -> Result<Value, Malformed> {
        let mut text = String::new();
        loop {
            let end = self.rest.find([quote, '\\', '\n']);
            text.push_str(self.run(end)?);
            match self.next()? {
                '\\' => text.push(self.escape(Width::Text)?),
                '\n' => return Err(Malformed("a line ends inside a text")),
                _ => return Ok(Value::Text(text)),
            }
        }
    }

    fn bytes(&mut self, quote: char) -> Result<Value, Malformed> {
        let mut bytes = Vec::new();
        loop {
            let end = self.rest.find([quote, '\\', '\n']);
            let run = self.run(end)?;
            if !run.is_ascii() {
                return Err(Malformed("bytes that are not ASCII"));
            }
            bytes.extend(run.as_bytes());
            match self.next()? {
                '\\' => {
                    let byte = u8::try_from(self.escape(Width::Byte)?);
                    bytes.push(byte.map_err(|_| Malformed("an escape beyond a byte"))?);
                }
                '\n' => return Err(Malformed("a line ends inside bytes")),
                _ => return Ok(Value::Bytes(bytes)),
            }
        }
    }

    /// The part up to `end`, which becomes the rest.
    fn run(&mut self, end: Option<usize>) -> Result<&'a str, Malformed> {
        let split = end.and_then(|end| self.rest.split_at_checked(end));
        let (run, rest) = split.ok_or(Malformed("no closing quote"))?;
        self.rest = rest;
        Ok(run)
    }

    /// What stands after a backslash (Python reference, 2.4.1.1).
    fn escape(&mut self, width: Width) -> Result<char, Malformed> {
        Ok(match self.next()? {
            quoted @ ('\\' | '\'' | '"') => quoted,
            'a' => '\x07',
            'b' => '\x08',
            't' => '\t',
            'n' => '\n',
            'v' => '\x0b',
            'f' => '\x0c',
            'r' => '\r',
            'x' => self.hexadecimal(2)?,
            'u' if width == Width::Text => self.hexadecimal(4)?,
            'U' if width == Width::Text => self.hexadecimal(8)?,
            digit @ '0'..='7' => self.octal(digit)?,
            _ => return Err(Malformed("an unknown escape")),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Result<char, Malformed> {
        let mut code = 0;
        for _ in 0..digits {
            let digit = self.next()?.to_digit(16);
            code = (code << 4) | digit.ok_or(Malformed("a bad hexadecimal escape"))?;
        }
        char::from_u32(code).ok_or(Malformed("an escape that is no character"))
    }

    /// Up to three digits.
    fn octal(&mut self, first: char) -> Result<char, Malformed> {
        let mut code = first.to_digit(8).unwrap_or_default();
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.next()?;
        }
        char::from_u32(code).ok_or(Malformed("an escape that is no character"))
    }

    fn word(&mut self) -> Result<Value, Malformed> {
        let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.' | '_'));
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        match self.run(Some(end))? {
            "None" => Ok(Value::None),
            "True" => Ok(Value::Bool(true)),
            "False" => Ok(Value::Bool(false)),
            number => number_in(number).ok_or(Malformed("not a literal")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Width {
    Byte,
    Text,
}

fn number_in(word: &str) -> Option<Value> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    // Rust would take words such as `inf` for numbers too.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return word.parse().ok().map(Value::Int);
    }
    word.parse().ok().map(Value::Float)
}

/// Writes `value` with the header line. A span of time, which no answer of ours holds, becomes `None`.
#[must_use]
pub fn write(value: &Value) -> Vec<u8> {
    let mut out = HEADER.to_owned();
    put(value, &mut out);
    out.into_bytes()
}

fn put(value: &Value, out: &mut String) {
    match value {
        Value::None | Value::Span { .. } => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(value) => out.push_str(&value.to_string()),
        Value::Float(value) => put_float(*value, out),
        Value::Text(text) => {
            out.push('\'');
            text.chars().for_each(|c| put_char(c, out));
            out.push('\'');
        }
        Value::Bytes(bytes) => {
            out.push_str("b'");
            for &byte in bytes {
                match char::from(byte) {
                    c @ ('\\' | '\'' | ' '..='~') => put_char(c, out),
                    _ => put_hexadecimal(byte.into(), out),
                }
            }
            out.push('\'');
        }
        Value::List(list) => {
            out.push('[');
            put_separated(list, put, out);
            out.push(']');
        }
        Value::Map(entries) => {
            let entry = |(key, value): &(Value, Value), out: &mut String| {
                put(key, out);
                out.push(':');
                put(value, out);
            };
            out.push('{');
            put_separated(entries, entry, out);
            out.push('}');
        }
    }
}

fn put_separated<T>(items: &[T], one: impl Fn(&T, &mut String), out: &mut String) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        one(item, out);
    }
}

/// Python has no literal for infinity, but a number that is too large becomes it.
fn put_float(value: f64, out: &mut String) {
    if value.is_nan() {
        out.push_str("{'__class__':'float','value':'nan'}");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "1e30000" } else { "-1e30000" });
    } else {
        out.push_str(&format!("{value:?}"));
    }
}

fn put_char(c: char, out: &mut String) {
    match c {
        '\\' | '\'' => out.extend(['\\', c]),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        // All control characters are below U+0100.
        c if c.is_control() => put_hexadecimal(c.into(), out),
        c => out.push(c),
    }
}

fn put_hexadecimal(code: u32, out: &mut String) {
    out.push_str(&format!("\\x{code:02x}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::value::{MAX_DEPTH, MAX_ITEMS, any_value};

    fn list(items: impl Into<Vec<Value>>) -> Value {
        Value::List(items.into())
    }

    #[test]
    fn literals_of_every_kind_are_read() {
        let cases = [
            ("None", Value::None),
            (" True ", true.into()),
            ("-42", (-42).into()),
            ("18446744073709551615", Value::Int(u64::MAX.into())),
            ("1.5", Value::Float(1.5)),
            ("-2e-05", Value::Float(-2e-5)),
            ("1e30000", Value::Float(f64::INFINITY)),
            (r"'it\'s'", Value::text("it's")),
            (r#""it's""#, Value::text("it's")),
            (r"'\x41\u00e9\U0001f600\n\0'", Value::text("A\u{e9}\u{1f600}\n\0")),
            ("'é'", Value::text("é")),
            (r"b'\x01\xff\'a'", Value::Bytes(b"\x01\xff'a".to_vec())),
            (r#"b"it's""#, Value::Bytes(b"it's".to_vec())),
            ("()", list([])),
            ("(1)", 1.into()),
            ("(1,)", list([1.into()])),
            ("(1,2)", list([1.into(), 2.into()])),
            ("[1, [2],]", list([1.into(), list([2.into()])])),
            ("{}", Value::Map(vec![])),
            ("{1,2}", list([1.into(), 2.into()])),
            ("{'a':1, 'b':None}", Value::map([("a", 1.into()), ("b", Value::None)])),
        ];
        for (text, value) in cases {
            assert_eq!(read(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn a_request_of_an_ide_is_read_with_and_without_its_header() {
        let text = "('PLCObject','SeedBlob',['abc'],{})";
        let expected = list([
            Value::text("PLCObject"),
            Value::text("SeedBlob"),
            list([Value::text("abc")]),
            Value::map([]),
        ]);
        assert_eq!(read(text.as_bytes()), Ok(expected.clone()));
        assert_eq!(read(format!("{HEADER}{text}").as_bytes()), Ok(expected));
    }

    #[test]
    fn what_is_no_literal_is_refused() {
        for text in [
            "",
            "#",
            "x",
            "inf",
            "nan",
            "-",
            "1 2",
            "[1",
            "[1 2]",
            "(,)",
            "{1:2,3}",
            "{1:}",
            "'a",
            "'a\nb'",
            r"'\q'",
            r"'\ud800'",
            r"'\x4'",
            r"b'\u0041'",
            "b'é'",
            r"b'\777'",
            "__import__('os')",
            "1+1j",
            "'a' 'b'",
            "--1",
            "1_0",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(read(nested(MAX_DEPTH + 2).as_bytes()).is_err());
        assert!(read(nested(1_000_000).as_bytes()).is_err());
        assert!(read("(".repeat(1_000_000).as_bytes()).is_err());
        assert!(read("{".repeat(1_000_000).as_bytes()).is_err());
        let long = |items| format!("[{}]", "1,".repeat(items));
        assert!(read(long(MAX_ITEMS - 1).as_bytes()).is_ok());
        assert!(read(long(MAX_ITEMS).as_bytes()).is_err());
    }

    #[test]
    fn values_are_written_as_python_would_read_them() {
        let value = list([
            Value::text("a'\\\n\u{7f}é"),
            Value::Bytes(b"\0'\\~\xff".to_vec()),
            Value::map([("k", Value::Float(1.0))]),
        ]);
        let expected = format!("{HEADER}{}", r"['a\'\\\n\x7fé',b'\x00\'\\~\xff',{'k':1.0}]");
        assert_eq!(String::from_utf8(write(&value)).unwrap(), expected);
    }

    proptest! {
        #[test]
        fn a_value_survives(value in any_value()) {
            prop_assert_eq!(read(&write(&value)).unwrap(), value);
        }

        #[test]
        fn any_text_is_read_or_refused(text in r#"[\[\](){},:'"bx0-9a-f\\ \n.NTF-]{0,60}"#) {
            let _ = read(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
