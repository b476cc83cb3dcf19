// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the PLC tells unasked: its status when that changes, and each new message of its log.
//!
//! | topic | arguments |
//! | --- | --- |
//! | `ID.status` | the status as IDEs spell it, the reason or nil |
//! | `ID.log` | level, id within the level, time (microseconds since the epoch), tick, text |
//!
//! The status is told once at the beginning. Of the log no more than [`MESSAGES_PER_SECOND`] are told; if there were more,
//! one message without id and tick says at the end of that second how many were left out.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use plc_connector::{
    api::{
        limits,
        log::{LogCounts, LogLevel, LogMessage},
        plc::PlcStatus,
    },
    ide::value::Value,
    session::{Session, Supervisor},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use crate::lanes::{Reader, Snapshots};

/// Messages of the PLC log that are told in one second.
pub const MESSAGES_PER_SECOND: u32 = 50;

/// Those seconds.
const WINDOW: Duration = Duration::from_secs(1);

/// Events that wait to be taken; then no more are made, and changes of the status between two events are passed over.
const WAITING: usize = 8;

/// Pause after the supervisor could not be reached; a session has had its patience then.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

// One question for each level is enough.
const _: () = assert!(MESSAGES_PER_SECOND <= limits::LOG_REPLY_MESSAGES);

/// Something to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// `status` or `log`; the PLC's name and a dot belong before it.
    pub topic: &'static str,
    /// See the module.
    pub arguments: Vec<Value>,
}

/// The topic of the status.
pub const STATUS: &str = "status";

/// The topic of the log.
pub const LOG: &str = "log";

/// Watches the PLC until this is dropped.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
    _tasks: JoinSet<()>,
}

impl Events {
    /// Events by an API connection of its own.
    #[must_use]
    pub fn new(supervisor: Arc<Supervisor>) -> Self {
        let session = Session::new(supervisor, "events".to_owned(), None, None);
        let mut tasks = JoinSet::new();
        let reader = Reader::begin(session, &mut tasks);
        Self::watching(reader, tasks)
    }

    /// Events by a connection that there is already.
    #[must_use]
    pub fn of(reader: Reader) -> Self {
        Self::watching(reader, JoinSet::new())
    }

    fn watching(reader: Reader, mut tasks: JoinSet<()>) -> Self {
        let (out, events) = mpsc::channel(WAITING);
        let publisher = Publisher { reader, out, told: None, next: None, rate: Rate::begin() };
        tasks.spawn(publisher.run());
        Self { events, _tasks: tasks }
    }

    /// Waits for the next event.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => event,
            // The lane has ended, and whoever holds this is about to.
            None => std::future::pending().await,
        }
    }
}

/// Nobody takes events any more.
struct Over;

struct Publisher {
    reader: Reader,
    out: mpsc::Sender<Event>,
    told: Option<(PlcStatus, Option<String>)>,
    /// For each level, the id of the first message that is news; `None` before the first snapshot.
    next: Option<LogCounts>,
    rate: Rate,
}

impl Publisher {
    async fn run(mut self) {
        loop {
            let watched = match self.reader.snapshots().await {
                Ok(mut snapshots) => self.follow(&mut snapshots).await,
                Err(error) => self.nobody_knows(error.to_string()).await,
            };
            if watched.is_err() {
                return;
            }
        }
    }

    /// Tells what changes until that connection ends.
    async fn follow(&mut self, snapshots: &mut Snapshots) -> Result<(), Over> {
        loop {
            let snapshot = snapshots.borrow_and_update().clone();
            self.status(snapshot.status, snapshot.reason.clone()).await?;
            self.log(snapshot.log_counts).await?;
            tokio::select! {
                changed = snapshots.changed() => if changed.is_err() {
                    return Ok(());
                },
                left_out = self.rate.overflow() => self.left_out(left_out).await?,
            }
        }
    }

