// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written beside a program about it: `manifest.toml`.

use std::{fmt, fs, io, path::Path};

use plc_api::program::{FileName, ProgramInfo, ProgramMd5};
use serde::{Deserialize, Serialize};

use super::durable;

const FILE: &str = "manifest.toml";

/// The name of a program and of its directory, `SEQ-HASH`: our own running number and the beginning of the
/// SHA-256 digest over library and extra files. Never built from text that a client sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProgramId {
    /// Larger is later.
    pub sequence: u64,
    hash: String,
}

impl ProgramId {
    const HASH_DIGITS: usize = 16;

    /// The name of the program with this running number and digest.
    #[must_use]
    pub fn new(sequence: u64, digest: &[u8]) -> Self {
        let digits = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let hash =
            digits.take(Self::HASH_DIGITS).filter_map(|digit| char::from_digit(digit.into(), 16));
        Self { sequence, hash: hash.collect() }
    }

    /// Reads a name; `None` if it is not of our making.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (sequence, hash) = name.split_once('-')?;
        let hash_is_ours =
            hash.len() == Self::HASH_DIGITS && hash.bytes().all(|b| b.is_ascii_hexdigit());
        let id = Self { sequence: sequence.parse().ok()?, hash: hash.to_owned() };
        (hash_is_ours && id.to_string() == name).then_some(id)
    }
}

impl fmt::Display for ProgramId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}-{}", self.sequence, self.hash)
    }
}

impl TryFrom<String> for ProgramId {
    type Error = String;
    fn try_from(name: String) -> Result<Self, String> {
        Self::parse(&name).ok_or_else(|| format!("{name:?} is not a program's name"))
    }
}

impl From<ProgramId> for String {
    fn from(id: ProgramId) -> Self {
        id.to_string()
    }
}

/// The content of `manifest.toml`. Written once, with the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program's own name, equal to its directory's.
    pub id: ProgramId,
    /// The IDE's name for the build.
    pub md5: ProgramMd5,
    /// The IDE's name for the build of the second library, `logic.so`, of a program of two. Written by no release yet:
    /// such programs are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logic_md5: Option<ProgramMd5>,
    /// When it was installed, microseconds since the epoch.
    pub since_us: u64,
    /// The program that was current then: where a rollback leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ProgramId>,
    /// Names in `extra/`.
    #[serde(default)]
    pub extra_files: Vec<FileName>,
}

impl Manifest {
    /// Writes it into a program's directory and syncs it.
    ///
    /// # Errors
    /// The disk's words.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        durable::create_synced(&dir.join(FILE), text.as_bytes())
    }

    /// Reads it from a program's directory.
    ///
    /// # Errors
    /// It is not there, or not a manifest.
    pub fn read(dir: &Path) -> io::Result<Self> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).map_err(|error| durable::at(&path, &error))?;
        toml::from_str(&text)
            .map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
    }

    /// What people and IDEs are shown of it.
    #[must_use]
    pub fn info(&self) -> ProgramInfo {
        ProgramInfo { id: self.id.to_string(), md5: self.md5.clone(), since_us: self.since_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_with_and_without_a_second_library() {
        let old = "id = \"000012-abababababababab\"\nmd5 = \"0123456789abcdef0123456789abcdef\"\nsince_us = 5\n";
        let one: Manifest = toml::from_str(old).unwrap();
        assert_eq!(one.logic_md5, None);
        assert!(!toml::to_string(&one).unwrap().contains("logic"), "older releases read it");
        let two = Manifest { logic_md5: Some(one.md5.clone()), ..one };
        assert_eq!(toml::from_str::<Manifest>(&toml::to_string(&two).unwrap()).unwrap(), two);
    }

    #[test]
    fn only_names_of_our_own_making_are_program_ids() {
        let id = ProgramId::new(12, &[0xab; 32]);
        assert_eq!(id.to_string(), "000012-abababababababab");
        assert_eq!(ProgramId::parse(&id.to_string()), Some(id));
        for foreign in
            ["", "12-abababababababab", "000012-../../etc/passw", "000012-", ".new-1", "000012"]
        {
            assert_eq!(ProgramId::parse(foreign), None, "{foreign:?}");
        }
    }
}
