// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries the program's log to the supervisor before the program overwrites it.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use plc_abi::{
    LogEntry, LogReader,
    last_words::{self, Listener},
};
use plc_api::{limits, log::LogLevel};
use plc_worker_link::{Data, FromWorker, LoggedMessage};
use serde_bytes::ByteBuf;

use crate::{
    channel::{DataChannel, Supervisor},
    load,
    threads::{self, lock},
};

/// Time between two looks at the program's log.
const PERIOD: Duration = Duration::from_millis(50);

/// Messages that one level of a library's ring can hold at most: 16 KiB, at least 24 bytes each.
const RING_MESSAGES: u32 = 16_384 / 24;

/// Looks that a message gets to be completed, once its id is announced.
const LOOKS: u8 = 3;

/// The thread that reads the program's log, from its load on.
#[derive(Debug)]
pub(crate) struct LogDrain {
    finishing: Arc<AtomicBool>,
    reading: Arc<Mutex<Reading>>,
    thread: JoinHandle<()>,
}

impl LogDrain {
    /// Begins reading.
    ///
    /// # Errors
    /// The thread cannot be made.
    pub(crate) fn begin(
        reader: LogReader,
        listener: Listener,
        data: DataChannel,
        supervisor: Supervisor,
    ) -> io::Result<Self> {
        listener.announce();
        let finishing = Arc::new(AtomicBool::new(false));
        let reading = Reading { reader, data, cursors: Default::default() };
        let reading = Arc::new(Mutex::new(reading));
        let drain = Drain {
            reading: Arc::clone(&reading),
            listener,
            supervisor,
            finishing: Arc::clone(&finishing),
        };
        let thread = threads::spawn("plc-log", move || drain.run())?;
        Ok(Self { finishing, reading, thread })
    }

    /// Reads at once, on this thread, what the program is about to forget.
    pub(crate) fn catch_up(&self) {
        lock(&self.reading).read_all();
    }

    /// Reads what is left and ends.
    pub(crate) fn finish(self) {
        self.finishing.store(true, Ordering::Release);
        last_words::ask();
        if self.thread.join().is_err() {
            tracing::error!("the reader of the program's log failed");
        }
    }
}

struct Drain {
    reading: Arc<Mutex<Reading>>,
    listener: Listener,
    supervisor: Supervisor,
    finishing: Arc<AtomicBool>,
}

/// The program's log and how far it has been read.
#[derive(Debug)]
struct Reading {
    reader: LogReader,
    data: DataChannel,
    cursors: [Cursor; LogLevel::ALL.len()],
}

impl Drain {
    fn run(&self) {
        loop {
            let asked = self.listener.wait(PERIOD);
            // Before the reading, which is the last one then.
            let finishing = self.finishing.load(Ordering::Acquire);
            if asked.is_some() && !finishing {
                load::lift_memory_limit();
                // That the channel ended is somebody else's to notice.
                let _ = self.supervisor.send(&FromWorker::Dying);
            }
            lock(&self.reading).read_all();
            if let Some(ask) = asked {
                self.listener.answer(&ask);
            }
            if finishing {
                return;
            }
        }
    }
}

impl Reading {
    fn read_all(&mut self) {
        for (level, cursor) in LogLevel::ALL.into_iter().zip(&mut self.cursors) {
            let number = level.number();
            let count = self.reader.count(number);
            let entries = cursor.advance(count, |id| self.reader.message(number, id));
            if !entries.is_empty() {
                let messages = entries.into_iter().map(|entry| logged(level, entry));
                self.data.send(&Data::Log(messages.collect()));
            }
        }
    }
}

fn logged(level: LogLevel, mut entry: LogEntry) -> LoggedMessage {
    entry.text.truncate(limits::LOG_MESSAGE_BYTES);
    LoggedMessage {
        level,
        tick: entry.tick,
        time_us: entry.time_us,
        text: ByteBuf::from(entry.text),
    }
}

/// How far one level has been read.
#[derive(Debug, Default)]
struct Cursor {
    /// The first id that was not read yet.
    next: u32,
    /// Looks in vain at the ids that follow.
    looks: u8,
    /// The last message that was read, and its id.
    last: Option<(u32, LogEntry)>,
}

