// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP that comes before the WebSocket: bytes in, bytes out, and no I/O (RFC 6455, 4.2).
//!
//! A browser sends where a page comes from with every WebSocket handshake, whatever that page is: so `Origin:` tells
//! web pages from IDEs, which send none. A page is let in only if the configuration lists it.

use plc_connector::api::wamp::DirectSettings;
use tokio_tungstenite::tungstenite::{
    Error,
    error::ProtocolError,
    handshake::{
        machine::TryParse,
        server::{self, Request},
    },
    http::{HeaderValue, header},
};

use crate::{quote::quotable, serializer::Serializer};

/// Bytes of a request's head.
pub(super) const HEAD_BYTES: usize = 8 << 10;

/// Whoever comes with a browser reads this.
const WHAT_THIS_IS: &str = "This port is for Beremiz IDEs, and others that speak WAMP over WebSocket: \
    WAMP://HOST:PORT#REALM#ID. There is nothing to see here for a browser.";

/// Why there is no WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The status line's number and phrase.
    status: &'static str,
    /// For people.
    pub(super) reason: String,
    /// Whether somebody may have tried what it must not.
    pub(super) is_attack: bool,
}

impl Refused {
    fn new(status: &'static str, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into(), is_attack: false }
    }

    /// The peer may not come in.
    pub(super) fn forbidden(reason: impl Into<String>) -> Self {
        Self { is_attack: true, ..Self::new("403 Forbidden", reason) }
    }

    /// Nobody can be asked at the moment.
    pub(super) fn unavailable(reason: impl Into<String>) -> Self {
        Self::new("503 Service Unavailable", reason)
    }

    /// The request's head does not come to an end.
    pub(super) fn too_long() -> Self {
        Self::new("431 Request Header Fields Too Large", "the head of the request is too long")
    }

    /// Nor within its time.
    pub(super) fn too_late() -> Self {
        Self::new("408 Request Timeout", "the request does not come")
    }

    /// The whole answer.
    pub(super) fn response(&self) -> Vec<u8> {
        let Self { status, reason, .. } = self;
        let length = reason.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Connection: close\r\n\
             \r\n\
             {reason}\n"
        )
        .into_bytes()
    }
}

/// The request whose head is at the beginning of these bytes, and how long the head is; `None` if it goes on.
///
/// # Errors
/// When it is none that could be granted.
pub(super) fn request(bytes: &[u8]) -> Result<Option<(usize, Request)>, Refused> {
    match Request::try_parse(bytes) {
        Ok(None) if bytes.len() >= HEAD_BYTES => Err(Refused::too_long()),
        Ok(found) => Ok(found),
        Err(error) => Err(not_granted(&error)),
    }
}

/// Grants the request: the answer, and how messages are written from then on.
///
/// # Errors
/// When it is not granted.
pub(super) fn grant(
    request: &Request,
    settings: &DirectSettings,
) -> Result<(Vec<u8>, Serializer), Refused> {
    for origin in request.headers().get_all(header::ORIGIN) {
        if !is_listed(origin, &settings.origins) {
            let origin = String::from_utf8_lossy(origin.as_bytes());
            let origin = quotable(&origin);
            return Err(Refused::forbidden(format!(
                "the web page {origin} may not use this PLC; to let it in, list it in direct_origins in section [wamp] of \
                 the configuration"
            )));
        }
    }
    let mut response = server::create_response(request).map_err(|error| not_granted(&error))?;
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut offered = offered.iter().filter_map(|value| value.to_str().ok());
    let serializer = offered
        .by_ref()
        .flat_map(|value| value.split(','))
        .find_map(|name| Serializer::from_subprotocol(name.trim()))
        .ok_or_else(no_subprotocol)?;
    let subprotocol = HeaderValue::from_static(serializer.subprotocol());
    response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
    let mut bytes = Vec::new();
    server::write_response(&mut bytes, &response).map_err(|error| not_granted(&error))?;
    Ok((bytes, serializer))
}

fn is_listed(origin: &HeaderValue, listed: &[String]) -> bool {
    listed.iter().any(|page| origin.as_bytes().eq_ignore_ascii_case(page.as_bytes()))
}

fn no_subprotocol() -> Refused {
    let names = Serializer::ALL.map(Serializer::subprotocol).join(" and ");
    Refused::new("400 Bad Request", format!("this port speaks {names}, and you offer none of them"))
}

