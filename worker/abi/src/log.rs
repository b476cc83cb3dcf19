// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's own log.
//!
//! A ring of 16 KiB per level inside the library: new messages overwrite old ones, ids keep counting, any
//! thread may write at any time without a lock. So the newest id may be announced before its text is there,
//! and an old one may be gone: [`LogReader::message`] answers `None` to both.

use std::ffi::c_char;

use crate::symbols::Log;

/// Bytes of the longest message that is read whole; one less than the library's ring, as the reference
/// runtime's buffer.
const MESSAGE_BYTES: u32 = 16_383;

/// Reads the program's log, from any thread, from the load on.
#[derive(Debug)]
pub struct LogReader {
    functions: Log,
    buffer: Vec<u8>,
}

/// One message of the program's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The cycle counter when it was written; wraps.
    pub tick: u32,
    /// When it was written, microseconds since the epoch.
    pub time_us: u64,
    /// Any bytes, as the program wrote them; a longer message than can be read is cut.
    pub text: Vec<u8>,
}

impl LogReader {
    /// Levels go from 0, critical, to 3, debug; a library does not check its argument.
    pub const LEVELS: u8 = 4;

    pub(crate) fn new(functions: Log) -> Self {
        Self { functions, buffer: vec![0; MESSAGE_BYTES as usize] }
    }

    /// How many messages were written at this level so far; 0 for a level that does not exist.
    #[must_use]
    pub fn count(&self, level: u8) -> u32 {
        if level >= Self::LEVELS {
            return 0;
        }
        // SAFETY: the signature is the library's own, and the level exists.
        unsafe { (self.functions.count)(level) }
    }

    /// The message with this id, unless it is empty, overwritten, or not yet wholly written.
    #[must_use]
    pub fn message(&mut self, level: u8, id: u32) -> Option<LogEntry> {
        if level >= Self::LEVELS {
            return None;
        }
        let (mut tick, mut sec, mut nsec) = (0, 0, 0);
        let text = self.buffer.as_mut_ptr().cast::<c_char>();
        // SAFETY: the signature is the library's own; it writes at most MESSAGE_BYTES to the buffer, which has
        // as many, and one u32 to each of the three others.
        let size = unsafe {
            (self.functions.message)(
                level,
                id,
                text,
                MESSAGE_BYTES,
                &raw mut tick,
                &raw mut sec,
                &raw mut nsec,
            )
        };
        // The answer is the message's full size, even if that is more than was copied.
        let size = usize::try_from(size.min(MESSAGE_BYTES)).unwrap_or(0);
        let text = self.buffer.get(..size).filter(|text| !text.is_empty())?;
        Some(LogEntry {
            tick,
            time_us: u64::from(sec) * 1_000_000 + u64::from(nsec) / 1000,
            text: text.to_vec(),
        })
    }
}
