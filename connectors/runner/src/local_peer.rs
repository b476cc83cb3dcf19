// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which local user is behind a TCP connection, by the kernel's own list.
//!
//! `/proc/net/tcp` and `tcp6` have one line per socket: the peer's socket is the one whose local address is the
//! connection's remote one and the other way round (proc_pid_net(5)).

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// Whose socket the other end of a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A process of this user holds it.
    User(u32),
    /// It was on this machine, but no process holds it any more, so its user is not shown either.
    Gone,
    /// It is not on this machine.
    NotHere,
}

/// Looks up who holds the socket at `peer` that is connected to `local`.
pub(crate) async fn owner(peer: SocketAddr, local: SocketAddr) -> io::Result<Owner> {
    for list in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        let text = match tokio::fs::read_to_string(list).await {
            Ok(text) => text,
            // A kernel without IPv6 has no second list.
            Err(error) if error.kind() == io::ErrorKind::NotFound && list.ends_with('6') => break,
            Err(error) => return Err(error),
        };
        if let Some(found) = text.lines().find_map(|line| owner_in(line, peer, local)) {
            return Ok(found);
        }
    }
    Ok(Owner::NotHere)
}

/// The owner, if this line is about the socket we look for.
fn owner_in(line: &str, peer: SocketAddr, local: SocketAddr) -> Option<Owner> {
    let mut fields = line.split_ascii_whitespace();
    let here = address(fields.nth(1)?)?;
    let there = address(fields.next()?)?;
    if here != canonical(peer) || there != canonical(local) {
        return None;
    }
    // Between: state, queues, timer, retransmits; then uid, timeout, inode.
    let uid = fields.nth(4)?.parse().ok()?;
    let inode: u64 = fields.nth(1)?.parse().ok()?;
    // Without an inode no process holds the socket, and the uid shown is 0 whoever it was.
    Some(if inode == 0 { Owner::Gone } else { Owner::User(uid) })
}

fn canonical(address: SocketAddr) -> (IpAddr, u16) {
    (address.ip().to_canonical(), address.port())
}

/// Reads `0100007F:0BB8`: the address as 32-bit words in hexadecimal, each in the machine's byte order over bytes in
/// network order; then the port.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |index: usize| {
        let digits = address.get(index * 8..(index + 1) * 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            let octets: [u8; 16] = words.try_into().ok()?;
            Ipv6Addr::from(octets).into()
        }
        _ => return None,
    };
    Some((ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_line_of_the_list_is_understood() {
        let line = "   2: 0100007F:D431 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000  \
                    1000        0 84519 1 0000000000000000 20 4 30 10 -1";
        let peer = "127.0.0.1:54321".parse().unwrap();
        let local = "[::ffff:127.0.0.1]:3000".parse().unwrap();
        assert_eq!(owner_in(line, peer, local), Some(Owner::User(1000)));
        let other = "127.0.0.1:54322".parse().unwrap();
        assert_eq!(owner_in(line, other, local), None);
        let orphan = line.replace("1000  ", "0  ").replace("84519", "0");
        assert_eq!(owner_in(&orphan, peer, local), Some(Owner::Gone));
    }

    #[test]
    fn what_is_no_line_of_the_list_is_passed_over() {
        let any = "127.0.0.1:1".parse().unwrap();
        for line in ["", "sl local_address rem_address", "1: x y z", "0: 00:00 é:é"] {
            assert_eq!(owner_in(line, any, any), None, "{line:?}");
        }
    }

    #[tokio::test]
    async fn a_live_local_peer_is_found_and_a_remote_one_is_not() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address).await else {
                assert!(address.starts_with('['), "no IPv4 on this machine");
                continue;
            };
            let here = listener.local_addr().unwrap();
            let (client, accepted) = tokio::join!(TcpStream::connect(here), listener.accept());
            let (_client, (_stream, peer)) = (client.unwrap(), accepted.unwrap());
            let me = rustix::process::getuid().as_raw();
            assert_eq!(owner(peer, here).await.unwrap(), Owner::User(me));
            let elsewhere = "192.0.2.7:40000".parse().unwrap();
            assert_eq!(owner(elsewhere, here).await.unwrap(), Owner::NotHere);
        }
    }

    #[tokio::test]
    async fn a_local_peer_that_has_closed_is_gone_and_nobody_s() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(here), listener.accept());
        let (_stream, peer) = accepted.unwrap();
        drop(client.unwrap());
        assert_eq!(owner(peer, here).await.unwrap(), Owner::Gone);
    }
}
