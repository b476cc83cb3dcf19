// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reads the recorded dialogues in `vectors/`, for the codecs' tests.

use plc_connector::api::key::{ApiKey, SecretText};

use crate::answer::Outcome;

/// The exchanges of a dialogue: what the client sent and what the reference server answered.
pub(crate) fn exchanges(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let messages: Vec<(&str, Vec<u8>)> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (side, digits) = line.split_once(' ').unwrap();
            (side, bytes(digits))
        })
        .collect();
    messages
        .chunks(2)
        .map(|pair| match pair {
            [("C", request), ("S", answer)] => (request.clone(), answer.clone()),
            other => panic!("not a request and its answer: {other:?}"),
        })
        .collect()
}

/// The bytes that these hexadecimal digits stand for.
pub(crate) fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|c| c.to_digit(16)).collect();
    let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).unwrap();
    digits.chunks_exact(2).map(byte).collect()
}

/// The key that the recorded servers told.
pub(crate) fn identity() -> Outcome {
    let secret = SecretText::new("c2VjcmV0");
    Outcome::Identity(ApiKey { id: "plc1".to_owned(), secret })
}
