// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wiring, and the order of the end: no new commands, the PLC stopped, then the sockets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::Context;
use plc_api::{
    RELEASE,
    log::LogLevel,
    message::ConnectorSettings,
    paths::Paths,
    plc::{Autostart, Snapshot, Wish},
};
use plc_journal::message_id;
use tokio::{
    net::UnixListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
};

use crate::{
    access::{CONNECTORS, Door},
    config::Config,
    dbus,
    driver::{self, Driver, Means, Upgrades},
    gauge::Gauge,
    journal::Journal,
    keys::KeyRing,
    note, notify,
    pidfd::Pidfd,
    program::{blobs::TransferArea, store::Store},
    publish::Published,
    server,
    services::{Connections, Services},
    state::{Carry, Machine},
    wamp::Wamp,
    worker_link::Sinks,
    worker_process::{Launch, SocketLauncher, SpawnLauncher},
};

/// Requests that may wait for the driver.
const REQUESTS: usize = 64;

/// What a written answer needs to reach its socket.
const LAST_ANSWERS: Duration = Duration::from_millis(50);

/// Where workers come from.
#[derive(Clone, Debug)]
pub enum WorkerSource {
    /// systemd, behind the instance's worker socket.
    Socket,
    /// This program, as a child.
    Spawn(PathBuf),
}

/// How the supervisor ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    AsTold,
    /// For a newer version, which is to be started now.
    ForUpgrade,
}

/// Runs the supervisor until it is told to end.
///
/// # Errors
/// The store or a socket cannot be opened.
pub async fn run(
    paths: Paths,
    config: Config,
    source: WorkerSource,
    bus: Option<dbus::Settings>,
) -> anyhow::Result<Ended> {
    let mut asked = Signals::watch()?;
    let place = match source {
        WorkerSource::Socket => Place::Appliance,
        WorkerSource::Spawn(_) => Place::Desk,
    };
    let store = Arc::new(Store::open(&paths.state_dir)?);
    let transfers = TransferArea::open(&paths.state_dir.join("transfer"))?;
    let autostart = config.autostart;
    let (connectors, settings) = watch::channel(config.connectors);
    let core = core(&paths, config, connectors, source, &store, &transfers)?;
    let Core { driver, sinks, gauge, wamp } = core;
    let first = first(&paths, autostart, store.wish(), &sinks);
    let (requests, queue) = mpsc::channel(REQUESTS);
    let listeners = listen(&paths, place)?;
    let keys = keys(&paths, &sinks);
    let mut driving = tokio::spawn(driver.run(queue, first));
    let connections = Connections::default();
    let services = Arc::new(Services {
        driver: requests,
        sinks,
        gauge,
        store,
        transfers,
        connections,
        keys,
        settings,
        wamp,
    });
    let mut serving = JoinSet::new();
    serving.spawn(notify::status(services.sinks.published.subscribe()));
    for (listener, door) in listeners {
        serving.spawn(server::serve(listener, door, services.clone()));
    }
    if let Some(bus) = bus {
        serving.spawn(dbus::serve(bus, services.clone()));
    }
    notify::ready();
    tracing::info!(api = %paths.api_socket().display(), "the runtime is ready, release {RELEASE}");

    let carry = drive(&mut driving, &mut asked, &services).await?;
    // The driver's last answers are on their way to the clients.
    tokio::time::sleep(LAST_ANSWERS).await;
    serving.shutdown().await;
    for socket in sockets(&paths) {
        crate::program::durable::remove_if_there(&socket)?;
    }
    note::forget(&paths.run_dir)?;
    let Some(carry) = carry else {
        tracing::info!("the runtime has ended");
        return Ok(Ended::AsTold);
    };
    note::leave(&paths.run_dir, carry).context("the newer version cannot be told what to do")?;
    tracing::info!("the runtime has ended for the newer version");
    Ok(Ended::ForUpgrade)
}

/// Until the driver has ended, by itself or because it is asked to.
async fn drive(
    driving: &mut JoinHandle<Option<Carry>>,
    asked: &mut Signals,
    services: &Services,
) -> anyhow::Result<Option<Carry>> {
    let why = loop {
        tokio::select! {
            asked = asked.next() => match asked {
                Asked::Reload => reload(services).await?,
                Asked::End(why) => break why,
            },
            // By itself it ends only for its successor.
            ended = &mut *driving => return ended.context("the driver failed"),
        }
    };
    tracing::info!("the runtime ends because of {why}; the PLC is stopped first");
    services.driver.send(driver::Request::Shutdown).await.context("the driver failed")?;
    driving.await.context("the driver failed")
}

