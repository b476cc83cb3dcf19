// SPDX-License-Identifier: MIT OR Apache-2.0
//! Routers with certificates of every kind: whom the link believes, and what it says of the others.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod router;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use openssl::{
    asn1::{Asn1Integer, Asn1Time},
    bn::BigNum,
    ec::{EcGroup, EcKey},
    hash::MessageDigest,
    nid::Nid,
    pkey::{PKey, Private},
    x509::{
        X509, X509Builder, X509NameBuilder,
        extension::{BasicConstraints, KeyUsage, SubjectAlternativeName},
    },
};
use plc_connector::api::{
    key::SecretText,
    wamp::{Authentication, LinkState, RouterLink, RouterSettings, Verify},
};
use router::{Peer, Router, Running};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use x509_cert::der::DateTime;

const DAY: i64 = 24 * 3600;

/// A certificate and its key.
struct Pair {
    certificate: X509,
    key: PKey<Private>,
}

impl Pair {
    fn pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }
}

/// What makes a certificate.
struct Kind<'a> {
    name: &'a str,
    address: &'a str,
    authority: bool,
    /// Seconds from now.
    from: i64,
    until: i64,
}

const GOOD: Kind<'_> =
    Kind { name: "router", address: "127.0.0.1", authority: false, from: -DAY, until: DAY };

fn authority(name: &str) -> Pair {
    pair(&Kind { name, authority: true, ..GOOD }, None)
}

fn pair(kind: &Kind<'_>, issuer: Option<&Pair>) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("CN", kind.name).unwrap();
    let subject = subject.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(kind.name.len().try_into().unwrap()).unwrap();
    builder.set_serial_number(&Asn1Integer::from_bn(&serial).unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    let by = issuer.map_or(&*subject, |issuer| issuer.certificate.subject_name());
    builder.set_issuer_name(by).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&at(kind.from)).unwrap();
    builder.set_not_after(&at(kind.until)).unwrap();
    let mut constraints = BasicConstraints::new();
    constraints.critical();
    if kind.authority {
        constraints.ca();
        let usage = KeyUsage::new().key_cert_sign().build().unwrap();
        builder.append_extension(usage).unwrap();
    }
    builder.append_extension(constraints.build().unwrap()).unwrap();
    let context = builder.x509v3_context(None, None);
    let names = SubjectAlternativeName::new().ip(kind.address).build(&context).unwrap();
    builder.append_extension(names).unwrap();
    builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
    Pair { certificate: builder.build(), key }
}

fn at(offset: i64) -> Asn1Time {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seconds = now.checked_add_signed(offset).unwrap();
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).unwrap().to_string();
    // Not from a number: where the C library once counted seconds in 32 bits, OpenSSL and its binding differ in theirs.
    Asn1Time::from_str_x509(&date.replace(['-', ':', 'T'], "")).unwrap()
}

/// `clients`: the authority whose certificates clients have to show.
fn acceptor(pair: &Pair, clients: Option<&Pair>) -> TlsAcceptor {
    let der = |pair: &Pair| CertificateDer::from(pair.certificate.to_der().unwrap());
    let key = PrivateKeyDer::Pkcs8(pair.key.private_key_to_pkcs8().unwrap().into());
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(der(authority)).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![der(pair)], key).unwrap()))
}

fn settings(router: &Router, verify: Verify) -> RouterSettings {
    let url = format!("wss://127.0.0.1:{}/ws", router.port());
    RouterSettings { url, verify, ..router.settings() }
}

/// How a link with these settings fares at a router with this certificate.
async fn fare(pair: &Pair, verify: Verify) -> RouterLink {
    let router = Router::new().await;
    let settings = settings(&router, verify);
    fare_at(&router, settings, acceptor(pair, None)).await
}

async fn fare_at(router: &Router, settings: RouterSettings, acceptor: TlsAcceptor) -> RouterLink {
    let mut link = Running::with(settings);
    let stream = router.accept().await;
    let Ok(stream): Result<TlsStream<TcpStream>, _> = acceptor.accept(stream).await else {
        link.failure().await;
        return link.state.borrow().clone();
    };
    let mut peer = Peer::upgrade(stream).await;
    peer.welcome().await;
    peer.register_all().await;
    link.until_state(LinkState::Ready).await
}

fn trusting(authority: &Pair) -> Verify {
    Verify::Authorities(authority.pem())
}

#[tokio::test]
async fn a_router_with_a_certificate_of_the_given_authority_is_believed_and_shown() {
    let plant = authority("Plant CA");
    let link = fare(&pair(&GOOD, Some(&plant)), trusting(&plant)).await;
    assert_eq!(link.state, LinkState::Ready);
    let certificate = link.certificate.unwrap();
    let begin = "CN=router, issued by CN=Plant CA, valid until ";
    assert!(certificate.starts_with(begin), "{certificate}");
    assert!(
        certificate.ends_with(", verified against the authorities named here"),
        "{certificate}"
    );
}

