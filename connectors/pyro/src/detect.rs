// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which protocol a peer speaks, by its first bytes.
//!
//! Every client but those of Pyro3 speaks first; a Pyro3 client waits for the server's challenge, so silence is its
//! mark, and there is nothing to detect. eRPC changed its frame header between releases; the newer one begins with a check of itself.

use crate::erpc::frame::{Framing, header_crc};

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Too few bytes to tell; it takes so many.
    Need(usize),
    /// Pyro5, protocol version 502.
    Pyro5,
    /// eRPC with this frame header.
    Erpc(Framing),
    /// A TLS hello: the user chose the encrypted scheme, which has a port of its own.
    Tls,
    /// Nothing we know.
    Unknown,
}

/// Bytes that settle it in every case.
const ENOUGH: usize = 6;

/// Names the protocol of a connection that begins with `bytes`.
///
/// ```
/// use plc_connector_pyro::detect::{Detected, detect};
///
/// assert_eq!(detect(b"PYRO"), Detected::Need(6));
/// assert_eq!(detect(b"PYRO\x01\xf6\x01"), Detected::Pyro5);
/// ```
#[must_use]
pub fn detect(bytes: &[u8]) -> Detected {
    let Some(first) = bytes.first_chunk::<ENOUGH>() else {
        return Detected::Need(ENOUGH);
    };
    let [a, b, c, d, e, f] = *first;
    match first {
        b"PYRO\x01\xf6" => Detected::Pyro5,
        // Another version of Pyro; clients of Pyro3 never speak first.
        [b'P', b'Y', b'R', b'O', ..] => Detected::Unknown,
        // Record type handshake, version 3.x (RFC 8446, 5.1).
        [0x16, 0x03, 0x00..=0x04, ..] => Detected::Tls,
        _ if [a, b] == header_crc([c, d], [e, f]) => Detected::Erpc(Framing::SixBytes),
        // Length, check, and the message's first byte: its type, invocation.
        _ if u16::from_le_bytes([a, b]) >= 8 && e == 0 => Detected::Erpc(Framing::FourBytes),
        _ => Detected::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_first_message_is_told_apart() {
        let cases: [(&[u8], Detected); 7] = [
            (b"PYRO\x01\xf6\x01\x04", Detected::Pyro5),
            (
                b"\x17\xcc\x08\x00\x9e\xc6\x00\x03\x01\x01\x01\x00\x00\x00",
                Detected::Erpc(Framing::SixBytes),
            ),
            (
                b"\x08\x00\x9e\xc6\x00\x03\x01\x01\x01\x00\x00\x00",
                Detected::Erpc(Framing::FourBytes),
            ),
            (b"\x16\x03\x01\x02\x00\x01", Detected::Tls),
            (b"GET / HTTP/1.1\r\n", Detected::Unknown),
            (b"SSH-2.0-x\r\n", Detected::Unknown),
            (b"PYRO\x00\x32\x00\x00", Detected::Unknown),
        ];
        for (bytes, expected) in cases {
            assert_eq!(detect(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn fewer_bytes_settle_nothing() {
        for length in 0..6 {
            assert_eq!(detect(&b"PYRO\x01\xf6"[..length]), Detected::Need(6));
        }
    }
}
