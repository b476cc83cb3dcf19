// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process tree: started in order, kept alive, ended in order.

use std::{
    io::{self, Write as _},
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::PidfdFlags,
};
use tokio::{
    process::Command,
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    args::Args,
    child::{self, Process},
    desk::Desk,
    opening::Opening,
    port,
    programs::Programs,
    readiness::Readiness,
    restarts::{MOST, Restarts, WITHIN},
    screen::{self, Screen},
    status,
};

/// How long the supervisor may take to become ready.
const READY_DEADLINE: Duration = Duration::from_secs(30);
/// How long the connector may take to end.
const CONNECTOR_PATIENCE: Duration = Duration::from_secs(5);
/// How long the supervisor may: the longest stop deadline that can be configured, and a margin.
const SUPERVISOR_PATIENCE: Duration = Duration::from_secs(620);
/// After this a person is told why it takes so long.
const SLOW: Duration = Duration::from_secs(2);

/// Runs the desk until a signal ends it.
///
/// # Errors
/// It cannot begin, or a process of it dies again and again.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let programs = Programs::find(&args)?;
    let listener = port::bind(&args.interface, args.port)?;
    let desk = Desk::prepare(args.dir.as_deref())?;
    let mut signals = Signals::listen(args.for_ide)?;
    let (screen, writer) = screen::start()?;
    for note in args.notes() {
        screen.say(&note);
    }
    let opening = Opening::of(&args, desk.is_scratch(), &screen);
    let mut tree = Tree {
        for_ide: args.for_ide,
        readiness: Readiness::listen(&desk.paths.run_dir)?,
        desk,
        programs,
        listener,
        screen,
        supervisor: None,
        connector: None,
    };
    let result = tree.live(&mut signals, opening).await;
    tree.end(&mut signals).await;
    let removed = tree.desk.clear();
    writer.close();
    result.and(removed)
}

struct Tree {
    for_ide: bool,
    desk: Desk,
    programs: Programs,
    listener: TcpListener,
    readiness: Readiness,
    screen: Screen,
    supervisor: Option<Process>,
    connector: Option<Process>,
}

impl Tree {
    async fn live(&mut self, signals: &mut Signals, opening: Opening) -> anyhow::Result<()> {
        let mut supervisor = self.start_supervisor()?;
        let ready = self.readiness.subscribe();
        let ready_in_time = timeout(READY_DEADLINE, became_ready(ready.clone()));
        let begun = tokio::select! {
            () = signals.any() => Ok(false),
            ready = ready_in_time => match ready {
                Ok(()) => Ok(true),
                Err(_) => bail_late(),
            },
            status = supervisor.wait() => {
                supervisor.last_words().await;
                Err(anyhow::anyhow!("{} before it was ready; see above", ended(&supervisor, status)))
            }
        };
        self.supervisor = Some(supervisor);
        if !begun? {
            return Ok(());
        }
        self.connector = Some(self.start_connector()?);
        let port = self.announce()?;
        let mut company = JoinSet::new();
        let api = self.desk.paths.api_socket();
        if !self.for_ide {
            company.spawn(status::show(api.clone(), port, ready, self.screen.clone()));
        }
        let screen = self.screen.clone();
        company.spawn(async move {
            if let Err(error) = opening.carry_out(&api).await {
                screen.say(&format!("{error:#}"));
            }
        });
        self.keep_alive(signals).await
    }

    /// Tells the IDE that waits for the directory's name, and the person that does not.
    fn announce(&self) -> anyhow::Result<u16> {
        let address = self.listener.local_addr()?;
        let dir = self.desk.dir.display();
        // An IDE that has stopped reading is no reason to stop a PLC.
        let mut stdout = io::stdout();
        let _ = writeln!(stdout, "{dir}").and_then(|()| stdout.flush());
        if self.for_ide {
            return Ok(address.port());
        }
        self.screen.say(&format!(
            "IDEs connect to {address} (ERPC://{address} or PYRO://{address}); Ctrl-C ends"
        ));
        self.screen.say(&format!(
            "operate it with: plcctl --socket {} status",
            self.desk.paths.api_socket().display()
        ));
        if !address.ip().is_loopback() {
            self.screen
                .say("everybody who reaches this address may replace the program: it has no keys");
        }
        Ok(address.port())
    }

    /// Starts again what dies, until a signal comes or a process is hopeless.
    async fn keep_alive(&mut self, signals: &mut Signals) -> anyhow::Result<()> {
        let mut supervisor_deaths = Restarts::default();
        let mut connector_deaths = Restarts::default();
        loop {
            tokio::select! {
                () = signals.any() => return Ok(()),
                text = death(&mut self.supervisor) => {
                    let pause = self.consider(&text, &mut supervisor_deaths)?;
                    if timeout(pause, signals.any()).await.is_ok() {
                        return Ok(());
                    }
                    self.supervisor = Some(self.start_supervisor()?);
                }
                text = death(&mut self.connector) => {
                    let pause = self.consider(&text, &mut connector_deaths)?;
                    if timeout(pause, signals.any()).await.is_ok() {
                        return Ok(());
                    }
                    self.connector = Some(self.start_connector()?);
                }
            }
        }
    }

