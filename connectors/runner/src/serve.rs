// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accepting connections, one task for each, until there is a reason to end.

use std::{error::Error, io, net::SocketAddr, pin::pin, sync::Arc, task::Poll, time::Duration};

use plc_api::{
    client::{CallError, Client},
    key::ApiKey,
    message::ConnectorSettings,
};
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tracing::{debug, info};

use crate::{
    admission::{NotAdmitted, RefusedUsers},
    limited,
    places::{Place, Places, Standing},
    session::{Session, Supervisor},
    stop::{StopReason, StopWatch},
};

/// A peer that vanished without a word is noticed after this long, when nothing is sent to it ...
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;

/// ... and after this long, when something is (milliseconds, tcp(7) `TCP_USER_TIMEOUT`).
const UNACKNOWLEDGED_MS: u32 = 60_000;

/// Pause after a failed accept; the usual cause is a lack of descriptors, and it does not go away by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How a conversation ended, for the log.
pub type Ended = Result<(), Box<dyn Error + Send + Sync>>;

/// An accepted connection, for the connector's own code.
#[derive(Debug)]
pub struct Connection {
    /// The peer's bytes.
    pub stream: TcpStream,
    /// Who it is.
    pub caller: Caller,
}

/// The peer of a connection, for whom the supervisor may be asked.
#[derive(Debug)]
pub struct Caller {
    /// Its address; that of an IPv4 host is written as such.
    pub address: SocketAddr,
    /// The user behind it, if it is a process of this machine.
    user: Option<u32>,
    supervisor: Arc<Supervisor>,
    standing: Standing,
}

impl Caller {
    /// A session for this peer, with the key that it has shown to have. With one it is settled, without one by its first
    /// call.
    #[must_use]
    pub fn session(&self, key: Option<ApiKey>) -> Session {
        if key.is_some() {
            self.standing.settle();
        }
        Session::new(self.supervisor.clone(), self.address.to_string(), self.user, key)
            .settling(self.standing.clone())
    }

    /// How it stands in the queue for places.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the configuration says to connectors, asked of the supervisor now.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn settings(&self) -> Result<ConnectorSettings, CallError> {
        let Supervisor { socket, connector } = &*self.supervisor;
        Ok(Client::connect(socket, connector, &self.address.to_string(), None).await?.settings())
    }
}

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Asked to.
    Stopped(StopReason),
    /// There was no connection for a while.
    Idle,
}

/// What [`serve`] needs besides its sockets.
#[derive(Debug)]
pub struct Service {
    /// Whom the sessions ask.
    pub supervisor: Supervisor,
    /// Local users who are not served.
    pub refused: RefusedUsers,
    /// End after this long without a connection.
    pub idle_exit: Option<Duration>,
}

/// Serves each connection with `converse`, in a task of its own, until `stop` or until idle.
///
/// Connections still open then are closed. The failure of one connection is logged and touches no other.
pub async fn serve<C, F>(
    service: Service,
    listeners: Vec<TcpListener>,
    mut stop: StopWatch,
    converse: C,
) -> Finished
where
    C: Fn(Connection) -> F + Clone + Send + 'static,
    F: Future<Output = Ended> + Send + 'static,
{
    let Service { supervisor, refused, idle_exit } = service;
    let (supervisor, refused) = (Arc::new(supervisor), Arc::new(refused));
    let places = Places::default();
    let mut conversations = JoinSet::new();
    loop {
        let idle = idle(idle_exit, conversations.is_empty());
        tokio::select! {
            accepted = accept(&listeners) => match accepted {
                Ok((stream, peer)) => match places.take(peer.ip()) {
                    Ok(place) => {
                        let (supervisor, refused) = (supervisor.clone(), refused.clone());
                        let newcomer = Newcomer { stream, peer, standing: place.standing(), supervisor };
                        let conversation = conversation(newcomer, refused, converse.clone());
                        conversations.spawn(in_its_place(place, peer, conversation));
                    }
                    Err(error) => limited!(warn, %peer, %error, "connection refused from {peer}: {error}"),
                },
                Err(error) => {
                    limited!(error, %error, "cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(done) = conversations.join_next() => if let Err(error) = done {
                limited!(error, %error, "a conversation broke off: {error}");
            },
            () = idle => return Finished::Idle,
            reason = stop.wait() => {
                info!(?reason, connections = conversations.len(), "the connector stops");
                conversations.shutdown().await;
                return Finished::Stopped(reason);
            }
        }
    }
}

async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| {
        let ready = listeners.iter().find_map(|l| match l.poll_accept(context) {
            Poll::Ready(accepted) => Some(accepted.map(|(stream, peer)| (stream, canonical(peer)))),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// The address as people know it: a socket for both families shows IPv4 hosts as `::ffff:192.0.2.1`.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// Sets the options of a new connection; its own end's address.
fn prepare(stream: &TcpStream) -> io::Result<SocketAddr> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEPALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEPALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, UNACKNOWLEDGED_MS)?;
    stream.local_addr()
}

async fn idle(after: Option<Duration>, nobody_here: bool) {
    match after {
        Some(after) if nobody_here => tokio::time::sleep(after).await,
        _ => std::future::pending().await,
    }
}

/// One who has come and may not be served.
struct Newcomer {
    stream: TcpStream,
    peer: SocketAddr,
    standing: Standing,
    supervisor: Arc<Supervisor>,
}

impl Newcomer {
    /// Finds out whether it is served.
    async fn admit(self, refused: &RefusedUsers) -> Result<Connection, NotAdmitted> {
        let Self { stream, peer, standing, supervisor } = self;
        let local = prepare(&stream).map_err(NotAdmitted::Lookup)?;
        let (mut check, mut word) = (pin!(refused.check(peer, local)), [0]);
        // Whoever speaks meanwhile is to be known for it.
        let user = tokio::select! {
            user = &mut check => user?,
            Ok(1) = stream.peek(&mut word) => {
                standing.heard();
                check.await?
            }
        };
        let caller = Caller { address: peer, user, supervisor, standing };
        Ok(Connection { stream, caller })
    }
}

/// Has the conversation as long as it may keep its place.
async fn in_its_place(place: Place, peer: SocketAddr, conversation: impl Future<Output = ()>) {
    tokio::select! {
        () = conversation => {}
        () = place.displaced() => limited!(
            warn,
            %peer,
            "connection of {peer} closed: it has shown neither key nor call, and another needs its place"
        ),
    }
}

async fn conversation<F: Future<Output = Ended>>(
    newcomer: Newcomer,
    refused: Arc<RefusedUsers>,
    converse: impl Fn(Connection) -> F,
) {
    let peer = newcomer.peer;
    let connection = match newcomer.admit(&refused).await {
        Ok(connection) => connection,
        Err(error) => {
            limited!(
                warn,
                message_id = plc_journal::message_id::ACCESS_REFUSED,
                %peer,
                "connection refused from {peer}: {}",
                Chain(&error)
            );
            return;
        }
    };
    debug!(%peer, "connected");
    match converse(connection).await {
        Ok(()) => debug!(%peer, "disconnected"),
        Err(error) => limited!(info, %peer, "connection of {peer} closed: {}", Chain(&*error)),
    }
}

/// Shows an error with its causes.
#[derive(Debug)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
