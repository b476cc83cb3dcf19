// SPDX-License-Identifier: MIT OR Apache-2.0
//! Carries trace samples to the supervisor.
//!
//! The library has one slot and skips cycles until it gets it back. So one thread, just below the cycle in
//! priority, does nothing but empty the slot into a queue (**collector**), and another one with no hurry sends
//! what is in the queue (**sender**). When the supervisor does not keep up the oldest samples are dropped.
//!
//! After each change of the trace list one empty `Data::Trace` goes out: every sample before it is of the old
//! list, every one after it of the new.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossbeam_queue::ArrayQueue;
use plc_abi::TraceReader;
use plc_api::{limits, trace::TraceSample};
use plc_worker_link::{Data, Realtime};

use crate::{channel::DataChannel, heartbeat::Vitals, realtime, threads, threads::lock};

/// Samples that wait for the sender: four seconds of a 1 ms cycle.
const QUEUED_SAMPLES: usize = 4096;

/// Bytes of samples in one message, so that the log need not wait long for its turn.
const MESSAGE_BYTES: usize = 64 << 10;

/// Time between two messages, so that a fast cycle does not cost a message each.
const PAUSE: Duration = Duration::from_millis(10);

/// How long the collector may take to leave the library after `stopPLC` has returned.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(1);

/// The two threads of a running program that can be traced.
#[derive(Debug)]
pub(crate) struct Trace {
    shared: Arc<Shared>,
    /// Closed when the collector has ended.
    collector_lives: Receiver<()>,
    sender: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    queue: ArrayQueue<Collected>,
    change: Mutex<Change>,
    finishing: AtomicBool,
}

/// A sample and the list it was taken for.
#[derive(Debug)]
struct Collected {
    list: u32,
    sample: TraceSample,
}

/// The newest trace list.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    /// Counts the lists.
    list: u32,
    /// The cycle counter when the last list ended: until a later sample comes, the library may still hand out
    /// one that it had put into its slot for that list.
    ended_at: Option<u32>,
}

impl Trace {
    /// Begins collecting, which waits inside the library until something is traced.
    ///
    /// # Errors
    /// A thread cannot be made.
    pub(crate) fn begin(
        reader: TraceReader,
        data: DataChannel,
        vitals: Vitals,
        settings: Realtime,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(QUEUED_SAMPLES),
            change: Mutex::default(),
            finishing: AtomicBool::new(false),
        });
        let mine = Arc::clone(&shared);
        let sender = threads::spawn("plc-trace", move || Sender::new(mine, data).run())?;
        let wake = sender.thread().clone();
        let mine = Arc::clone(&shared);
        let (alive, collector_lives) = mpsc::channel();
        threads::spawn("plc-collect", move || {
            realtime::just_below(&settings);
            collect(reader, &mine, &vitals, &wake);
            drop(alive);
        })?;
        Ok(Self { shared, collector_lives, sender })
    }

    /// The trace list was replaced when the cycle counter stood at `tick`.
    pub(crate) fn list_changed(&self, tick: Option<u32>) {
        {
            let mut change = lock(&self.shared.change);
            change.list = change.list.wrapping_add(1);
            change.ended_at = tick;
        }
        self.sender.thread().unpark();
    }

    /// Sends what is left and ends; the program has stopped.
    pub(crate) fn finish(self) {
        // Ends with the collector, or by patience if the library did not let it go.
        let _ = self.collector_lives.recv_timeout(COLLECTOR_PATIENCE);
        self.shared.finishing.store(true, Ordering::Release);
        self.sender.thread().unpark();
        if self.sender.join().is_err() {
            tracing::error!("the sender of trace samples failed");
        }
    }
}

