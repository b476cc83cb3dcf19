// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which protocol a peer speaks, by its first bytes.
//!
//! Every client but those of Pyro3 speaks first; a Pyro3 client waits for the server's challenge, so silence is its
//! mark, and there is nothing to detect. eRPC has had three frame headers, and six bytes tell them apart: one of six
//! bytes begins with a check of itself; one of two is followed by the constant bytes of a message's header, at a place
//! where that of four bytes has other ones.

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
        // Length, then a message: type invocation, method, service, version of the codec. Its type stands where a header
        // of four bytes has half a check, and its service where that one's message has its type, which is 0.
        [_, _, 0, _, 1, 1] if u16::from_le_bytes([a, b]) >= 8 => Detected::Erpc(Framing::TwoBytes),
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
        let cases: [(&[u8], Detected); 11] = [
            (b"PYRO\x01\xf6\x01\x04", Detected::Pyro5),
            (
                b"\x17\xcc\x08\x00\x9e\xc6\x00\x03\x01\x01\x01\x00\x00\x00",
                Detected::Erpc(Framing::SixBytes),
            ),
            (
                b"\x08\x00\x9e\xc6\x00\x03\x01\x01\x01\x00\x00\x00",
                Detected::Erpc(Framing::FourBytes),
            ),
            (b"\x08\x00\x00\x03\x01\x01\x01\x00\x00\x00", Detected::Erpc(Framing::TwoBytes)),
            // A check whose lower half is 0, and one that looks like a message's header as far as it can.
            (b"\x08\x00\x00\xc6\x00\x03\x01\x01", Detected::Erpc(Framing::FourBytes)),
            (b"\x08\x00\x00\x03\x00\x01\x01\x01", Detected::Erpc(Framing::FourBytes)),
            (b"\x07\x00\x00\x03\x01\x01", Detected::Unknown),
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
    fn a_first_message_of_any_method_and_length_is_told_apart_but_for_one_length_each() {
        for method in 1..=15_u8 {
            let taken_for_six: Vec<u16> = (8..=u16::MAX)
                .filter(|length| {
                    let [a, b] = length.to_le_bytes();
                    // Looks like a TLS hello.
                    let tls = [a, b] == [0x16, 0x03];
                    !tls && detect(&[a, b, 0, method, 1, 1]) != Detected::Erpc(Framing::TwoBytes)
                })
                .collect();
            // The first message of every IDE is GetPLCID, 8 bytes long.
            assert!(
                taken_for_six.len() == 1 && taken_for_six[0] > 8,
                "{method}: {taken_for_six:?}"
            );
        }
    }

    #[test]
    fn fewer_bytes_settle_nothing() {
        for length in 0..6 {
            assert_eq!(detect(&b"PYRO\x01\xf6"[..length]), Detected::Need(6));
        }
    }
}
