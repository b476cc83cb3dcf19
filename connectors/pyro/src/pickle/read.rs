// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading: first the pickle's little machine runs, on nodes that refer to each other and to the bytes, so that nothing
//! is copied and the memo costs nothing; then the one node that is left becomes a value, within bounds.

use std::collections::HashMap;

use crate::{
    codec::Malformed,
    value::{Budget, MAX_ITEMS, Value},
};

/// Most instructions of one pickle. Each makes at most one node or one reference to a node, and the longest list of an
/// IDE, a `timedelta` forced on each of its variables, takes 12 for a variable.
const MAX_INSTRUCTIONS: usize = 4 * MAX_ITEMS;

/// What texts that stand in a pickle once and are referred to several times may take in addition: the names of the
/// types in the longest trace list take 40 KiB.
const MAX_SHARED_BYTES: usize = 64 << 10;

/// The one name that a pickle may mention, as the instruction spells it.
const TIMEDELTA: &[u8] = b"datetime\ntimedelta\n";

/// Digits of the longest decimal number.
const MAX_DIGITS: usize = 20;

/// Reads the one value in `bytes`. Python 2's `str` is [`Value::Bytes`], its `unicode` [`Value::Text`].
///
/// # Errors
/// When there is not exactly one, it is over the bounds, or it is none of a plain kind.
pub fn read(bytes: &[u8]) -> Result<Value, Malformed> {
    let mut machine = Machine {
        rest: bytes,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    for _ in 0..MAX_INSTRUCTIONS {
        if let Some(last) = machine.step()? {
            let room = Room { budget: Budget::default(), bytes: bytes.len() + MAX_SHARED_BYTES };
            return Copier { nodes: &machine.nodes, room }.value(last);
        }
    }
    Err(Malformed("too many values"))
}

/// A node's place in [`Machine::nodes`].
type Place = usize;

enum Node<'a> {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(&'a [u8]),
    Unicode(&'a str),
    Tuple(Vec<Place>),
    List(Vec<Place>),
    Dict(Vec<(Place, Place)>),
    /// The class, before it is called.
    Timedelta,
    /// Days, seconds, microseconds.
    Span(i64, i64, i64),
}

struct Machine<'a> {
    rest: &'a [u8],
    nodes: Vec<Node<'a>>,
    stack: Vec<Place>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Place>,
}

