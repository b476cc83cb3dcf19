// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Python value, whatever serializer it came through, and the bounds on reading one.

use super::Malformed;

/// Most values in one message: the longest trace list and the longest file list need about 20 000.
pub const MAX_ITEMS: usize = 32_768;

/// Deepest nesting; an IDE's calls need 4.
pub const MAX_DEPTH: usize = 32;

/// A Python value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `bool`
    Bool(bool),
    /// `int`, as far as 128 bits go.
    Int(i128),
    /// `float`
    Float(f64),
    /// `str`
    Text(String),
    /// `bytes`
    Bytes(Vec<u8>),
    /// `list`, `tuple` or `set`: the serializers do not keep them apart.
    List(Vec<Value>),
    /// `dict`
    Map(Vec<(Value, Value)>),
    /// `datetime.timedelta`, which only pickle can carry.
    Span {
        /// May be negative.
        days: i64,
        /// 0 to 86 399 in what Python writes.
        seconds: i64,
        /// 0 to 999 999 in what Python writes.
        microseconds: i64,
    },
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A dict with text keys.
    #[must_use]
    pub fn map<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Map(entries.map(|(key, value)| (Self::text(key), value)).into())
    }

    /// The value of a text key, if this is a dict that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else {
            return None;
        };
        let found = entries.iter().find(|(k, _)| matches!(k, Self::Text(t) if t == key));
        found.map(|(_, value)| value)
    }
}

/// Each is `None` for a value of another type.
impl Value {
    /// The text.
    #[must_use]
    pub fn into_text(self) -> Option<String> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The bytes.
    #[must_use]
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    /// The elements.
    #[must_use]
    pub fn into_list(self) -> Option<Vec<Self>> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn as_int(&self) -> Option<i128> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

/// What one message may still take up while it is being read.
#[derive(Debug)]
pub struct Budget {
    items: usize,
    depth: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { items: MAX_ITEMS, depth: MAX_DEPTH }
    }
}

impl Budget {
    /// Accounts for one more value.
    ///
    /// # Errors
    /// When there are too many.
    pub fn item(&mut self) -> Result<(), Malformed> {
        self.items = self.items.checked_sub(1).ok_or(Malformed("too many values"))?;
        Ok(())
    }

    /// Goes into a container.
    ///
    /// # Errors
    /// When that is too deep.
    pub fn deeper(&mut self) -> Result<(), Malformed> {
        let deeper = self.depth.checked_sub(1);
        self.depth = deeper.ok_or(Malformed("nested too deeply"))?;
        Ok(())
    }

    /// Comes out of it again.
    pub const fn shallower(&mut self) {
        self.depth += 1;
    }
}

/// Any value that MessagePack and serpent can carry, for property tests.
#[cfg(feature = "proptest")]
pub fn any_value() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::{collection::vec, prelude::*};

    let leaf = prop_oneof![
        Just(Value::None),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|i| Value::Int(i.into())),
        any::<u64>().prop_map(|i| Value::Int(i.into())),
        any::<f64>()
            .prop_filter("NaN is not equal to itself", |f| !f.is_nan())
            .prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
        vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..20).prop_map(Value::List),
            vec((any::<String>().prop_map(Value::Text), inner), 0..20).prop_map(Value::Map),
        ]
    })
}
