// SPDX-License-Identifier: MIT OR Apache-2.0
//! The IDE port: bound by us, so that it stays ours whatever happens to the connector.

use std::{
    io::ErrorKind,
    net::{TcpListener, ToSocketAddrs as _},
};

use anyhow::{Context as _, bail};

/// Binds the port on the interface with this address or name; `option` is the one that says another port.
///
/// # Errors
/// Says what to choose instead.
pub(crate) fn bind(interface: &str, port: u16, option: &str) -> anyhow::Result<TcpListener> {
    let mut addresses: Vec<_> = (interface, port)
        .to_socket_addrs()
        .with_context(|| {
            format!("{interface} is no address or name of this machine; try -i 127.0.0.1")
        })?
        .collect();
    // IDEs connect by IPv4 only.
    addresses.sort_by_key(std::net::SocketAddr::is_ipv6);
    match TcpListener::bind(addresses.as_slice()) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} is in use, perhaps by another runtime; \
             choose another with {option}PORT ({option}0 takes a free one)"
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            bail!("port {port} is not for everybody; choose one from 1024 on with {option}PORT")
        }
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => {
            bail!("{interface} is no address of this machine; try -i 127.0.0.1")
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {interface}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_answered_with_the_next_step() {
        let first = bind("127.0.0.1", 0, "-p ").unwrap();
        let port = first.local_addr().unwrap().port();
        let error = bind("127.0.0.1", port, "-p ").unwrap_err().to_string();
        assert!(error.contains("-p PORT"), "{error}");
    }

    #[test]
    fn a_name_is_resolved_to_ipv4_first() {
        let listener = bind("localhost", 0, "-p ").unwrap();
        assert!(listener.local_addr().unwrap().is_ipv4());
    }

    #[test]
    fn an_address_that_is_not_ours_is_refused() {
        let error = bind("192.0.2.1", 0, "-p ").unwrap_err().to_string();
        assert!(error.contains("no address of this machine"), "{error}");
    }
}
