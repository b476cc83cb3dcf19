// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pickle is read within its bounds or refused; what our writer can say of it reads the same again.

use plc_connector::ide::value::Value;
use plc_connector_pyro::{
    pickle::{Writer, read},
    pyro3::header::HEADER_BYTES,
};

use crate::{
    values::{as_python_2, assert_bounded},
    vectors,
};

/// What a memo may add to the texts of a pickle.
const SHARED_BYTES: usize = 64 << 10;

/// The input is one pickle.
pub fn run(data: &[u8]) {
    let Ok(value) = read(data) else { return };
    assert_bounded(&value, data.len() + SHARED_BYTES);
    let written = Writer::pickle(|out| put(&value, out));
    assert_eq!(read(&written), Ok(as_python_2(value)), "{written:02x?}");
}

fn put(value: &Value, out: &mut Writer) {
    match value {
        Value::Bool(value) => out.bool(*value),
        Value::Int(value) => out.int(i64::try_from(*value).unwrap_or(i64::MAX)),
        Value::Text(text) => out.str(text),
        Value::Bytes(bytes) => out.str(bytes),
        Value::List(list) => out.list(|out| list.iter().for_each(|item| put(item, out))),
        Value::None | Value::Float(_) | Value::Map(_) | Value::Span { .. } => out.none(),
    }
}

/// The bodies of the recorded dialogue, and what else Python 2 may write.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let recorded = [vectors::sent(vectors::PYRO3), vectors::answered(vectors::PYRO3)].concat();
    let bodies = recorded.iter().filter_map(|frame| frame.get(HEADER_BYTES..));
    let others: [&[u8]; 12] = [
        b"\x80\x02(I01\nI00\nI-1099511627776\nt.",
        b"\x80\x02G?\xf0\0\0\0\0\0\0.",
        b"\x80\x02\x8a\x05\xff\xff\xff\xff\0.",
        b"\x80\x02\x8b\x02\0\0\0\xff\x7f.",
        b"\x80\x02X\x03\0\0\0\xe2\x82\xac.",
        b"\x80\x02}q\x01(U\x01aK\x01U\x01bM\xe8\x03u.",
        b"\x80\x02}q\x01U\x01aJ\xff\xff\xff\xffs.",
        b"\x80\x02](K\x05U\x04TIMEcdatetime\ntimedelta\nJ\xff\xff\xff\xffK\x02K\x03\x87R\x87e.",
        b"\x80\x02]r\x01\0\0\0K\x01aj\x01\0\0\0\x86.",
        b"\x80\x02T\x02\0\0\0ab\x85\x88\x89N)t.",
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x02]q\x01h\x01a.",
    ];
    bodies.map(<[u8]>::to_vec).chain(others.map(<[u8]>::to_vec)).collect()
}
