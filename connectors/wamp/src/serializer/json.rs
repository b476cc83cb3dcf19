// SPDX-License-Identifier: MIT OR Apache-2.0
//! JSON, as WAMP uses it: a text that begins with NUL is bytes in base64 (wamp-proto.org, "Binary conversion of JSON
//! Strings").

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use plc_connector::ide::{
    Malformed,
    value::{Budget, Value},
};
use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

/// Reads the one value in `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut budget = Budget::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Reading(&mut budget).deserialize(&mut reader).map_err(|_| Malformed("no JSON"))?;
    reader.end().map_err(|_| Malformed("bytes after the value"))?;
    Ok(value)
}

/// Writes `value`. What JSON cannot hold becomes null.
pub(super) fn write(value: &Value) -> Vec<u8> {
    serde_json::to_vec(&Written(value)).expect("a vector takes every byte, and every key is a text")
}

/// Reads a value within a budget. Nothing is taken for a count, JSON has none.
struct Reading<'a>(&'a mut Budget);

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.item().map_err(|Malformed(why)| D::Error::custom(why))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Int(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        match text.strip_prefix('\0') {
            None => Ok(Value::text(text)),
            Some(base64) => BASE64_STANDARD.decode(base64).map(Value::Bytes).map_err(E::custom),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        self.0.deeper().map_err(|Malformed(why)| A::Error::custom(why))?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(Reading(self.0))? {
            list.push(element);
        }
        self.0.shallower();
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        self.0.deeper().map_err(|Malformed(why)| A::Error::custom(why))?;
        let mut map = Vec::new();
        while let Some(key) = entries.next_key_seed(Reading(self.0))? {
            map.push((key, entries.next_value_seed(Reading(self.0))?));
        }
        self.0.shallower();
        Ok(Value::Map(map))
    }
}

/// A value, for `serde_json`.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::None | Value::Span { .. } => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => match (i64::try_from(*value), u64::try_from(*value)) {
                (Ok(value), _) => serializer.serialize_i64(value),
                (_, Ok(value)) => serializer.serialize_u64(value),
                (Err(_), Err(_)) => serializer.serialize_unit(),
            },
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Bytes(bytes) => serializer.serialize_str(&in_base64(bytes)),
            Value::List(list) => serializer.collect_seq(list.iter().map(Self)),
            Value::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(&key_text(key), &Written(value))?;
                }
                map.end()
            }
        }
    }
}

fn in_base64(bytes: &[u8]) -> String {
    let mut text = String::from('\0');
    BASE64_STANDARD.encode_string(bytes, &mut text);
    text
}

/// A key as the text that JSON demands; no key of ours is anything else.
fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => in_base64(bytes),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Span { .. } => String::from_utf8_lossy(&write(key)).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use plc_connector::ide::value::{MAX_DEPTH, MAX_ITEMS};

    use super::*;

    #[test]
    fn bytes_are_base64_after_a_nul() {
        let value = Value::List(vec![Value::Bytes(b"\x10\xe3".to_vec()), Value::text("a")]);
        let text = b"[\"\\u0000EOM=\",\"a\"]";
        assert_eq!(write(&value), text);
        assert_eq!(read(text).unwrap(), value);
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(read(&nested(MAX_DEPTH)).is_ok());
        assert!(read(&nested(MAX_DEPTH + 1)).is_err());
        assert!(read(&nested(1_000_000)).is_err());
        let long = |items: usize| write(&Value::List(vec![Value::None; items]));
        assert!(read(&long(MAX_ITEMS - 1)).is_ok());
        assert!(read(&long(MAX_ITEMS)).is_err());
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in ["", "[", "[]x", "{1:2}", "\"\\u0000***\"", "[1e999]", "nul"] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_json_cannot_hold_becomes_null_or_a_text() {
        let huge = Value::Int(i128::MAX);
        let odd = Value::Map(vec![(7.into(), Value::Float(f64::NAN)), (Value::text("h"), huge)]);
        assert_eq!(write(&odd), b"{\"7\":null,\"h\":null}");
    }
}