/// How the PLC is to be at first.
fn first(paths: &Paths, autostart: Autostart, wish: Wish, sinks: &Sinks) -> Carry {
    if let Some(carry) = note::take(&paths.run_dir) {
        tracing::info!("release {RELEASE} takes over");
        return carry;
    }
    let by_wish = if wish == Wish::Run { Carry::Run } else { Carry::Rest };
    if paths.api_socket().exists() {
        // A good end removes it. This is no boot, so what the integrator wants at a boot does not count.
        let text = "the runtime ended without having been told to, and was started again; \
                    its messages from before are in the system's log";
        sinks.journal.own_as(message_id::UNCLEAN_END, LogLevel::Warning, text);
        sinks.published.log_counts(sinks.journal.counts());
        return note::kept(&paths.run_dir, wish).unwrap_or(by_wish);
    }
    match autostart {
        Autostart::Wish => by_wish,
        Autostart::Always => Carry::Run,
        Autostart::Never => Carry::Rest,
    }
}

/// SIGHUP: nobody waits for an answer, so a mistake is told in the log.
async fn reload(services: &Services) -> anyhow::Result<()> {
    notify::reloading();
    services.keys.refresh().await;
    let (reply, answer) = oneshot::channel();
    services.driver.send(driver::Request::Reload(reply)).await.context("the driver failed")?;
    if let Ok(Err(error)) = answer.await {
        tracing::error!("{error}");
    }
    notify::ready();
    Ok(())
}

/// The driver, and what it shares with those who serve clients.
struct Core {
    driver: Driver,
    sinks: Sinks,
    gauge: Arc<Mutex<Gauge>>,
    wamp: Arc<Wamp>,
}

/// That of the PLC which is on disk.
fn core(
    paths: &Paths,
    config: Config,
    connectors: watch::Sender<ConnectorSettings>,
    source: WorkerSource,
    store: &Arc<Store>,
    transfers: &Arc<TransferArea>,
) -> anyhow::Result<Core> {
    let program = store.current().unwrap_or_else(|error| {
        tracing::error!(
            %error,
            "the installed program cannot be read: {error}; install it again, or go back with `plcctl rollback`"
        );
        None
    });
    let wish = store.wish();
    let program_dir = program.as_ref().map(|program| store.program_dir(program));
    let machine = Machine::new(program.clone(), wish, config.policy);
    let published = Published::new(Snapshot {
        status: machine.status(),
        phase: machine.phase().to_owned(),
        program,
        wish,
        autostart: config.autostart,
        release: RELEASE.to_owned(),
        ..Snapshot::default()
    });
    let wamp = Arc::new(Wamp::open(
        paths,
        config.wamp.clone(),
        program_dir.as_deref(),
        published.clone(),
    )?);
    let sinks = Sinks { trace: Arc::default(), journal: Journal::default(), published };
    let gauge = Arc::default();
    let upgrades = match source {
        WorkerSource::Socket => Upgrades::TakeOver,
        WorkerSource::Spawn(_) => Upgrades::Ignored,
    };
    let means = Means {
        launch: launcher(source, paths),
        config,
        config_files: (paths.config_file.clone(), paths.config_drop_ins()),
        connectors,
        work_dir: paths.work_dir.clone(),
        run_dir: paths.run_dir.clone(),
        transfers: transfers.clone(),
        wamp: wamp.clone(),
        upgrades,
    };
    let driver = Driver::new(machine, store.clone(), means, sinks.clone(), Arc::clone(&gauge));
    Ok(Core { driver, sinks, gauge, wamp })
}

/// The keys of this place, and those that are systemd credentials of the service.
fn keys(paths: &Paths, sinks: &Sinks) -> Arc<KeyRing> {
    let [own, brought] = paths.key_dirs();
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let others = [brought].into_iter().chain(credentials).collect();
    Arc::new(KeyRing::open(own, others, sinks.published.clone()))
}

fn launcher(source: WorkerSource, paths: &Paths) -> Arc<dyn Launch> {
    match source {
        WorkerSource::Socket => Arc::new(SocketLauncher { socket: paths.worker_socket.clone() }),
        WorkerSource::Spawn(program) => Arc::new(SpawnLauncher {
            program,
            work_dir: paths.work_dir.clone(),
            lock: paths.worker_lock.clone(),
        }),
    }
}