impl<'a> Machine<'a> {
    /// Carries out one instruction; the node that is the result, if it was the last.
    fn step(&mut self) -> Result<Option<Place>, Malformed> {
        let [code] = self.take()?;
        match code {
            // PROTO; it only tells which instructions may come.
            0x80 => match self.take()? {
                [0..=2] => {}
                [_] => return Err(Malformed("a pickle of a protocol above 2")),
            },
            b'.' => return self.stop().map(Some),
            b'(' => self.marks.push(self.stack.len()),
            b')' => self.push(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84));
                let items = self.pop_from(from.ok_or(TOO_FEW)?)?;
                self.push(Node::Tuple(items));
            }
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items));
            }
            b']' => self.push(Node::List(Vec::new())),
            // APPEND, APPENDS
            b'a' => {
                let item = self.pop()?;
                self.extend_list([item])?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend_list(items)?;
            }
            b'}' => self.push(Node::Dict(Vec::new())),
            // SETITEM, SETITEMS
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend_dict(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend_dict(&items)?;
            }
            // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET
            b'q' | b'r' => {
                let (key, top) = (self.memo_key(code == b'r')?, self.top()?);
                self.memo.insert(key, top);
            }
            b'h' | b'j' => {
                let key = self.memo_key(code == b'j')?;
                self.stack.push(*self.memo.get(&key).ok_or(Malformed("a memo that is not there"))?);
            }
            // GLOBAL, REDUCE
            b'c' => self.global()?,
            b'R' => self.reduce()?,
            _ => {
                let node = self.scalar(code)?;
                self.push(node);
            }
        }
        Ok(None)
    }

    fn scalar(&mut self, code: u8) -> Result<Node<'a>, Malformed> {
        Ok(match code {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            // BININT1, BININT2, BININT
            b'K' => Node::Int(u8::from_le_bytes(self.take()?).into()),
            b'M' => Node::Int(u16::from_le_bytes(self.take()?).into()),
            b'J' => Node::Int(i32::from_le_bytes(self.take()?).into()),
            // LONG1, LONG4
            0x8a => {
                let [length] = self.take()?;
                self.long(length.into())?
            }
            0x8b => {
                let length = self.length()?;
                self.long(length)?
            }
            // INT, which also was Python's way to write a bool once
            b'I' => match self.line(MAX_DIGITS)? {
                b"00" => Node::Bool(false),
                b"01" => Node::Bool(true),
                digits => {
                    let text = std::str::from_utf8(digits).ok();
                    let number: Option<i64> = text.and_then(|text| text.parse().ok());
                    Node::Int(number.ok_or(Malformed("not a number"))?.into())
                }
            },
            b'G' => Node::Float(f64::from_be_bytes(self.take()?)),
            // SHORT_BINSTRING, BINSTRING, BINUNICODE
            b'U' => {
                let [length] = self.take()?;
                Node::Str(self.bytes(length.into())?)
            }
            b'T' => {
                let length = self.length()?;
                Node::Str(self.bytes(length)?)
            }
            b'X' => {
                let length = self.length()?;
                let text = std::str::from_utf8(self.bytes(length)?);
                Node::Unicode(text.map_err(|_| Malformed("a text is not UTF-8"))?)
            }
            _ => return Err(Malformed("a pickle with more than plain values")),
        })
    }

    /// The end: exactly one value, and nothing after it.
    fn stop(&mut self) -> Result<Place, Malformed> {
        let last = self.pop()?;
        match (self.stack.as_slice(), self.marks.as_slice(), self.rest) {
            ([], [], []) => Ok(last),
            _ => Err(Malformed("more than one value")),
        }
    }

    fn global(&mut self) -> Result<(), Malformed> {
        // Nothing is ever looked up, so nothing can be called.
        let unknown = Malformed("a pickle that names a class or function; none is looked up");
        self.rest = self.rest.strip_prefix(TIMEDELTA).ok_or(unknown)?;
        self.push(Node::Timedelta);
        Ok(())
    }

    fn reduce(&mut self) -> Result<(), Malformed> {
        let (arguments, class) = (self.pop()?, self.pop()?);
        let int = |place: &Place| match self.nodes.get(*place) {
            Some(Node::Int(value)) => i64::try_from(*value).ok(),
            _ => None,
        };
        let span = match (self.nodes.get(class), self.nodes.get(arguments)) {
            (Some(Node::Timedelta), Some(Node::Tuple(items))) => match items.as_slice() {
                [days, seconds, us] => int(days).zip(int(seconds)).zip(int(us)),
                _ => None,
            },
            _ => None,
        };
        let ((days, seconds), us) = span.ok_or(Malformed("not a timedelta of three numbers"))?;
        self.push(Node::Span(days, seconds, us));
        Ok(())
    }

    fn push(&mut self, node: Node<'a>) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// Where the innermost mark is; what lies below cannot be reached.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Place, Malformed> {
        self.stack.get(self.floor()..).and_then(<[_]>::last).copied().ok_or(TOO_FEW)
    }

    fn pop(&mut self) -> Result<Place, Malformed> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_from(&mut self, from: usize) -> Result<Vec<Place>, Malformed> {
        match from >= self.floor() && from <= self.stack.len() {
            true => Ok(self.stack.split_off(from)),
            false => Err(TOO_FEW),
        }
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Place>, Malformed> {
        let mark = self.marks.last().copied().ok_or(Malformed("a mark that is not there"))?;
        let items = self.pop_from(mark)?;
        self.marks.pop();
        Ok(items)
    }

    fn extend_list(&mut self, items: impl IntoIterator<Item = Place>) -> Result<(), Malformed> {
        let top = self.top()?;
        match self.nodes.get_mut(top) {
            Some(Node::List(list)) => list.extend(items),
            _ => return Err(Malformed("not a list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Place]) -> Result<(), Malformed> {
        let top = self.top()?;
        let Some(Node::Dict(entries)) = self.nodes.get_mut(top) else {
            return Err(Malformed("not a dict"));
        };
        for pair in items.chunks(2) {
            match pair {
                [key, value] => entries.push((*key, *value)),
                _ => return Err(Malformed("a key without a value")),
            }
        }
        Ok(())
    }

    fn memo_key(&mut self, long: bool) -> Result<u32, Malformed> {
        Ok(match long {
            true => u32::from_le_bytes(self.take()?),
            false => u8::from_le_bytes(self.take()?).into(),
        })
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let split = self.rest.split_first_chunk();
        let (taken, rest) = split.ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(u32::from_le_bytes(self.take()?)).map_err(|_| TOO_SHORT)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(TOO_SHORT)?;
        self.rest = rest;
        Ok(taken)
    }

    fn line(&mut self, longest: usize) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().take(longest + 1).position(|byte| *byte == b'\n');
        let line = self.bytes(end.ok_or(Malformed("a line too long"))?)?;
        let [_newline] = self.take()?;
        Ok(line)
    }

    /// An integer in two's complement, lowest byte first.
    fn long(&mut self, length: usize) -> Result<Node<'a>, Malformed> {
        let bytes = self.bytes(length)?;
        let negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
        let mut number = [if negative { 0xff } else { 0 }; 16];
        let target = number.get_mut(..length).ok_or(Malformed("a number too large"))?;
        target.copy_from_slice(bytes);
        Ok(Node::Int(i128::from_le_bytes(number)))
    }
}

const TOO_SHORT: Malformed = Malformed("data too short");
const TOO_FEW: Malformed = Malformed("a value that is not there");

/// What the value may still take up.
struct Room {
    budget: Budget,
    bytes: usize,
}

/// Makes a value of a node. One that is referred to twice is there twice, so this is where a memo could multiply, and
/// where a list that contains itself has no end: the bounds are kept here.
struct Copier<'n, 'a> {
    nodes: &'n [Node<'a>],
    room: Room,
}

