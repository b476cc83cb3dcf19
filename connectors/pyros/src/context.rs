// SPDX-License-Identifier: MIT OR Apache-2.0
//! What OpenSSL may negotiate, and the keys it gets.
//!
//! OpenSSL asks for the secret of an identity through one callback in every version: `SSL_CTX_set_psk_server_callback`
//! serves TLS 1.3 too, with suites on SHA-256 (its manual page). An identity that nobody has gets a key that nobody
//! has, so the handshake goes on and fails where one with a wrong secret fails, with the same alert. Nothing is ever
//! resumed: a ticket would let a revoked key in, and OpenSSL would offer it to the callback as an identity.

use std::{fmt, sync::Arc};

use openssl::{
    bn::BigNum,
    dh::Dh,
    error::ErrorStack,
    ex_data::Index,
    rand::rand_bytes,
    ssl::{
        Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
        SslSessionCacheMode, SslVersion,
    },
};
use plc_keys::{Id, KeySet, Secret};

/// For TLS 1.2: first those with forward secrecy, of these first those that also authenticate what they encrypt in
/// one step; never those that need a certificate (RSA-PSK).
const SUITES: &str = "ECDHE-PSK-CHACHA20-POLY1305:\
    DHE-PSK-AES256-GCM-SHA384:DHE-PSK-AES128-GCM-SHA256:DHE-PSK-CHACHA20-POLY1305:\
    ECDHE-PSK-AES256-CBC-SHA384:ECDHE-PSK-AES128-CBC-SHA256:\
    PSK-AES256-GCM-SHA384:PSK-AES128-GCM-SHA256:PSK-CHACHA20-POLY1305:\
    PSK-AES256-CBC-SHA384:PSK-AES128-CBC-SHA256:PSK-AES256-CBC-SHA:PSK-AES128-CBC-SHA";

/// For TLS 1.3, always with forward secrecy. An external key belongs to one hash, and without further notice to
/// SHA-256 (RFC 8446, 4.2.11).
const SUITES_13: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";

/// The only suite that the IDEs of 2018 to 2022 offer, in TLS 1.0.
const LEGACY_SUITE: &str = "PSK-AES256-CBC-SHA";

/// The key of every identity that nobody has.
type Nobodys = [u8; 256];

/// How connections may be encrypted.
pub struct Contexts {
    modern: SslContext,
    legacy: SslContext,
    attempt: Index<Ssl, Attempt>,
}

impl fmt::Debug for Contexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Contexts")
    }
}

/// Which context serves a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Versions {
    /// TLS 1.2 and 1.3.
    Modern,
    /// TLS 1.0 alone, and the one suite.
    Legacy,
}

/// Which key a peer has shown, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It has offered none.
    Nothing,
    /// An identity that nobody has; cut and escaped.
    Stranger(String),
    /// A known identity. Whether it has the secret too, the end of the handshake tells.
    Known(Id, Secret),
}

/// What belongs to one handshake: the keys as they were when it began, and what the peer has shown.
struct Attempt {
    keys: Arc<KeySet>,
    shown: Shown,
}

impl Contexts {
    /// Both contexts.
    ///
    /// # Errors
    /// When this OpenSSL lacks what is needed.
    pub fn new() -> Result<Self, ErrorStack> {
        let attempt = Ssl::new_ex_index()?;
        // New at each start, so that it cannot become known.
        let mut nobodys: Nobodys = [0; 256];
        rand_bytes(&mut nobodys)?;
        let modern = modern(attempt, nobodys)?;
        let legacy = legacy(attempt, nobodys)?;
        Ok(Self { modern, legacy, attempt })
    }

    /// Our side of a connection that may use these keys.
    ///
    /// # Errors
    /// When OpenSSL lacks memory.
    pub fn begin(&self, versions: Versions, keys: Arc<KeySet>) -> Result<Ssl, ErrorStack> {
        let context = match versions {
            Versions::Modern => &self.modern,
            Versions::Legacy => &self.legacy,
        };
        let mut ssl = Ssl::new(context)?;
        ssl.set_ex_data(self.attempt, Attempt { keys, shown: Shown::Nothing });
        Ok(ssl)
    }

    /// What the peer has shown so far.
    #[must_use]
    pub fn shown(&self, ssl: &SslRef) -> Shown {
        ssl.ex_data(self.attempt).map_or(Shown::Nothing, |attempt| attempt.shown.clone())
    }
}

fn modern(attempt: Index<Ssl, Attempt>, nobodys: Nobodys) -> Result<SslContext, ErrorStack> {
    let mut context = context(attempt, nobodys)?;
    context.set_security_level(2);
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    context.set_cipher_list(SUITES)?;
    context.set_ciphersuites(SUITES_13)?;
    // RFC 3526, group 14.
    let prime = BigNum::get_rfc3526_prime_2048()?;
    context.set_tmp_dh(&*Dh::from_pqg(prime, None, BigNum::from_u32(2)?)?)?;
    Ok(context.build())
}

