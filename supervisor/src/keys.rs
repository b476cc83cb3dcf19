// SPDX-License-Identifier: MIT OR Apache-2.0
//! Pre-shared keys: the device's own, those of clients, those that the integrator has brought; and pairing, the time in
//! which the device's is told to IDEs that ask for it.
//!
//! The connector for TLS reads the same files at each handshake. Here it is decided how long a connection that was made
//! with a key may live: as long as that key is in them.

mod fresh;
mod pairing;
mod store;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use plc_api::{
    key::{ApiKey, KeyList, SecretText},
    limits,
    message::{ApiError, Refusal},
    plc::ConnectionInfo,
};
use plc_journal::message_id;
use plc_keys::{Key, KeySet};
use tokio::sync::watch;

use self::pairing::Pairing;
pub(crate) use self::store::HOST_NAME;
pub(crate) use self::store::{KeyStore, KeysError, Revoked};
use crate::{flood::Flood, publish::Published};

/// All that concerns keys, for every door.
#[derive(Debug)]
pub(crate) struct KeyRing {
    store: Arc<Mutex<KeyStore>>,
    current: watch::Sender<Arc<KeySet>>,
    pairing: Mutex<Pairing>,
    published: Published,
    asked: Mutex<Flood>,
}

impl KeyRing {
    /// The keys in our own directory, which others' may add to. The device's key is made now if there is none; without
    /// it all else works.
    #[must_use]
    pub(crate) fn open(own: PathBuf, others: Vec<PathBuf>, published: Published) -> Self {
        let store = KeyStore::new(own, others);
        if let Err(error) = store.device() {
            tracing::error!(message_id = message_id::KEY, "the device has no key: {error}");
        }
        let ring = Self {
            store: Arc::new(Mutex::new(store)),
            current: watch::Sender::default(),
            pairing: Mutex::default(),
            published,
            asked: Mutex::new(Flood::new()),
        };
        let current = lock(&ring.store).current();
        ring.publish(&current);
        ring
    }

    /// Looks whether keys have come, changed or gone; connections that were made with one that is gone end.
    pub(crate) async fn refresh(&self) {
        if let Ok(current) = self.on_disk(|store| Ok(store.current())).await {
            self.publish(&current);
        }
    }

    fn publish(&self, current: &Arc<KeySet>) {
        let problems = |keys: &KeySet| -> Vec<String> {
            keys.problems().iter().map(ToString::to_string).collect()
        };
        let mut known = Vec::new();
        self.current.send_if_modified(|before| {
            known = problems(before);
            let changed = !Arc::ptr_eq(before, current);
            before.clone_from(current);
            changed
        });
        // A file that cannot be read is tried at each look, and warned about once.
        for problem in problems(current).iter().filter(|problem| !known.contains(problem)) {
            tracing::warn!(message_id = message_id::KEY, "{problem}");
        }
    }

