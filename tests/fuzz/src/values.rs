// SPDX-License-Identifier: MIT OR Apache-2.0
//! Python values, whichever serializer they came through.

use plc_connector::ide::value::{MAX_DEPTH, MAX_ITEMS, Value};

/// The parts of a container.
fn parts(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(list) => list.iter().collect(),
        Value::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        _ => Vec::new(),
    }
}

/// Holds the bounds on what was read, of which `text_bytes` may be texts and bytes.
pub(crate) fn assert_bounded(value: &Value, text_bytes: usize) {
    let (mut items, mut bytes) = (0, 0);
    let mut level = vec![value];
    for depth in 0.. {
        if level.is_empty() {
            break;
        }
        assert!(depth <= MAX_DEPTH, "deeper than {MAX_DEPTH}");
        items += level.len();
        bytes += level.iter().map(|value| length(value)).sum::<usize>();
        level = level.into_iter().flat_map(parts).collect();
    }
    assert!(items <= MAX_ITEMS, "{items} values");
    assert!(bytes <= text_bytes, "{bytes} bytes of text, not {text_bytes} at most");
}

fn length(value: &Value) -> usize {
    match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        _ => 0,
    }
}

/// The value as our pickles carry it: Python 2 has one type for texts and bytes, and what no answer of ours holds
/// becomes none.
pub(crate) fn as_python_2(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Bytes(text.into_bytes()),
        Value::List(list) => Value::List(list.into_iter().map(as_python_2).collect()),
        Value::Int(value) => Value::Int(i64::try_from(value).unwrap_or(i64::MAX).into()),
        Value::Float(_) | Value::Map(_) | Value::Span { .. } => Value::None,
        Value::None | Value::Bool(_) | Value::Bytes(_) => value,
    }
}