fn sockets(paths: &Paths) -> Vec<PathBuf> {
    let connectors = CONNECTORS.iter().map(|name| paths.connector_socket(name));
    connectors.chain([paths.api_socket()]).collect()
}

/// Where we live.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Under systemd, with a group for each socket.
    Appliance,
    /// Where one user has all.
    Desk,
}

fn listen(paths: &Paths, place: Place) -> anyhow::Result<Vec<(UnixListener, Door)>> {
    let connectors =
        CONNECTORS.iter().map(|name| (paths.connector_socket(name), Door::Connector(name)));
    let doors = connectors.chain([(paths.api_socket(), Door::People)]);
    doors
        .map(|(path, door)| {
            let listener = bind(&path)?;
            if place == Place::Appliance {
                give(&path, &door.group());
            }
            Ok((listener, door))
        })
        .collect()
}

/// Binds a socket in place of one that a former supervisor left. The store's lock says that it is gone.
fn bind(path: &Path) -> anyhow::Result<UnixListener> {
    crate::program::durable::remove_if_there(path)?;
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen at {}", path.display()))?;
    // The directory says who may come near, the group who may come in.
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Gives a socket to the group of those who may come in; without it only root and our own user may.
fn give(path: &Path, group: &str) {
    let given = match nix::unistd::Group::from_name(group) {
        Ok(Some(found)) => nix::unistd::chown(path, None, Some(found.gid))
            .map_err(|error| format!("{error}; the unit's SupplementaryGroups= must name {group}")),
        Ok(None) => Err("there is no such group; `systemd-sysusers` makes it".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = given {
        tracing::warn!(%error, group, socket = %path.display(), "the socket {} cannot be given to the group {group}: {error}", path.display());
    }
}

/// What the world outside may ask by other means than the API.
enum Asked {
    Reload,
    End(&'static str),
}

/// The signals, and the parent process, that ask it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    parent: Option<Pidfd>,
}

impl Signals {
    fn watch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            parent: parent()?,
        })
    }

    async fn next(&mut self) -> Asked {
        let parent = async {
            match &self.parent {
                Some(pidfd) => pidfd.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hangup.recv() => Asked::Reload,
            () = parent => Asked::End("the end of the parent process"),
        }
    }
}

/// The process that started us at a desk, named by `PLC_PARENT_PID`, and without which we are not to live on.
fn parent() -> anyhow::Result<Option<Pidfd>> {
    let Ok(text) = std::env::var("PLC_PARENT_PID") else {
        return Ok(None);
    };
    let pid = text.parse().ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.with_context(|| format!("PLC_PARENT_PID={text} is no process id"))?;
    Ok(Some(Pidfd::open(pid).context("the parent process is gone already")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_goes_by_autostart_and_an_unexpected_end_by_what_the_plc_did() {
        let kept = |carry| Some((carry, Wish::Run));
        for (autostart, wish, unclean, note, expected) in [
            (Autostart::Wish, Wish::Run, false, None, Carry::Run),
            (Autostart::Wish, Wish::Stop, false, None, Carry::Rest),
            (Autostart::Always, Wish::Stop, false, None, Carry::Run),
            (Autostart::Never, Wish::Run, false, None, Carry::Rest),
            (Autostart::Never, Wish::Run, false, kept(Carry::Run), Carry::Rest),
            (Autostart::Never, Wish::Run, true, kept(Carry::Rest), Carry::Rest),
            (Autostart::Always, Wish::Run, true, kept(Carry::Run), Carry::Run),
            (Autostart::Always, Wish::Stop, true, Some((Carry::Run, Wish::Stop)), Carry::Run),
            // What was decided since the note was written counts more than the note.
            (Autostart::Wish, Wish::Stop, true, kept(Carry::Run), Carry::Rest),
            (Autostart::Wish, Wish::Run, true, None, Carry::Run),
            (Autostart::Never, Wish::Stop, true, None, Carry::Rest),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let paths = Paths::of_desk(dir.path());
            fs::create_dir(&paths.run_dir).unwrap();
            if unclean {
                fs::write(paths.api_socket(), "").unwrap();
            }
            if let Some((carry, wish)) = note.clone() {
                note::keep(&paths.run_dir, carry, wish).unwrap();
            }
            let published = Published::new(Snapshot::default());
            let sinks = Sinks { trace: Arc::default(), journal: Journal::default(), published };
            let found = first(&paths, autostart, wish, &sinks);
            assert_eq!(found, expected, "{autostart:?} {wish:?} {unclean} {note:?}");
        }
    }
}
