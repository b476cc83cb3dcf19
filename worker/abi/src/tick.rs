// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's cycle counter.

use std::sync::atomic::{AtomicU32, Ordering};

/// Reads the program's own cycle counter, from any thread, at any time.
#[derive(Clone, Copy, Debug)]
pub struct TickCounter(pub(crate) &'static AtomicU32);

impl TickCounter {
    /// The counter now; it wraps at 2^32 or at the program's own bound.
    #[must_use]
    pub fn read(self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}