    /// As IDEs are told when they ask.
    async fn nobody_knows(&mut self, reason: String) -> Result<(), Over> {
        self.status(PlcStatus::Broken, Some(reason)).await?;
        sleep(RETRY_PAUSE).await;
        Ok(())
    }

    async fn status(&mut self, status: PlcStatus, reason: Option<String>) -> Result<(), Over> {
        let now = (status, reason);
        if self.told.as_ref() == Some(&now) {
            return Ok(());
        }
        let reason = now.1.as_deref().map_or(Value::None, Value::text);
        self.tell(STATUS, vec![Value::text(status.as_str()), reason]).await?;
        self.told = Some(now);
        Ok(())
    }

    /// Tells the messages up to these counts.
    async fn log(&mut self, counts: LogCounts) -> Result<(), Over> {
        // What was there before is no news.
        let next = *self.next.get_or_insert(counts);
        let mut messages = Vec::new();
        for ((level, from), end) in LogLevel::ALL.into_iter().zip(next).zip(counts) {
            // Fewer than there were: the log was emptied, and ids began at 0 again.
            let from = if end < from { 0 } else { from };
            messages.extend(self.read(level, from, end).await);
        }
        self.next = Some(counts);
        messages.sort_by_key(|message: &LogMessage| message.time_us);
        for message in messages {
            self.tell(LOG, arguments(message)).await?;
        }
        Ok(())
    }

    /// The messages with these ids, as many as may be told; counts the others.
    async fn read(&mut self, level: LogLevel, from: u32, end: u32) -> Vec<LogMessage> {
        if from == end {
            return Vec::new();
        }
        let room = self.rate.room();
        let mut messages = match room {
            0 => Vec::new(),
            _ => self.reader.log(level, from, room).await.unwrap_or_default(),
        };
        messages.retain(|message| message.id < end);
        let told = u32::try_from(messages.len()).unwrap_or(u32::MAX);
        self.rate.told(told, (end - from).saturating_sub(told));
        messages
    }

    async fn left_out(&self, count: u32) -> Result<(), Over> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = format!(
            "{count} messages are not told here, where there is room for {MESSAGES_PER_SECOND} in a second; \
             GetLogMessage reads them"
        );
        let level = LogLevel::Warning.number().into();
        let now = i128::try_from(now.as_micros()).unwrap_or_default();
        let arguments = [Value::Int(level), Value::None, Value::Int(now), Value::None];
        self.tell(LOG, [&arguments[..], &[Value::Text(text)]].concat()).await
    }

    async fn tell(&self, topic: &'static str, arguments: Vec<Value>) -> Result<(), Over> {
        self.out.send(Event { topic, arguments }).await.map_err(|_| Over)
    }
}

fn arguments(message: LogMessage) -> Vec<Value> {
    vec![
        Value::Int(message.level.number().into()),
        message.id.into(),
        Value::Int(message.time_us.into()),
        message.tick.into(),
        Value::Text(message.text),
    ]
}

/// How much of the log may be told.
struct Rate {
    ends: Instant,
    told: u32,
    left_out: u32,
}

impl Rate {
    fn begin() -> Self {
        Self { ends: Instant::now() + WINDOW, told: 0, left_out: 0 }
    }

    /// Messages that may be told now.
    fn room(&mut self) -> u32 {
        // A second whose overflow was not told yet is not over.
        if Instant::now() >= self.ends && self.left_out == 0 {
            *self = Self::begin();
        }
        MESSAGES_PER_SECOND.saturating_sub(self.told)
    }

    const fn told(&mut self, messages: u32, left_out: u32) {
        self.told += messages;
        self.left_out = self.left_out.saturating_add(left_out);
    }

    /// Waits for the end of a second with too many; how many were left out.
    async fn overflow(&mut self) -> u32 {
        if self.left_out == 0 {
            return std::future::pending().await;
        }
        sleep_until(self.ends).await;
        let left_out = self.left_out;
        *self = Self::begin();
        left_out
    }
}
