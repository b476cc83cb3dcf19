// SPDX-License-Identifier: MIT OR Apache-2.0
//! One connection: its first bytes, its handshake, and then the conversation of the plain IDE port.

use std::{
    io::{self, Cursor},
    mem::{Discriminant, discriminant},
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use openssl::{error::ErrorStack, ssl::SslVersion};
use plc_connector::{
    api::{
        client::CallError,
        key::{ApiKey, SecretText},
    },
    intake::FIRST_BYTES_DEADLINE,
    limited,
    logging::RateLimits,
    places::Source,
    serve::{Caller, Chain as Causes, Connection, Ended},
};
use plc_connector_pyro::conversation::{Line, converse};
use plc_journal::message_id::ACCESS_REFUSED;
use plc_keys::{Id, Key, KeyFiles, KeySet};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Chain, Join},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinError, spawn_blocking},
    time::timeout,
};
use tokio_openssl::SslStream;
use tracing::{debug, info, warn};

use crate::{
    client_hello::{self, Hello},
    context::{Contexts, Shown, Versions},
    pace::Pace,
};

/// How long the farewell of TLS may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What all connections share.
#[derive(Debug)]
pub struct Port {
    /// Read by one handshake at a time, so that a disk that stalls holds one thread.
    keys: Arc<tokio::sync::Mutex<KeyFiles>>,
    /// Those that the log has heard of.
    told: Mutex<Arc<KeySet>>,
    contexts: Contexts,
    pace: Pace,
    /// Of the log about refusals, one for each [`Refused`].
    limits: RateLimits<Discriminant<Refused>>,
}

