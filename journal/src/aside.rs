// SPDX-License-Identifier: MIT OR Apache-2.0
//! Logging that holds nobody up.
//!
//! A journal that is frozen, or a pipe that nobody reads, takes no message and gives no error: who writes to it stands
//! still, and with a supervisor or worker the PLC's only guard. So a thread of its own writes. Who logs waits until the
//! message is written, and so loses none in a burst or at the end of the process; but only for a moment, and not at all
//! while the log is known to be stuck. Then messages wait in a queue, and those that it has no room for are counted.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use tracing::{
    Event, Metadata, Subscriber, Value,
    field::{Field, Visit},
    subscriber,
};
use tracing_subscriber::{Layer, layer::Context};

/// Many times what a journal takes to read one message, and little against every deadline of ours.
const PATIENCE: Duration = Duration::from_millis(200);

/// How many messages wait for a log that is stuck.
const QUEUE: usize = 1024;

/// Small, because a worker that locks its memory locks all of it.
const STACK_BYTES: usize = 256 << 10;

/// Where the events really go.
pub(crate) type Output = Arc<dyn Subscriber + Send + Sync>;

/// Made where it is first used: a greeting to the journal may have to wait as any message does.
type LazyOutput = LazyLock<Output, Box<dyn FnOnce() -> Output + Send>>;

/// Gives each event to the thread that writes.
pub(crate) struct Aside {
    queue: SyncSender<Message>,
    state: Arc<State>,
    output: Arc<LazyOutput>,
    patience: Duration,
}

#[derive(Default)]
struct State {
    is_stuck: AtomicBool,
    lost: AtomicU64,
}

impl Aside {
    /// Starts the thread that writes. It inherits the caller's signal mask.
    pub(crate) fn begin(output: impl FnOnce() -> Output + Send + 'static) -> Self {
        let output = Arc::new(LazyOutput::new(Box::new(output)));
        let (queue, messages) = mpsc::sync_channel(QUEUE);
        let state = Arc::<State>::default();
        let (its_state, its_output) = (Arc::clone(&state), Arc::clone(&output));
        let writer = thread::Builder::new().name("plc-journal".to_owned()).stack_size(STACK_BYTES);
        // Without the thread the queue has no other end, and who logs writes.
        let _ = writer.spawn(move || its_state.write_all(&messages, &its_output));
        Self { queue, state, output, patience: PATIENCE }
    }
}

impl<S: Subscriber> Layer<S> for Aside {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let (done, written) = mpsc::channel();
        match self.queue.try_send(Message::of(event, done)) {
            Ok(()) if self.state.is_stuck.load(Ordering::Relaxed) => {}
            Ok(()) => {
                let waited = written.recv_timeout(self.patience);
                if waited == Err(RecvTimeoutError::Timeout) {
                    self.state.is_stuck.store(true, Ordering::Relaxed);
                }
            }
            Err(TrySendError::Full(_)) => {
                self.state.lost.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(message)) => message.write(&self.output),
        }
    }
}

impl State {
    fn write_all(&self, messages: &Receiver<Message>, output: &Output) {
        for message in messages {
            message.write(output);
            self.is_stuck.store(false, Ordering::Relaxed);
            // This ends the wait of whoever has logged it.
            drop(message);
            let lost = self.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                subscriber::with_default(Arc::clone(output), || {
                    tracing::warn!(left_out = lost, "the log was stuck: {lost} messages are lost");
                });
            }
        }
    }
}

/// An event that can wait: its values as text.
struct Message {
    metadata: &'static Metadata<'static>,
    /// One for each field.
    values: Vec<Option<String>>,
    _done: Sender<()>,
}

impl Message {
    fn of(event: &Event<'_>, done: Sender<()>) -> Self {
        let metadata = event.metadata();
        let mut message =
            Self { metadata, values: vec![None; metadata.fields().len()], _done: done };
        event.record(&mut message);
        message
    }

