// SPDX-License-Identifier: MIT OR Apache-2.0
//! A literal is read within its bounds or refused; written again it reads the same.

use plc_connector_pyro::pyro5::serpent::{read, write};

use crate::values::assert_bounded;

/// The input is one literal.
pub fn run(data: &[u8]) {
    let Ok(value) = read(data) else { return };
    // An escape is never shorter than what it stands for.
    assert_bounded(&value, data.len());
    let written = write(&value);
    assert_eq!(read(&written).as_ref(), Ok(&value), "{}", String::from_utf8_lossy(&written));
}

/// A request of an IDE, and each kind of literal.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "# serpent utf-8 python3.2\n('PLCObject','SeedBlob',['abc'],{})",
        "('PLCObject','SetTraceVariablesList',[[[7,'INT',None],[9,'REAL',1.5e-05]]],{})",
        "{'handshake':'hello','object':'PLCObject'}",
        "[None, True, False, -42, 18446744073709551615, .5, -1e30000,]",
        r#"('it\'s', "it's", '\x41\u00e9\U0001f600\n\0\777', b'\x01\xff\'a', b"\101")"#,
        "((1),(1,),(),[],{},{1,2},{'a':{'b':()}})",
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