impl Cursor {
    /// Reads on up to `count`, the first id that does not exist yet.
    ///
    /// An id without a message is overwritten, empty, or about to be written. If a later one can be read it is
    /// lost; otherwise it gets a few more looks.
    fn advance(
        &mut self,
        count: u32,
        mut message: impl FnMut(u32) -> Option<LogEntry>,
    ) -> Vec<LogEntry> {
        if count < self.next || self.last_was_replaced(&mut message) {
            *self = Self::default();
        }
        let mut entries = Vec::new();
        for id in self.next.max(count.saturating_sub(RING_MESSAGES))..count {
            if let Some(entry) = message(id) {
                entries.push(entry);
                self.next = id + 1;
                self.looks = 0;
            }
        }
        if let Some(entry) = entries.last() {
            self.last = Some((self.next - 1, entry.clone()));
        }
        if self.next < count {
            self.looks += 1;
            if self.looks >= LOOKS {
                self.next = count;
                self.looks = 0;
            }
        }
        entries
    }

    /// Whether the program has begun its log anew since and written as much again: programs since 2025 do so at their
    /// start. If the last message is merely gone, so are all before it, and nothing is to be read again.
    fn last_was_replaced(&self, mut message: impl FnMut(u32) -> Option<LogEntry>) -> bool {
        let Some((id, last)) = &self.last else {
            return false;
        };
        let mut differs = || message(*id).filter(|entry| entry != last);
        // Twice the same: a message that is being overwritten reads as anything.
        differs().is_some_and(|entry| differs() == Some(entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32) -> LogEntry {
        LogEntry { tick: id, time_us: 0, text: vec![b'x'] }
    }

    fn ticks(entries: &[LogEntry]) -> Vec<u32> {
        entries.iter().map(|entry| entry.tick).collect()
    }

    #[test]
    fn each_message_is_read_once_in_order() {
        let mut cursor = Cursor::default();
        assert_eq!(ticks(&cursor.advance(3, |id| Some(entry(id)))), [0, 1, 2]);
        assert_eq!(ticks(&cursor.advance(3, |id| Some(entry(id)))), []);
        assert_eq!(ticks(&cursor.advance(5, |id| Some(entry(id)))), [3, 4]);
    }

    #[test]
    fn overwritten_messages_are_skipped_and_a_flood_costs_no_more_than_the_ring() {
        let mut cursor = Cursor::default();
        let mut looks = 0;
        let read = cursor.advance(1_000_000, |id| {
            looks += 1;
            (id >= 999_998).then(|| entry(id))
        });
        assert_eq!(ticks(&read), [999_998, 999_999]);
        assert!(looks <= RING_MESSAGES);
    }

    #[test]
    fn a_message_that_is_about_to_be_written_is_waited_for() {
        let mut cursor = Cursor::default();
        assert_eq!(ticks(&cursor.advance(2, |id| (id == 0).then(|| entry(id)))), [0]);
        assert_eq!(ticks(&cursor.advance(2, |id| Some(entry(id)))), [1]);
    }

    #[test]
    fn an_empty_message_is_not_waited_for_for_ever() {
        let mut cursor = Cursor::default();
        for _ in 0..LOOKS {
            assert!(cursor.advance(1, |_| None).is_empty());
        }
        let mut asked = 0;
        cursor.advance(1, |_| {
            asked += 1;
            None
        });
        assert_eq!(asked, 0);
    }

    #[test]
    fn a_reset_log_is_read_from_its_new_beginning() {
        let mut cursor = Cursor::default();
        cursor.advance(5, |id| Some(entry(id)));
        assert_eq!(ticks(&cursor.advance(2, |id| Some(entry(id)))), [0, 1]);
    }

    #[test]
    fn a_reset_log_that_has_grown_as_long_again_is_read_from_its_new_beginning() {
        for length in [3, 5] {
            let mut cursor = Cursor::default();
            cursor.advance(3, |id| Some(entry(id)));
            let anew = |id| Some(LogEntry { time_us: 1, ..entry(id) });
            let all: Vec<u32> = (0..length).collect();
            assert_eq!(ticks(&cursor.advance(length, anew)), all);
            assert_eq!(ticks(&cursor.advance(length, anew)), [], "once");
        }
    }

    #[test]
    fn a_message_that_is_being_overwritten_is_no_sign_of_a_reset() {
        let mut cursor = Cursor::default();
        cursor.advance(3, |id| Some(entry(id)));
        let mut torn = 0;
        let read = cursor.advance(5, |id| {
            torn += 1;
            if id < 3 { Some(LogEntry { time_us: torn, ..entry(id) }) } else { Some(entry(id)) }
        });
        assert_eq!(ticks(&read), [3, 4]);
    }
}
