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

/// The secret: 16 to 256 printable ASCII characters without blanks, used as they are and never decoded.
///
/// `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A text that is no [`Secret`]. Does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a secret has 16 to 256 printable characters and no blanks")]
pub struct InvalidSecret;

impl Secret {
    /// Shortest and longest secret, in bytes. The longest is what OpenSSL before 3.0 takes (`PSK_MAX_PSK_LEN`).
    pub const BYTES: RangeInclusive<usize> = 16..=256;

    /// Checks the text.
    ///
    /// # Errors
    /// [`InvalidSecret`].
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        if Self::BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidSecret)
        }
    }

    /// The text itself, which is the key.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it looks like a number in hexadecimal: stunnel from 5.51 on decodes such a text, while IDEs use it as
    /// it is, so the two would not understand each other.
    #[must_use]
    pub fn looks_hex(&self) -> bool {
        self.0.len() >= 32 && self.0.len() % 2 == 0 && self.0.bytes().all(|b| b.is_ascii_hexdigit())
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
        assert!(Secret::new(&"s".repeat(16)).is_ok());
        assert!(Secret::new(&"s".repeat(256)).is_ok());
        for bad in ["s".repeat(15), "s".repeat(257), "s ".repeat(8), "ß".repeat(8)] {
            assert_eq!(Secret::new(&bad), Err(InvalidSecret), "{bad:?}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = Secret::new("sixteen-or-more-of-them").unwrap();
        assert!(!format!("{secret:?}").contains("sixteen"));
    }

    #[test]
    fn what_stunnel_would_decode_looks_hex() {
        let looks_hex = |text: &str| Secret::new(text).unwrap().looks_hex();
        assert!(looks_hex(&"0aF9".repeat(8)));
        assert!(!looks_hex(&"0aG9".repeat(8)));
        assert!(!looks_hex(&"a".repeat(33)));
    }
}
