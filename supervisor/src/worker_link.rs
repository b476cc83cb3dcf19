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

use plc_api::client::{read_frame, write_frame};
use plc_worker_link::{
    Beat, Data, FromWorker, Hello, LINK_VERSION, LoadOrder, Order, Outcome, ToWorker, greeting,
};
use tokio::{
    io::{BufReader, Interest},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};

use crate::{
    journal::Journal,
    publish::Published,
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

/// What a worker, or its end, reports to the driver.
#[derive(Debug)]
pub enum News {
    /// A worker is there and was given its program.
    Up(Worker),
    /// No worker could be had.
    NotUp(String),
    /// The outcome of the order with this id.
    Outcome(u64, Outcome),
    /// A sign of life.
    Beat(Beat),
    /// The process has ended, how is said in words; everything it sent has been read.
    Gone(String),
}

/// Where samples and messages go.
#[derive(Clone, Debug)]
pub struct Sinks {
    /// Samples.
    pub trace: Arc<Mutex<Trace>>,
    /// Messages.
    pub journal: Journal,
    /// The snapshot, whose log counts change.
    pub published: Published,
}

/// The driver's end of a worker.
#[derive(Debug)]
pub struct Worker {
    /// Its process id, for people.
    pub pid: u32,
    orders: mpsc::Sender<ToWorker>,
    killer: Killer,
    next_id: u64,
}

impl Worker {
    /// Sends an order; its outcome comes with the id that is returned. A worker whose channel is full or gone is
    /// killed.
    pub fn order(&mut self, order: Order) -> u64 {
        self.next_id += 1;
        if self.orders.try_send(ToWorker { id: self.next_id, order }).is_err() {
            self.killer.kill();
        }
        self.next_id
    }

    /// Kills it.
    pub fn kill(&self) {
        self.killer.kill();
    }
}

/// Gets a worker, gives it its program, and reports all its news until it is gone. Aborting the task before
/// [`News::Up`] leaves no worker behind.
pub fn start(
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
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                drop((control, child));
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
    async fn serve(self, load: LoadOrder, sinks: Sinks, news: mpsc::Sender<News>) {
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
        let how = self.process.ended().await;
        // All that the worker said before its death comes before the news of it.
        let all_read = async { tokio::join!(&mut hearing, &mut collecting) };
        if timeout(LAST_WORDS, all_read).await.is_err() {
            hearing.abort();
            collecting.abort();
        }
        writing.abort();
        let _ = news.send(News::Gone(how)).await;
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

async fn hear(mut reader: OwnedReadHalf, sinks: Sinks, news: mpsc::Sender<News>, judge: Killer) {
    loop {
        let item = match read_frame(&mut reader).await {
            Ok(FromWorker::Outcome { id, outcome }) => News::Outcome(id, outcome),
            Ok(FromWorker::Beat(beat)) => News::Beat(beat),
            Ok(FromWorker::Notice { level, text }) => {
                sinks.journal.own(level, &text);
                sinks.published.log_counts(sinks.journal.counts());
                continue;
            }
            Err(plc_api::client::CallError::Lost(_)) => {
                // It closed its channel: it is ending, or the program closed it. In neither case is there
                // anything left to say to it.
                return;
            }
            Ok(FromWorker::Hello(_)) | Err(_) => {
                tracing::error!("the worker's message cannot be understood; it is killed");
                judge.kill();
                return;
            }
        };
        if news.send(item).await.is_err() {
            return;
        }
    }
}

async fn collect(mut data: BufReader<UnixStream>, sinks: Sinks) {
    while let Ok(item) = read_frame::<Data>(&mut data).await {
        match item {
            Data::Trace(samples) => {
                sinks.trace.lock().unwrap_or_else(PoisonError::into_inner).push(samples);
            }
            Data::Log(messages) => {
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
        }
    }
}
