// SPDX-License-Identifier: MIT OR Apache-2.0
//! Direct mode: an IDE comes straight to this PLC, and finds here what it would find at a router.
//!
//! A connection is HTTP first, then a WebSocket, then a WAMP session; [`Dealer`] holds the session, and this module does
//! the waiting. Each stage has a deadline, each peer's memory a bound, and each end a close code: 1000 after a goodbye,
//! 1002, 1003, 1007, 1009 for what breaks the protocol (RFC 6455, 7.4.1), 1008 for who may not come in or stay.

mod handshake;
mod keys;
mod opening;
mod watch;

use std::{io, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use plc_connector::{
    api::{key::ApiKey, limits},
    ide::value::Value,
    intake::{self, FIRST_BYTES_DEADLINE},
    limited,
    places::Standing,
    serve::{Connection, Ended},
    session::Session,
};
use plc_journal::message_id::ACCESS_REFUSED;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message as Frame,
        error::ProtocolError,
        protocol::{Role, frame::coding::CloseCode},
    },
};
use tracing::info;

use crate::{
    dealer::{Dealer, Fresh, Left, Step},
    events::{Event, Events},
    lanes::{Finished, Lanes},
    message::{Dict, Message},
    procedure::uri,
    serializer::Serializer,
    websocket::{self, Violation},
};
use handshake::Refused;
pub use keys::Keys;
use opening::{NotOpened, open, tell};
use watch::Watch;

/// A peer that was silent for this long is asked whether it is there. One that stopped in the middle of a message cannot
/// say so.
const SILENCE: Duration = Duration::from_secs(30);

/// How long it may take to answer; behind the longest message, over a bad line.
const ANSWER: Duration = Duration::from_secs(90);

/// How long a peer may take to say goodbye, and to close the connection.
const FAREWELL: Duration = Duration::from_secs(1);

/// Pause before a peer learns that it is refused: who guesses a secret may do so once in this time.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// Why a conversation ended before the peer ended it.
#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The same, as the WebSocket sees it.
    #[error("the connection broke: {0}")]
    WebSocket(String),
    /// The peer does not join.
    #[error("the peer does not say who it is within {} s", FIRST_BYTES_DEADLINE.as_secs())]
    NotJoined,
    /// The peer does nothing, not even when it was asked whether it is there.
    #[error("the peer is silent")]
    Silent,
    /// The peer does not keep to the protocol.
    #[error("{}", .0.reason)]
    Violated(Violation),
    /// The peer may not stay.
    #[error("{0}")]
    Revoked(String),
    /// The peer may not come in.
    #[error("{0}")]
    Refused(String),
}

impl From<Error> for DirectError {
    fn from(error: Error) -> Self {
        match Violation::of_error(&error) {
            Some(violation) => Self::Violated(violation),
            None => Self::WebSocket(error.to_string()),
        }
    }
}

impl DirectError {
    /// How the WebSocket is closed; `None` if there is none any more.
    fn farewell(&self) -> Option<Violation> {
        match self {
            Self::Io(_) | Self::WebSocket(_) => None,
            Self::Violated(violation) => Some(violation.clone()),
            Self::NotJoined | Self::Silent | Self::Revoked(_) | Self::Refused(_) => {
                Some(Violation::new(CloseCode::Policy, self.to_string()))
            }
        }
    }
}

/// Serves one connection; these keys count where the configuration says so.
///
/// # Errors
/// What ended the conversation. A peer that may not come in is logged and is no error.
pub async fn serve(connection: Connection, keys: Keys) -> Ended {
    let Connection { stream, caller } = connection;
    let standing = caller.standing().clone();
    Ok(converse(stream, standing, &keys, caller.session(None), caller.session(None)).await?)
}

