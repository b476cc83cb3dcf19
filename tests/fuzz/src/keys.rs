// SPDX-License-Identifier: MIT OR Apache-2.0
//! A text of keys gives keys that are within their bounds and read the same when they are written again, or an error
//! that tells no secret.

use std::collections::BTreeSet;

use plc_keys::{Id, Keys, Secret};

/// The input is the content of a key file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let keys = match Keys::parse(text) {
        Ok(keys) => keys,
        Err(error) => return assert_silent(text, &error.to_string()),
    };
    let mut written = String::new();
    let mut ids = BTreeSet::new();
    for key in &keys {
        assert!(ids.insert(&key.id), "{} comes twice", key.id);
        assert_eq!(Id::new(key.id.as_str()).as_ref(), Ok(&key.id));
        assert_eq!(Secret::new(key.secret.reveal()).as_ref(), Ok(&key.secret));
        let _ = key.secret.looks_hex();
        written += &format!("{}:{}\n", key.id, key.secret.reveal());
    }
    assert_eq!(Keys::parse(&written), Ok(keys));
}

/// No secret of the text is in the error, unless an ID, which may be told, has the same characters.
fn assert_silent(text: &str, error: &str) {
    let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
    for (_, secret) in lines.iter().filter(|(_, secret)| Secret::new(secret).is_ok()) {
        let in_an_id = lines.iter().any(|(id, _)| id.contains(secret));
        assert!(in_an_id || !error.contains(secret), "{error}");
    }
}

/// Files as they are, and as they are not.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let many: String = (0..50).map(|n| format!("client-{n}:0123456789abcdef\n")).collect();
    [
        "plc-1:0123456789abcdef\n",
        "# ours\r\n\nplc_2::0123456789abcdef:#=\r\n",
        "anna:00112233445566778899aabbccddeeff\nanna:fedcba9876543210\n",
        "anna:short\n",
        "no colon here\n",
        "a b:0123456789abcdef",
        &many,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
