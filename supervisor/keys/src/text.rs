// SPDX-License-Identifier: MIT OR Apache-2.0
//! The text of a key file.

use thiserror::Error;

use crate::key::{Id, InvalidId, InvalidSecret, Key, Secret};

/// What is wrong with a text of keys. Does not repeat what may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {reason}")]
pub struct KeyError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// There is no colon in it.
    #[error("this is not ID:secret, nor a comment behind '#'")]
    NoColon,
    /// Before the colon.
    #[error(transparent)]
    Id(#[from] InvalidId),
    /// Behind the colon.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// Nothing but a colon.
    #[error(
        "there is neither an ID nor a secret, which is what an IDE stores for a PLC that has shown it no key; remove \
         that file"
    )]
    Empty,
    /// There is one already.
    #[error("there is a key of {0} further up")]
    Twice(Id),
}

/// Reads texts of keys.
///
/// One key on each line, `ID:secret`, the secret from the first colon to the end of the line (LF or CR LF), as it is;
/// empty lines and lines that begin with `#` are passed over, and so is a byte order mark at the beginning. An ID comes
/// once.
///
/// ```
/// let keys = plc_keys::Keys::parse("# the office\nanna:0123:456789abcdef\n")?;
/// assert_eq!(keys[0].id.as_str(), "anna");
/// assert_eq!(keys[0].secret.reveal(), "0123:456789abcdef");
/// # Ok::<(), plc_keys::KeyError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Keys;

impl Keys {
    /// Reads all keys of a text, in its order.
    ///
    /// # Errors
    /// [`KeyError`] for the first line that is none of the above.
    pub fn parse(text: &str) -> Result<Vec<Key>, KeyError> {
        let mut keys: Vec<Key> = Vec::new();
        for (index, line) in without_mark(text).lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = key(line).and_then(|key| match keys.iter().any(|k| k.id == key.id) {
                true => Err(Reason::Twice(key.id)),
                false => Ok(key),
            });
            keys.push(key.map_err(|reason| KeyError { line: index + 1, reason })?);
        }
        Ok(keys)
    }
}

/// The text without the byte order mark that editors on Windows put at its beginning.
pub(crate) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn key(line: &str) -> Result<Key, Reason> {
    let (id, secret) = line.split_once(':').ok_or(Reason::NoColon)?;
    if id.is_empty() && secret.is_empty() {
        return Err(Reason::Empty);
    }
    Ok(Key { id: Id::new(id)?, secret: Secret::new(secret)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef";

    #[test]
    fn keys_come_out_in_order_and_the_secret_is_what_follows_the_first_colon() {
        let text = format!("# ours\r\n\nplc-1:{SECRET}\r\nplc_2::{SECRET}:#=\n");
        let keys = Keys::parse(&text).unwrap();
        let told: Vec<_> = keys.iter().map(|k| (k.id.as_str(), k.secret.reveal())).collect();
        assert_eq!(told, [("plc-1", SECRET), ("plc_2", &*format!(":{SECRET}:#="))]);
    }

    #[test]
    fn what_windows_puts_around_a_key_is_not_a_part_of_it() {
        for text in ["anna:S", "anna:S\n", "anna:S\r\n", "\u{feff}anna:S", "\u{feff}anna:S\r\n\r\n"]
        {
            let text = text.replace('S', SECRET);
            let keys = Keys::parse(&text).unwrap();
            let [Key { id, secret }] = &keys[..] else { panic!("{text:?}: {keys:?}") };
            assert_eq!((id.as_str(), secret.reveal()), ("anna", SECRET), "{text:?}");
        }
    }

    #[test]
    fn a_bad_line_is_named_and_its_secret_is_not_repeated() {
        for (line, reason) in [
            (SECRET.to_owned(), Reason::NoColon),
            (format!("a b:{SECRET}"), InvalidId.into()),
            (format!(" a:{SECRET}"), InvalidId.into()),
            (format!("a:{SECRET} "), InvalidSecret::Blank.into()),
            ("a:short".to_owned(), InvalidSecret::Length(5).into()),
            (":".to_owned(), Reason::Empty),
            (format!("first:{SECRET}"), Reason::Twice(Id::new("first").unwrap())),
        ] {
            let error = Keys::parse(&format!("first:{SECRET}\n{line}\n")).unwrap_err();
            assert_eq!(error, KeyError { line: 2, reason }, "{line:?}");
            assert!(!error.to_string().contains(SECRET));
        }
    }
}