    /// How long to wait before a process is started again.
    fn consider(&self, text: &str, deaths: &mut Restarts) -> anyhow::Result<Duration> {
        let Some(pause) = deaths.after_death(Instant::now()) else {
            let seconds = WITHIN.as_secs();
            bail!("{text}, more than {MOST} times within {seconds} s; its messages above say why");
        };
        self.screen.say(&format!("{text} and is started again"));
        Ok(pause)
    }

    /// A command for a child, which says less when an IDE takes all it says for warnings.
    fn command(&self, program: &Path) -> Command {
        let mut command = child::command(program);
        if self.for_ide && std::env::var_os("RUST_LOG").is_none() {
            command.env("RUST_LOG", "error,plc=off");
        }
        command
    }

    fn start_supervisor(&self) -> anyhow::Result<Process> {
        let mut command = self.command(&self.programs.supervisor);
        command
            .arg("--desk")
            .arg(&self.desk.dir)
            .arg("--worker")
            .arg(&self.programs.worker)
            .env("NOTIFY_SOCKET", &self.readiness.socket);
        Process::start("plc-supervisor", command, &self.screen)
            .with_context(|| format!("cannot start {}", self.programs.supervisor.display()))
    }

    fn start_connector(&self) -> anyhow::Result<Process> {
        let mut command = self.command(&self.programs.pyro);
        let socket = OwnedFd::from(self.listener.try_clone()?);
        command
            .arg("--api")
            .arg(self.desk.paths.connector_socket("pyro"))
            .args(["--idle-exit", "0"])
            .stdin(Stdio::from(socket));
        Process::start("plc-connector-pyro", command, &self.screen)
            .with_context(|| format!("cannot start {}", self.programs.pyro.display()))
    }

    /// The IDEs first, then the PLC.
    async fn end(&mut self, signals: &mut Signals) {
        if let Some(connector) = self.connector.take() {
            connector.end(sleep(CONNECTOR_PATIENCE), &self.screen).await;
        }
        if let Some(supervisor) = self.supervisor.take() {
            // How long the PLC may take to stop is the configuration's, up to ten minutes. It kills the program
            // itself when that has passed; a second signal leaves the program to its worker, which has the same deadline.
            let impatient = async {
                let screen = &self.screen;
                let hint = async {
                    sleep(SLOW).await;
                    screen.say("the PLC is still stopping; Ctrl-C again does not wait for it");
                    std::future::pending().await
                };
                tokio::select! {
                    () = signals.any() => (),
                    () = sleep(SUPERVISOR_PATIENCE) => (),
                    () = hint => (),
                }
            };
            supervisor.end(impatient, &self.screen).await;
        }
    }
}

fn bail_late<T>() -> anyhow::Result<T> {
    let seconds = READY_DEADLINE.as_secs();
    bail!("plc-supervisor was not ready within {seconds} s; see its messages above")
}

/// Waits for a supervisor to say that it is ready.
async fn became_ready(mut ready: watch::Receiver<u64>) {
    // The sender lives as long as the desk.
    let _ = ready.wait_for(|count| *count > 0).await;
}

/// Waits for the end of a process and tells it.
async fn death(process: &mut Option<Process>) -> String {
    match process {
        None => std::future::pending().await,
        Some(process) => {
            let status = process.wait().await;
            process.last_words().await;
            ended(process, status)
        }
    }
}

fn ended(process: &Process, status: io::Result<ExitStatus>) -> String {
    let name = process.name();
    match status {
        Ok(status) => format!("{name} has ended ({status})"),
        Err(error) => format!("{name} is lost ({error})"),
    }
}

/// The signals that end us.
/// What ends the desk.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// The IDE that started us has ended; an IDE that was killed ends nothing itself.
    ide_ended: Option<oneshot::Receiver<()>>,
}

impl Signals {
    fn listen(for_ide: bool) -> anyhow::Result<Self> {
        let ide_ended = if for_ide { Some(end_of_parent()?) } else { None };
        Ok(Self {
            ide_ended,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        let ide_ended = async {
            match &mut self.ide_ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        let it_was_the_ide = tokio::select! {
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
            _ = self.hangup.recv() => false,
            () = ide_ended => true,
        };
        if it_was_the_ide {
            self.ide_ended = None;
        }
    }
}

/// Tells of the end of the process that started us.
fn end_of_parent() -> anyhow::Result<oneshot::Receiver<()>> {
    let (tell, ended) = oneshot::channel();
    let parent = rustix::process::getppid().context("the IDE that started this has ended")?;
    let parent = rustix::process::pidfd_open(parent, PidfdFlags::empty())
        .context("the IDE that started this cannot be watched")?;
    std::thread::spawn(move || {
        let mut fds = [PollFd::new(&parent, PollFlags::IN)];
        while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        // Nobody waits if we are ending already.
        let _ = tell.send(());
    });
    Ok(ended)
}
