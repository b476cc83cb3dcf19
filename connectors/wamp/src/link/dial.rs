// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a router's address to a WebSocket: name, TCP, TLS, handshake; and what it means when one of these fails.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use plc_connector::{
    api::wamp::{Authentication, RouterSettings, Verify},
    limited,
};
use rustls::pki_types::ServerName;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error,
        client::IntoClientRequest,
        error::ProtocolError,
        error::SubProtocolError,
        http::{HeaderValue, Uri, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

use super::traffic::{Traffic, Watched};
use crate::{quote::quotable, serializer::Serializer, tls, websocket};

/// How the router and we write messages.
pub(super) const SERIALIZER: Serializer = Serializer::MessagePack;

/// How long each step may take: finding the name, connecting to one address, TLS, the WebSocket handshake.
const STEP_DEADLINE: Duration = Duration::from_secs(10);

/// A connection to a router, before the first WAMP message.
pub(super) struct Dialed {
    pub(super) socket: WebSocketStream<Watched>,
    pub(super) traffic: Arc<Traffic>,
    /// Who the router has shown to be; `None` without TLS.
    pub(super) certificate: Option<String>,
}

/// Where a router is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    uri: Uri,
    secure: bool,
    host: String,
    port: u16,
}

impl Address {
    /// Of a URL.
    ///
    /// # Errors
    /// When it is none; a sentence.
    pub(super) fn parse(settings: &RouterSettings) -> Result<Self, String> {
        let RouterSettings { url, source, .. } = settings;
        let wrong = || {
            format!(
                "\"{}\" is no address of a WAMP router; write it like wss://router.example:8080/ws in {source}",
                quotable(url)
            )
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong()),
        };
        let authority = uri.authority().ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let (host, port) =
            (host.to_owned(), uri.port_u16().unwrap_or(if secure { 443 } else { 80 }));
        Ok(Self { uri, secure, host, port })
    }

    /// Host and port, for people.
    pub(super) fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Makes the connection.
///
/// # Errors
/// Why it did not come about, and the next step; a sentence.
pub(super) async fn dial(settings: &RouterSettings) -> Result<Dialed, String> {
    let address = Address::parse(settings)?;
    let tcp = connect(&address, &settings.source).await?;
    if !address.secure && matches!(settings.authentication, Authentication::Ticket(_)) {
        limited!(
            warn,
            url = settings.url,
            "the secret of {} goes to the router in the clear; use wss://, or wampcra",
            settings.source
        );
    }
    let (stream, certificate) = if address.secure {
        secured(tcp, &address, settings).await?
    } else {
        (Watched::new(tcp), None)
    };
    let traffic = stream.traffic();
    let socket = upgrade(stream, &address, &settings.source).await?;
    Ok(Dialed { socket, traffic, certificate })
}

async fn connect(address: &Address, source: &str) -> Result<TcpStream, String> {
    let Address { host, port, .. } = address;
    let found = timeout(STEP_DEADLINE, lookup_host((host.as_str(), *port))).await;
    let not_found = |error: &dyn std::fmt::Display| {
        format!(
            "the name \"{host}\" is not found ({error}); correct it in {source}, or see to name resolution"
        )
    };
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => return Err(not_found(&error)),
        Err(_) => return Err(not_found(&"no answer")),
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(STEP_DEADLINE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Messages are small and each is waited for. If that cannot be set, they are merely later.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(unreachable(&address.name(), &last, source))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are told in their own words")]
fn unreachable(name: &str, error: &io::Error, source: &str) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!(
            "nobody listens at {name}; start the router there, or correct the address in {source}"
        ),
        io::ErrorKind::TimedOut => format!(
            "{name} does not answer; see to the network and to firewalls, or correct the address in {source}"
        ),
        _ => format!(
            "{name} cannot be reached ({error}); see to the network, or correct the address in {source}"
        ),
    }
}

