// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of traced and forced variables.
//!
//! A list may be changed only between `suspendDebug(0)`, which takes a mutex that the cycle tries at each end,
//! and `resumeDebug` on the same thread; [`Suspended`] is that span.

use std::{
    ffi::{c_int, c_void},
    ptr,
};

use thiserror::Error;

use crate::symbols::{Debug, Symbols};

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

    fn reset(&self) {
        // SAFETY: called while suspended.
        unsafe { (self.functions.reset)() };
    }

    fn register(&self, index: u32, force: Option<&[u8]>) -> c_int {
        // Aligned for every type, since the library reads the value through a pointer of the variable's type.
        let mut room = [0_u64; FORCE_ROOM / 8];
        let Some(bytes) = force else {
            // SAFETY: called while suspended; no value, so the pointer is null.
            return unsafe { (self.functions.register)(index, ptr::null_mut(), 0) };
        };
        if bytes.len() > FORCE_ROOM {
            return FORCE_SIZE;
        }
        for (word, chunk) in room.iter_mut().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(chunk) {
                *to = *from;
            }
            *word = u64::from_ne_bytes(padded);
        }
        let value = room.as_mut_ptr().cast::<c_void>();
        // SAFETY: called while suspended; at least as many bytes as any variable has can be read at `value`.
        unsafe { (self.functions.register)(index, value, bytes.len()) }
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        // SAFETY: this thread suspended the debug functions and has not resumed them.
        unsafe { (self.functions.resume)() };
    }
}

/// Replaces the list and switches tracing on; says what the cycle counter was when the old list ended.
pub(crate) fn replace<'a>(
    symbols: &Symbols,
    list: impl IntoIterator<Item = (u32, Option<&'a [u8]>)>,
) -> Result<Option<u32>, TraceError> {
    let functions = symbols.debug.ok_or(TraceError::NotTraceable)?;
    let suspended = Suspended::begin(functions)?;
    suspended.reset();
    let mut refusal = 0;
    for (index, force) in list {
        let code = suspended.register(index, force);
        // A library before December 2021 returns nothing; what stands in the register is not a code.
        if code != 0 && (symbols.registration_answers || force.is_some_and(too_long)) {
            refusal = code;
            suspended.reset();
            break;
        }
    }
    let tick = symbols.tick.map(|tick| crate::TickCounter(tick).read());
    drop(suspended);
    if refusal == 0 {
        Ok(tick)
    } else {
        switch_off(functions);
        Err(TraceError::Refused(refusal))
    }
}

/// Ends tracing and all forces.
pub(crate) fn clear(symbols: &Symbols) -> Result<(), TraceError> {
    let functions = symbols.debug.ok_or(TraceError::NotTraceable)?;
    Suspended::begin(functions)?.reset();
    switch_off(functions);
    Ok(())
}

/// Ends tracing; list and forces stay.
pub(crate) fn pause(symbols: &Symbols) -> Result<(), TraceError> {
    switch_off(symbols.debug.ok_or(TraceError::NotTraceable)?);
    Ok(())
}

/// Goes on with the list there is.
pub(crate) fn resume(symbols: &Symbols) -> Result<(), TraceError> {
    let functions = symbols.debug.ok_or(TraceError::NotTraceable)?;
    Suspended::begin(functions).map(drop)
}

fn too_long(force: &[u8]) -> bool {
    force.len() > FORCE_ROOM
}

fn switch_off(functions: Debug) {
    // SAFETY: the program runs, and this thread does not hold the mutex that this takes and releases.
    unsafe { (functions.suspend)(1) };
}
