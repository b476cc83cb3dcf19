// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whence the listening sockets come: the command line, systemd, or standard input, in this order.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
    os::fd::AsFd,
};

use listenfd::ListenFd;
use rustix::net::sockopt;
use thiserror::Error;
use tokio::net::TcpListener;
use tracing::info;

/// Why there is nothing to listen on.
#[derive(Debug, Error)]
pub enum ListenError {
    /// Nobody gave us a socket.
    #[error(
        "no socket to listen on: start this program through its systemd socket unit, or give --listen ADDR:PORT"
    )]
    NoSocket,
    /// The address of `--listen` cannot be had.
    #[error("cannot listen on {0}")]
    Bind(SocketAddr, #[source] io::Error),
    /// What was handed over is not a listening TCP socket.
    #[error("descriptor {0} is not a listening TCP socket")]
    Unfit(usize, #[source] io::Error),
}

/// Opens `addresses`; without any, takes over the sockets that systemd passes by `LISTEN_FDS`; without those,
/// standard input if it is a listening socket (the `wait` convention of inetd).
///
/// # Errors
/// Every [`ListenError`].
pub fn listeners(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    let listeners = if !addresses.is_empty() {
        open(addresses)?
    } else {
        let mut passed = ListenFd::from_env();
        if passed.len() > 0 { from_systemd(&mut passed)? } else { from_standard_input()? }
    };
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "listening");
        }
    }
    Ok(listeners)
}

fn open(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, ListenError> {
    addresses
        .iter()
        .map(|&address| {
            StdListener::bind(address)
                .and_then(adopt)
                .map_err(|error| ListenError::Bind(address, error))
        })
        .collect()
}

fn from_systemd(passed: &mut ListenFd) -> Result<Vec<TcpListener>, ListenError> {
    (0..passed.len())
        .map(|index| {
            // systemd numbers the descriptors from 3 (sd_listen_fds(3)).
            let unfit = |error| ListenError::Unfit(index + 3, error);
            let listener = passed.take_tcp_listener(index).map_err(unfit)?;
            let listener = listener.ok_or_else(|| unfit(io::ErrorKind::NotFound.into()))?;
            adopt(listener).map_err(unfit)
        })
        .collect()
}

fn from_standard_input() -> Result<Vec<TcpListener>, ListenError> {
    let stdin = io::stdin();
    if !sockopt::socket_acceptconn(stdin.as_fd()).unwrap_or(false) {
        return Err(ListenError::NoSocket);
    }
    let listener = stdin
        .as_fd()
        .try_clone_to_owned()
        .and_then(|socket| adopt(socket.into()))
        .map_err(|error| ListenError::Unfit(0, error))?;
    Ok(vec![listener])
}

fn adopt(listener: StdListener) -> io::Result<TcpListener> {
    // Only internet sockets have such an address, so this also finds a unix socket out.
    listener.local_addr()?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_is_opened_and_a_taken_one_is_named() {
        let first = listeners(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let taken = first[0].local_addr().unwrap();
        let error = listeners(&[taken]).unwrap_err();
        assert!(error.to_string().contains(&taken.to_string()), "{error}");
    }
}
