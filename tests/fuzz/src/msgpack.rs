// SPDX-License-Identifier: MIT OR Apache-2.0
//! A value is read within its bounds or refused; written again it is the same; and as the arguments of any method it
//! is a call, a refusal, or does not fit.

use plc_connector::ide::{
    arguments,
    method::Method,
    msgpack::{read, write},
    value::Value,
};
use plc_connector_pyro::pyro5::header::HEADER_BYTES;

use crate::{values::assert_bounded, vectors};

/// The input is one value.
pub fn run(data: &[u8]) {
    let Ok(value) = read(data) else { return };
    assert_bounded(&value, data.len());
    let written = write(&value);
    // Not by the values: NaN is not equal to itself.
    let again = read(&written).expect("what was written is read");
    assert_eq!(write(&again), written);
    if let Value::List(list) = value {
        for method in Method::ALL {
            let _ = arguments::plc_call(method, list.clone());
        }
    }
}

/// The bodies of the recorded dialogue, arguments of each method, and each kind of value.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let recorded = [vectors::sent(vectors::PYRO5), vectors::answered(vectors::PYRO5)].concat();
    let bodies = recorded.iter().filter_map(|frame| frame.get(HEADER_BYTES..));
    let values = [
        every_type(),
        Value::List(vec![Value::text(MD5), id(), Value::List(vec![file()])]),
        Value::List(vec![Value::Bytes(b"\x7fELF".to_vec()), id()]),
        Value::List(vec![3.into(), 0.into()]),
        Value::List(vec![Value::Int(u64::MAX.into()), Value::Int(i64::MIN.into()), (-33).into()]),
        Value::List(vec![Value::Float(f64::NAN), Value::Bytes(vec![7; 300]), Value::None]),
        Value::Map((0..20).map(|n| (n.into(), Value::text(&"x".repeat(40)))).collect()),
    ];
    bodies.map(<[u8]>::to_vec).chain(values.iter().map(write)).collect()
}

const MD5: &str = "0123456789abcdef0123456789abcdef";

fn id() -> Value {
    Value::Bytes(vec![0x11; 16])
}

fn file() -> Value {
    Value::List(vec![Value::text("a.txt"), id()])
}

/// A trace list that forces a variable of each type.
fn every_type() -> Value {
    let numbers =
        ["BOOL", "SINT", "USINT", "INT", "UINT", "WORD", "DINT", "UDINT", "LINT", "LWORD"];
    let forced = |name: &str, value| Value::List(vec![7.into(), Value::text(name), value]);
    let mut list: Vec<Value> = numbers.iter().map(|name| forced(name, 1.into())).collect();
    list.push(forced("REAL", Value::Float(1.5)));
    list.push(forced("LREAL", Value::Float(-0.1)));
    list.push(forced("STRING", Value::text("abc")));
    list.push(forced("TIME", Value::None));
    Value::List(vec![Value::List(list)])
}