fn collect(mut reader: TraceReader, shared: &Shared, vitals: &Vitals, wake: &thread::Thread) {
    while let Some(buffer) = reader.wait() {
        let tick = buffer.tick();
        let data = buffer.copy(limits::TRACE_SAMPLE_BYTES);
        // Back to the library before anything else is done.
        drop(buffer);
        if data.is_empty() {
            continue;
        }
        let Some(list) = list_of(&mut lock(&shared.change), tick) else {
            continue;
        };
        let sample = TraceSample { tick, data };
        if shared.queue.force_push(Collected { list, sample }).is_some() {
            vitals.sample_dropped();
        }
        wake.unpark();
    }
}

/// Which list a sample that just came out of the library is of; `None`: of none any more.
fn list_of(change: &mut Change, tick: u32) -> Option<u32> {
    // There is one slot, so at most the first sample after a change can be stale. It matters that this is not
    // asked of later ones: the counter may wrap at any bound of the program's.
    match change.ended_at.take() {
        Some(ended_at) if ended_at.wrapping_sub(tick) < u32::MAX / 2 => None,
        Some(_) | None => Some(change.list),
    }
}

/// Empties the queue into the data channel.
struct Sender {
    shared: Arc<Shared>,
    data: DataChannel,
    /// The list that the supervisor knows to be the one of the samples it gets.
    announced: u32,
    /// A sample of a list that is not announced yet.
    held: Option<Collected>,
}

impl Sender {
    fn new(shared: Arc<Shared>, data: DataChannel) -> Self {
        Self { shared, data, announced: 0, held: None }
    }

    fn run(mut self) {
        loop {
            // Before the look at the queue, which is the last one then.
            let finishing = self.shared.finishing.load(Ordering::Acquire);
            let newest = lock(&self.shared.change).list;
            while self.announced != newest {
                self.announced = self.announced.wrapping_add(1);
                self.data.send(&Data::Trace(Vec::new()));
            }
            let batch = self.next_batch();
            if !batch.is_empty() {
                self.data.send(&Data::Trace(batch));
                if !finishing {
                    thread::sleep(PAUSE);
                }
            } else if self.held.is_none() {
                if finishing {
                    return;
                }
                thread::park();
            }
        }
    }

    /// Samples of the announced list; older ones are let go, a newer one ends the batch.
    fn next_batch(&mut self) -> Vec<TraceSample> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while bytes < MESSAGE_BYTES {
            let Some(next) = self.held.take().or_else(|| self.shared.queue.pop()) else {
                break;
            };
            if next.list == self.announced {
                bytes += next.sample.data.len() + limits::TRACE_SAMPLE_OVERHEAD;
                batch.push(next.sample);
            } else if self.announced.wrapping_sub(next.list) > u32::MAX / 2 {
                self.held = Some(next);
                break;
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use plc_worker_link::wire;

    use super::*;

    #[test]
    fn only_the_first_sample_after_a_change_can_be_of_the_old_list() {
        let mut change = Change { list: 7, ended_at: Some(100) };
        assert_eq!(list_of(&mut change, 100), None);
        assert_eq!(list_of(&mut change, 3), Some(7), "the counter wrapped");
        change.ended_at = Some(u32::MAX);
        assert_eq!(list_of(&mut change, 0), Some(7), "after the wrap at 2^32");
    }

    #[test]
    fn an_empty_message_parts_the_samples_of_two_lists() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let shared = Arc::new(Shared {
            queue: ArrayQueue::new(8),
            change: Mutex::new(Change { list: 2, ended_at: None }),
            finishing: AtomicBool::new(true),
        });
        for (list, tick) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
            let sample = TraceSample { tick, data: vec![0] };
            shared.queue.push(Collected { list, sample }).unwrap();
        }
        let mut sender = Sender::new(shared, DataChannel::new(ours));
        sender.announced = 1;
        sender.run();
        let received: Vec<Vec<u32>> = std::iter::from_fn(|| wire::receive(&theirs).ok())
            .map(|data| match data {
                Data::Trace(samples) => samples.iter().map(|sample| sample.tick).collect(),
                Data::Log(_) => panic!("no log was sent"),
            })
            .collect();
        assert_eq!(received, [vec![], vec![3, 4]]);
    }
}