/// Talks with the IDE at the other end of `stream` until it leaves. Both sessions speak for it, until it has joined with
/// a key; then others do, which end with that key. It is settled when it has joined: who only listens to events never
/// makes a call.
///
/// # Errors
/// Every [`DirectError`]; the connection is of no use then.
pub async fn converse<S>(
    mut stream: S,
    standing: Standing,
    keys: &Keys,
    orders: Session,
    reads: Session,
) -> Result<(), DirectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let peer = orders.peer().to_owned();
    let keyless = orders.with_key(None);
    let (lanes, outcomes) = Lanes::of(orders, reads);
    let (watch, serializer, rest) = match open(&mut stream, lanes.reader()).await {
        Ok(opened) => opened,
        Err(NotOpened::Left) => return Ok(()),
        Err(NotOpened::Io(error)) => return Err(error.into()),
        Err(NotOpened::Refused(refused)) => {
            tell(&peer, &refused);
            intake::send(&mut stream, &refused.response()).await?;
            drain(&mut stream).await;
            return Ok(());
        }
    };
    let config = Some(websocket::config());
    let socket = WebSocketStream::from_partially_read(stream, rest, Role::Server, config).await;
    let keys = if watch.settings.keys { keys.current().await } else { Some(Arc::default()) };
    let Some(keys) = keys else {
        let refused = Refused::unavailable("the keys of this PLC cannot be read; see its disk");
        tell(&peer, &refused);
        return Ok(());
    };
    let dealer = Dealer::new(watch.settings.clone(), keys, fresh()?);
    let patience = Patience::new(FIRST_BYTES_DEADLINE, Then::End);
    let newcomer = Some(standing);
    let events = None;
    let talk =
        Talk { socket, serializer, dealer, newcomer, keyless, lanes, outcomes, events, patience };
    let result = talk.run(watch).await;
    if let Err(DirectError::Refused(reason) | DirectError::Revoked(reason)) = result {
        limited!(warn, message_id = ACCESS_REFUSED, %peer, "{peer} refused: {reason}");
        return Ok(());
    }
    result
}

fn fresh() -> io::Result<Fresh> {
    let (mut session, mut nonce) = ([0; 8], [0; 16]);
    getrandom::fill(&mut session)?;
    getrandom::fill(&mut nonce)?;
    // From 1 to 2^53.
    Ok(Fresh { session: (u64::from_be_bytes(session) >> 11) + 1, nonce })
}

/// Lets the peer close the connection first: what is sent to a socket with unread bytes in it may be lost.
async fn drain<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let draining = async {
        stream.shutdown().await?;
        tokio::io::copy(stream, &mut tokio::io::sink()).await
    };
    // Whichever way that ends, nothing follows.
    let _ = timeout(FAREWELL, draining).await;
}

/// What a conversation waits for.
enum Happened {
    Frame(Option<Result<Frame, Error>>),
    Finished(Finished),
    Event(Event),
    MustLeave(String),
    PatienceIsOver,
}

/// How long the peer's next frame is waited for.
struct Patience {
    until: Instant,
    then: Then,
}

/// What follows.
#[derive(Clone, Copy)]
enum Then {
    Ask,
    End,
}

impl Patience {
    fn new(time: Duration, then: Then) -> Self {
        Self { until: Instant::now() + time, then }
    }
}

/// Whether a conversation goes on.
#[derive(PartialEq)]
enum Next {
    GoOn,
    Over,
}

