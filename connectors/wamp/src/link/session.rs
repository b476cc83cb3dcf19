// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection to a router, from the greeting to the farewell.

use std::{pin::Pin, sync::Arc, time::Duration};

use plc_connector::{api::wamp::RouterSettings, limited, session::Supervisor};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_tungstenite::tungstenite::{
    Error, Message as Frame, protocol::CloseFrame, protocol::frame::coding::CloseCode,
};

use super::{
    End, Leave,
    dial::{Dialed, SERIALIZER},
    line::{FAREWELL_DEADLINE, Line, Moved},
    report::Report,
};
use crate::{
    backoff::Backoff,
    callee::{self, Callee, Over, Step},
    events::{Event, Events},
    lanes::{Asked, Finished, Lanes},
    message::Message,
    procedure::{self, CallError, uri},
    quote::quotable,
    websocket::{self, Violation},
};

/// How long the router may take to let us in, and to answer registrations.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// How long after it was registered, and then how often, it is checked whether calls by this PLC's name reach it still.
const FIRST_CHECK: Duration = Duration::from_secs(3);
const CHECK_PERIOD: Duration = Duration::from_secs(60);

/// Pauses before what the router refused is asked for again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A connection to a router while it lasts.
pub(super) struct Session<'a> {
    supervisor: &'a Arc<Supervisor>,
    settings: &'a RouterSettings,
    report: &'a Report,
    /// Reset when the router has let us in.
    backoff: &'a mut Backoff,
    line: Line,
    callee: Callee,
    /// Until when the router has to answer.
    deadline: Option<Instant>,
    /// When refused registrations are asked for again, and the pauses in between.
    retry_at: Option<Instant>,
    retries: Backoff,
    /// Until when a PLC that has the name may answer.
    probe_until: Option<Instant>,
    /// When the name is checked again.
    check_at: Option<Instant>,
    /// From the moment the router has let us in.
    joined: Option<Joined>,
}

/// What there is in a realm.
struct Joined {
    lanes: Lanes,
    outcomes: mpsc::Receiver<Finished>,
    events: Events,
}

/// What comes next.
enum Next {
    Moved(Moved),
    Finished(Option<Finished>),
    Event(Event),
    Time,
    Leave(Leave),
}

impl<'a> Session<'a> {
    /// Begins a session on a fresh connection.
    pub(super) fn new(
        supervisor: &'a Arc<Supervisor>,
        settings: &'a RouterSettings,
        report: &'a Report,
        backoff: &'a mut Backoff,
        dialed: Dialed,
    ) -> Self {
        let (callee, hello) = Callee::new(settings.clone());
        let mut line = Line::new(dialed, settings);
        line.send(hello);
        Self {
            supervisor,
            settings,
            report,
            backoff,
            line,
            callee,
            deadline: Some(Instant::now() + ANSWER_DEADLINE),
            retry_at: None,
            retries: Backoff::new(FIRST_RETRY, LONGEST_RETRY),
            probe_until: None,
            check_at: None,
            joined: None,
        }
    }

    /// Serves the PLC at the router until `leave`, or until something fails.
    pub(super) async fn run(mut self, mut leave: Pin<&mut impl Future<Output = Leave>>) -> End {
        loop {
            let wake = match self.beat() {
                Ok(wake) => wake,
                Err(reason) => return End::Failed(reason),
            };
            let next = self.next(wake, leave.as_mut()).await;
            let done = match next {
                Next::Moved(Moved::Frame(frame)) => self.received(frame),
                Next::Moved(Moved::Sent(sent)) => sent.map_err(|error| self.broken(&error)),
                Next::Finished(finished) => {
                    self.answer(finished);
                    Ok(())
                }
                Next::Event(Event { topic, arguments }) => {
                    let event = self.callee.publish(topic, arguments);
                    self.line.send(event);
                    Ok(())
                }
                Next::Time => self.timers(),
                Next::Leave(why) => {
                    self.leave().await;
                    return End::Left(why);
                }
            };
            if let Err(failure) = done {
                return self.end(failure).await;
            }
        }
    }

