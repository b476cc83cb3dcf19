// SPDX-License-Identifier: MIT OR Apache-2.0
//! New secrets, and the device's ID.

use std::io;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plc_keys::{Id, Key, Secret};

/// Random bytes of a secret: 256 characters of base64, the longest key that all clients take.
const RANDOM_BYTES: usize = 192;

/// A key for `id` that nobody has had before. Waits for the kernel's randomness, which a first boot may lack at first.
///
/// # Errors
/// There is no randomness to be had.
pub(super) fn key(id: Id) -> io::Result<Key> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random)?;
    let secret = Secret::new(&STANDARD.encode(random)).map_err(io::Error::other)?;
    Ok(Key { id, secret })
}

/// The device's ID: `plc-` and the host's name up to the first dot, what an ID may not hold replaced by `-`.
pub(super) fn device_id(host: &str) -> io::Result<Id> {
    let host = host.trim().split('.').next().unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = host.chars().map(allowed).collect();
    let name = match name.trim_matches('-') {
        "" => "device",
        name => name,
    };
    let id: String = "plc-".chars().chain(name.chars()).take(Id::MAX_BYTES).collect();
    Id::new(&id).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_as_long_as_all_clients_take_and_never_the_same() {
        let key = || key(Id::new("anna").unwrap()).unwrap().secret;
        let (one, other) = (key(), key());
        assert_eq!(one.reveal().len(), 256);
        assert!(!one.looks_hex());
        assert_ne!(one, other);
    }

    #[test]
    fn the_device_is_named_after_its_host() {
        let id = |host: &str| device_id(host).unwrap().as_str().to_owned();
        assert_eq!(id("press-7\n"), "plc-press-7");
        assert_eq!(id("press_7.example.org"), "plc-press_7");
        assert_eq!(id("maschinenhöhle"), "plc-maschinenh-hle");
        assert_eq!(id(&"x".repeat(80)).len(), 64);
        for nothing in ["", "\n", ".", "-", "ä"] {
            assert_eq!(id(nothing), "plc-device", "{nothing:?}");
        }
    }
}
