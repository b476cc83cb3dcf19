// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first bytes of a connection, looked at before OpenSSL sees them.
//!
//! They decide which context serves it, so that what old clients need lowers nothing for the others.

/// Bytes that settle it in every case: record header (type, version, length), message header (type, length), and
/// the version that the client speaks (RFC 5246, 6.2.1 and 7.4.1.2).
pub const BYTES: usize = 11;

/// What the first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hello {
    /// The hello of a client that speaks TLS 1.2 or later: 1.3 too says 1.2 here (RFC 8446, 4.1.2).
    Modern,
    /// The hello of a client that speaks nothing newer than TLS 1.1.
    Legacy,
    /// No hello of TLS.
    NotTls,
}

/// Names the kind of a connection that begins with `bytes`; `None` if they are too few.
#[must_use]
pub fn look(bytes: &[u8]) -> Option<Hello> {
    const HANDSHAKE: u8 = 0x16;
    const CLIENT_HELLO: u8 = 1;
    match *bytes {
        [HANDSHAKE, 3, _, _, _, CLIENT_HELLO, _, _, _, 3, minor, ..] => {
            Some(if minor >= 3 { Hello::Modern } else { Hello::Legacy })
        }
        // As far as it came, it is as it should be.
        [] | [HANDSHAKE] | [HANDSHAKE, 3] | [HANDSHAKE, 3, _] | [HANDSHAKE, 3, _, _] => None,
        [HANDSHAKE, 3, _, _, _] => None,
        [HANDSHAKE, 3, _, _, _, CLIENT_HELLO, ..] if bytes.len() < BYTES => None,
        _ => Some(Hello::NotTls),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TLS12: &[u8] = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";

    #[test]
    fn the_newest_version_that_the_client_speaks_decides() {
        assert_eq!(look(TLS12), Some(Hello::Modern));
        for minor in 0..=2 {
            let mut hello = TLS12.to_vec();
            hello[10] = minor;
            assert_eq!(look(&hello), Some(Hello::Legacy));
        }
    }

    #[test]
    fn a_hello_that_comes_in_pieces_is_waited_for() {
        for length in 0..BYTES {
            assert_eq!(look(&TLS12[..length]), None, "{length}");
        }
        assert_eq!(look(&[TLS12, b"more"].concat()), Some(Hello::Modern));
    }

    #[test]
    fn what_is_no_hello_is_known_as_early_as_possible() {
        for bytes in
            [&b"P"[..], b"\x17\xcc\x08", b"\x16\x04", b"\x80\x2e\x01", b"\x16\x03\x01\x00\x05\x02"]
        {
            assert_eq!(look(bytes), Some(Hello::NotTls), "{bytes:02x?}");
        }
    }
}
