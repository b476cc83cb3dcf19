// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is let in: so many connections in all, so many from one source, and no refused local users.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use nix::unistd::User;
use thiserror::Error;
use tracing::debug;

use crate::local_peer::{self, Owner};

/// Connections at once.
pub const CONNECTIONS: usize = 64;

/// Connections at once from one source.
pub const CONNECTIONS_PER_SOURCE: usize = 16;

/// Why a connection is not served.
#[derive(Debug, Error)]
pub enum NotAdmitted {
    /// All places are taken.
    #[error("{CONNECTIONS} connections are served already")]
    Full,
    /// This source has all the places it may have.
    #[error("this source has {CONNECTIONS_PER_SOURCE} connections already")]
    SourceFull,
    /// It comes from a process of a refused user.
    #[error("processes of user {0} may not connect")]
    RefusedUser(String),
    /// It comes from this machine, and nobody can tell any more from which user.
    #[error("the local process behind it is not known")]
    OwnerUnknown,
    /// The kernel's list of connections cannot be read.
    #[error("the owner of the connection cannot be looked up")]
    Lookup(#[source] io::Error),
}

/// Counts the connections.
#[derive(Clone, Debug, Default)]
pub struct Places {
    taken: Arc<Mutex<HashMap<Source, usize>>>,
}

/// One place; it is free again when this is dropped, however the connection ended.
#[derive(Debug)]
pub struct Place {
    places: Places,
    source: Source,
}

/// Whence a connection comes, as far as a bound for each source is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl Source {
    /// An IPv4 host, or the IPv6 network of 64 bits whose addresses one host may take at will (RFC 4291, 2.5.1).
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64)).into()),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl Places {
    /// Takes a place for a connection from `address`.
    ///
    /// # Errors
    /// [`NotAdmitted::Full`], [`NotAdmitted::SourceFull`].
    pub fn take(&self, address: IpAddr) -> Result<Place, NotAdmitted> {
        let source = Source::of(address);
        let mut taken = self.lock();
        if taken.values().sum::<usize>() >= CONNECTIONS {
            return Err(NotAdmitted::Full);
        }
        let count = taken.entry(source).or_default();
        if *count >= CONNECTIONS_PER_SOURCE {
            return Err(NotAdmitted::SourceFull);
        }
        *count += 1;
        drop(taken);
        Ok(Place { places: self.clone(), source })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Source, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        if let Some(count) = taken.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.source);
            }
        }
    }
}

/// The local users whose processes are refused: above all the one that PLC programs run as, for a program must not
/// act as its own IDE.
#[derive(Clone, Debug, Default)]
pub struct RefusedUsers {
    users: Vec<(u32, String)>,
}

impl RefusedUsers {
    /// Looks the names up in the system's user database, now and once.
    ///
    /// # Errors
    /// When the database cannot be read. A name that is not in it is passed over: it has no processes.
    pub fn new(names: &[String]) -> io::Result<Self> {
        let mut users = Vec::new();
        for name in names {
            match User::from_name(name)? {
                Some(user) => users.push((user.uid.as_raw(), name.clone())),
                None => debug!(user = %name, "no such user to refuse"),
            }
        }
        Ok(Self { users })
    }

    /// Finds out whether the connection from `peer` to our own end `local` may be served, and for which user of this
    /// machine, if it is one's.
    ///
    /// Looked up for every peer, not for loopback addresses alone: a local process may use any address of this
    /// machine.
    ///
    /// # Errors
    /// [`NotAdmitted::RefusedUser`], [`NotAdmitted::OwnerUnknown`], [`NotAdmitted::Lookup`].
    pub async fn check(
        &self,
        peer: SocketAddr,
        local: SocketAddr,
    ) -> Result<Option<u32>, NotAdmitted> {
        let owner = local_peer::owner(peer, local).await;
        match owner.map_err(NotAdmitted::Lookup)? {
            Owner::User(uid) => match self.users.iter().find(|(refused, _)| *refused == uid) {
                Some((_, name)) => Err(NotAdmitted::RefusedUser(name.clone())),
                None => Ok(Some(uid)),
            },
            Owner::Gone | Owner::NotHere if self.users.is_empty() => Ok(None),
            // It sent its orders and closed the socket before it could be asked who it is.
            Owner::Gone => Err(NotAdmitted::OwnerUnknown),
            Owner::NotHere if is_own_address(peer, local) => Err(NotAdmitted::OwnerUnknown),
            Owner::NotHere => Ok(None),
        }
    }
}

fn is_own_address(peer: SocketAddr, local: SocketAddr) -> bool {
    let peer = peer.ip().to_canonical();
    peer.is_loopback() || peer == local.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take_many(places: &Places, addresses: impl Iterator<Item = IpAddr>) -> Vec<Place> {
        addresses.map(|a| places.take(a).unwrap()).collect()
    }

    #[test]
    fn one_source_cannot_take_all_places_and_a_place_comes_back() {
        let places = Places::default();
        let greedy: IpAddr = "192.0.2.1".parse().unwrap();
        let mut taken = take_many(&places, [greedy; CONNECTIONS_PER_SOURCE].into_iter());
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(matches!(places.take(mapped), Err(NotAdmitted::SourceFull)));
        assert!(places.take("192.0.2.2".parse().unwrap()).is_ok());
        taken.pop();
        assert!(places.take(greedy).is_ok());
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let places = Places::default();
        let of = |i: usize| format!("2001:db8::{i:x}").parse().unwrap();
        let _taken = take_many(&places, (0..CONNECTIONS_PER_SOURCE).map(of));
        assert!(matches!(
            places.take("2001:db8::ffff".parse().unwrap()),
            Err(NotAdmitted::SourceFull)
        ));
        assert!(places.take("2001:db8:0:1::1".parse().unwrap()).is_ok());
    }

    #[test]
    fn there_is_a_bound_over_all_sources() {
        let places = Places::default();
        let of = |i: usize| format!("192.0.2.{i}").parse().unwrap();
        let _taken = take_many(&places, (0..CONNECTIONS).map(of));
        assert!(matches!(places.take("198.51.100.1".parse().unwrap()), Err(NotAdmitted::Full)));
    }

    #[test]
    fn an_unknown_user_name_refuses_nobody() {
        let users = RefusedUsers::new(&["no-such-user-here".to_owned()]).unwrap();
        assert!(users.users.is_empty());
    }
}