    /// Opens pairing, or sets its end anew; `who` is for the log. The device's ID.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`]: not within [`limits::PAIRING_SECONDS`]; [`ApiError::Failed`]: there is no key of the
    /// device, and none can be made.
    pub(crate) async fn pair(
        self: &Arc<Self>,
        seconds: u32,
        who: &str,
    ) -> Result<String, ApiError> {
        let range = limits::PAIRING_SECONDS;
        if !range.contains(&seconds) {
            let (least, most) = (range.start(), range.end());
            return Err(ApiError::BadRequest(format!(
                "pairing may be open for {least} to {most} seconds, not for {seconds}"
            )));
        }
        let id = self.on_disk(|store| store.device()).await?.id;
        let time = Duration::from_secs(seconds.into());
        lock(&self.pairing).open(now(), time);
        self.announce();
        let ring = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            ring.announce();
        });
        tracing::info!(
            message_id = message_id::KEY,
            identity = %id,
            "pairing is open for {seconds} s by {who}: IDEs that connect without TLS are told the key of {id}"
        );
        Ok(id.to_string())
    }

    /// Puts into the snapshot whether pairing is open, and says in the log when it has ended.
    fn announce(&self) {
        let until = lock(&self.pairing).until(now()).and_then(|until| {
            let since = until.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            u64::try_from(since.as_micros()).ok()
        });
        let was_open = self.published.get().pairing_until_us.is_some();
        self.published.update(|snapshot| snapshot.pairing_until_us = until);
        if was_open && until.is_none() {
            tracing::info!(message_id = message_id::KEY, "pairing has ended");
        }
    }

    /// The device's key for the client of a connector, while pairing is open.
    ///
    /// # Errors
    /// [`ApiError::NotAllowed`] while it is not; [`ApiError::Failed`]: there is no such key, and none can be made.
    pub(crate) async fn device(&self, client: &ConnectionInfo) -> Result<ApiKey, ApiError> {
        let ConnectionInfo { connector, peer, .. } = client;
        if lock(&self.pairing).until(now()).is_none() {
            self.announce();
            self.tell(&format!(
                "{peer} asked through {connector} for the device's key and got none, because pairing is not open; \
                 `plcctl pair` opens it"
            ));
            return Err(ApiError::NotAllowed(
                "pairing is not open; `plcctl pair` opens it".to_owned(),
            ));
        }
        let key = self.on_disk(|store| store.device()).await?;
        self.tell(&format!("the key of {} was told to {peer}, through {connector}", key.id));
        Ok(shown(&key))
    }

    /// Makes a client's key.
    ///
    /// # Errors
    /// [`ApiError::BadRequest`]: the ID or the secret is none; [`ApiError::Refused`]: that ID has a key, or there are
    /// [`limits::CLIENT_KEYS`]; [`ApiError::Failed`]: the disk.
    pub(crate) async fn add(
        &self,
        id: String,
        secret: Option<SecretText>,
        who: &str,
    ) -> Result<ApiKey, ApiError> {
        let secret = secret.as_ref().map(|secret| secret.reveal().to_owned());
        let key = self.on_disk(move |store| store.add(&id, secret.as_deref())).await?;
        self.refresh().await;
        let id = &key.id;
        tracing::info!(message_id = message_id::KEY, identity = %id, "a key of {id} was made by {who}");
        Ok(shown(&key))
    }

    /// All keys, without their secrets.
    ///
    /// # Errors
    /// [`ApiError::Failed`].
    pub(crate) async fn list(&self) -> Result<KeyList, ApiError> {
        self.on_disk(|store| Ok(store.list())).await
    }

    /// A key with its secret.
    ///
    /// # Errors
    /// [`ApiError::Refused`]: there is none; [`ApiError::Failed`].
    pub(crate) async fn show(&self, id: String, who: &str) -> Result<ApiKey, ApiError> {
        let asked = id.clone();
        let secret = self.on_disk(move |store| {
            let current = store.current();
            current.secret(&asked).cloned().ok_or(KeysError::Unknown(asked))
        });
        let secret = SecretText::new(secret.await?.reveal());
        tracing::info!(
            message_id = message_id::KEY,
            identity = id,
            "the key of {id} was shown to {who}"
        );
        Ok(ApiKey { id, secret })
    }

    /// Takes a key away, and ends the connections that were made with it.
    ///
    /// # Errors
    /// [`ApiError::Refused`]: there is none, or the integrator has brought it; [`ApiError::Failed`]: the disk.
    pub(crate) async fn revoke(&self, id: String, who: &str) -> Result<Revoked, ApiError> {
        let asked = id.clone();
        let revoked = self.on_disk(move |store| store.revoke(&asked)).await;
        // In any case: of two keys with this ID one may be gone.
        self.refresh().await;
        let revoked = revoked?;
        let new = if revoked == Revoked::Replaced { ", and a new one was made" } else { "" };
        tracing::info!(
            message_id = message_id::KEY,
            identity = id,
            "the key of {id} was revoked by {who}{new}"
        );
        Ok(revoked)
    }

    /// Whether a client with this key may begin.
    ///
    /// # Errors
    /// [`Refusal`] for one whose key is not, or no more, among the keys.
    pub(crate) async fn admit(&self, key: &ApiKey) -> Result<(), Refusal> {
        self.refresh().await;
        if holds(&self.current.borrow(), key) { Ok(()) } else { Err(revoked(&key.id)) }
    }

    /// Waits until this key is not among the keys any more.
    ///
    /// # Cancel safety
    /// Cancel safe.
    pub(crate) async fn lost(&self, key: &ApiKey) -> Refusal {
        let mut current = self.current.subscribe();
        // It fails only when the sender is gone, which is our own.
        let _ = current.wait_for(|keys| !holds(keys, key)).await;
        revoked(&key.id)
    }

    /// An entry in the journal that a peer can cause; so many in each period.
    fn tell(&self, what: &str) {
        let now = Instant::now();
        let mut flood = lock(&self.asked);
        let left_out = flood.settle(now);
        if flood.admit(now, what.len()) {
            let more =
                left_out.map(|n| format!(" ({n} before it are not shown)")).unwrap_or_default();
            tracing::info!(message_id = message_id::KEY, "{what}{more}");
        }
    }

    /// Does what waits for the disk where it holds up nobody else, one at a time.
    async fn on_disk<T: Send + 'static>(
        &self,
        act: impl FnOnce(&KeyStore) -> Result<T, KeysError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || act(&lock(&store)));
        Ok(done.await.map_err(|error| ApiError::Failed(error.to_string()))??)
    }
}

impl From<KeysError> for ApiError {
    fn from(error: KeysError) -> Self {
        let reason = error.to_string();
        match error {
            KeysError::Id(..) | KeysError::Secret(_) => Self::BadRequest(reason),
            KeysError::Taken(..)
            | KeysError::InTheWay(_)
            | KeysError::TooMany
            | KeysError::Unknown(_)
            | KeysError::Brought(..) => Self::Refused(reason),
            KeysError::NoDeviceKey(_) | KeysError::Disk(..) => Self::Failed(reason),
        }
    }
}

fn holds(keys: &KeySet, key: &ApiKey) -> bool {
    keys.secret(&key.id).is_some_and(|secret| secret.reveal() == key.secret.reveal())
}

fn revoked(id: &str) -> Refusal {
    Refusal {
        reason: format!(
            "the key of {id} was revoked, or is none of the runtime's: a key that is a systemd credential must be \
             given to plc-runtime.service too"
        ),
    }
}

fn shown(key: &Key) -> ApiKey {
    ApiKey { id: key.id.to_string(), secret: SecretText::new(key.secret.reveal()) }
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