fn not_granted(error: &Error) -> Refused {
    if let Error::Capacity(_) = error {
        return Refused::too_long();
    }
    let is_plain = matches!(
        error,
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
                | ProtocolError::MissingUpgradeWebSocketHeader
                | ProtocolError::MissingSecWebSocketVersionHeader,
        )
    );
    let status = if is_plain { "426 Upgrade Required" } else { "400 Bad Request" };
    Refused::new(status, format!("{WHAT_THIS_IS} ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[&str]) -> Vec<u8> {
        let mut head = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:8888\r\n".to_owned();
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        (head + "\r\n").into_bytes()
    }

    const UPGRADE: [&str; 4] = [
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    const OFFER: &str = "Sec-WebSocket-Protocol: wamp.2.cbor,wamp.2.msgpack, wamp.2.json";

    fn granted(lines: &[&str], origins: &[&str]) -> Result<(String, Serializer), Refused> {
        let bytes = head(&[&UPGRADE[..], lines].concat());
        let (length, request) = request(&bytes)?.unwrap();
        assert_eq!(length, bytes.len());
        let origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let settings = DirectSettings { origins, ..DirectSettings::default() };
        let (response, serializer) = grant(&request, &settings)?;
        Ok((String::from_utf8(response).unwrap(), serializer))
    }

    fn status(result: Result<(String, Serializer), Refused>) -> &'static str {
        result.unwrap_err().status.get(..3).unwrap()
    }

    #[test]
    fn the_first_serializer_that_the_peer_names_and_we_know_is_taken() {
        let (response, serializer) = granted(&[OFFER], &[]).unwrap();
        assert_eq!(serializer, Serializer::MessagePack);
        // RFC 6455, 1.3.
        assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{response}");
        assert!(response.to_lowercase().contains("sec-websocket-protocol: wamp.2.msgpack\r\n"));
        let json = granted(&["Sec-WebSocket-Protocol: wamp.2.json", OFFER], &[]).unwrap();
        assert_eq!(json.1, Serializer::Json);
        assert_eq!(status(granted(&["Sec-WebSocket-Protocol: mqtt"], &[])), "400");
        assert_eq!(status(granted(&[], &[])), "400");
    }

    #[test]
    fn a_web_page_comes_in_only_if_it_is_listed() {
        let evil = "Origin: https://evil.example";
        assert_eq!(status(granted(&[OFFER, evil], &[])), "403");
        assert_eq!(status(granted(&[OFFER, "Origin: null"], &[])), "403");
        assert_eq!(status(granted(&[OFFER, evil], &["https://evil.example.org"])), "403");
        assert!(granted(&[OFFER, evil], &["https://Evil.example"]).is_ok());
        let two = ["Origin: https://a.example", evil];
        assert_eq!(status(granted(&[OFFER, two[0], two[1]], &["https://a.example"])), "403");
    }

    #[test]
    fn who_comes_with_a_browser_is_told_what_this_is() {
        let plain = head(&[]);
        let (_, request) = request(&plain).unwrap().unwrap();
        let refused = grant(&request, &DirectSettings::default()).unwrap_err();
        let response = String::from_utf8(refused.response()).unwrap();
        assert!(response.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{response}");
        assert!(response.contains("WAMP://HOST:PORT#REALM#ID"), "{response}");
        let (_, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(response.contains(&format!("Content-Length: {}\r\n", body.len())));
    }

    #[test]
    fn what_is_no_request_is_refused_and_what_may_become_one_is_waited_for() {
        for (bytes, expected) in [
            (&b"POST / HTTP/1.1\r\n\r\n"[..], "400"),
            (b"GET / HTTP/1.0\r\n\r\n", "400"),
            (b"\x16\x03\x01\x02\x00\x01", "400"),
            (b"\x08\x00\x9e\xc6\x00\x03\x01\x01", "400"),
        ] {
            assert_eq!(request(bytes).unwrap_err().status.get(..3), Some(expected), "{bytes:?}");
        }
        let whole = head(&UPGRADE);
        for end in 0..whole.len() {
            assert_eq!(request(&whole[..end]).unwrap().map(|_| ()), None, "{end}");
        }
        let endless = [&b"GET /"[..], &vec![b'x'; HEAD_BYTES]].concat();
        assert_eq!(request(&endless).unwrap_err().status.get(..3), Some("431"));
        let many = head(&vec!["X: y"; 200]);
        assert_eq!(request(&many).unwrap_err().status.get(..3), Some("431"));
    }
}
