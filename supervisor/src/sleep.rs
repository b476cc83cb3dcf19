// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine falls asleep: the PLC is stopped first, and runs again after, if it ran.
//!
//! logind waits for us as long as we hold its delay inhibitor, at most `InhibitDelayMaxSec=` of logind.conf(5), 5 s
//! by default. Without logind nobody tells us of a sleep, and nothing is done about it.

use std::time::Duration;

use futures_lite::StreamExt as _;
use tokio::{
    select,
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};
use zbus::{
    Connection, MatchRule, Message, MessageStream, fdo::DBusProxy, message, zvariant::OwnedFd,
};

use crate::driver;

/// org.freedesktop.login1(5).
const LOGIND: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";
/// How long logind may take to give the inhibitor; the bus may have to start it first.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long after a refusal logind is asked again.
const AGAIN: Duration = Duration::from_secs(5);
/// How the errors are called with which a bus says that it has no logind.
const ABSENT: [&str; 4] = [
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn.",
    "org.freedesktop.systemd1.",
];

/// Watches over the machine's sleep until the connection ends.
pub(crate) async fn guard(connection: &Connection, driver: &mpsc::Sender<driver::Request>) {
    if let Err(error) = watch(connection, driver).await {
        tracing::debug!(%error, "the machine's sleep is not watched");
        std::future::pending::<()>().await;
    }
}

async fn watch(
    connection: &Connection,
    driver: &mpsc::Sender<driver::Request>,
) -> zbus::Result<()> {
    let rule = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender(LOGIND)?
        .path(PATH)?
        .interface(MANAGER)?
        .member("PrepareForSleep")?
        .build();
    let mut signals = MessageStream::for_match_rule(rule, connection, None).await?;
    let mut delay = Delay::None;
    delay.ask(connection).await;
    let mut asleep = None;
    loop {
        let signal = select! {
            signal = signals.next() => signal,
            () = sleep(AGAIN), if matches!(delay, Delay::Refused) => {
                delay.ask(connection).await;
                continue;
            }
        };
        let Some(signal) = signal.transpose()? else {
            return Ok(());
        };
        if !is_from_logind(&signal, connection).await {
            continue;
        }
        if signal.body().deserialize()? {
            asleep = Some(Asleep::fall(driver).await);
            delay = Delay::None;
        } else {
            drop(asleep.take());
            if !matches!(delay, Delay::Held(_)) {
                delay.ask(connection).await;
            }
        }
    }
}

/// Whether a sleep of the machine waits for us.
enum Delay {
    /// It does, as long as this is kept.
    Held(#[expect(dead_code, reason = "it is what holds the sleep")] OwnedFd),
    /// It was not asked for, or there is no logind.
    None,
    /// It does not, and is to be asked for again.
    Refused,
}

impl Delay {
    async fn ask(&mut self, connection: &Connection) {
        let was_refused = matches!(self, Self::Refused);
        *self = match inhibit(connection).await {
            Ok(inhibitor) => {
                if was_refused {
                    tracing::info!("a sleep of the machine waits for the PLC to stop again");
                }
                Self::Held(inhibitor)
            }
            Err(error) if is_absent(&error) => {
                tracing::debug!(%error, "there is no logind that would tell of a sleep");
                Self::None
            }
            Err(error) => {
                if !was_refused {
                    tracing::warn!(
                        "a sleep of the machine does not wait for the PLC to stop, for logind refuses: {error}; it is \
                         asked again; see `journalctl -u systemd-logind -u polkit`"
                    );
                }
                Self::Refused
            }
        };
    }
}

fn is_absent(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::MethodError(name, ..) if ABSENT.iter().any(|known| name.starts_with(known)))
}

/// Holds the machine awake while the answer is kept.
async fn inhibit(connection: &Connection) -> zbus::Result<OwnedFd> {
    let body = ("sleep", "plc-runtime", "the PLC program is stopped first", "delay");
    let asked = connection.call_method(Some(LOGIND), PATH, Some(MANAGER), "Inhibit", &body);
    match timeout(PATIENCE, asked).await {
        Ok(reply) => reply?.body().deserialize(),
        Err(_) => Err(zbus::Error::Failure("logind does not answer".into())),
    }
}

/// Anybody may send us a signal that looks like logind's.
async fn is_from_logind(signal: &Message, connection: &Connection) -> bool {
    let Ok(bus) = DBusProxy::new(connection).await else {
        return false;
    };
    let Ok(name) = LOGIND.try_into() else {
        return false;
    };
    let owner = bus.get_name_owner(name).await;
    let header = signal.header();
    owner.is_ok_and(|owner| header.sender().is_some_and(|sender| *sender == *owner))
}

/// The PLC was stopped for the machine's sleep. Dropping this wakes it: nobody else will, should the bus be gone.
struct Asleep(mpsc::Sender<driver::Request>);

impl Asleep {
    async fn fall(driver: &mpsc::Sender<driver::Request>) -> Self {
        tracing::info!("the machine falls asleep; the PLC is stopped first");
        let asleep = Self(driver.clone());
        let (reply, stopped) = oneshot::channel();
        // Without a driver there is nothing left to stop; a program that would not stop was killed, and told of.
        let _ = driver.send(driver::Request::Sleep(reply)).await;
        let _ = stopped.await;
        asleep
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        tracing::info!("the machine is awake");
        let driver = self.0.clone();
        tokio::spawn(async move {
            let _ = driver.send(driver::Request::Wake).await;
        });
    }
}