/// Why a peer is not served. The log's words, each with the next step; the peer learns none of it.
#[derive(Debug, Error)]
enum Refused {
    #[error("it left before it said anything")]
    Left,
    #[error(
        "it did not end its handshake within {} s; an IDE with PYRO:// in place of PYROS:// only waits",
        FIRST_BYTES_DEADLINE.as_secs()
    )]
    Slow,
    #[error(
        "it speaks no TLS, and this port takes nothing else; in the IDE write PYROS:// or ERPCS:// and #ID at the end; those \
         since 2024-11-18, whose ERPCS:// is broken, come through stunnel or ssh -L"
    )]
    Plain,
    #[error(
        "it speaks no TLS newer than 1.1, as IDEs of 2018 to 2022 do; to let them in, set legacy_tls = true in section \
         [pyros] of the configuration and reload plc-runtime"
    )]
    TooOld,
    #[error(
        "it speaks no TLS newer than 1.1, and whether legacy_tls = true lets it in is not known"
    )]
    Unasked(#[source] CallError),
    #[error("it failed too many handshakes; the next may come in a second")]
    TooMany,
    #[error(
        "it offers no pre-shared key, or none in a way that is allowed here; IDE and stunnel offer one when they are \
         given ID and secret"
    )]
    NoKey,
    #[error(
        "there is no key of the ID \"{0}\"; 'plcctl psk list' shows the IDs, 'plcctl psk add' makes one, 'plcctl psk \
         import' takes that of an IDE"
    )]
    Stranger(String),
    #[error(
        "it does not have the secret of the ID {0}; 'plcctl psk export {0} FILE' writes the file that the IDE has to have \
         as psk/{0}.secret, and stunnel for PSKsecrets"
    )]
    WrongSecret(Id),
    #[error("the keys cannot be read")]
    NoKeys(#[from] JoinError),
    #[error("the connection broke in the handshake")]
    Broke(#[from] io::Error),
    #[error("OpenSSL cannot serve it")]
    OpenSsl(#[from] ErrorStack),
}

/// A peer's bytes, behind those that were looked at first.
type Bytes = Join<Chain<Cursor<Vec<u8>>, OwnedReadHalf>, OwnedWriteHalf>;

impl Port {
    /// A port for the keys in these directories.
    ///
    /// # Errors
    /// When this OpenSSL lacks what is needed.
    pub fn new(key_dirs: Vec<PathBuf>) -> Result<Self, ErrorStack> {
        let keys = Arc::new(tokio::sync::Mutex::new(KeyFiles::new(key_dirs)));
        let contexts = Contexts::new()?;
        let (told, pace, limits) = Default::default();
        Ok(Self { keys, told, contexts, pace, limits })
    }

    /// Serves one connection.
    ///
    /// # Errors
    /// What ended the conversation. A handshake that fails is logged and is no error.
    pub async fn serve(&self, connection: Connection) -> Ended {
        let Connection { stream, caller } = connection;
        let peer = caller.address;
        let handshake = timeout(FIRST_BYTES_DEADLINE, self.handshake(stream, &caller));
        let (mut stream, Key { id, secret }) = match handshake.await.unwrap_or(Err(Refused::Slow)) {
            Ok(secured) => secured,
            Err(refused) => {
                self.tell(peer, &refused);
                return Ok(());
            }
        };
        let (version, suite) = (stream.ssl().version_str(), suite(&stream));
        // Not limited: whoever comes so far has a key, and who used which is to be known.
        info!(%peer, identity = %id, "{peer} connected with the key of {id}, {version}, {suite}");
        let secret = SecretText::new(secret.reveal());
        let key = ApiKey { id: id.as_str().to_owned(), secret };
        let result = converse(line(&stream), &mut stream, caller.session(Some(key))).await;
        // Whether the peer hears it does not matter.
        let _ = timeout(FAREWELL, stream.shutdown()).await;
        Ok(result?)
    }

    async fn handshake(
        &self,
        stream: TcpStream,
        caller: &Caller,
    ) -> Result<(SslStream<Bytes>, Key), Refused> {
        let (mut reader, writer) = stream.into_split();
        let (hello, first) = first_bytes(&mut reader).await?;
        caller.standing().heard();
        let versions = match hello {
            Hello::NotTls => return Err(Refused::Plain),
            Hello::Modern => Versions::Modern,
            Hello::Legacy => Versions::Legacy,
        };
        let source = Source::of(caller.address.ip());
        if !self.pace.begin(source, Instant::now()) {
            return Err(Refused::TooMany);
        }
        // Only now, so that not even the supervisor is asked at a stranger's pace.
        if versions == Versions::Legacy {
            may_be_legacy(caller).await?;
        }
        let ssl = self.contexts.begin(versions, self.keys().await?)?;
        let bytes = tokio::io::join(Cursor::new(first).chain(reader), writer);
        let mut stream = SslStream::new(ssl, bytes)?;
        let accepted = std::pin::Pin::new(&mut stream).accept().await;
        match (accepted, self.contexts.shown(stream.ssl())) {
            (Ok(()), Shown::Known(id, secret)) => {
                self.pace.succeeded(source);
                Ok((stream, Key { id, secret }))
            }
            (Err(error), _) if error.ssl_error().is_none() => Err(Refused::Broke(
                error.into_io_error().unwrap_or_else(|_| io::ErrorKind::UnexpectedEof.into()),
            )),
            (_, Shown::Known(id, _)) => Err(Refused::WrongSecret(id)),
            (_, Shown::Stranger(identity)) => Err(Refused::Stranger(identity)),
            (_, Shown::Nothing) => Err(Refused::NoKey),
        }
    }

    /// Logs why a peer is not served.
    fn tell(&self, peer: SocketAddr, refused: &Refused) {
        let reason = Causes(refused);
        if matches!(refused, Refused::Left) {
            debug!(%peer, "{peer}: {reason}");
        } else if let Some(suppressed) = self.limits.admit(discriminant(refused), Instant::now()) {
            warn!(suppressed, message_id = ACCESS_REFUSED, %peer, "{peer} refused: {reason}");
        }
    }

    /// The keys as they are now; what is to be said about them is said once. Waits for the disk on another thread, so
    /// that those who are connected do not.
    async fn keys(&self) -> Result<Arc<KeySet>, Refused> {
        let files = self.keys.clone().lock_owned().await;
        let keys = spawn_blocking(move || files.current()).await?;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&keys, &told) {
            tell(&keys);
            told.clone_from(&keys);
        }
        Ok(keys)
    }
}

fn tell(keys: &KeySet) {
    for problem in keys.problems() {
        limited!(warn, "{}", Causes(problem));
    }
    for (id, _, file) in keys.iter().filter(|(_, secret, _)| secret.looks_hex()) {
        limited!(
            warn,
            identity = %id,
            "the secret of {id} in {} looks like a number in hexadecimal: stunnel would decode it, while IDEs take it as \
             it is; use another one",
            file.display()
        );
    }
    if keys.is_empty() {
        limited!(warn, "there are no keys, so nobody can connect; 'plcctl psk add ID' makes one");
    }
}

/// Reads until it is known what begins here.
async fn first_bytes(reader: &mut OwnedReadHalf) -> Result<(Hello, Vec<u8>), Refused> {
    let mut first = Vec::with_capacity(client_hello::BYTES);
    let mut reader = reader.take(client_hello::BYTES as u64);
    loop {
        if let Some(hello) = client_hello::look(&first) {
            return Ok((hello, first));
        }
        if reader.read_buf(&mut first).await? == 0 {
            return Err(if first.is_empty() { Refused::Left } else { Refused::Plain });
        }
    }
}

/// Whether a client is let in that speaks no TLS newer than 1.1.
async fn may_be_legacy(caller: &Caller) -> Result<(), Refused> {
    match caller.settings().await {
        Ok(settings) if settings.legacy_tls => {
            let peer = caller.address;
            limited!(warn, %peer, "{peer} comes with TLS 1.0, whose protection is weak: legacy_tls = true lets it in");
            Ok(())
        }
        Ok(_) => Err(Refused::TooOld),
        Err(error) => Err(Refused::Unasked(error)),
    }
}

fn line(stream: &SslStream<Bytes>) -> Line {
    if stream.ssl().version2() == Some(SslVersion::TLS1) { Line::LegacyTls } else { Line::Tls }
}

fn suite(stream: &SslStream<Bytes>) -> &'static str {
    stream.ssl().current_cipher().map_or("no suite", |cipher| cipher.name())
}
