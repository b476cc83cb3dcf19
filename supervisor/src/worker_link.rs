// SPDX-License-Identifier: MIT OR Apache-2.0
//! The conversation with one worker: greeting, orders out, news in.
//!
//! News of the PLC's state goes to the driver, in order; samples and messages go straight where they are kept.
//! A worker that talks nonsense is killed: then its death is the news.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plc_api::{
    client::{CallError, read_frame, write_frame},
    frame::FrameError,
};
use plc_worker_link::{
    Beat, Data, Ended, FromWorker, Hello, LINK_VERSION, LoadOrder, Order, Outcome, ToWorker,
    ended::TAIL_BYTES, greeting,
};
use tokio::{
    io::{BufReader, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::Child,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    end::End,
    journal::Journal,
    publish::Published,
    tail::Tail,
    trace::Trace,
    worker_process::{Killer, Launch, Launched, WorkerProcess},
};

/// Orders that wait for a worker that does not read; more and it counts as frozen.
const ORDERS: usize = 64;
/// How long a fresh worker may take to greet.
const GREETING_DEADLINE: Duration = Duration::from_secs(10);
/// How long to wait before asking again for a worker while the former one still holds the lock; twice as long
/// each time, up to the second.
const RETRY: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(400));
/// How long what a dead worker has sent may take to be read; a child it forked may keep the channel open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// The same of a worker whose end the service manager reports, after it has ended what the program forked: on a slow
/// machine that has run out of memory this takes seconds.
const REPORT: Duration = Duration::from_secs(10);

/// What a worker, or its end, reports to the driver.
#[derive(Debug)]
pub(crate) enum News {
    /// A worker is there and was given its program.
    Up(Worker),
    /// No worker could be had.
    NotUp(String),
    /// The outcome of the order with this id.
    Outcome(u64, Outcome),
    /// A sign of life.
    Beat(Beat),
    /// It has got a fatal signal; its end may take as long as its core dump.
    Dying,
    /// The process has ended so; everything it sent has been read.
    Gone(End),
}

/// Where samples and messages go.
#[derive(Clone, Debug)]
pub(crate) struct Sinks {
    /// Samples.
    pub trace: Arc<Mutex<Trace>>,
    /// Messages.
    pub journal: Journal,
    /// The snapshot, whose log counts change.
    pub published: Published,
}

/// The driver's end of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    /// Its process id, for people.
    pub pid: u32,
    orders: mpsc::Sender<ToWorker>,
    killer: Killer,
    next_id: u64,
}

impl Worker {
    /// Sends an order; its outcome comes with the id that is returned. A worker whose channel is full or gone is
    /// killed.
    pub(crate) fn order(&mut self, order: Order) -> u64 {
        self.next_id += 1;
        if self.orders.try_send(ToWorker { id: self.next_id, order }).is_err() {
            self.killer.kill();
        }
        self.next_id
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        self.killer.kill();
    }
}

/// Gets a worker, gives it its program, and reports all its news until it is gone. Aborting the task before
/// [`News::Up`] leaves no worker behind.
pub(crate) fn start(
    launch: Arc<dyn Launch>,
    load: LoadOrder,
    deadline: Instant,
    sinks: Sinks,
    news: mpsc::Sender<News>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        match greeted(&*launch, deadline).await {
            Ok(greeted) => greeted.serve(load, sinks, news).await,
            Err(error) => {
                let _ = news.send(News::NotUp(error.to_string())).await;
            }
        }
    })
}

struct Greeted {
    control: UnixStream,
    data: UnixStream,
    process: WorkerProcess,
    hello: Hello,
}