#[tokio::test]
async fn who_cannot_be_believed_is_named_with_the_reason_and_the_next_step() {
    let plant = authority("Plant CA");
    let expired = Kind { from: -2 * DAY, until: -DAY, ..GOOD };
    let early = Kind { from: DAY, until: 2 * DAY, ..GOOD };
    let elsewhere = Kind { address: "192.0.2.7", ..GOOD };
    let own = Kind { authority: true, ..GOOD };
    let own = pair(&own, None);
    let of_plant = |kind| pair(&kind, Some(&plant));
    for (pair, verify, expected) in [
        (&of_plant(expired), trusting(&plant), ["has expired on", "renew it"]),
        (&of_plant(early), trusting(&plant), ["not valid before", "set the clock right"]),
        (&of_plant(elsewhere), trusting(&plant), ["not for \"127.0.0.1\"", "192.0.2.7"]),
        (&of_plant(GOOD), trusting(&authority("Other CA")), ["not issued by", "set ca_file in"]),
        (&of_plant(GOOD), Verify::System, ["not issued by", "set ca_file in"]),
        (&own, trusting(&own), ["CA:TRUE", "CA:FALSE"]),
    ] {
        let link = fare(pair, verify).await;
        assert_eq!(link.state, LinkState::Waiting, "{link:?}");
        let reason = link.reason.unwrap();
        assert!(expected.iter().all(|words| reason.contains(words)), "{expected:?}: {reason}");
    }
}

#[tokio::test]
async fn without_verification_everybody_is_believed_and_that_is_shown() {
    let link = fare(&pair(&GOOD, None), Verify::Nothing).await;
    assert_eq!(link.state, LinkState::Ready);
    assert!(link.certificate.unwrap().ends_with("NOT verified, because the settings say so"));
}

/// How a link that shows this identity fares at a router that wants clients to show certificates of this authority.
async fn identified(router_of: &Pair, clients: &Pair, identity: Option<String>) -> RouterLink {
    let router = Router::new().await;
    let authentication = identity
        .map_or(Authentication::Anonymous, |pem| Authentication::Certificate(SecretText::new(pem)));
    let settings = RouterSettings { authentication, ..settings(&router, trusting(router_of)) };
    let certificate = pair(&GOOD, Some(router_of));
    fare_at(&router, settings, acceptor(&certificate, Some(clients))).await
}

#[tokio::test]
async fn a_router_that_wants_a_certificate_is_shown_the_one_that_is_set() {
    let (plant, other) = (authority("Plant CA"), authority("Other CA"));
    let own = pair(&Kind { name: "plc1", ..GOOD }, Some(&plant));
    let key = String::from_utf8(own.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    let old_key = own.key.ec_key().unwrap().private_key_to_pem().unwrap();
    let old_key = String::from_utf8(old_key).unwrap();
    for pem in [own.pem() + &key, key.clone() + &own.pem(), own.pem() + &old_key] {
        let link = identified(&plant, &plant, Some(pem)).await;
        assert_eq!((link.state, link.authentication.as_str()), (LinkState::Ready, "tls"));
    }
    for (clients, pem) in [(&other, Some(own.pem() + &key)), (&plant, None)] {
        let link = identified(&plant, clients, pem).await;
        assert_eq!(link.state, LinkState::Waiting, "{link:?}");
        let reason = link.reason.unwrap();
        assert!(reason.contains("wants a certificate of this PLC"), "{reason}");
    }
}

#[tokio::test]
async fn an_identity_that_is_none_is_told_with_what_it_is_to_be() {
    let router = Router::new().await;
    let plant = authority("Plant CA");
    let (own, stranger) = (pair(&GOOD, Some(&plant)), pair(&GOOD, Some(&plant)));
    let key = String::from_utf8(stranger.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    for pem in [String::new(), own.pem(), key.clone(), own.pem() + &key] {
        let authentication = Authentication::Certificate(SecretText::new(pem.clone()));
        let settings = RouterSettings { authentication, ..settings(&router, trusting(&plant)) };
        let reason = Running::with(settings).failure().await;
        assert!(reason.contains("certificate of this PLC cannot be used"), "{pem}: {reason}");
    }
}

#[tokio::test]
async fn a_ca_file_without_certificates_is_named() {
    let router = Router::new().await;
    for pem in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n%%\n-----END CERTIFICATE-----"]
    {
        let mut link = Running::with(settings(&router, Verify::Authorities(pem.to_owned())));
        let reason = link.failure().await;
        assert!(reason.contains("ca_file cannot be used"), "{reason}");
    }
}

#[tokio::test]
async fn a_router_without_tls_is_told_from_one_whose_tls_fails() {
    let router = Router::new().await;
    let mut link = Running::with(settings(&router, Verify::System));
    let mut stream = router.accept().await;
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
    let reason = link.failure().await;
    assert!(reason.contains("does not speak TLS"), "{reason}");
}