impl Copier<'_, '_> {
    fn value(&mut self, place: Place) -> Result<Value, Malformed> {
        self.room.budget.item()?;
        // Every place is that of a node.
        let nodes = self.nodes;
        Ok(match nodes.get(place).ok_or(TOO_FEW)? {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(value) => Value::Int(*value),
            Node::Float(value) => Value::Float(*value),
            Node::Str(bytes) => {
                self.account(bytes.len())?;
                Value::Bytes(bytes.to_vec())
            }
            Node::Unicode(text) => {
                self.account(text.len())?;
                Value::text(text)
            }
            Node::Tuple(items) | Node::List(items) => {
                self.room.budget.deeper()?;
                let list = items.iter().map(|item| self.value(*item)).collect::<Result<_, _>>();
                self.room.budget.shallower();
                Value::List(list?)
            }
            Node::Dict(entries) => {
                self.room.budget.deeper()?;
                let pair =
                    |(key, value): &(Place, Place)| Ok((self.value(*key)?, self.value(*value)?));
                let map = entries.iter().map(pair).collect::<Result<_, _>>();
                self.room.budget.shallower();
                Value::Map(map?)
            }
            Node::Timedelta => return Err(Malformed("a class is no value")),
            Node::Span(days, seconds, us) => {
                Value::Span { days: *days, seconds: *seconds, microseconds: *us }
            }
        })
    }

    fn account(&mut self, bytes: usize) -> Result<(), Malformed> {
        let left = self.room.bytes.checked_sub(bytes);
        self.room.bytes = left.ok_or(Malformed("the memo multiplies the data"))?;
        Ok(())
    }
}
