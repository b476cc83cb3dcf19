// SPDX-License-Identifier: MIT OR Apache-2.0
//! The recorded dialogues, as seeds.

/// Pyro3, the server's challenge first.
pub(crate) const PYRO3: &str = include_str!("../../../connectors/pyro/vectors/pyro3.txt");
/// Pyro5 with msgpack.
pub(crate) const PYRO5: &str = include_str!("../../../connectors/pyro/vectors/pyro5.txt");
/// eRPC with the frame header of 2 bytes.
pub(crate) const ERPC2: &str = include_str!("../../../connectors/pyro/vectors/erpc2.txt");
/// eRPC with the frame header of 4 bytes.
pub(crate) const ERPC4: &str = include_str!("../../../connectors/pyro/vectors/erpc4.txt");
/// eRPC with the frame header of 6 bytes.
pub(crate) const ERPC6: &str = include_str!("../../../connectors/pyro/vectors/erpc6.txt");

/// What the client sent, frame by frame.
pub(crate) fn sent(dialogue: &str) -> Vec<Vec<u8>> {
    side(dialogue, "C ")
}

/// What the server sent, frame by frame.
pub(crate) fn answered(dialogue: &str) -> Vec<Vec<u8>> {
    side(dialogue, "S ")
}

fn side(dialogue: &str, mark: &str) -> Vec<Vec<u8>> {
    dialogue.lines().filter_map(|line| line.strip_prefix(mark)).map(bytes).collect()
}

/// The bytes that these hexadecimal digits stand for.
fn bytes(digits: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    digits.as_bytes().chunks(2).map(byte).collect()
}
