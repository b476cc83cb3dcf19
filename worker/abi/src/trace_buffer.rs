// SPDX-License-Identifier: MIT OR Apache-2.0
//! Samples of the traced variables, as the library lends them.
//!
//! The library has one slot. It fills the slot at the end of a cycle if the slot was given back, and fills no
//! other until then; so a [`TraceBuffer`] must not be kept, and gives itself back when it is dropped.

use std::{
    ffi::c_void,
    marker::PhantomData,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::symbols::Debug;

/// Takes samples out of the program. Belongs on a thread of its own, for it waits.
#[derive(Debug)]
pub struct TraceReader {
    functions: Debug,
    stopping: Arc<AtomicBool>,
}

/// The library's slot with one sample in it, borrowed until dropped.
#[derive(Debug)]
pub struct TraceBuffer<'reader> {
    tick: u32,
    size: usize,
    data: *const u8,
    functions: Debug,
    reader: PhantomData<&'reader mut TraceReader>,
}

impl TraceReader {
    pub(crate) fn new(functions: Debug, stopping: Arc<AtomicBool>) -> Self {
        Self { functions, stopping }
    }

    /// Waits for the next sample. While nothing is traced that takes until the program stops; then, and ever
    /// after, there is `None`.
    pub fn wait(&mut self) -> Option<TraceBuffer<'_>> {
        // Once stopPLC runs the library may be entered no more; the call that is already inside is woken.
        // Between this look and the call below a stop may begin: the library looks again at its own flag.
        if self.stopping.load(Ordering::Acquire) {
            return None;
        }
        let (mut tick, mut size) = (0_u64, 0_u64);
        let mut data: *mut c_void = ptr::null_mut();
        // SAFETY: the pointers are to eight zeroed bytes each (see `symbols::Debug`) and to one pointer.
        let error = unsafe { (self.functions.get)(&raw mut tick, &raw mut size, &raw mut data) };
        if error != 0 {
            return None;
        }
        let size = if data.is_null() { 0 } else { low_half(size) };
        Some(TraceBuffer {
            tick: low_half(tick),
            size: usize::try_from(size).unwrap_or(0),
            data: data.cast_const().cast(),
            functions: self.functions,
            reader: PhantomData,
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
        // SAFETY: the signature is the library's own; it only marks the slot as free.
        unsafe { (self.functions.free)() };
    }
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