fn legacy(attempt: Index<Ssl, Attempt>, nobodys: Nobodys) -> Result<SslContext, ErrorStack> {
    let mut context = context(attempt, nobodys)?;
    // Below 1 OpenSSL 3 allows TLS 1.0 at all.
    context.set_security_level(0);
    context.set_min_proto_version(Some(SslVersion::TLS1))?;
    context.set_max_proto_version(Some(SslVersion::TLS1))?;
    context.set_cipher_list(LEGACY_SUITE)?;
    Ok(context.build())
}

/// What both have in common.
fn context(
    attempt: Index<Ssl, Attempt>,
    nobodys: Nobodys,
) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls_server())?;
    context.set_options(
        SslOptions::CIPHER_SERVER_PREFERENCE
            | SslOptions::NO_COMPRESSION
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_TICKET
            // Many IDEs close the connection without a farewell; their messages tell their own length.
            | SslOptions::IGNORE_UNEXPECTED_EOF,
    );
    // Buffers that tokio may move, and that an idle connection does without.
    context.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_num_tickets(0)?;
    context.set_psk_server_callback(move |ssl, identity, buffer| {
        Ok(answer(ssl.ex_data_mut(attempt), identity.unwrap_or_default(), buffer, &nobodys))
    });
    Ok(context)
}

/// Writes the secret of `identity` into `buffer`; its length.
fn answer(
    attempt: Option<&mut Attempt>,
    identity: &[u8],
    buffer: &mut [u8],
    nobodys: &Nobodys,
) -> usize {
    let shown = attempt.map_or(Shown::Nothing, |attempt| {
        attempt.shown = known(&attempt.keys, identity).unwrap_or_else(|| stranger(identity));
        attempt.shown.clone()
    });
    let secret = match &shown {
        Shown::Known(_, secret) => secret.reveal().as_bytes(),
        Shown::Stranger(_) | Shown::Nothing => nobodys,
    };
    // OpenSSL's buffer holds the longest; were it not so, this would refuse all identities alike.
    buffer.get_mut(..secret.len()).map_or(0, |place| {
        place.copy_from_slice(secret);
        secret.len()
    })
}

fn known(keys: &KeySet, identity: &[u8]) -> Option<Shown> {
    let id = Id::new(std::str::from_utf8(identity).ok()?).ok()?;
    let secret = keys.secret(id.as_str())?.clone();
    Some(Shown::Known(id, secret))
}

/// What may be logged of an identity that is none of ours.
fn stranger(identity: &[u8]) -> Shown {
    let text = String::from_utf8_lossy(identity);
    Shown::Stranger(text.chars().take(Id::MAX_BYTES).flat_map(char::escape_debug).collect())
}

#[cfg(test)]
mod tests {
    use plc_keys::KeyFiles;

    use super::*;

    const SECRET: &str = "a-secret-of-anna";

    fn attempt() -> Attempt {
        let dir = tempfile::TempDir::new().unwrap();
        std::fs::write(dir.path().join("a.psk"), format!("anna:{SECRET}\n")).unwrap();
        let keys = KeyFiles::new(vec![dir.path().to_owned()]).current();
        Attempt { keys, shown: Shown::Nothing }
    }

    #[test]
    fn this_openssl_has_what_both_contexts_need() {
        Contexts::new().unwrap();
    }

    #[test]
    fn a_known_identity_gets_its_secret_and_any_other_gets_nobody_s() {
        let (mut attempt, mut buffer) = (attempt(), [0; 512]);
        assert_eq!(answer(Some(&mut attempt), b"anna", &mut buffer, &[7; 256]), SECRET.len());
        assert!(buffer.starts_with(SECRET.as_bytes()));
        assert!(matches!(&attempt.shown, Shown::Known(id, _) if id.as_str() == "anna"));
        for identity in [&b"berta"[..], b"", b"\xff\xfe", &[b'a'; 128]] {
            assert_eq!(answer(Some(&mut attempt), identity, &mut buffer, &[7; 256]), 256);
            assert!(buffer.starts_with(&[7; 256]));
            assert!(matches!(attempt.shown, Shown::Stranger(_)));
        }
        assert_eq!(answer(None, b"anna", &mut buffer, &[7; 256]), 256);
    }

    #[test]
    fn what_is_logged_of_a_stranger_is_short_and_harmless() {
        assert_eq!(stranger(b"a\n\x1b[31m\xff"), Shown::Stranger("a\\n\\u{1b}[31m\u{fffd}".into()));
        let Shown::Stranger(text) = stranger(&[b'x'; 1000]) else { unreachable!() };
        assert_eq!(text.len(), 64);
    }
}
