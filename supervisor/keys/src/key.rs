// SPDX-License-Identifier: MIT OR Apache-2.0
//! A key: whose it is, and the secret.

use std::{borrow::Borrow, fmt, ops::RangeInclusive};

use thiserror::Error;

/// Whose key it is: 1 to 64 of `A-Za-z0-9_-`, because IDEs make a file name and a host label of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(String);

/// A text that is no [`Id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("an ID has 1 to 64 characters, each a letter, a digit, '_' or '-'")]
pub struct InvalidId;

impl Id {
    /// Longest ID, in bytes.
    pub const MAX_BYTES: usize = 64;

    /// Checks the text.
    ///
    /// # Errors
    /// [`InvalidId`].
    pub fn new(text: &str) -> Result<Self, InvalidId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if (1..=Self::MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The secret: 16 to 512 printable ASCII characters without blanks, used as they are and never decoded.
///
/// `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text is not a [`Secret`]. Does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidSecret {
    /// Too short or too long; how many characters it has.
    #[error("a secret has 16 to 512 characters, and this one has {0}")]
    Length(usize),
    /// Inside it or at an end.
    #[error(
        "there is a blank in the secret or behind it, which IDEs and stunnel take as a part of the secret; remove it \
         there and here"
    )]
    Blank,
    /// A control character, or one that is not in ASCII.
    #[error("the secret has a character that is not printable ASCII, such as an umlaut")]
    Character,
}

impl Secret {
    /// Shortest and longest secret, in bytes. stunnel refuses shorter ones; the longest is what OpenSSL takes from 3.0
    /// on (`PSK_MAX_PSK_LEN`).
    pub const BYTES: RangeInclusive<usize> = 16..=512;

    /// Longest secret that OpenSSL before 3.0 takes, in bytes. Those that IDEs and we make are as long.
    pub const BYTES_OF_OLD_OPENSSL: usize = 256;

    /// Checks the text.
    ///
    /// # Errors
    /// [`InvalidSecret`]: for a blank first, then for another character, then for the length.
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        if text.contains([' ', '\t', '\u{a0}']) {
            return Err(InvalidSecret::Blank);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidSecret::Character);
        }
        match text.len() {
            length if Self::BYTES.contains(&length) => Ok(Self(text.to_owned())),
            length => Err(InvalidSecret::Length(length)),
        }
    }

    /// The text itself, which is the key.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it looks like bytes in hexadecimal, with or without colons between them: stunnel from 5.51 on decodes
    /// such a text, or refuses it if that leaves fewer than 16 bytes, while IDEs use it as it is, so the two would not
    /// understand each other.
    #[must_use]
    pub fn looks_hex(&self) -> bool {
        let is_bytes =
            |part: &str| part.len() % 2 == 0 && part.bytes().all(|b| b.is_ascii_hexdigit());
        self.0.split(':').all(is_bytes)
    }

    /// Whether it is longer than clients with an OpenSSL before 3.0 take.
    #[must_use]
    pub fn is_too_long_for_old_openssl(&self) -> bool {
        self.0.len() > Self::BYTES_OF_OLD_OPENSSL
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Whose it is.
    pub id: Id,
    /// What both sides know.
    pub secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_letters_digits_and_two_signs() {
        for good in ["a", "plc-press_7", &"x".repeat(64)] {
            assert_eq!(Id::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "a.b", "a/b", "a b", "ä", "a:b", &"x".repeat(65)] {
            assert_eq!(Id::new(bad), Err(InvalidId), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_has_a_length_and_no_blanks() {
        for length in [16, 256, 344, 512] {
            assert!(Secret::new(&"s".repeat(length)).is_ok(), "{length}");
        }
        for (bad, reason) in [
            ("s".repeat(15), InvalidSecret::Length(15)),
            ("s".repeat(513), InvalidSecret::Length(513)),
            ("s ".repeat(8), InvalidSecret::Blank),
            (format!("{} ", "s".repeat(16)), InvalidSecret::Blank),
            (format!("\t{}", "s".repeat(16)), InvalidSecret::Blank),
            ("ß".repeat(8), InvalidSecret::Character),
            (format!("{}\r", "s".repeat(16)), InvalidSecret::Character),
        ] {
            assert_eq!(Secret::new(&bad), Err(reason), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("sixteen-or-more-of-them").unwrap();
        assert!(!format!("{secret:?}").contains("sixteen"));
    }

    #[test]
    fn what_stunnel_would_decode_or_refuse_looks_hex() {
        let looks_hex = |text: &str| Secret::new(text).unwrap().looks_hex();
        assert!(looks_hex(&"0aF9".repeat(8)));
        // These as stunnel 5.68 reads them: 8 bytes, which it refuses, and twice 16.
        assert!(looks_hex("0123456789abcdef"));
        assert!(looks_hex("00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"));
        assert!(looks_hex(":00112233445566778899aabbccddee::ff:"));
        // And as text.
        assert!(!looks_hex(&"0aG9".repeat(8)));
        assert!(!looks_hex(&"a".repeat(33)));
        assert!(!looks_hex("0:0112233445566778899aabbccddeeff0"));
    }
}