    /// Waits for whatever comes first.
    async fn next(&mut self, wake: Instant, leave: Pin<&mut impl Future<Output = Leave>>) -> Next {
        let (idle, room) = (self.line.is_idle(), self.line.has_room());
        let (outcomes, events) = match &mut self.joined {
            Some(Joined { outcomes, events, .. }) => (Some(outcomes), Some(events)),
            None => (None, None),
        };
        tokio::select! {
            moved = self.line.moved() => Next::Moved(moved),
            Some(finished) = optional(outcomes.map(mpsc::Receiver::recv)), if room => Next::Finished(finished),
            // An event waits for a free line, and while it waits its maker passes over older ones.
            Some(event) = optional(events.map(Events::next)), if idle => Next::Event(event),
            () = sleep_until(wake) => Next::Time,
            why = leave => Next::Leave(why),
        }
    }

    /// Feels the pulse; when to do so again, or to do something else.
    fn beat(&mut self) -> Result<Instant, String> {
        let dead =
            |what| format!("{} {what}; see to the network and the router", self.settings.url);
        let wake = self.line.beat().map_err(dead)?;
        let timers = [self.deadline, self.retry_at, self.probe_until, self.check_at];
        Ok(timers.into_iter().flatten().fold(wake, Instant::min))
    }

    fn timers(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            let what = if self.joined.is_some() { "a registration" } else { "the greeting" };
            let reason = format!("the router does not answer {what}; see the router's log");
            return Err(Failure::silent(reason));
        }
        if self.retry_at.is_some_and(|at| now >= at) {
            self.retry_at = None;
            self.deadline = Some(now + ANSWER_DEADLINE);
            let again = self.callee.retry();
            again.into_iter().for_each(|message| self.line.send(message));
        }
        if self.check_at.is_some_and(|at| now >= at) {
            self.check_at = Some(now + CHECK_PERIOD);
            let probe = self.callee.probe();
            self.line.send(probe);
        }
        if self.probe_until.is_some_and(|until| now >= until) {
            self.probe_until = None;
            let steps = self.callee.nobody_answers()?;
            steps.into_iter().for_each(|step| self.step(step));
        }
        self.time_probe();
        Ok(())
    }

    /// Sets how long a probe that has just begun is waited for.
    fn time_probe(&mut self) {
        self.probe_until = self
            .callee
            .is_probing()
            .then(|| self.probe_until.unwrap_or_else(|| Instant::now() + callee::PATIENCE));
    }

    fn received(&mut self, frame: Option<Result<Frame, Error>>) -> Result<(), Failure> {
        let frame = match frame {
            Some(Ok(Frame::Close(frame))) => return Err(closed(frame)),
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Err(self.broken(&error)),
            None => return Err(closed(None)),
        };
        let message = websocket::message(SERIALIZER, &frame).map_err(Failure::violation)?;
        drop(frame);
        let Some(message) = message else { return Ok(()) };
        for step in self.callee.receive(message)? {
            self.step(step);
        }
        self.time_probe();
        Ok(())
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Send(message) => self.line.send(message),
            Step::Joined => {
                self.backoff.reset();
                let (supervisor, peer) = (self.supervisor.clone(), self.settings.url.clone());
                let (lanes, outcomes) = Lanes::new(supervisor, peer, None);
                let events = Events::of(lanes.reader());
                self.joined = Some(Joined { lanes, outcomes, events });
                self.deadline = Some(Instant::now() + ANSWER_DEADLINE);
                self.report.joined();
            }
            Step::Registrations => self.registrations(),
            Step::Call { request, method, call } => {
                let Some(joined) = &self.joined else { return };
                if let Err(busy) = joined.lanes.submit(Asked { ticket: request, method, call }) {
                    let error = CallError::new(uri::UNAVAILABLE, busy.to_string());
                    self.line.send(callee::answer(request, Err(error)));
                }
            }
        }
    }

    /// The router has answered a registration.
    fn registrations(&mut self) {
        let asking = self.callee.is_asking();
        self.deadline = asking.then(|| Instant::now() + ANSWER_DEADLINE);
        let trouble = self.callee.trouble();
        if trouble.is_some() && !asking {
            self.retry_at = Some(Instant::now() + self.retries.pause());
        }
        let count = self.callee.registrations();
        if count > 0 && !asking && self.check_at.is_none() {
            self.check_at = Some(Instant::now() + FIRST_CHECK);
        }
        self.report.registered(count, trouble);
    }

    fn answer(&mut self, finished: Option<Finished>) {
        // The lanes end with this session and not before it.
        let Some(Finished { ticket, method, outcome }) = finished else { return };
        self.line.send(callee::answer(ticket, procedure::answer(method, outcome)));
    }

    /// What a failed read or write means.
    fn broken(&self, error: &Error) -> Failure {
        match Violation::of_error(error) {
            Some(violation) => Failure::violation(violation),
            None => Failure::silent(format!(
                "the connection to {} was lost ({}); it is made again",
                self.settings.url,
                quotable(&error.to_string())
            )),
        }
    }

    /// Says what is still to be said after a failure.
    async fn end(mut self, failure: Failure) -> End {
        let Failure { reason, last, close } = failure;
        if let Some(message) = last {
            self.line.send(*message);
        }
        self.line.close(close).await;
        End::Failed(reason)
    }

    /// Leaves, and gives the router a moment to say goodbye too.
    async fn leave(mut self) {
        self.line.send(callee::goodbye());
        let farewell = async {
            loop {
                let frame = match self.line.moved().await {
                    Moved::Frame(Some(Ok(frame))) => frame,
                    Moved::Sent(Ok(())) => continue,
                    Moved::Frame(Some(Err(_)) | None) | Moved::Sent(Err(_)) => return,
                };
                let message = websocket::message(SERIALIZER, &frame);
                if matches!(message, Ok(Some(Message::Goodbye { .. })) | Err(_)) {
                    return;
                }
            }
        };
        // Who does not answer is left all the same.
        let _ = timeout(FAREWELL_DEADLINE, farewell).await;
        self.line.close(Some(Violation::new(CloseCode::Normal, ""))).await;
    }
}

