// SPDX-License-Identifier: MIT OR Apache-2.0
//! The line to a router: messages out and frames in, both at once, and whether anybody is still there.

use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use futures_util::{
    Sink, StreamExt,
    stream::{SplitSink, SplitStream},
};
use plc_connector::api::wamp::RouterSettings;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message as Frame},
};

use super::{
    dial::{Dialed, SERIALIZER},
    pulse::{Beat, Pulse},
    traffic::{Traffic, Watched},
};
use crate::{
    message::Message,
    websocket::{self, Violation},
};

/// How long it may take to say the last words, and as long to hear those of the other end.
pub(super) const FAREWELL_DEADLINE: Duration = Duration::from_secs(1);

/// Messages that may wait to be sent; then no further frames are read. More than the calls in flight and all
/// registrations together.
const WAITING: usize = 128;

type Socket = WebSocketStream<Watched>;

/// A WebSocket and what waits to be sent through it.
pub(super) struct Line {
    sink: SplitSink<Socket, Frame>,
    stream: SplitStream<Socket>,
    traffic: Arc<Traffic>,
    outgoing: VecDeque<Frame>,
    /// Whether what was handed to the WebSocket has left it.
    flushed: bool,
    pulse: Pulse,
}

/// What has moved on a line.
pub(super) enum Moved {
    /// This came, or nothing will any more.
    Frame(Option<Result<Frame, Error>>),
    /// All that waited has been sent, or nothing can be.
    Sent(Result<(), Error>),
}

impl Line {
    pub(super) fn new(dialed: Dialed, settings: &RouterSettings) -> Self {
        let (sink, stream) = dialed.socket.split();
        Self {
            sink,
            stream,
            traffic: dialed.traffic,
            outgoing: VecDeque::new(),
            flushed: true,
            pulse: Pulse::new(settings.ping_interval_ms, settings.ping_timeout_ms),
        }
    }

    /// Has a message sent in its turn.
    pub(super) fn send(&mut self, message: Message) {
        self.outgoing.push_back(websocket::frame(SERIALIZER, message));
    }

    /// Whether nothing waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.flushed && self.outgoing.is_empty()
    }

    /// Whether answers may be added to what waits.
    pub(super) fn has_room(&self) -> bool {
        self.outgoing.len() < WAITING
    }

    /// Feels the pulse, and pings if need be; when to do so again.
    ///
    /// # Errors
    /// When the other end is gone; what it did not do.
    pub(super) fn beat(&mut self) -> Result<Instant, &'static str> {
        let (read, written) = (self.traffic.read(), self.traffic.written());
        let pending = !self.is_idle();
        match self.pulse.beat(Instant::now(), read, written, pending) {
            Beat::Wait(until) => Ok(until),
            Beat::Ping => {
                self.outgoing.push_back(Frame::Ping(Vec::new().into()));
                Ok(Instant::now())
            }
            Beat::Silent => Err("has not answered a ping"),
            Beat::Stuck => Err("does not take what is sent"),
        }
    }

    /// Waits until something moves.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(super) async fn moved(&mut self) -> Moved {
        let (pending, room) = (!self.is_idle(), self.has_room());
        let Self { sink, stream, outgoing, flushed, .. } = self;
        tokio::select! {
            frame = stream.next(), if room => Moved::Frame(frame),
            sent = drain(sink, outgoing, flushed), if pending => Moved::Sent(sent),
        }
    }

    /// Closes the line, with this reason if it is open still.
    pub(super) async fn close(&mut self, why: Option<Violation>) {
        if let Some(why) = why {
            self.outgoing.push_back(Frame::Close(Some(why.close_frame())));
        }
        let last = drain(&mut self.sink, &mut self.outgoing, &mut self.flushed);
        // A connection that does not take it is dropped without a word.
        let _ = timeout(FAREWELL_DEADLINE, last).await;
    }
}

/// Sends all that waits. Cancel safe: a message leaves the queue when it is taken.
async fn drain(
    sink: &mut SplitSink<Socket, Frame>,
    outgoing: &mut VecDeque<Frame>,
    flushed: &mut bool,
) -> Result<(), Error> {
    poll_fn(|context| {
        while !outgoing.is_empty() {
            ready!(Pin::new(&mut *sink).poll_ready(context))?;
            if let Some(frame) = outgoing.pop_front() {
                *flushed = false;
                Pin::new(&mut *sink).start_send(frame)?;
            }
        }
        ready!(Pin::new(&mut *sink).poll_flush(context))?;
        *flushed = true;
        Poll::Ready(Ok(()))
    })
    .await
}
