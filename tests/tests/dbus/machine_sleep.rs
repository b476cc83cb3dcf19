// SPDX-License-Identifier: MIT OR Apache-2.0
//! The machine falls asleep and wakes up, as a logind of the test's own says.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use plc_tests::{
    PATIENCE,
    api::MD5,
    bus::{Bus, NAME, Plc, until},
    programs,
};
use tokio::{io::AsyncReadExt as _, net::unix::pipe, time::timeout};
use zbus::{Connection, object_server::SignalEmitter, zvariant};

const PATH: &str = "/org/freedesktop/login1";

/// Gives inhibitors, and keeps the ends at which it sees them go.
#[derive(Clone, Default)]
struct Logind {
    given: Arc<Mutex<Vec<(String, String, pipe::Receiver)>>>,
    /// How often it is still going to refuse.
    refusals: Arc<Mutex<u32>>,
}

#[zbus::interface(name = "org.freedesktop.login1.Manager")]
impl Logind {
    fn inhibit(
        &self,
        what: String,
        _who: String,
        _why: String,
        mode: String,
    ) -> zbus::fdo::Result<zvariant::OwnedFd> {
        let mut refusals = self.refusals.lock().unwrap();
        if *refusals > 0 {
            *refusals -= 1;
            return Err(zbus::fdo::Error::AccessDenied("polkit does not answer".into()));
        }
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let ours = pipe::Receiver::from_owned_fd(ours).unwrap();
        self.given.lock().unwrap().push((what, mode, ours));
        Ok(theirs.into())
    }

    #[zbus(signal)]
    async fn prepare_for_sleep(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;
}

impl Logind {
    /// The next inhibitor that is taken.
    async fn inhibitor(&self) -> pipe::Receiver {
        let taken = until("an inhibitor", async || self.given.lock().unwrap().pop()).await;
        assert_eq!((taken.0.as_str(), taken.1.as_str()), ("sleep", "delay"));
        taken.2
    }
}

/// A supervisor whose program runs, on a bus on which there is this logind.
struct Awake {
    bus: Bus,
    logind: Logind,
    connection: Connection,
    /// The one that the supervisor holds.
    inhibitor: pipe::Receiver,
    plc: Plc,
}

impl Awake {
    async fn begin() -> Self {
        let mut bus = Bus::without_daemon();
        bus.start_daemon();
        let logind = Logind::default();
        let connection = bus.serve("org.freedesktop.login1", PATH, logind.clone()).await;
        bus.start_supervisor("");
        let inhibitor = logind.inhibitor().await;
        let plc = bus.plc().await;
        plc.install(&programs::built("stopmark"), MD5, Path::new("/dev/null")).await.unwrap();
        plc.order("Start").await.unwrap();
        Self { bus, logind, connection, inhibitor, plc }
    }
}

/// Says that the machine falls asleep, or that it is awake.
async fn tell(connection: &Connection, asleep: bool) {
    let emitter = SignalEmitter::new(connection, PATH).unwrap();
    Logind::prepare_for_sleep(&emitter, asleep).await.unwrap();
}

async fn released(mut inhibitor: pipe::Receiver) {
    let read = timeout(PATIENCE, inhibitor.read(&mut [0])).await;
    assert_eq!(read.expect("the inhibitor is released").unwrap(), 0);
}

#[tokio::test]
async fn the_plc_is_stopped_before_the_machine_sleeps_and_runs_again_after() {
    let Awake { bus: _bus, logind, connection, inhibitor, plc } = Awake::begin().await;
    let first = plc.get::<u32>("WorkerPid").await;

    tell(&connection, true).await;
    released(inhibitor).await;
    assert_eq!(plc.get::<String>("Status").await, "Stopped");
    assert_eq!(plc.get::<u32>("WorkerPid").await, 0);

    tell(&connection, false).await;
    plc.wait_status("Started").await;
    assert_ne!(plc.get::<u32>("WorkerPid").await, first);
    let inhibitor = logind.inhibitor().await;

    // Somebody's Stop is not undone by a night's sleep.
    plc.order("Stop").await.unwrap();
    tell(&connection, true).await;
    released(inhibitor).await;
    tell(&connection, false).await;
    logind.inhibitor().await;
    assert_eq!(plc.get::<String>("Status").await, "Stopped");
}

#[tokio::test]
async fn a_refused_inhibitor_is_asked_for_again_and_a_sleep_is_seen_all_the_same() {
    let Awake { bus: _bus, logind, connection, inhibitor, plc } = Awake::begin().await;
    // At the next wake, and once after it.
    *logind.refusals.lock().unwrap() = 2;
    tell(&connection, true).await;
    released(inhibitor).await;
    tell(&connection, false).await;
    plc.wait_status("Started").await;
    until("a refusal", async || (*logind.refusals.lock().unwrap() < 2).then_some(())).await;
    assert!(logind.given.lock().unwrap().is_empty());
    tell(&connection, true).await;
    plc.wait_status("Stopped").await;
    tell(&connection, false).await;
    plc.wait_status("Started").await;
    logind.inhibitor().await;
}

#[tokio::test]
async fn a_bus_that_goes_while_the_machine_sleeps_does_not_leave_the_plc_asleep() {
    let Awake { mut bus, connection, inhibitor, .. } = Awake::begin().await;
    tell(&connection, true).await;
    released(inhibitor).await;
    bus.kill_daemon();
    bus.start_daemon();
    let plc = bus.plc().await;
    plc.wait_until_served().await;
    plc.wait_status("Started").await;
}

#[tokio::test]
async fn nobody_but_logind_puts_the_plc_to_sleep() {
    let Awake { bus, plc, .. } = &Awake::begin().await;
    let other = bus.connect().await;
    let interface = "org.freedesktop.login1.Manager";
    for _ in 0..10 {
        other.emit_signal(Some(NAME), PATH, interface, "PrepareForSleep", &true).await.unwrap();
    }
    // The answer to a later call of the same sender says that the signals were taken in.
    Plc::on(other).await.order("Reload").await.unwrap();
    assert_eq!(plc.get::<String>("Status").await, "Started");
    assert!(!bus.log().contains("the machine falls asleep"));
}
