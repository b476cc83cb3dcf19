// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of traced and forced variables.
//!
//! A list may be changed only between `suspendDebug(0)`, which takes a mutex that the cycle tries at each end,
//! and `resumeDebug` on the same thread; [`Suspended`] is that span. Or while debugging is switched off, by
//! `suspendDebug(1)`: the cycle leaves the list alone then, too.
//!
//! `resumeDebug` switches debugging on. A library of 2025 whose list is empty then fills its slot with nothing and
//! fills it never again, until somebody frees it. So debugging is never switched on with an empty list, and the slot is
//! freed at each change of the list.

use std::{
    ffi::{c_int, c_void},
    ptr,
    sync::Arc,
};

use thiserror::Error;

use crate::{
    symbols::{Debug, Symbols},
    trace_buffer::Slot,
};

/// Bytes that are always readable behind the pointer to a forced value. Libraries before 2024 do not know the
/// value's size and copy as many bytes as the variable has: 127 for a STRING, the largest.
const FORCE_ROOM: usize = 128;

/// What the library answers when a forced value's size does not fit.
const FORCE_SIZE: i32 = 3;

/// Why a trace list was not accepted. Nothing is traced or forced then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TraceError {
    /// The program has no debug functions.
    #[error("the program cannot be traced")]
    NotTraceable,
    /// The library's own code: 1 trace list full, 2 force list full, 3 wrong size or no room for a forced
    /// value, anything else invalid.
    #[error("the program refused the trace list with code {0}")]
    Refused(i32),
}

/// The list as the program has it, and what is needed to change it.
#[derive(Debug)]
pub(crate) struct TraceList {
    symbols: &'static Symbols,
    slot: Arc<Slot>,
    is_empty: bool,
}

/// The time in which the cycle keeps its hands off the trace list.
struct Suspended {
    functions: Debug,
}

impl Suspended {
    /// Waits for the end of the cycle's publishing if that is going on.
    fn begin(functions: Debug) -> Result<Self, TraceError> {
        // SAFETY: the program runs (this module's callers hold a `Running`), so its mutexes exist, and this
        // thread does not hold them: the only span that does is this one.
        match unsafe { (functions.suspend)(0) } {
            0 => Ok(Self { functions }),
            code => Err(TraceError::Refused(code)),
        }
    }

    fn register(&self, index: u32, force: Option<&[u8]>) -> c_int {
        // Aligned for every type, since the library reads the value through a pointer of the variable's type.
        let mut room = [0_u64; FORCE_ROOM / 8];
        let Some(bytes) = force else {
            // SAFETY: called while suspended; no value, so the pointer is null.
            return unsafe { (self.functions.register)(index, ptr::null_mut(), 0) };
        };
        for (word, chunk) in room.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(chunk) {
                *to = *from;
            }
            *word = u64::from_ne_bytes(padded);
        }
        let value = room.as_mut_ptr().cast::<c_void>();
        // SAFETY: called while suspended; at least as many bytes as any variable has can be read at `value`
        // (`replace` has refused longer ones, which would be cut here).
        unsafe { (self.functions.register)(index, value, bytes.len()) }
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        // SAFETY: this thread suspended the debug functions and has not resumed them.
        unsafe { (self.functions.resume)() };
    }
}

impl TraceList {
    /// That of a program that has just been started: empty.
    pub(crate) fn new(symbols: &'static Symbols, slot: Arc<Slot>) -> Self {
        Self { symbols, slot, is_empty: true }
    }

    /// Replaces the list and switches tracing on, or off with an empty list; says what the cycle counter was when the
    /// old list ended. After an error nothing is traced or forced.
    pub(crate) fn replace(
        &mut self,
        list: &[(u32, Option<&[u8]>)],
    ) -> Result<Option<u32>, TraceError> {
        let functions = self.functions()?;
        if list.iter().any(|(_, force)| force.is_some_and(|bytes| bytes.len() > FORCE_ROOM)) {
            self.clear()?;
            return Err(TraceError::Refused(FORCE_SIZE));
        }
        if list.is_empty() {
            return self.clear().map(|()| None);
        }
        let suspended = Suspended::begin(functions)?;
        self.reset(functions);
        self.is_empty = false;
        let refused = list.iter().find_map(|&(index, force)| {
            let code = suspended.register(index, force);
            // A library before December 2021 returns nothing; what stands in the register is not a code.
            (code != 0 && self.symbols.registration_answers).then_some((index, code))
        });
        let Some((index, code)) = refused else {
            let tick = self.symbols.tick.map(|tick| crate::TickCounter(tick).read());
            drop(suspended);
            return Ok(tick);
        };
        self.reset(functions);
        // It exists, or it would not have been refused, and the list is not empty with it.
        suspended.register(index, None);
        drop(suspended);
        self.clear()?;
        Err(TraceError::Refused(code))
    }

    /// Ends tracing and all forces.
    pub(crate) fn clear(&mut self) -> Result<(), TraceError> {
        let functions = self.functions()?;
        switch_off(functions)?;
        self.reset(functions);
        self.is_empty = true;
        Ok(())
    }

    /// Ends tracing; list and forces stay.
    pub(crate) fn pause(&self) -> Result<(), TraceError> {
        switch_off(self.functions()?)
    }

    /// Goes on with the list there is, if it holds anything.
    pub(crate) fn resume(&self) -> Result<(), TraceError> {
        let functions = self.functions()?;
        // The slot stays as it is: the list is the same, and a sample in it is one of this list.
        if self.is_empty { Ok(()) } else { Suspended::begin(functions).map(drop) }
    }

    fn functions(&self) -> Result<Debug, TraceError> {
        self.symbols.debug.ok_or(TraceError::NotTraceable)
    }

    /// Empties the list, lets forced variables go, frees the slot.
    fn reset(&self, functions: Debug) {
        // SAFETY: the callers have suspended debugging, or switched it off.
        unsafe { (functions.reset)() };
        self.slot.free_unless_taken(functions);
    }
}

fn switch_off(functions: Debug) -> Result<(), TraceError> {
    // SAFETY: the program runs, and this thread does not hold the mutex that this takes and releases.
    match unsafe { (functions.suspend)(1) } {
        0 => Ok(()),
        code => Err(TraceError::Refused(code)),
    }
}
