// SPDX-License-Identifier: MIT OR Apache-2.0
//! Samples of the traced variables, as the library lends them.
//!
//! The library has one slot. It fills the slot at the end of a cycle if the slot was given back, and fills no
//! other until then; so a [`TraceBuffer`] must not be kept, and gives itself back when it is dropped.

use std::{
    ffi::c_void,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use crate::symbols::Debug;

/// The pause after the library has ended a wait without a sample, so that one that does it again and again takes
/// no processor from others.
const RETRY_DELAY: Duration = Duration::from_millis(10);

/// Takes samples out of the program. Belongs on a thread of its own, for it waits.
#[derive(Debug)]
pub struct TraceReader {
    functions: Debug,
    slot: Arc<Slot>,
}

/// What the reader and the thread that changes the trace list must know of each other.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    /// Set before `stopPLC` is called; from then on no other function may be.
    stopping: AtomicBool,
    /// The reader has a sample and will give the slot back.
    is_taken: Mutex<bool>,
}

impl Slot {
    /// The program is about to stop.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Frees the slot, unless the reader is about to: freed twice, the next sample could be overwritten while it is
    /// read.
    pub(crate) fn free_unless_taken(&self, functions: Debug) {
        let is_taken = self.is_taken();
        if !*is_taken {
            free(functions);
        }
    }

    fn give_back(&self, functions: Debug) {
        let mut is_taken = self.is_taken();
        *is_taken = false;
        free(functions);
    }

    fn is_taken(&self) -> MutexGuard<'_, bool> {
        self.is_taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The library's slot with one sample in it, borrowed until dropped.
#[derive(Debug)]
pub struct TraceBuffer<'reader> {
    tick: u32,
    size: usize,
    data: *const u8,
    functions: Debug,
    slot: &'reader Slot,
}

impl TraceReader {
    pub(crate) fn new(functions: Debug, slot: Arc<Slot>) -> Self {
        Self { functions, slot }
    }

    /// Waits for the next sample. While nothing is traced that takes until the program stops; then, and ever
    /// after, there is `None`.
    pub fn wait(&mut self) -> Option<TraceBuffer<'_>> {
        let (mut tick, mut size) = (0_u64, 0_u64);
        let mut data: *mut c_void = ptr::null_mut();
        loop {
            // Once stopPLC runs the library may be entered no more; the call that is already inside is woken.
            // Between this look and the call below a stop may begin: the library looks again at its own flag.
            if self.slot.stopping.load(Ordering::Acquire) {
                return None;
            }
            // SAFETY: the pointers are to eight zeroed bytes each (see `symbols::Debug`) and to one pointer.
            let error =
                unsafe { (self.functions.get)(&raw mut tick, &raw mut size, &raw mut data) };
            if error == 0 {
                break;
            }
            // Not the end: libraries since 2026 end the wait with ENODATA each time tracing is switched off.
            (tick, size, data) = (0, 0, ptr::null_mut());
            thread::sleep(RETRY_DELAY);
        }
        *self.slot.is_taken() = true;
        let size = if data.is_null() { 0 } else { low_half(size) };
        Some(TraceBuffer {
            tick: low_half(tick),
            size: usize::try_from(size).unwrap_or(0),
            data: data.cast_const().cast(),
            functions: self.functions,
            slot: &self.slot,
        })
    }
}

impl TraceBuffer<'_> {
    /// The cycle counter of the sample.
    #[must_use]
    pub fn tick(&self) -> u32 {
        self.tick
    }

    /// The values, packed; the first `max` bytes of them. Empty when the reader was only woken.
    #[must_use]
    pub fn copy(&self, max: usize) -> Vec<u8> {
        let size = self.size.min(max);
        let mut copy = vec![0; size];
        // SAFETY: the library said that `size` bytes are there until the buffer is given back, and `copy` has
        // as many. No reference to them is made, since a refused trace list lets the library write early.
        unsafe { ptr::copy_nonoverlapping(self.data, copy.as_mut_ptr(), size) };
        copy
    }
}

impl Drop for TraceBuffer<'_> {
    fn drop(&mut self) {
        self.slot.give_back(self.functions);
    }
}

fn free(functions: Debug) {
    // SAFETY: the signature is the library's own; it only marks the slot as free.
    unsafe { (functions.free)() };
}

/// What a library wrote, as `unsigned` or as `unsigned long`, to eight zeroed bytes.
fn low_half(value: u64) -> u32 {
    let [a, b, c, d, e, f, g, h] = value.to_ne_bytes();
    let first = u32::from_ne_bytes([a, b, c, d]);
    let second = u32::from_ne_bytes([e, f, g, h]);
    // On a big-endian machine an `unsigned` lands in the first four bytes, the low half of an `unsigned long`
    // of eight in the last four; the other half is zero either way.
    if cfg!(target_endian = "little") { first } else { first | second }
}

#[cfg(test)]
mod tests {
    use super::low_half;

    #[test]
    fn both_widths_of_a_tick_read_the_same() {
        let mut as_unsigned = [0; 8];
        as_unsigned[..4].copy_from_slice(&7_u32.to_ne_bytes());
        assert_eq!(low_half(u64::from_ne_bytes(as_unsigned)), 7);
        assert_eq!(low_half(7), 7);
    }
}