struct Talk<S> {
    socket: WebSocketStream<S>,
    serializer: Serializer,
    dealer: Dealer,
    /// Until the peer has joined.
    newcomer: Option<Standing>,
    /// What sessions with a key are made of.
    keyless: Session,
    lanes: Lanes,
    outcomes: mpsc::Receiver<Finished>,
    /// While the peer has subscribed to some.
    events: Option<Events>,
    patience: Patience,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk<S> {
    async fn run(mut self, watch: Watch) -> Result<(), DirectError> {
        let result = self.talk(watch).await;
        let farewell = match &result {
            Ok(()) => Some(Violation::new(CloseCode::Normal, "")),
            Err(error) => error.farewell(),
        };
        if let Some(farewell) = farewell {
            // It is closed already if the peer did so.
            let _ = timeout(FAREWELL, self.socket.close(Some(farewell.close_frame()))).await;
            drain(self.socket.get_mut()).await;
        }
        result
    }

    async fn talk(&mut self, watch: Watch) -> Result<(), DirectError> {
        let settings = watch.settings.clone();
        let mut must_leave = Box::pin(watch.over());
        let mut revoked = None;
        loop {
            let happened = tokio::select! {
                frame = self.socket.next() => Happened::Frame(frame),
                Some(finished) = self.outcomes.recv() => Happened::Finished(finished),
                event = next(&mut self.events) => Happened::Event(event),
                reason = &mut must_leave, if revoked.is_none() => Happened::MustLeave(reason),
                () = sleep_until(self.patience.until) => Happened::PatienceIsOver,
            };
            let next = match happened {
                Happened::Frame(frame) => self.frame(frame).await?,
                Happened::Finished(finished) => {
                    let answer = self.dealer.finished(finished);
                    self.send(answer).await?
                }
                Happened::Event(event) => {
                    let events = self.dealer.event(event);
                    self.send(events).await?
                }
                Happened::MustLeave(reason) => {
                    let Some(goodbye) = self.dealer.leave(&reason) else {
                        return Err(DirectError::Revoked(reason));
                    };
                    revoked = Some(reason);
                    self.patience = Patience::new(FAREWELL, Then::End);
                    self.send([goodbye]).await?
                }
                Happened::PatienceIsOver if revoked.is_none() => self.ask().await?,
                Happened::PatienceIsOver => Next::Over,
            };
            if let Some(key) = self.dealer.take_key() {
                self.use_key(&key);
                must_leave = Box::pin(Watch::of(settings.clone(), self.lanes.reader()).over());
            }
            if next == Next::Over {
                return revoked.map_or(Ok(()), |reason| Err(DirectError::Revoked(reason)));
            }
        }
    }

    /// From now on the supervisor knows whose calls these are, and ends them with the key.
    fn use_key(&mut self, key: &ApiKey) {
        let (id, peer) = (&key.id, self.keyless.peer());
        info!(%peer, identity = %id, "{peer} joined by WAMP with the key of {id}");
        let session = || self.keyless.with_key(Some(key.clone()));
        let (lanes, outcomes) = Lanes::of(session(), session());
        (self.lanes, self.outcomes) = (lanes, outcomes);
    }

    async fn frame(&mut self, frame: Option<Result<Frame, Error>>) -> Result<Next, DirectError> {
        let frame = match frame {
            // The second is how most connections end when an IDE does.
            None | Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) => {
                return Ok(Next::Over);
            }
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(error.into()),
        };
        if matches!(frame, Frame::Ping(_)) {
            // Its pong leaves before anything else is read: whoever only pings and never reads is no living peer.
            in_time(self.socket.flush()).await?;
        }
        let message = websocket::message(self.serializer, &frame);
        drop(frame);
        let steps = message.and_then(|message| match message {
            Some(message) => self.dealer.receive(message),
            None => Ok(Vec::new()),
        });
        match steps {
            Ok(steps) => self.take(steps).await,
            Err(violation) => {
                let details = Dict::of([("message", Value::text(&violation.reason))]);
                let reason = uri::PROTOCOL_VIOLATION.to_owned();
                self.send([Message::Abort { details, reason }]).await?;
                Err(DirectError::Violated(violation))
            }
        }
    }

    async fn take(&mut self, steps: Vec<Step>) -> Result<Next, DirectError> {
        if steps.iter().any(|step| matches!(step, Step::Leave(Left::Refused(_)))) {
            sleep(REFUSAL_PAUSE).await;
        }
        if let Some(newcomer) = self.newcomer.take_if(|_| self.dealer.is_joined()) {
            newcomer.settle();
        }
        for step in steps {
            match step {
                Step::Send(message) => {
                    self.send([message]).await?;
                }
                Step::Ask(asked) => {
                    let ticket = asked.ticket;
                    if let Err(busy) = self.lanes.submit(asked) {
                        self.send([self.dealer.busy(ticket, busy)]).await?;
                    }
                }
                Step::Leave(Left::Orderly) => return Ok(Next::Over),
                Step::Leave(Left::Refused(reason)) => return Err(DirectError::Refused(reason)),
            }
        }
        if self.dealer.is_joined() {
            self.patience = Patience::new(SILENCE, Then::Ask);
        }
        match (&self.events, self.dealer.wants_events()) {
            (None, true) => self.events = Some(Events::of(self.lanes.reader())),
            (Some(_), false) => self.events = None,
            _ => {}
        }
        Ok(Next::GoOn)
    }

    /// Asks a silent peer whether it is there.
    async fn ask(&mut self) -> Result<Next, DirectError> {
        match self.patience.then {
            Then::Ask => {
                self.patience = Patience::new(ANSWER, Then::End);
                self.send_frame(Frame::Ping(Vec::new().into())).await?;
                Ok(Next::GoOn)
            }
            Then::End if self.dealer.is_joined() => Err(DirectError::Silent),
            Then::End => Err(DirectError::NotJoined),
        }
    }

    async fn send(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<Next, DirectError> {
        for message in messages {
            self.send_frame(websocket::frame(self.serializer, message)).await?;
        }
        Ok(Next::GoOn)
    }

    /// Sends; a peer that does not take it counts as gone.
    async fn send_frame(&mut self, frame: Frame) -> Result<(), DirectError> {
        in_time(self.socket.send(frame)).await
    }
}

async fn in_time(sending: impl Future<Output = Result<(), Error>>) -> Result<(), DirectError> {
    let sent = timeout(limits::FRAME_DEADLINE, sending).await;
    Ok(sent.map_err(io::Error::from)??)
}

async fn next(events: &mut Option<Events>) -> Event {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}
