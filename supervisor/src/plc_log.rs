// SPDX-License-Identifier: MIT OR Apache-2.0
//! The PLC log: a ring of our own for each level, fed from the program's log and by the runtime.
//!
//! The counts only ever grow until somebody resets them, whatever programs come and go: an IDE that sees a count
//! go down misses messages (reference IDE, `controls/LogViewer.py`, `SetLogCounters`). The last
//! [`limits::LOG_TAIL`] messages of a level can always be delivered.

use std::{collections::VecDeque, time::SystemTime};

use plc_api::{
    limits,
    log::{LogCounts, LogLevel, LogMessage},
};

/// All four levels.
#[derive(Debug, Default)]
pub(crate) struct PlcLog {
    levels: [Ring; 4],
}

#[derive(Debug, Default)]
struct Ring {
    messages: VecDeque<LogMessage>,
    bytes: usize,
    count: u32,
}

impl PlcLog {
    /// Adds a message that the program wrote; bytes that are not UTF-8 are replaced, what is too long is cut.
    pub(crate) fn push(
        &mut self,
        level: LogLevel,
        tick: u32,
        time_us: u64,
        text: &[u8],
    ) -> LogMessage {
        let text = text.get(..limits::LOG_MESSAGE_BYTES).unwrap_or(text);
        let ring = self.ring_mut(level);
        let text = String::from_utf8_lossy(text).into_owned();
        let message = LogMessage { level, id: ring.count, tick, time_us, text };
        ring.push(message.clone());
        message
    }

    /// Adds a message of the runtime about the program.
    pub(crate) fn push_own(&mut self, level: LogLevel, tick: u32, text: &str) -> LogMessage {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.push(level, tick, u64::try_from(now.as_micros()).unwrap_or(u64::MAX), text.as_bytes())
    }

    /// Messages ever written per level since the last reset.
    #[must_use]
    pub(crate) fn counts(&self) -> LogCounts {
        self.levels.each_ref().map(|ring| ring.count)
    }

    /// At most `max` messages of a level from id `from` on, oldest first; ids that are gone are passed over.
    #[must_use]
    pub(crate) fn read(&self, level: LogLevel, from: u32, max: u32) -> Vec<LogMessage> {
        let ring = self.ring(level);
        let first = ring.messages.partition_point(|message| message.id < from);
        let max = usize::try_from(max.min(limits::LOG_REPLY_MESSAGES)).unwrap_or(0);
        let mut room = limits::LOG_LEVEL_BYTES;
        let fits = |message: &&LogMessage| {
            let fits = room > 0;
            room = room.saturating_sub(message.text.len());
            fits
        };
        ring.messages.range(first..).take(max).take_while(fits).cloned().collect()
    }

    /// The newest messages of all levels together, at most `max`, oldest first; of each level from an id on.
    #[must_use]
    pub(crate) fn newest(&self, since: LogCounts, max: usize) -> Vec<LogMessage> {
        let newest = |(ring, since): (&Ring, u32)| {
            let first = ring.messages.partition_point(|message| message.id < since);
            let first = first.max(ring.messages.len().saturating_sub(max));
            ring.messages.range(first..).cloned().collect::<Vec<_>>()
        };
        let mut messages: Vec<LogMessage> =
            self.levels.iter().zip(since).flat_map(newest).collect();
        messages.sort_by_key(|message| message.time_us);
        messages.split_off(messages.len().saturating_sub(max))
    }

    /// Empties all levels; counts and ids begin at 0 again.
    pub(crate) fn reset(&mut self) {
        self.levels = <[Ring; 4]>::default();
    }

    fn ring(&self, level: LogLevel) -> &Ring {
        let [critical, warning, info, debug] = &self.levels;
        match level {
            LogLevel::Critical => critical,
            LogLevel::Warning => warning,
            LogLevel::Info => info,
            LogLevel::Debug => debug,
        }
    }

    fn ring_mut(&mut self, level: LogLevel) -> &mut Ring {
        let [critical, warning, info, debug] = &mut self.levels;
        match level {
            LogLevel::Critical => critical,
            LogLevel::Warning => warning,
            LogLevel::Info => info,
            LogLevel::Debug => debug,
        }
    }
}

impl Ring {
    fn push(&mut self, message: LogMessage) {
        self.count = self.count.wrapping_add(1);
        self.bytes += message.text.len();
        self.messages.push_back(message);
        while self.messages.len() > limits::LOG_MESSAGES
            || (self.bytes > limits::LOG_LEVEL_BYTES && self.messages.len() > limits::LOG_TAIL)
        {
            let Some(oldest) = self.messages.pop_front() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(oldest.text.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_bounded_and_the_newest_ten_can_always_be_read() {
        let mut log = PlcLog::default();
        let long = vec![b'x'; limits::LOG_MESSAGE_BYTES + 5];
        for n in 0..3000 {
            log.push(LogLevel::Debug, n, 0, &long);
        }
        assert_eq!(log.counts(), [0, 0, 0, 3000]);
        assert!(log.levels[3].bytes <= limits::LOG_TAIL * limits::LOG_MESSAGE_BYTES);
        for id in 2990..3000 {
            let read = log.read(LogLevel::Debug, id, 1);
            assert_eq!(
                (read[0].id, read[0].tick, read[0].text.len()),
                (id, id, limits::LOG_MESSAGE_BYTES)
            );
        }
        for n in 0..5000 {
            log.push(LogLevel::Info, n, 0, b"short");
        }
        assert_eq!(log.levels[2].messages.len(), limits::LOG_MESSAGES);
        assert_eq!(log.read(LogLevel::Info, 0, 1)[0].id, 5000 - 1024);
    }

    #[test]
    fn counts_go_down_by_a_reset_only() {
        let mut log = PlcLog::default();
        log.push_own(LogLevel::Warning, 0, "first");
        log.push_own(LogLevel::Warning, 0, "second");
        assert_eq!(log.counts(), [0, 2, 0, 0]);
        log.reset();
        assert_eq!(log.counts(), [0; 4]);
        assert_eq!(log.push_own(LogLevel::Warning, 0, "third").id, 0);
    }

    #[test]
    fn the_newest_of_all_levels_come_in_the_order_of_their_times() {
        let mut log = PlcLog::default();
        for time in 0..30 {
            let level = if time % 3 == 0 { LogLevel::Warning } else { LogLevel::Debug };
            log.push(level, 0, time, b"text");
        }
        let times: Vec<u64> =
            log.newest([0; 4], 20).iter().map(|message| message.time_us).collect();
        assert_eq!(times, (10..30).collect::<Vec<_>>());
        let times: Vec<u64> = log.newest([0, 9, 0, 19], 20).iter().map(|m| m.time_us).collect();
        assert_eq!(times, [27, 29]);
        assert!(PlcLog::default().newest([0; 4], 20).is_empty());
    }

    #[test]
    fn a_text_is_made_valid_utf_8() {
        let mut log = PlcLog::default();
        assert_eq!(log.push(LogLevel::Critical, 0, 0, b"a\xff\xfeb").text, "a\u{fffd}\u{fffd}b");
    }
}
