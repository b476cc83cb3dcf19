// SPDX-License-Identifier: MIT OR Apache-2.0
//! The link to a router: dialed, joined, lost, and dialed again, for as long as somebody wants it.
//!
//! ```text
//!        no router                    the pause is over
//!   Off <---------- (settings) <----------------------------- Waiting
//!    |                  |                                      ^ ^ ^
//!    `--- a router -----'--> Connecting -- fails --------------' | |
//!                                |                               | |
//!                             Joining ---- refused, no answer ---' |
//!                                |                                 |
//!                           Registering <-> Ready -- lost ---------'
//! ```
//! `Registering` becomes `Ready` with the last procedure; what the router refuses is asked for again meanwhile. Changed
//! settings and the wish to stop end every state, with a farewell to a router that has let us in. The pauses grow until
//! a router has let us in, so that one that refuses us is not pestered.
//!
//! The supervisor may come and go. Its last settings stay; calls that reach nobody are answered with the reason.

mod control;
mod dial;
mod line;
mod pulse;
mod report;
mod session;
mod traffic;

use std::{pin::Pin, sync::Arc, time::Duration};

use plc_connector::{
    api::wamp::{RouterLink, RouterSettings, WampSettings},
    session::Supervisor,
};
use tokio::{sync::watch, time::sleep};

use crate::backoff::Backoff;
use dial::dial;
use report::Report;
use session::Session;

/// The link of one PLC to its router.
#[derive(Debug)]
pub struct Link {
    supervisor: Arc<Supervisor>,
    /// `None` as long as nobody has been asked.
    settings: watch::Sender<Option<WampSettings>>,
    origin: Origin,
    report: Report,
}

/// Where the settings are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The supervisor has them, and wants to know how it goes.
    Supervisor,
    /// They were given.
    Given,
}

/// Why a link that could go on is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The settings are others now.
    Settings,
    /// Nobody wants it any more.
    Stopped,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// We wanted it to.
    Left(Leave),
    /// It failed, or what came of it was lost: why, and the next step.
    Failed(String),
}

impl Link {
    /// A link as the supervisor's configuration says, to which is reported how it is.
    #[must_use]
    pub fn new(supervisor: Arc<Supervisor>) -> Self {
        Self::of(supervisor, None, Origin::Supervisor)
    }

    /// A link to this router. The supervisor only carries out calls.
    #[must_use]
    pub fn with_settings(supervisor: Arc<Supervisor>, router: RouterSettings) -> Self {
        let settings = WampSettings { router: Some(router), ..WampSettings::default() };
        Self::of(supervisor, Some(settings), Origin::Given)
    }

    fn of(supervisor: Arc<Supervisor>, settings: Option<WampSettings>, origin: Origin) -> Self {
        let settings = watch::Sender::new(settings);
        Self { supervisor, settings, origin, report: Report::new() }
    }

    /// How the link is, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<RouterLink> {
        self.report.subscribe()
    }

    /// Keeps the link until `stop`.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { supervisor, settings, origin, report } = self;
        let keeper =
            Keeper { supervisor: &supervisor, settings: settings.subscribe(), report: &report };
        let kept = keeper.run(stop);
        match origin {
            Origin::Given => kept.await,
            Origin::Supervisor => tokio::select! {
                () = kept => (),
                never = control::follow(&supervisor, &settings, report.subscribe()) => match never {},
            },
        }
    }
}

/// Keeps the link as the settings say.
struct Keeper<'a> {
    supervisor: &'a Arc<Supervisor>,
    settings: watch::Receiver<Option<WampSettings>>,
    report: &'a Report,
}

impl Keeper<'_> {
    async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let settings = self.settings.borrow_and_update().clone();
            let left = match settings {
                Some(WampSettings { router: Some(router), .. }) => {
                    self.keep(&router, stop.as_mut()).await
                }
                Some(WampSettings { problems, .. }) => {
                    self.report.off(sentence(&problems));
                    self.leave(None, stop.as_mut()).await
                }
                // Nobody has answered yet, so there is nothing to tell.
                None => self.leave(None, stop.as_mut()).await,
            };
            if left == Leave::Stopped {
                return self.report.off(None);
            }
        }
    }

    /// Keeps the link to this router, attempt after attempt.
    async fn keep(
        &mut self,
        router: &RouterSettings,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Leave {
        let millis = |ms: u32| Duration::from_millis(ms.into());
        let mut backoff =
            Backoff::new(millis(router.initial_delay_ms), millis(router.max_delay_ms));
        loop {
            let reason = match self.attempt(router, &mut backoff, stop.as_mut()).await {
                End::Left(why) => return why,
                End::Failed(reason) => reason,
            };
            let pause = backoff.pause();
            self.report.waiting(reason, pause);
            tokio::select! {
                () = sleep(pause) => (),
                why = self.leave(Some(router), stop.as_mut()) => return why,
            }
        }
    }

    async fn attempt(
        &mut self,
        router: &RouterSettings,
        backoff: &mut Backoff,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> End {
        let (supervisor, report) = (self.supervisor, self.report);
        report.connecting(router);
        let leave = self.leave(Some(router), stop);
        tokio::pin!(leave);
        let dialed = tokio::select! {
            dialed = dial(router) => dialed,
            why = leave.as_mut() => return End::Left(why),
        };
        match dialed {
            Ok(dialed) => {
                report.joining(dialed.certificate.clone());
                Session::new(supervisor, router, report, backoff, dialed).run(leave).await
            }
            Err(reason) => End::Failed(reason),
        }
    }

    /// Waits until this is not the router any more, or until somebody wants to stop; without a router for any change.
    async fn leave(
        &mut self,
        router: Option<&RouterSettings>,
        stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Leave {
        let others = |settings: &Option<WampSettings>| {
            let now = settings.as_ref().and_then(|settings| settings.router.as_ref());
            router.is_none() || now != router
        };
        let changed = async {
            // The sender is the link's own and there as long as this.
            while self.settings.changed().await.is_ok() && !others(&self.settings.borrow()) {}
        };
        tokio::select! {
            () = changed => Leave::Settings,
            () = stop => Leave::Stopped,
        }
    }
}

fn sentence(problems: &[String]) -> Option<String> {
    (!problems.is_empty()).then(|| problems.join("; "))
}
