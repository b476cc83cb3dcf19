// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS to a router: whom to believe, and what it means when that fails.

use std::{io, sync::Arc, time::Duration};

use plc_connector::api::wamp::Verify;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, InvalidMessage,
    RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_rustls::TlsConnector;
use x509_cert::{
    Certificate,
    der::{DateTime, Decode},
};

use crate::quote::quotable;

/// What begins a TLS connection. `identity` is what we show of ourselves: certificates and private key, PEM.
///
/// # Errors
/// When there is no authority to believe, or the identity is none; a sentence.
pub fn connector(verify: &Verify, identity: Option<&str>) -> Result<TlsConnector, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be used: {error}"))?;
    let builder = match roots(verify)? {
        Some(roots) => builder.with_root_certificates(roots),
        None => {
            let anyone = Arc::new(Anyone(provider));
            builder.dangerous().with_custom_certificate_verifier(anyone)
        }
    };
    let mut config = match identity {
        Some(pem) => {
            let (certificates, key) = own(pem)?;
            builder
                .with_client_auth_cert(certificates, key)
                .map_err(|error| unusable_identity(&error))?
        }
        None => builder.with_no_client_auth(),
    };
    // A link lasts for days; remembered sessions would only be memory.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Whom to believe; `None`: anyone.
fn roots(verify: &Verify) -> Result<Option<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    match verify {
        Verify::Nothing => return Ok(None),
        Verify::System => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let advice = "this system trusts no certificate authorities; \
                     install its package of them (ca-certificates), or set ca_file";
                return Err(advice.to_owned());
            }
        }
        Verify::Authorities(pem) => {
            let unusable = |error: &dyn std::fmt::Display| {
                format!("ca_file cannot be used ({error}); it is to hold certificates in PEM")
            };
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|error| unusable(&error))?;
                roots.add(certificate).map_err(|error| unusable(&error))?;
            }
            if roots.is_empty() {
                return Err(unusable(&"there is none in it"));
            }
        }
    }
    Ok(Some(roots))
}

/// Our own certificates, the first of them ours, and the key.
fn own(pem: &str) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = certificates.map_err(|error| unusable_identity(&error))?;
    if certificates.is_empty() {
        return Err(unusable_identity(&"there is no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| unusable_identity(&error))?;
    Ok((certificates, key))
}

fn unusable_identity(error: &dyn std::fmt::Display) -> String {
    let error = quotable(&error.to_string());
    format!(
        "the certificate of this PLC cannot be used ({error}); its file is to hold the certificate and its private key \
         in PEM, without a password"
    )
}

/// Whose a certificate is, by whom, until when, and what it was held against.
#[must_use]
pub fn describe(certificate: Option<&CertificateDer<'_>>, verify: &Verify) -> String {
    let held = match verify {
        Verify::System => "verified against the system's authorities",
        Verify::Authorities(_) => "verified against the authorities named here",
        Verify::Nothing => "NOT verified, because the settings say so",
    };
    let parsed = certificate.and_then(|der| Certificate::from_der(der).ok());
    let Some(parsed) = parsed else {
        return format!("a certificate that cannot be read, {held}");
    };
    let certificate = parsed.tbs_certificate();
    let name = |name: String| if name.is_empty() { "nobody".to_owned() } else { quotable(&name) };
    let subject = name(certificate.subject().to_string());
    let issuer = name(certificate.issuer().to_string());
    let until = certificate.validity().not_after;
    format!("{subject}, issued by {issuer}, valid until {until}, {held}")
}

/// Whether this is TLS's own error, and not the connection's.
#[must_use]
pub(crate) fn is_of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Error>())
}

/// Why TLS with `host` did not come about, and the next step; a sentence.
#[must_use]
pub fn explain(error: &io::Error, host: &str, source: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(error)) => of_certificate(error, host, source),
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)) => format!(
            "the router does not speak TLS at this port; use the port where it does, or ws:// in {source}"
        ),
        Some(Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied),
        )) => format!(
            "the router wants a certificate of this PLC and does not accept the one that {source} gives ({alert:?}); set \
             authentication = \"tls\" and a certificate that the router's authority issued"
        ),
        Some(Error::AlertReceived(alert)) => {
            format!("the router refuses TLS ({alert:?}); see the router's log")
        }
        Some(other) => {
            format!(
                "TLS with the router failed: {}; see the router's log",
                quotable(&other.to_string())
            )
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the router closed the connection in the TLS handshake; see the router's log".to_owned()
        }
        None => format!("the connection was lost in the TLS handshake: {error}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are told in their own words")]
fn of_certificate(error: &CertificateError, host: &str, source: &str) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => format!(
            "the router's certificate has expired on {}; renew it at the router (the clock here says {})",
            date(*not_after),
            date(*time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "the router's certificate is not valid before {}; the clock here says {}, so set the clock right",
            date(*not_before),
            date(*time)
        ),
        CertificateError::UnknownIssuer => "the router's certificate is not issued by an authority that is trusted here; \
             set ca_file in section [wamp] of plc-runtime.toml to the certificate of the authority that issued it, or \
             bring that with the program as wampTrustStore.crt"
            .to_owned(),
        CertificateError::NotValidForNameContext { presented, .. } => format!(
            "the router's certificate is not for \"{host}\" but for {}; use a name in {source} that it is for, \
             or have it issued for \"{host}\"",
            if presented.is_empty() { "no name at all".to_owned() } else { quotable(&presented.join(", ")) }
        ),
        other if other.to_string().contains("CaUsedAsEndEntity") => "the router's certificate is that of an \
             authority (CA:TRUE), which may issue others but not be a server's; give the router one with CA:FALSE"
            .to_owned(),
        other => {
            let error = quotable(&other.to_string());
            format!("the router's certificate cannot be accepted ({error}); renew it at the router")
        }
    }
}

fn date(time: UnixTime) -> String {
    let date = DateTime::from_unix_duration(Duration::from_secs(time.as_secs()));
    date.map_or_else(|_| "an impossible date".to_owned(), |date| date.to_string())
}

/// Believes every certificate; the peer has to have its key all the same.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
