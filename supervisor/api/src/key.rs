// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pre-shared keys as they pass between the supervisor and its clients.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret on its way. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Of this text, which is the key itself and is not checked here.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(not shown)")
    }
}

/// Whose key, and the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// 1 to 64 of `A-Za-z0-9_-`.
    pub id: String,
    /// 16 to 512 printable ASCII characters.
    pub secret: SecretText,
}

/// All keys there are, without their secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyList {
    /// In the order of their IDs.
    pub keys: Vec<KeyInfo>,
    /// What is wrong with key files, each a sentence; what they hold may not count.
    pub problems: Vec<String>,
}

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Whose.
    pub id: String,
    /// What it is for.
    pub kind: KeyKind,
    /// The file it is in.
    pub source: String,
    /// When that file was written last, microseconds since the epoch; 0: not known.
    pub since_us: u64,
    /// The secret looks like a number in hexadecimal, which stunnel decodes and IDEs do not.
    pub hex_looking: bool,
}

/// What a key is for, and who may take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// The device's own, told while pairing is open. When it is revoked, a new one takes its place.
    Device,
    /// A client's, kept by the supervisor.
    Client,
    /// Brought by the integrator, and only theirs to take away.
    Brought,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        let key = ApiKey { id: "anna".into(), secret: SecretText::new("sixteen-or-more!") };
        let shown = format!("{key:?}");
        assert!(shown.contains("anna") && !shown.contains("sixteen"), "{shown}");
    }
}