/// Why a session cannot go on.
struct Failure {
    reason: String,
    /// To be said before the connection is closed.
    last: Option<Box<Message>>,
    /// How it is closed; `None` if it is closed already, or dead.
    close: Option<Violation>,
}

impl Failure {
    fn silent(reason: String) -> Self {
        Self { reason, last: None, close: None }
    }

    fn violation(violation: Violation) -> Self {
        let what = quotable(&violation.reason);
        limited!(warn, code = u16::from(violation.code), "the router sent what it may not: {what}");
        let reason = format!("the router sent what it may not ({what}); see the router's log");
        Self { reason, last: None, close: Some(violation) }
    }
}

impl From<Over> for Failure {
    fn from(Over { reason, last }: Over) -> Self {
        let code = match last.as_deref() {
            Some(Message::Abort { .. }) => CloseCode::Protocol,
            _ => CloseCode::Normal,
        };
        Self { reason, last, close: Some(Violation::new(code, "")) }
    }
}

fn closed(frame: Option<CloseFrame>) -> Failure {
    let said = match frame {
        Some(CloseFrame { code, reason }) if reason.is_empty() => format!(" (code {code})"),
        Some(CloseFrame { code, reason }) => format!(" (code {code}: {})", quotable(&reason)),
        None => String::new(),
    };
    Failure::silent(format!("the router closed the connection{said}; it is made again"))
}

/// Waits for what may not be there; without it, for ever.
async fn optional<T>(wait: Option<impl Future<Output = T>>) -> Option<T> {
    match wait {
        Some(wait) => Some(wait.await),
        None => std::future::pending().await,
    }
}