    fn write(&self, output: &Output) {
        let values: Vec<Option<&dyn Value>> =
            self.values.iter().map(|value| value.as_ref().map(|text| text as &dyn Value)).collect();
        output.event(&Event::new(self.metadata, &self.metadata.fields().value_set_all(&values)));
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(place) = self.values.get_mut(field.index()) {
            *place = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, PoisonError},
    };

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Longer than anything takes on the slowest machine; only a failing test waits for it.
    const FOREVER: Duration = Duration::from_secs(60);

    /// Takes nothing until the other end of `gate` is gone.
    #[derive(Clone)]
    struct Log {
        gate: Arc<Mutex<Receiver<()>>>,
        lines: Sender<String>,
    }

    impl Log {
        /// A log, what opens it, and what it has taken.
        fn closed() -> (Self, Sender<()>, Receiver<String>) {
            let (opener, gate) = mpsc::channel();
            let (lines, taken) = mpsc::channel();
            (Self { gate: Arc::new(Mutex::new(gate)), lines }, opener, taken)
        }

        fn aside(self) -> Aside {
            let output = tracing_subscriber::fmt()
                .with_writer(move || self.clone())
                .without_time()
                .with_target(false)
                .with_ansi(false)
                .finish();
            Aside::begin(|| Arc::new(output))
        }
    }

    /// Logs on another thread; the receiver sees the end of it.
    fn tell(aside: Aside, tell: impl FnOnce() + Send + 'static) -> Receiver<()> {
        let (done, told) = mpsc::channel();
        thread::spawn(move || {
            subscriber::with_default(tracing_subscriber::registry().with(aside), tell);
            done.send(()).unwrap();
        });
        told
    }

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _opened = self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let line = String::from_utf8_lossy(bytes).trim().to_owned();
            self.lines.send(line).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_arrives_as_it_was() {
        let (log, opener, taken) = Log::closed();
        drop(opener);
        let told = tell(log.aside(), || {
            let absent: Option<u8> = None;
            tracing::warn!(peer = "::1", calls = 3, absent, cause = ?Some(1), "no {}", "entry");
        });
        told.recv_timeout(FOREVER).unwrap();
        let line = taken.recv_timeout(FOREVER).unwrap();
        assert_eq!(line, "WARN no entry peer=\"::1\" calls=\"3\" cause=\"Some(1)\"");
    }

    #[test]
    fn a_log_that_takes_nothing_holds_nobody_up_and_says_later_how_much_it_has_lost() {
        const MANY: usize = QUEUE + 100;
        let (log, opener, taken) = Log::closed();
        let told = tell(log.aside(), || {
            for number in 0..MANY {
                tracing::info!("message {number}");
            }
        });
        told.recv_timeout(FOREVER).expect("it goes on");
        drop(opener);
        let lines: Vec<String> = taken.into_iter().collect();
        let (said, messages): (Vec<&str>, Vec<&str>) =
            lines.iter().map(String::as_str).partition(|line| line.starts_with("WARN"));
        let lost = MANY - messages.len();
        assert!(lost > 0, "the queue has a bound");
        assert_eq!(
            said,
            [format!("WARN the log was stuck: {lost} messages are lost left_out={lost}")]
        );
        for (number, message) in messages.iter().enumerate() {
            assert_eq!(*message, format!("INFO message {number}"));
        }
    }

    #[test]
    fn who_logs_waits_for_a_log_that_takes_its_time() {
        let (log, opener, taken) = Log::closed();
        let back = log.lines.clone();
        let aside = Aside { patience: FOREVER, ..log.aside() };
        let told = tell(aside, move || {
            for number in 0..3 {
                tracing::info!("{number}");
                back.send("back".to_owned()).unwrap();
            }
        });
        for number in 0..3 {
            opener.send(()).unwrap();
            let next = || taken.recv_timeout(FOREVER).unwrap();
            assert_eq!([next(), next()], [format!("INFO {number}"), "back".to_owned()]);
        }
        told.recv_timeout(FOREVER).unwrap();
    }
}
