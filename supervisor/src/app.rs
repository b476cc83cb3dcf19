// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wiring, and the order of the end: no new commands, the PLC stopped, then the sockets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::Context;
use plc_api::{
    RELEASE,
    log::LogLevel,
    paths::Paths,
    plc::{Snapshot, Wish},
};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};

use crate::{
    access::{CONNECTORS, Door},
    config::{Autostart, Config},
    driver::{self, Driver, WorkerSettings},
    gauge::Gauge,
    journal::Journal,
    notify,
    pidfd::Pidfd,
    program::{blobs::TransferArea, store::Store},
    publish::Published,
    server::{self, Services},
    state::Machine,
    worker_link::Sinks,
    worker_process::{Launch, SocketLauncher, SpawnLauncher},
};

/// Requests that may wait for the driver.
const REQUESTS: usize = 64;

/// Where workers come from.
#[derive(Clone, Debug)]
pub enum WorkerSource {
    /// systemd, behind the instance's worker socket.
    Socket,
    /// This program, as a child.
    Spawn(PathBuf),
}

/// Runs the supervisor until it is told to end.
///
/// # Errors
/// The store or a socket cannot be opened.
pub async fn run(paths: Paths, config: Config, source: WorkerSource) -> anyhow::Result<()> {
    let mut ending = Ending::watch()?;
    let store = Arc::new(Store::open(&paths.state_dir)?);
    let transfers = TransferArea::open(&paths.state_dir.join("transfer"))?;
    let run_at_boot = match config.autostart {
        Autostart::Wish => store.wish() == Wish::Run,
        Autostart::Always => true,
        Autostart::Never => false,
    };
    let (driver, sinks, gauge) = driver(&paths, config, source, &store);
    if paths.api_socket().exists() {
        // A good end removes it.
        let text = "the runtime ended without having been told to, and was started again; \
                    its messages from before are in the system's log";
        sinks.journal.own(LogLevel::Warning, text);
        sinks.published.log_counts(sinks.journal.counts());
    }
    let (requests, queue) = mpsc::channel(REQUESTS);
    let listeners = listen(&paths)?;
    let mut driving = tokio::spawn(driver.run(queue, run_at_boot));
    let connections = server::Connections::default();
    let services =
        Services { driver: requests.clone(), sinks, gauge, store, transfers, connections };
    let services = Arc::new(services);
    let mut serving = JoinSet::new();
    serving.spawn(notify::status(services.sinks.published.subscribe()));
    for (listener, door) in listeners {
        serving.spawn(server::serve(listener, door, services.clone()));
    }
    notify::ready();
    tracing::info!(release = RELEASE, api = %paths.api_socket().display(), "ready");

    let why = tokio::select! {
        why = ending.awaited() => why,
        // Nothing but a shutdown ends the driver.
        ended = &mut driving => return ended.context("the driver failed"),
    };
    tracing::info!(why, "ending; the PLC is stopped first");
    notify::stopping();
    requests.send(driver::Request::Shutdown).await.context("the driver failed")?;
    driving.await.context("the driver failed")?;
    serving.shutdown().await;
    for socket in sockets(&paths) {
        crate::program::durable::remove_if_there(&socket)?;
    }
    tracing::info!("ended");
    Ok(())
}

/// The driver of the PLC that is on disk, and what it shares with those who serve clients.
fn driver(
    paths: &Paths,
    config: Config,
    source: WorkerSource,
    store: &Arc<Store>,
) -> (Driver, Sinks, Arc<Mutex<Gauge>>) {
    let program = store.current().unwrap_or_else(|error| {
        tracing::error!(
            %error,
            "the installed program cannot be read; install it again, or go back with `plcctl rollback`"
        );
        None
    });
    let wish = store.wish();
    let machine = Machine::new(program.clone(), wish, config.policy);
    let published = Published::new(Snapshot {
        status: machine.status(),
        phase: machine.phase().to_owned(),
        program,
        wish,
        release: RELEASE.to_owned(),
        ..Snapshot::default()
    });
    let sinks = Sinks { trace: Arc::default(), journal: Journal::default(), published };
    let gauge = Arc::default();
    let settings = WorkerSettings {
        launch: launcher(source, paths),
        realtime: config.realtime,
        memory_max_bytes: config.memory_max_bytes,
        stop_timeout: config.policy.stop_timeout,
        load_timeout: config.policy.load_timeout,
        watchdog_periods: config.watchdog_periods,
    };
    let driver = Driver::new(machine, store.clone(), settings, sinks.clone(), Arc::clone(&gauge));
    (driver, sinks, gauge)
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

fn listen(paths: &Paths) -> anyhow::Result<Vec<(UnixListener, Door)>> {
    let mut listeners = vec![(bind(&paths.api_socket())?, Door::People)];
    for name in CONNECTORS {
        listeners.push((bind(&paths.connector_socket(name))?, Door::Connector(name)));
    }
    Ok(listeners)
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

/// What ends the supervisor.
struct Ending {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    parent: Option<Pidfd>,
}

impl Ending {
    fn watch() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            parent: parent()?,
        })
    }

    async fn awaited(&mut self) -> &'static str {
        let parent = async {
            match &self.parent {
                Some(pidfd) => pidfd.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            () = parent => "the end of the parent process",
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
