// SPDX-License-Identifier: MIT OR Apache-2.0
//! eRPC's frames on TCP: length and checks in front of each message, all little-endian.
//!
//! | erpc | header |
//! | --- | --- |
//! | up to 1.11 | length, check of the body |
//! | from 1.12 on | check of the header, length, check of the body |
//! | the IDE's own, from 2024-11 on | length |
//!
//! each field 16 bits; so no message is longer than 65535 bytes. Where there is no check, a wrong length shows in the
//! message's own header, whose first bytes are nearly always the same: what follows a lie is no message.

use crc::{Algorithm, Crc, Table};
use plc_connector::intake::Measure;

use super::{INVOCATION, ONEWAY, SERVICE, VERSION};
use crate::{codec::Malformed, method::Method};

/// Most bytes of one message: what its length field can say.
pub const MAX_MESSAGE_BYTES: usize = 0xffff;

/// Bytes with which every message begins.
const MESSAGE_HEADER_BYTES: u16 = 8;

/// Which frame header a client uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Length and body check: erpc 1.11 and older.
    FourBytes,
    /// The same after a check of the two: erpc 1.12 and newer.
    SixBytes,
    /// Length alone: the erpc that IDEs bring along from 2024-11 on.
    TwoBytes,
}

impl Framing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::FourBytes, Self::SixBytes, Self::TwoBytes];
}

/// The CRC of eRPC: 16 bits, polynomial 0x1021, beginning at 0xEF4A, most significant bit first.
static CRC: Crc<u16, Table<16>> = Crc::<u16, Table<16>>::new(&Algorithm {
    width: 16,
    poly: 0x1021,
    init: 0xef4a,
    refin: false,
    refout: false,
    xorout: 0,
    check: 0x89ac,
    residue: 0,
});

/// The CRC of these bytes.
#[must_use]
pub fn crc(bytes: &[u8]) -> u16 {
    CRC.checksum(bytes)
}

/// The check of a header with these two fields.
#[must_use]
pub(crate) fn header_crc(length: [u8; 2], body_crc: [u8; 2]) -> [u8; 2] {
    crc(&length).wrapping_add(crc(&body_crc)).to_le_bytes()
}

/// How long the frame is that begins with `bytes`.
///
/// # Errors
/// When the header does not agree with its own check, or is that of no message.
pub fn measure(framing: Framing, bytes: &[u8]) -> Result<Measure, Malformed> {
    let (header, length) = match framing {
        Framing::FourBytes => match bytes.first_chunk() {
            None => return Ok(Measure::Need(4)),
            Some(&[a, b, _, _]) => (4, u16::from_le_bytes([a, b])),
        },
        Framing::SixBytes => match bytes.first_chunk() {
            None => return Ok(Measure::Need(6)),
            Some(&[x, y, a, b, c, d]) if [x, y] == header_crc([a, b], [c, d]) => {
                (6, u16::from_le_bytes([a, b]))
            }
            Some(_) => return Err(Malformed("wrong check of the frame header")),
        },
        Framing::TwoBytes => match bytes.first_chunk() {
            None => return Ok(Measure::Need(6)),
            Some(&[a, b, kind, request, service, version]) => {
                let length = u16::from_le_bytes([a, b]);
                if length < MESSAGE_HEADER_BYTES || !is_call(kind, request, service, version) {
                    return Err(Malformed("impossible frame header"));
                }
                (2, length)
            }
        },
    };
    Ok(Measure::Frame(header + usize::from(length)))
}

/// The message in a whole frame.
///
/// # Errors
/// When it does not agree with its check.
pub fn message(framing: Framing, frame: &[u8]) -> Result<&[u8], Malformed> {
    let split = match framing {
        Framing::FourBytes => frame.split_first_chunk().map(|(&[_, _, c, d], m)| ([c, d], m)),
        Framing::SixBytes => frame.split_first_chunk().map(|(&[_, _, _, _, c, d], m)| ([c, d], m)),
        Framing::TwoBytes => {
            let split = frame.split_first_chunk::<2>();
            return split.map(|(_, message)| message).ok_or(Malformed("no message"));
        }
    };
    match split {
        Some((check, message)) if crc(message).to_le_bytes() == check => Ok(message),
        _ => Err(Malformed("wrong check of the message")),
    }
}

/// Whether a message that begins with these bytes is a call of the PLC.
fn is_call(kind: u8, request: u8, service: u8, version: u8) -> bool {
    matches!(kind, INVOCATION | ONEWAY)
        && Method::from_erpc_id(request).is_some()
        && (service, version) == (SERVICE, VERSION)
}

/// A frame around `message`; `None` if that is longer than [`MAX_MESSAGE_BYTES`].
#[must_use]
pub fn frame(framing: Framing, message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?.to_le_bytes();
    let body_crc = crc(message).to_le_bytes();
    let mut frame = Vec::with_capacity(6 + message.len());
    if framing == Framing::SixBytes {
        frame.extend(header_crc(length, body_crc));
    }
    frame.extend(length);
    if framing != Framing::TwoBytes {
        frame.extend(body_crc);
    }
    frame.extend(message);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_check_has_its_published_values() {
        assert_eq!(crc(b"123456789"), 0x89ac);
        assert_eq!(crc(b""), 0xef4a);
    }

    #[test]
    fn a_frame_with_a_wrong_check_is_refused() {
        for framing in [Framing::FourBytes, Framing::SixBytes] {
            let good = frame(framing, b"message").unwrap();
            let mut bad = good.clone();
            *bad.last_mut().unwrap() ^= 1;
            assert!(message(framing, &good).is_ok());
            assert!(message(framing, &bad).is_err());
        }
        let mut bad = frame(Framing::SixBytes, b"message").unwrap();
        bad[2] ^= 1;
        assert!(measure(Framing::SixBytes, &bad).is_err());
    }

    #[test]
    fn a_message_that_is_too_long_has_no_frame() {
        let longest = vec![0; MAX_MESSAGE_BYTES];
        let too_long = [&longest[..], &[0]].concat();
        for framing in Framing::ALL {
            assert!(frame(framing, &longest).is_some());
            assert!(frame(framing, &too_long).is_none());
        }
    }

    #[test]
    fn without_a_check_an_impossible_header_is_refused() {
        let good = *b"\x08\x00\x00\x03\x01\x01\x01\0\0\0";
        assert_eq!(measure(Framing::TwoBytes, &good), Ok(Measure::Frame(10)));
        assert_eq!(measure(Framing::TwoBytes, &good[..5]), Ok(Measure::Need(6)));
        let faults = [(0, 7), (2, 2), (2, 3), (3, 0), (3, 16), (4, 0), (4, 2), (5, 0), (5, 2)];
        for (at, value) in faults {
            let mut bad = good;
            bad[at] = value;
            assert!(measure(Framing::TwoBytes, &bad).is_err(), "{at}: {value}");
        }
    }

    proptest! {
        #[test]
        fn a_message_survives_its_frame(mut body: Vec<u8>, framing in prop::sample::select(&Framing::ALL)) {
            body.splice(0..0, *b"\0\x03\x01\x01\x01\0\0\0");
            let frame = frame(framing, &body).unwrap();
            prop_assert_eq!(measure(framing, &frame).unwrap(), Measure::Frame(frame.len()));
            prop_assert_eq!(message(framing, &frame).unwrap(), body);
        }
    }
}
