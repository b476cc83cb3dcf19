// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has a place: so many connections in all, so many from one source, and of both only so many newcomers.
//!
//! A newcomer has shown nothing yet that tells it from somebody who only takes places; it is *settled* when it has
//! shown a key, made its first call that the supervisor lets in, or joined a session ([`Standing::settle`]). Where
//! newcomers have all that they may have, one of them gives way to the next, and first those who have not said a word:
//! so silent ones keep nobody out, and whoever is settled keeps its place.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::admission::NotAdmitted;

/// Connections at once.
pub const CONNECTIONS: usize = 64;

/// Connections at once from one source.
pub const CONNECTIONS_PER_SOURCE: usize = 16;

/// Of all connections, those that may be newcomers.
pub const NEWCOMERS: usize = CONNECTIONS / 2;

/// Of the connections from one source, those that may be newcomers.
pub const NEWCOMERS_PER_SOURCE: usize = CONNECTIONS_PER_SOURCE / 2;

/// Keeps the list of those who are there.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// In the order in which they came; never more than [`CONNECTIONS`].
    taken: Arc<Mutex<Vec<Taken>>>,
}

#[derive(Debug)]
struct Taken {
    source: Source,
    shown: Shown,
    /// Tells the connection to give way; no other place has the same.
    give_way: Arc<Notify>,
}

/// What a peer has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Nothing,
    /// Bytes that might become something.
    Words,
    /// What the port is for.
    Purpose,
}

/// One place; it is free again when this is dropped, however the connection ended.
#[derive(Debug)]
pub struct Place(Standing);

/// Says of the peer that has a place how it stands. The place does not depend on it.
#[derive(Clone, Debug)]
pub struct Standing {
    places: Places,
    give_way: Arc<Notify>,
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
    /// Takes a place for a newcomer from `address`, if need be that of another newcomer: of its own source, where that
    /// has all it may have; otherwise of the source with the most of them. Of these the one that came first.
    ///
    /// # Errors
    /// [`NotAdmitted::SourceFull`], [`NotAdmitted::Full`]: those who are there are settled.
    pub fn take(&self, address: IpAddr) -> Result<Place, NotAdmitted> {
        let source = Source::of(address);
        let mut taken = self.lock();
        let of_source = |one: &Taken| one.source == source;
        if is_full(&taken, of_source, CONNECTIONS_PER_SOURCE, NEWCOMERS_PER_SOURCE) {
            displace(&mut taken, of_source).ok_or(NotAdmitted::SourceFull)?;
        }
        if is_full(&taken, |_| true, CONNECTIONS, NEWCOMERS) {
            displace(&mut taken, |_| true).ok_or(NotAdmitted::Full)?;
        }
        let give_way = Arc::new(Notify::new());
        taken.push(Taken { source, shown: Shown::Nothing, give_way: Arc::clone(&give_way) });
        drop(taken);
        Ok(Place(Standing { places: self.clone(), give_way }))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn is_newcomer(&self) -> bool {
        self.shown < Shown::Purpose
    }
}

/// Whether those who are `counted` are as many as there may be, or the newcomers among them.
fn is_full(
    taken: &[Taken],
    counted: impl Fn(&Taken) -> bool,
    all: usize,
    newcomers: usize,
) -> bool {
    let counted = || taken.iter().filter(|one| counted(one));
    counted().count() >= all || counted().filter(|one| one.is_newcomer()).count() >= newcomers
}

/// Takes the place of one newcomer of those `meant`; none, if all of them are settled.
fn displace(taken: &mut Vec<Taken>, meant: impl Fn(&Taken) -> bool) -> Option<()> {
    let newcomers = || taken.iter().filter(|one| one.is_newcomer() && meant(one));
    let least = newcomers().map(|one| one.shown).min()?;
    let those = || newcomers().filter(|one| one.shown == least);
    let of = |source| those().filter(|one| one.source == source).count();
    // Of several largest `max_by_key` gives the last.
    let greedy = those().rev().map(|one| one.source).max_by_key(|&source| of(source))?;
    let first = taken.iter().position(|one| one.shown == least && one.source == greedy)?;
    taken.remove(first).give_way.notify_one();
    Some(())
}

impl Place {
    /// How the peer that has it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.clone()
    }

    /// Waits until another has taken this place.
    pub async fn displaced(&self) {
        self.0.give_way.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Standing { places, give_way } = &self.0;
        places.lock().retain(|taken| !Arc::ptr_eq(&taken.give_way, give_way));
    }
}

impl Standing {
    /// The peer has said something that may become what the port is for: those who are silent give way before it.
    pub fn heard(&self) {
        self.show(Shown::Words);
    }

    /// The peer has shown that it is here for what the port is for: from now on it keeps its place.
    pub fn settle(&self) {
        self.show(Shown::Purpose);
    }

