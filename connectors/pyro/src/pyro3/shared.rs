// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the connections of one process have in common.
//!
//! The IDEs of 2013 to 2018 know no debug token, and the earlier of them ask for trace samples on a second
//! connection. All that its two connections share is the object id that the first was given; by that the token of the
//! list that was set on one is found on the other, and the rule holds for these IDEs too: the last to set a list owns
//! debugging.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

/// See the module.
#[derive(Debug, Default)]
pub struct Shared {
    tokens: Mutex<BTreeMap<String, u32>>,
    program_under_way: AtomicBool,
}

/// Room for the one message of the process that may be as long as a whole program; free again when this is dropped.
#[derive(Debug)]
pub struct ProgramRoom(&'static Shared);

/// The token of the trace list that a connection set; forgotten with the connection.
#[derive(Debug)]
pub struct OwnToken {
    shared: &'static Shared,
    object: String,
    token: u32,
}

impl Shared {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { tokens: Mutex::new(BTreeMap::new()), program_under_way: AtomicBool::new(false) }
    }

    /// Takes the room, if it is free.
    pub fn program_room(&'static self) -> Option<ProgramRoom> {
        let was_taken = self.program_under_way.swap(true, Ordering::Relaxed);
        (!was_taken).then(|| ProgramRoom(self))
    }

    /// Notes the token of the list that was set through this object id. What it gives must be kept as long as the
    /// connection, and only one of it for each, so that there is never more to remember than connections.
    pub(crate) fn set_token(&'static self, object: String, token: u32) -> OwnToken {
        self.tokens().insert(object.clone(), token);
        OwnToken { shared: self, object, token }
    }

    /// The token of the list that was set last through this object id.
    #[must_use]
    pub fn token(&self, object: &str) -> Option<u32> {
        self.tokens().get(object).copied()
    }

    fn tokens(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ProgramRoom {
    fn drop(&mut self) {
        self.0.program_under_way.store(false, Ordering::Relaxed);
    }
}

impl Drop for OwnToken {
    fn drop(&mut self) {
        let mut tokens = self.shared.tokens();
        // Another connection may have set a list through the same id since.
        if tokens.get(&self.object) == Some(&self.token) {
            tokens.remove(&self.object);
        }
    }
}
