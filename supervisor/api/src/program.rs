// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs and their parts: md5 text, blobs, extra files.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits;

/// The IDE's name for a build: 32 lower- or upper-case hexadecimal digits.
///
/// It does not identify the content: some targets digest the sources, so two different libraries may carry the
/// same text (reference runtime, `targets/toolchain_makefile.py`). It is compared, shown, and handed to the
/// program as `PLC_ID`; no path is ever built from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProgramMd5(String);

impl ProgramMd5 {
    /// Checks a text that a client sent.
    ///
    /// # Errors
    /// [`BadMd5`] unless it is exactly 32 hexadecimal digits.
    pub fn new(text: &str) -> Result<Self, BadMd5> {
        if text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadMd5)
        }
    }

    /// The text as the client sent it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProgramMd5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ProgramMd5 {
    type Error = BadMd5;
    fn try_from(text: String) -> Result<Self, BadMd5> {
        Self::new(&text)
    }
}

impl From<ProgramMd5> for String {
    fn from(md5: ProgramMd5) -> Self {
        md5.0
    }
}

/// The md5 text is not 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the program's md5 must be 32 hexadecimal digits")]
pub struct BadMd5;

/// Names one blob in transfer: the MD5 digest of its seed and all its chunks so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlobId(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl BlobId {
    /// The id of a blob that was begun with no seed and holds nothing: MD5 of nothing.
    pub const EMPTY: Self = Self([
        0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42,
        0x7e,
    ]);

    /// The id in these bytes, if there are exactly 16.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// A bare file name that is safe to create in a directory of ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

impl FileName {
    /// Checks a name that a client sent.
    ///
    /// # Errors
    /// [`BadFileName`] says what is wrong with it: empty, too long, a path, a control character, or a name that
    /// the PLC program's retain buffer uses (`retain_buffer_file*`).
    pub fn new(name: &str) -> Result<Self, BadFileName> {
        let problem = if name.is_empty() {
            "is empty"
        } else if name.len() > limits::FILE_NAME_BYTES {
            "is longer than 255 bytes"
        } else if name == "." || name == ".." {
            "is a directory"
        } else if name.contains('/') || name.contains('\\') {
            "contains a path separator"
        } else if name.chars().any(char::is_control) {
            "contains a control character"
        } else if name.starts_with("retain_buffer_file") {
            "is reserved for the program's retained variables"
        } else if name.starts_with(".plc-extra-") {
            "is reserved for the list of extra files"
        } else {
            return Ok(Self(name.to_owned()));
        };
        let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
        Err(BadFileName { shown, problem })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for FileName {
    type Error = BadFileName;
    fn try_from(name: String) -> Result<Self, BadFileName> {
        Self::new(&name)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// An extra file's name is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the extra file name \"{shown}\" {problem}")]
pub struct BadFileName {
    /// The beginning of the name, escaped.
    shown: String,
    problem: &'static str,
}

/// The installed program, as shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramInfo {
    /// Our own name for it, `SEQ-HASH`, over library and extra files: this one identifies the content.
    pub id: String,
    /// The IDE's md5 text.
    pub md5: ProgramMd5,
    /// When it was installed, microseconds since the epoch.
    pub since_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_names_become_file_names() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "/etc/x",
            "a/b",
            "a\\b",
            "a\nb",
            "a\0b",
            "retain_buffer_file",
            ".plc-extra-files",
            &"x".repeat(300),
        ] {
            assert!(FileName::new(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["a.txt", "...", ".hidden", "ü.csv", &"x".repeat(255)] {
            assert_eq!(FileName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn an_md5_text_has_32_hexadecimal_digits() {
        assert!(ProgramMd5::new("0123456789abcdef0123456789ABCDEF").is_ok());
        for bad in
            ["", "0123", "0123456789abcdef0123456789abcdeg", "../../../../../../../../../../etc"]
        {
            assert!(ProgramMd5::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
