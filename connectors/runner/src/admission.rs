// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is let in: those for whom there is a place, and no refused local users.

use std::{io, net::SocketAddr};

use nix::unistd::User;
use thiserror::Error;
use tracing::debug;

use crate::{
    local_peer::{Owner, Owners},
    places::{CONNECTIONS, CONNECTIONS_PER_SOURCE},
};

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

/// The local users whose processes are refused: above all the one that PLC programs run as, for a program must not
/// act as its own IDE.
#[derive(Debug, Default)]
pub struct RefusedUsers {
    users: Vec<(u32, String)>,
    owners: Owners,
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
        Ok(Self { users, owners: Owners::default() })
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
        let owner = self.owners.owner(peer, local).await;
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

    #[test]
    fn an_unknown_user_name_refuses_nobody() {
        let users = RefusedUsers::new(&["no-such-user-here".to_owned()]).unwrap();
        assert!(users.users.is_empty());
    }
}