/// Launches until a worker greets. One that ends before its greeting found the lock taken: the program before
/// has not ended yet, which is no crash of anybody.
async fn greeted(launch: &dyn Launch, deadline: Instant) -> io::Result<Greeted> {
    let (mut pause, longest) = RETRY;
    loop {
        let Launched { control, child } = launch.launch().await?;
        match timeout(GREETING_DEADLINE, receive_greeting(&control)).await {
            Ok(Ok(greeting)) => {
                let process = WorkerProcess::new(greeting.pidfd, child)?;
                return hello(control, greeting.data, process).await;
            }
            Ok(Err(error)) if is_an_end(&error) => {
                match end_before_greeting(control, child).await {
                    Some(end) if !end.is_busy() => {
                        return Err(io::Error::other(format!("it {}", end.before_greeting())));
                    }
                    None if error.kind() == io::ErrorKind::InvalidData => return Err(error),
                    Some(_) | None => {}
                }
                if Instant::now() + pause > deadline {
                    return Err(io::Error::other("the worker before still has not ended"));
                }
                sleep(pause).await;
                pause = longest.min(2 * pause);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(io::Error::other("the worker did not greet in time")),
        }
    }
}

/// Nothing came, or what came may be the report of its end.
fn is_an_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// How a worker ended that did not greet, if anybody tells.
async fn end_before_greeting(control: UnixStream, child: Option<Child>) -> Option<End> {
    if let Some(mut child) = child {
        drop(control);
        return timeout(REPORT, child.wait()).await.ok()?.ok().map(End::of_child);
    }
    let mut control = Tail::<_, TAIL_BYTES>::new(control);
    let tail = timeout(REPORT, control.read_out()).await.ok()?;
    Ended::find(tail).as_ref().map(End::told)
}

async fn receive_greeting(control: &UnixStream) -> io::Result<greeting::Greeting> {
    loop {
        control.readable().await?;
        match control.try_io(Interest::READABLE, || greeting::receive(control)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

async fn hello(
    mut control: UnixStream,
    data: OwnedFd,
    process: WorkerProcess,
) -> io::Result<Greeted> {
    let data = std::os::unix::net::UnixStream::from(data);
    data.set_nonblocking(true)?;
    let data = UnixStream::from_std(data)?;
    let first = timeout_at(Instant::now() + GREETING_DEADLINE, read_frame(&mut control)).await;
    match first {
        Ok(Ok(FromWorker::Hello(hello))) if hello.link_version == LINK_VERSION => {
            Ok(Greeted { control, data, process, hello })
        }
        Ok(Ok(FromWorker::Hello(hello))) => Err(io::Error::other(format!(
            "the worker of release {} speaks version {} of the link, this supervisor {LINK_VERSION}: \
             restart the service after an upgrade",
            hello.release, hello.link_version
        ))),
        _ => Err(io::Error::other("the worker did not say hello")),
    }
}

impl Greeted {
    async fn serve(mut self, load: LoadOrder, sinks: Sinks, news: mpsc::Sender<News>) {
        let (reader, writer) = self.control.into_split();
        let (orders, queue) = mpsc::channel(ORDERS);
        let killers = (self.process.killer(), self.process.killer());
        let (Ok(killer), Ok(judge)) = killers else {
            let _ = news.send(News::NotUp("out of file descriptors".into())).await;
            return;
        };
        let mut worker = Worker { pid: self.hello.pid, orders, killer, next_id: 0 };
        worker.order(Order::Load(Box::new(load)));
        if news.send(News::Up(worker)).await.is_err() {
            return;
        }
        let writing = tokio::spawn(send_orders(writer, queue));
        let mut hearing = tokio::spawn(hear(reader, sinks.clone(), news.clone(), judge));
        let mut collecting = tokio::spawn(collect(BufReader::new(self.data), sinks));
        let seen = self.process.ended().await;
        // Its silence is no fault any more.
        let _ = news.send(News::Dying).await;
        // All that the worker said before its death comes before the news of it.
        let all_read = async { tokio::join!(&mut hearing, &mut collecting).0.ok().flatten() };
        let patience = if seen.is_some() { LAST_WORDS } else { REPORT };
        let told = timeout(patience, all_read).await;
        if told.is_err() {
            hearing.abort();
            collecting.abort();
        }
        writing.abort();
        let told = || told.ok().flatten().as_ref().map(End::told);
        let end = seen.or_else(told).unwrap_or_else(|| End::Unknown("nobody reported it".into()));
        let _ = news.send(News::Gone(end)).await;
    }
}

async fn send_orders(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<ToWorker>) {
    while let Some(order) = queue.recv().await {
        if write_frame(&mut writer, &order).await.is_err() {
            break;
        }
    }
    // Here the writer is dropped, and the end of its channel tells the worker to stop.
}

/// Hears the worker out, to the end of the channel; the report of its end, if one came.
async fn hear(
    reader: OwnedReadHalf,
    sinks: Sinks,
    news: mpsc::Sender<News>,
    judge: Killer,
) -> Option<Ended> {
    let mut reader = Tail::<_, TAIL_BYTES>::new(reader);
    loop {
        let item = match read_frame(&mut reader).await {
            Ok(FromWorker::Outcome { id, outcome }) => News::Outcome(id, outcome),
            Ok(FromWorker::Beat(beat)) => News::Beat(beat),
            Ok(FromWorker::Dying) => News::Dying,
            Ok(FromWorker::Notice { level, text }) => {
                sinks.journal.worker(level, &text);
                sinks.published.log_counts(sinks.journal.counts());
                continue;
            }
            // It closed its channel: it is ending, or the program closed it. In neither case is there anything left
            // to say to it.
            Ok(FromWorker::Ended(_)) | Err(CallError::Lost(_)) => break,
            Err(CallError::Malformed(FrameError::Unknown(word))) => {
                tracing::debug!(word, "a newer worker says what this release does not know");
                continue;
            }
            Ok(FromWorker::Hello(_)) | Err(_) => {
                // Half a frame of a dying worker looks the same, so it is said only of one that lives.
                if judge.kill() {
                    tracing::error!("the worker's message cannot be understood; it is killed");
                }
                break;
            }
        };
        if news.send(item).await.is_err() {
            break;
        }
    }
    Ended::find(reader.read_out().await)
}

async fn collect(mut data: BufReader<UnixStream>, sinks: Sinks) {
    loop {
        match read_frame(&mut data).await {
            Ok(Data::Trace(samples)) => {
                sinks.trace.lock().unwrap_or_else(PoisonError::into_inner).push(samples);
            }
            Ok(Data::Log(messages)) => {
                for message in messages {
                    sinks.journal.program(
                        message.level,
                        message.tick,
                        message.time_us,
                        &message.text,
                    );
                }
                sinks.published.log_counts(sinks.journal.counts());
            }
            // A newer worker's.
            Err(CallError::Malformed(FrameError::Unknown(_))) => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use plc_api::{log::LogLevel, plc::Snapshot};
    use plc_worker_link::LoggedMessage;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};

    use super::*;

    /// What no release knows.
    #[derive(serde::Serialize)]
    enum Newer {
        Weather { rain: bool },
    }

    fn sinks() -> Sinks {
        let published = Published::new(Snapshot::default());
        Sinks { trace: Arc::default(), journal: Journal::default(), published }
    }

    #[tokio::test]
    async fn what_a_newer_worker_says_besides_is_passed_over() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let judge = WorkerProcess::new(pidfd, None).unwrap().killer().unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (reader, _writer) = ours.into_split();
        let (news, mut told) = mpsc::channel(8);
        let hearing = tokio::spawn(hear(reader, sinks(), news, judge));
        write_frame(&mut theirs, &Newer::Weather { rain: true }).await.unwrap();
        write_frame(&mut theirs, &FromWorker::Dying).await.unwrap();
        assert!(matches!(told.recv().await, Some(News::Dying)));
        drop(theirs);
        assert_eq!(hearing.await.unwrap(), None);
        assert!(child.try_wait().unwrap().is_none(), "it was killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn data_of_a_newer_worker_are_passed_over() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let sinks = sinks();
        let collecting = tokio::spawn(collect(BufReader::new(ours), sinks.clone()));
        write_frame(&mut theirs, &Newer::Weather { rain: false }).await.unwrap();
        let level = LogLevel::Info;
        let message = LoggedMessage { level, tick: 0, time_us: 0, text: b"dry".to_vec().into() };
        write_frame(&mut theirs, &Data::Log(vec![message])).await.unwrap();
        drop(theirs);
        collecting.await.unwrap();
        assert_eq!(sinks.journal.read(level, 0, 1).first().unwrap().text, "dry");
    }
}
