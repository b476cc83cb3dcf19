// SPDX-License-Identifier: MIT OR Apache-2.0
//! WAMP-CRA: showing that one knows a secret without telling it (wamp-proto.org, "Challenge Response Authentication").

use std::num::NonZeroU32;

use base64::{Engine, prelude::BASE64_STANDARD};
use plc_connector::ide::value::Value;
use ring::{hmac, pbkdf2};

use crate::message::Dict;

/// Rounds of a derived key, unless the challenge says otherwise ...
const ITERATIONS: i128 = 1000;
/// ... and the most that are carried out: a router is not to keep the processor from the PLC.
const MOST_ITERATIONS: i128 = 100_000;
/// Bytes of a derived key, unless the challenge says otherwise, and the most.
const KEY_BYTES: i128 = 32;
const MOST_KEY_BYTES: i128 = 64;

/// The signature that answers a challenge.
///
/// # Errors
/// When the challenge cannot be answered; a sentence.
pub fn answer(secret: &str, extra: &Dict) -> Result<String, String> {
    let challenge = extra.text("challenge").ok_or("the router's challenge has no text to sign")?;
    let Some(salt) = extra.text("salt") else {
        return Ok(signature(secret.as_bytes(), &challenge));
    };
    let iterations = number(extra, "iterations", ITERATIONS, MOST_ITERATIONS)?;
    let length = number(extra, "keylen", KEY_BYTES, MOST_KEY_BYTES)?;
    let mut key = vec![0; usize::try_from(length.get()).unwrap_or_default()];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, iterations, salt.as_bytes(), secret.as_bytes(), &mut key);
    // What both sides take for the key is its base64 text.
    Ok(signature(BASE64_STANDARD.encode(key).as_bytes(), &challenge))
}

fn number(extra: &Dict, name: &str, standard: i128, most: i128) -> Result<NonZeroU32, String> {
    let number = extra.get(name).map_or(Some(standard), Value::as_int);
    number
        .filter(|number| *number <= most)
        .and_then(|number| u32::try_from(number).ok())
        .and_then(NonZeroU32::new)
        .ok_or_else(|| format!("the router's challenge has {name} that are not from 1 to {most}"))
}

/// What who knows `key` makes of `challenge`.
#[must_use]
pub fn signature(key: &[u8], challenge: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    BASE64_STANDARD.encode(hmac::sign(&key, challenge.as_bytes()))
}

/// Whether `signature` is that; how long this takes tells nothing of the key.
#[must_use]
pub(crate) fn is_signed(key: &[u8], challenge: &str, signature: &str) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let signature = BASE64_STANDARD.decode(signature);
    signature.is_ok_and(|tag| hmac::verify(&key, challenge.as_bytes(), &tag).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHALLENGE: &str = r#"{"authid":"plc1","nonce":"n"}"#;

    fn extra<const N: usize>(more: [(&str, Value); N]) -> Dict {
        let mut extra = Dict::of(more);
        extra.0.push((Value::text("challenge"), Value::text(CHALLENGE)));
        extra
    }

    #[test]
    fn a_challenge_is_signed_as_recorded() {
        let signed = answer("secret", &extra([])).unwrap();
        assert_eq!(signed, "bpyeE1FHAwLOBztx9rbfrPGXK1YmH9fSKp/OLLgBRQQ=");
        assert!(is_signed(b"secret", CHALLENGE, &signed));
        assert!(!is_signed(b"Secret", CHALLENGE, &signed));
        assert!(!is_signed(b"secret", CHALLENGE, "***"));
    }

    #[test]
    fn a_salted_secret_is_derived_first() {
        // Both made with Python: base64(pbkdf2_hmac("sha256", b"secret", b"salt", ROUNDS, 32)), then as above.
        let salt = ("salt", Value::text("salt"));
        let standard = answer("secret", &extra([salt.clone()])).unwrap();
        assert_eq!(standard, "8QI2nGxwEH2Jcc/gNMRgdNwxSba0kQNpr5rGHzHleXg=");
        let hundred = answer("secret", &extra([salt, ("iterations", 100.into())])).unwrap();
        assert_eq!(hundred, "8ocdI5715lcJp07ZBxJLwqn0WJXyFRaKZkUx1amiDko=");
    }

    #[test]
    fn a_challenge_that_would_keep_the_processor_busy_is_refused() {
        for (name, number) in [("iterations", 100_001), ("iterations", 0), ("keylen", 65)] {
            let extra = extra([("salt", Value::text("salt")), (name, number.into())]);
            assert!(answer("secret", &extra).unwrap_err().contains(name));
        }
        assert!(answer("secret", &Dict::default()).is_err());
    }
}