async fn secured(
    tcp: TcpStream,
    address: &Address,
    settings: &RouterSettings,
) -> Result<(Watched, Option<String>), String> {
    let RouterSettings { verify, source, .. } = settings;
    let identity = match &settings.authentication {
        Authentication::Certificate(pem) => Some(pem.reveal()),
        Authentication::Anonymous | Authentication::Cra(_) | Authentication::Ticket(_) => None,
    };
    let connector = tls::connector(verify, identity)?;
    let name = ServerName::try_from(address.host.clone()).map_err(|_| {
        format!("\"{}\" cannot be the name in a certificate; correct it in {source}", address.host)
    })?;
    let stream = match timeout(STEP_DEADLINE, connector.connect(name, tcp)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(tls::explain(&error, &address.host, source)),
        Err(_) => return Err(slow(address, "the TLS handshake")),
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let certificate = tls::describe(certificates.and_then(<[_]>::first), verify);
    if *verify == Verify::Nothing {
        limited!(
            warn,
            url = settings.url,
            certificate,
            "the router's certificate is not verified, so anyone can pass for it: {source} says so (verify = false, verifyHostname)"
        );
    }
    Ok((Watched::new(stream), Some(certificate)))
}

fn slow(address: &Address, what: &str) -> String {
    format!("{} does not finish {what}; see the router's log", address.name())
}

async fn upgrade(
    stream: Watched,
    address: &Address,
    source: &str,
) -> Result<WebSocketStream<Watched>, String> {
    let mut request =
        address.uri.clone().into_client_request().map_err(|error| error.to_string())?;
    let subprotocol = HeaderValue::from_static(SERIALIZER.subprotocol());
    request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    let handshake = client_async_with_config(request, stream, Some(websocket::config()));
    match timeout(STEP_DEADLINE, handshake).await {
        Ok(Ok((socket, _))) => Ok(socket),
        Ok(Err(error)) => Err(of_handshake(&error, address, source)),
        Err(_) => Err(slow(address, "the WebSocket handshake")),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "all other errors are told in their own words")]
fn of_handshake(error: &Error, address: &Address, source: &str) -> String {
    let name = address.name();
    match error {
        Error::Http(response) => format!(
            "{name} answers \"{}\" instead of a WebSocket; correct the path of the address in {source}, \
             or let the router offer {} there",
            response.status(),
            SERIALIZER.subprotocol()
        ),
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol | SubProtocolError::InvalidSubProtocol,
        )) => format!(
            "{name} does not offer {}; turn on the MessagePack serializer at the router",
            SERIALIZER.subprotocol()
        ),
        // By TLS 1.3 a router says only now that it does not accept our certificate.
        Error::Io(error) if tls::is_of_tls(error) => tls::explain(error, &address.host, source),
        Error::Io(_) | Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            format!("{name} closed the connection in the WebSocket handshake; see the router's log")
        }
        other => format!(
            "what answers at {name} is no WebSocket server ({}); correct the address in {source}",
            quotable(&other.to_string())
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address, String> {
        Address::parse(&RouterSettings {
            url: url.to_owned(),
            realm: String::new(),
            id: String::new(),
            authentication: Authentication::Anonymous,
            verify: Verify::System,
            ping_interval_ms: 0,
            ping_timeout_ms: 0,
            initial_delay_ms: 0,
            max_delay_ms: 0,
            source: "plc-runtime.toml".to_owned(),
        })
    }

    #[test]
    fn an_address_has_host_port_and_path() {
        for (url, secure, name, path) in [
            ("ws://127.0.0.1:8888", false, "127.0.0.1:8888", "/"),
            ("wss://plant-7.example/ws", true, "plant-7.example:443", "/ws"),
            ("ws://[::1]:80/a/b?c", false, "[::1]:80", "/a/b"),
        ] {
            let address = parse(url).unwrap();
            assert_eq!((address.secure, address.name().as_str()), (secure, name));
            assert_eq!(address.uri.path(), path);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_an_example() {
        for url in ["", "router", "http://a/", "ws:///x", "ws://u:p@host/", "ws://a b/"] {
            let reason = parse(url).unwrap_err();
            assert!(reason.contains("wss://router.example:8080/ws"), "{url}: {reason}");
        }
    }
}
