// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which local user is behind a TCP connection, by the kernel's own list.
//!
//! `/proc/net/tcp` and `tcp6` have one line per socket: the peer's socket is the one whose local address is the
//! connection's remote one and the other way round (`proc_pid_net(5)`).

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

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

/// Looks owners up.
///
/// The list of a busy machine is long, and the kernel takes its time with it: so it is read once for all who wait for
/// it, and never twice at the same time, however many come.
#[derive(Debug, Default)]
pub(crate) struct Owners {
    list: Arc<Mutex<List>>,
    /// How often a reading has begun.
    begun: Arc<AtomicU64>,
}

/// A connection as its owner sees it: its own end, then the other.
type Ends = [(IpAddr, u16); 2];

#[derive(Debug, Default)]
struct List {
    /// Which reading this comes from.
    reading: u64,
    owners: HashMap<Ends, Owner>,
}

impl Owners {
    /// Looks up who holds the socket at `peer` that is connected to `local`.
    ///
    /// # Errors
    /// The list cannot be read.
    pub(crate) async fn owner(&self, peer: SocketAddr, local: SocketAddr) -> io::Result<Owner> {
        // One that has begun already may be past the place where this connection is.
        let wanted = self.begun.load(Ordering::Relaxed) + 1;
        let mut list = self.list.clone().lock_owned().await;
        if list.reading < wanted {
            let begun = Arc::clone(&self.begun);
            // A task of its own, for a reading that is under way cannot be called off by whoever wanted it first.
            let reading = tokio::spawn(async move {
                let reading = begun.fetch_add(1, Ordering::Relaxed) + 1;
                *list = List { reading, owners: read().await? };
                Ok::<_, io::Error>(list)
            });
            list = reading.await??;
        }
        let ends = [canonical(peer), canonical(local)];
        Ok(list.owners.get(&ends).copied().unwrap_or(Owner::NotHere))
    }
}

async fn read() -> io::Result<HashMap<Ends, Owner>> {
    let mut owners = HashMap::new();
    for list in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
        match tokio::fs::read_to_string(list).await {
            Ok(text) => owners.extend(text.lines().filter_map(entry)),
            // A kernel without IPv6 has no second list.
            Err(error) if error.kind() == io::ErrorKind::NotFound && list.ends_with('6') => {}
            Err(error) => return Err(error),
        }
    }
    Ok(owners)
}

/// What a line of the list says.
fn entry(line: &str) -> Option<(Ends, Owner)> {
    let mut fields = line.split_ascii_whitespace();
    let here = address(fields.nth(1)?)?;
    let there = address(fields.next()?)?;
    // Between: state, queues, timer, retransmits; then uid, timeout, inode.
    let uid = fields.nth(4)?.parse().ok()?;
    let inode: u64 = fields.nth(1)?.parse().ok()?;
    // Without an inode no process holds the socket, and the uid shown is 0 whoever it was.
    Some(([here, there], if inode == 0 { Owner::Gone } else { Owner::User(uid) }))
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
    use std::task::{Context, Waker};

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn a_line_of_the_list_is_understood() {
        let line = "   2: 0100007F:D431 0100007F:0BB8 01 00000000:00000000 00:00000000 00000000  \
                    1000        0 84519 1 0000000000000000 20 4 30 10 -1";
        let ends = ["127.0.0.1:54321", "[::ffff:127.0.0.1]:3000"].map(|end| end.parse().unwrap());
        let ends = ends.map(canonical);
        assert_eq!(entry(line), Some((ends, Owner::User(1000))));
        let orphan = line.replace("1000  ", "0  ").replace("84519", "0");
        assert_eq!(entry(&orphan), Some((ends, Owner::Gone)));
    }

    #[test]
    fn what_is_no_line_of_the_list_is_passed_over() {
        for line in ["", "sl local_address rem_address", "1: x y z", "0: 00:00 é:é"] {
            assert_eq!(entry(line), None, "{line:?}");
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
            let owners = Owners::default();
            assert_eq!(owners.owner(peer, here).await.unwrap(), Owner::User(me));
            let elsewhere = "192.0.2.7:40000".parse().unwrap();
            assert_eq!(owners.owner(elsewhere, here).await.unwrap(), Owner::NotHere);
        }
    }

    #[tokio::test]
    async fn a_local_peer_that_has_closed_is_gone_and_nobody_s() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(here), listener.accept());
        let (_stream, peer) = accepted.unwrap();
        drop(client.unwrap());
        assert_eq!(Owners::default().owner(peer, here).await.unwrap(), Owner::Gone);
    }
    #[tokio::test]
    async fn many_who_ask_at_once_share_a_reading_and_one_who_leaves_spoils_it_for_none() {
        let (owners, elsewhere) = (Owners::default(), "192.0.2.7:40000".parse().unwrap());
        let ask = || owners.owner(elsewhere, elsewhere);
        let mut asking: Vec<_> = (0..100).map(|_| Box::pin(ask())).collect();
        for one in &mut asking {
            assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        // The first has begun to read.
        drop(asking.remove(0));
        for one in asking {
            assert_eq!(one.await.unwrap(), Owner::NotHere);
        }
        let begun = owners.begun.load(Ordering::Relaxed);
        assert!((1..=2).contains(&begun), "{begun} readings");
        assert_eq!(ask().await.unwrap(), Owner::NotHere);
        assert_eq!(owners.begun.load(Ordering::Relaxed), begun + 1, "an old list is of no use");
    }
}