    fn show(&self, shown: Shown) {
        let mut taken = self.places.lock();
        if let Some(own) = taken.iter_mut().find(|one| Arc::ptr_eq(&one.give_way, &self.give_way)) {
            own.shown = own.shown.max(shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Waker},
    };

    use super::*;

    fn host(last: usize) -> IpAddr {
        format!("192.0.2.{last}").parse().unwrap()
    }

    /// Takes a place for each of these.
    fn newcomers(places: &Places, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Place> {
        addresses.into_iter().map(|address| places.take(address).unwrap()).collect()
    }

    /// The same, and each is settled at once.
    fn settled(places: &Places, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<Place> {
        let settled = |address| {
            let place = places.take(address).unwrap();
            place.standing().settle();
            place
        };
        addresses.into_iter().map(settled).collect()
    }

    fn is_displaced(place: &Place) -> bool {
        pin!(place.displaced()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    fn displaced(places: &[Place]) -> Vec<usize> {
        let displaced = places.iter().enumerate().filter(|(_, place)| is_displaced(place));
        displaced.map(|(index, _)| index).collect()
    }

    #[test]
    fn one_source_cannot_take_all_places_and_a_place_comes_back() {
        let places = Places::default();
        let mut taken = settled(&places, [host(1); CONNECTIONS_PER_SOURCE]);
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(matches!(places.take(mapped), Err(NotAdmitted::SourceFull)));
        assert!(places.take(host(2)).is_ok());
        taken.pop();
        assert!(places.take(host(1)).is_ok());
        assert_eq!(displaced(&taken), []);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        let places = Places::default();
        let of = |i: usize| format!("2001:db8::{i:x}").parse().unwrap();
        let taken = newcomers(&places, (0..=NEWCOMERS_PER_SOURCE).map(of));
        assert_eq!(displaced(&taken), [0]);
        let _other = places.take("2001:db8:0:1::1".parse().unwrap()).unwrap();
        assert_eq!(displaced(&taken), []);
    }

    #[test]
    fn there_is_a_bound_over_all_sources() {
        let places = Places::default();
        let _taken = settled(&places, (0..CONNECTIONS).map(host));
        assert!(matches!(places.take(host(200)), Err(NotAdmitted::Full)));
    }

    #[test]
    fn the_first_newcomer_of_a_source_gives_way_to_its_next_and_a_settled_one_never_does() {
        let places = Places::default();
        let settled = settled(&places, [host(1); 3]);
        let _of_another = newcomers(&places, [host(2); NEWCOMERS_PER_SOURCE]);
        let taken = newcomers(&places, [host(1); NEWCOMERS_PER_SOURCE + 2]);
        assert_eq!(displaced(&taken), [0, 1]);
        taken[2].standing().settle();
        let _more = newcomers(&places, [host(1); 2]);
        assert_eq!(displaced(&taken), [3]);
        assert_eq!(displaced(&settled), []);
    }

    #[test]
    fn where_newcomers_are_too_many_the_source_that_has_most_of_them_gives_way() {
        let places = Places::default();
        let modest = newcomers(&places, (1..=NEWCOMERS - 2).map(host));
        let greedy = newcomers(&places, [host(200); 2]);
        let honest = newcomers(&places, [host(201)]);
        assert_eq!((displaced(&modest), displaced(&greedy)), (vec![], vec![0]));
        // Now all have one: the first of all has had the most time.
        let _next = places.take(host(202)).unwrap();
        assert_eq!((displaced(&modest), displaced(&greedy)), (vec![0], vec![]));
        assert_eq!(displaced(&honest), []);
    }

    #[test]
    fn who_has_said_something_gives_way_after_all_who_have_not() {
        let places = Places::default();
        let spoke = newcomers(&places, (1..=3).map(host));
        for place in &spoke {
            place.standing().heard();
        }
        let _silent = newcomers(&places, (4..=250).map(host));
        assert_eq!(displaced(&spoke), []);
        let talkative = newcomers(&places, (1..=NEWCOMERS).map(host));
        for place in &talkative {
            place.standing().heard();
        }
        let _next = places.take(host(251)).unwrap();
        assert_eq!(displaced(&spoke), [0]);
    }

    #[test]
    fn newcomers_leave_half_of_the_places_to_the_settled() {
        let places = Places::default();
        let silent = newcomers(&places, (0..250).map(host));
        assert_eq!(displaced(&silent).len(), 250 - NEWCOMERS);
        assert_eq!(places.lock().len(), NEWCOMERS);
        // Whoever is given way to and settles is safe from all that come later.
        let settled = settled(&places, (0..CONNECTIONS).map(host));
        assert_eq!(displaced(&settled), []);
        assert!(matches!(places.take(host(251)), Err(NotAdmitted::Full)));
    }

    #[test]
    fn who_has_given_way_frees_no_other_place_and_settles_no_more() {
        let places = Places::default();
        let mut taken = newcomers(&places, [host(1); NEWCOMERS_PER_SOURCE + 1]);
        taken[0].standing().settle();
        taken.remove(0);
        assert_eq!(places.lock().len(), NEWCOMERS_PER_SOURCE);
        assert!(places.lock().iter().all(Taken::is_newcomer));
    }
}
