// SPDX-License-Identifier: MIT OR Apache-2.0
//! The process tree: started in order, kept alive, ended in order.

use std::{
    io::{self, Write as _},
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, getppid, pidfd_open},
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{oneshot, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use crate::{
    args::Args,
    child::{self, PARENT_VARIABLE, Process, Talk},
    connector::{Connector, Connectors},
    desk::Desk,
    link,
    opening::Opening,
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
    let connectors = Connectors::open(&args, &programs)?;
    let desk = Desk::prepare(args.dir.as_deref())?;
    let mut signals = Signals::listen(args.for_ide)?;
    let (screen, writer) = screen::start()?;
    for note in args.notes() {
        screen.say(&note);
    }
    let opening = Opening::of(&args, desk.is_scratch(), &screen);
    let mut tree = Tree {
        for_ide: args.for_ide,
        talk: if args.for_ide { Talk::Little } else { Talk::Usual },
        readiness: Readiness::listen(&desk.paths.run_dir)?,
        desk,
        programs,
        connectors,
        screen,
        supervisor: None,
        supervisor_deaths: Restarts::default(),
    };
    let result = tree.live(&mut signals, opening).await;
    tree.end(&mut signals).await;
    let removed = tree.desk.clear();
    writer.close();
    result.and(removed)
}

struct Tree {
    for_ide: bool,
    talk: Talk,
    desk: Desk,
    programs: Programs,
    connectors: Connectors,
    readiness: Readiness,
    screen: Screen,
    supervisor: Option<Process>,
    supervisor_deaths: Restarts,
}

/// A process that is kept alive.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Supervisor,
    Pyro,
    Wamp,
    Link,
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
        for connector in self.connectors.each() {
            connector.start(&self.desk.paths, self.talk, &self.screen)?;
        }
        let port = self.announce()?;
        let mut company = JoinSet::new();
        let api = self.desk.paths.api_socket();
        if !self.for_ide {
            company.spawn(status::show(api.clone(), port, ready.clone(), self.screen.clone()));
        }
        let link = Box::pin(link::asked_for(api.clone(), ready));
        let screen = self.screen.clone();
        company.spawn(async move {
            if let Err(error) = opening.carry_out(&api).await {
                screen.say(&format!("{error:#}"));
            }
        });
        self.keep_alive(signals, link).await
    }

    /// Tells the IDE that waits for the directory's name, and the person that does not.
    fn announce(&self) -> anyhow::Result<u16> {
        let address = self.connectors.pyro.address()?;
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
        if let Some(wamp) = &self.connectors.wamp {
            let address = wamp.address()?;
            self.screen.say(&format!("and by WAMP to {address} (WAMP://{address}#Automation#plc)"));
        }
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

    /// Starts again what dies, and the link to a router when one is asked for, until a signal comes or a process is
    /// hopeless.
    async fn keep_alive(
        &mut self,
        signals: &mut Signals,
        mut asked: impl Future<Output = ()> + Unpin,
    ) -> anyhow::Result<()> {
        let mut is_asked = false;
        loop {
            let Connectors { pyro, wamp, link } = &mut self.connectors;
            let (no_wamp, no_link) = (&mut None, &mut None);
            let wamp = wamp.as_mut().map_or(no_wamp, |wamp| &mut wamp.process);
            let link = link.as_mut().map_or(no_link, |link| &mut link.process);
            let (who, text) = tokio::select! {
                () = signals.any() => return Ok(()),
                text = death(&mut self.supervisor) => (Who::Supervisor, text),
                text = death(&mut pyro.process) => (Who::Pyro, text),
                text = death(wamp) => (Who::Wamp, text),
                text = death(link) => (Who::Link, text),
                () = &mut asked, if !is_asked => {
                    is_asked = true;
                    self.start_link()?;
                    continue;
                }
            };
            let pause = self.consider(who, &text)?;
            if timeout(pause, signals.any()).await.is_ok() {
                return Ok(());
            }
            self.start_again(who)?;
        }
    }

    fn start_link(&mut self) -> anyhow::Result<()> {
        match &mut self.connectors.link {
            Some(link) => link.start(&self.desk.paths, self.talk, &self.screen),
            None => {
                self.screen.say("a WAMP router is asked for, and plc-connector-wamp is not here");
                Ok(())
            }
        }
    }

    /// How long to wait before a process is started again.
    fn consider(&mut self, who: Who, text: &str) -> anyhow::Result<Duration> {
        let connector = self.connector(who);
        let deaths = match connector {
            Some(connector) => &mut connector.deaths,
            None => &mut self.supervisor_deaths,
        };
        let Some(pause) = deaths.after_death(Instant::now()) else {
            let seconds = WITHIN.as_secs();
            bail!("{text}, more than {MOST} times within {seconds} s; its messages above say why");
        };
        self.screen.say(&format!("{text} and is started again"));
        Ok(pause)
    }

    fn connector(&mut self, who: Who) -> Option<&mut Connector> {
        let Connectors { pyro, wamp, link } = &mut self.connectors;
        match who {
            Who::Supervisor => None,
            Who::Pyro => Some(pyro),
            Who::Wamp => wamp.as_mut(),
            Who::Link => link.as_mut(),
        }
    }

    fn start_again(&mut self, who: Who) -> anyhow::Result<()> {
        if who == Who::Supervisor {
            self.supervisor = Some(self.start_supervisor()?);
            return Ok(());
        }
        let (paths, screen) = (self.desk.paths.clone(), self.screen.clone());
        let talk = self.talk;
        match self.connector(who) {
            Some(connector) => connector.start(&paths, talk, &screen),
            None => Ok(()),
        }
    }

    fn start_supervisor(&self) -> anyhow::Result<Process> {
        let mut command = child::command(&self.programs.supervisor, self.talk);
        command
            .arg("--desk")
            .arg(&self.desk.dir)
            .arg("--worker")
            .arg(&self.programs.worker)
            .env("NOTIFY_SOCKET", &self.readiness.socket);
        Process::start("plc-supervisor", command, &self.screen)
            .with_context(|| format!("cannot start {}", self.programs.supervisor.display()))
    }

    /// The IDEs first, then the PLC.
    async fn end(&mut self, signals: &mut Signals) {
        for connector in self.connectors.all() {
            if let Some(process) = connector.process.take() {
                process.end(sleep(CONNECTOR_PATIENCE), &self.screen).await;
            }
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

/// What ends the desk.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// The IDE or program that started us has ended; one that was killed ends nothing itself.
    parent_ended: Option<oneshot::Receiver<()>>,
}

impl Signals {
    fn listen(for_ide: bool) -> anyhow::Result<Self> {
        let watched = for_ide || std::env::var_os(PARENT_VARIABLE).is_some();
        Ok(Self {
            parent_ended: if watched { Some(end_of_parent()?) } else { None },
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        let parent_ended = async {
            match &mut self.parent_ended {
                Some(ended) => drop(ended.await),
                None => std::future::pending().await,
            }
        };
        let it_was_the_parent = tokio::select! {
            _ = self.interrupt.recv() => false,
            _ = self.terminate.recv() => false,
            _ = self.hangup.recv() => false,
            () = parent_ended => true,
        };
        if it_was_the_parent {
            self.parent_ended = None;
        }
    }
}

/// Tells of the end of the process that started us, by its own word or, as IDEs give none, by the kernel's.
fn end_of_parent() -> anyhow::Result<oneshot::Receiver<()>> {
    let (tell, ended) = oneshot::channel();
    let parent = match std::env::var(PARENT_VARIABLE) {
        Ok(text) => text.parse().ok().and_then(Pid::from_raw),
        Err(_) => getppid(),
    };
    let parent = parent.context("the process that started this is not known, or has ended")?;
    let parent = pidfd_open(parent, PidfdFlags::empty())
        .context("the process that started this cannot be watched")?;
    std::thread::spawn(move || {
        let mut fds = [PollFd::new(&parent, PollFlags::IN)];
        while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        // Nobody waits if we are ending already.
        let _ = tell.send(());
    });
    Ok(ended)
}
