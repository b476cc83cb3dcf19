// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker's two channels to the supervisor, shared by its threads.

use std::{
    fs::File,
    io,
    os::unix::net::UnixStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use plc_api::log::LogLevel;
use plc_worker_link::{
    Data, FromWorker, Outcome,
    wire::{self, WireError},
};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::threads::lock;

/// Moves the control channel away from standard input, where the program would find it, and puts `/dev/null`
/// in its place.
///
/// # Errors
/// Standard input is not a Unix stream socket, or whatever the system says.
pub(crate) fn take_standard_input() -> io::Result<UnixStream> {
    let stdin = io::stdin();
    if sockopt::socket_domain(&stdin)? != AddressFamily::UNIX
        || sockopt::socket_type(&stdin)? != SocketType::STREAM
    {
        return Err(io::Error::other("it is another kind of socket"));
    }
    // Never one of the three standard descriptors, and closed in whatever the program executes.
    let channel = rustix::io::fcntl_dupfd_cloexec(&stdin, 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let channel = UnixStream::from(channel);
    channel.set_nonblocking(false)?;
    Ok(channel)
}

/// The writing side of the control channel.
#[derive(Clone, Debug)]
pub(crate) struct Supervisor(Arc<Mutex<UnixStream>>);

impl Supervisor {
    pub(crate) fn new(channel: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(channel)))
    }

    /// Sends one message, waiting until the channel takes it.
    ///
    /// # Errors
    /// The channel ended.
    pub(crate) fn send(&self, message: &FromWorker) -> Result<(), WireError> {
        wire::send(&*lock(&self.0), message)
    }

    /// Answers an order. That the channel ended is somebody else's to notice.
    pub(crate) fn answer(&self, id: u64, outcome: Outcome) {
        if let Err(error) = self.send(&FromWorker::Outcome { id, outcome }) {
            tracing::debug!(request_id = id, error = error.to_string(), "no answer");
        }
    }

    /// Tells people something. The supervisor writes it to the log; without one it is written here.
    pub(crate) fn notice(&self, level: LogLevel, text: String) {
        let notice = FromWorker::Notice { level, text };
        if self.send(&notice).is_err() {
            if let FromWorker::Notice { text, .. } = notice {
                tracing::warn!("{text}");
            }
        }
    }
}

/// The data channel, on which whole frames of several threads take turns.
#[derive(Clone, Debug)]
pub(crate) struct DataChannel(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Mutex<UnixStream>,
    lost: AtomicBool,
}

impl DataChannel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self(Arc::new(Shared { stream: Mutex::new(stream), lost: AtomicBool::new(false) }))
    }

    /// Sends one message, waiting until the channel takes it. After the first failure everything is discarded:
    /// half a frame may have gone out.
    pub(crate) fn send(&self, message: &Data) {
        if self.0.lost.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = wire::send(&*lock(&self.0.stream), message) {
            self.0.lost.store(true, Ordering::Relaxed);
            tracing::debug!(error = error.to_string(), "the data channel ended");
        }
    }
}
