// SPDX-License-Identifier: MIT OR Apache-2.0
//! The blobs of one API connection: files under way, each named by the digest of what has come so far.
//!
//! They lie on the disk that the program will live on and go when the connection does. Calls block on the disk,
//! but only when a buffer is full.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Instant,
};

use md5::{Digest, Md5};
use plc_api::{limits, program::BlobId};
use thiserror::Error;

use super::durable;

/// How much is collected in memory before it goes to the file: the IDEs of 2024 send 4095 bytes at a time.
const BUFFER_BYTES: usize = 64 << 10;

/// Why a blob could not be begun or continued.
#[derive(Debug, Error)]
pub enum BlobError {
    /// Nothing under way has that id.
    #[error("no blob of this connection has the id {0}")]
    Unknown(BlobId),
    /// A bound of [`limits`]; says which.
    #[error("{0}")]
    TooMuch(&'static str),
    /// The disk's words.
    #[error("the transferred data cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

/// Room for all blobs of all connections.
#[derive(Debug)]
pub struct TransferArea {
    dir: PathBuf,
    used: AtomicU64,
    names: AtomicU64,
    touched: Mutex<Option<Instant>>,
    /// How many are at work for clients.
    busy: AtomicUsize,
}

/// Somebody works on what a client sent, for as long as this is kept.
#[derive(Debug)]
pub struct Busy(Arc<TransferArea>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.touch();
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl TransferArea {
    /// The area in `dir`, emptied: what lies there belongs to connections of a former supervisor.
    ///
    /// # Errors
    /// The directory cannot be emptied or made.
    pub fn open(dir: &Path) -> io::Result<Arc<Self>> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(durable::at(dir, &error));
            }
            _ => {}
        }
        // Nobody else's: what lies here is on its way to a directory that few may read.
        let own = fs::DirBuilder::new().mode(0o700).create(dir);
        own.map_err(|error| durable::at(dir, &error))?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            used: AtomicU64::new(0),
            names: AtomicU64::new(0),
            touched: Mutex::default(),
            busy: AtomicUsize::new(0),
        }))
    }

    /// When a client last sent something, or had us work on it; `None`: never.
    #[must_use]
    pub fn touched(&self) -> Option<Instant> {
        if self.busy.load(Ordering::Relaxed) > 0 {
            return Some(Instant::now());
        }
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn reserve(&self, bytes: u64) -> Result<(), BlobError> {
        let reserve =
            |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limits::ALL_BLOB_BYTES);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, reserve) {
            Ok(_) => Ok(()),
            Err(_) => Err(BlobError::TooMuch("too much data is being transferred at once")),
        }
    }
}

/// The blobs of one connection.
#[derive(Debug)]
pub struct Blobs {
    area: Arc<TransferArea>,
    blobs: HashMap<BlobId, Blob>,
    bytes: u64,
    /// The blob that was appended to last, and what of it is not in its file yet.
    pending: Option<(BlobId, Vec<u8>)>,
}

#[derive(Debug)]
struct Blob {
    path: PathBuf,
    digest: Md5,
    bytes: u64,
}

impl Blobs {
    /// No blobs.
    #[must_use]
    pub fn new(area: Arc<TransferArea>) -> Self {
        Self { area, blobs: HashMap::new(), bytes: 0, pending: None }
    }

    /// To be kept while these blobs are worked on: that may take longer than a client is silent otherwise.
    #[must_use]
    pub fn busy(&self) -> Busy {
        self.area.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.area.clone())
    }

    /// Drops all that is under way.
    pub fn purge(&mut self) {
        for blob in std::mem::take(&mut self.blobs).into_values() {
            // A file that cannot be removed now is removed at the next start.
            let _ = fs::remove_file(blob.path);
        }
        self.area.used.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.pending = None;
    }

    /// Begins a blob. One of the same name that was begun before is forgotten: the IDE tries again.
    ///
    /// # Errors
    /// [`BlobError::TooMuch`], [`BlobError::Disk`].
    pub fn seed(&mut self, seed: &[u8]) -> Result<BlobId, BlobError> {
        self.area.touch();
        if seed.len() > limits::SEED_BYTES {
            return Err(BlobError::TooMuch("the seed is too long"));
        }
        let digest = Md5::new_with_prefix(seed);
        let id = BlobId(digest.clone().finalize().into());
        self.forget(id);
        if self.blobs.len() >= limits::SESSION_BLOBS {
            return Err(BlobError::TooMuch("too many files in one transfer"));
        }
        let path = self.area.dir.join(self.area.names.fetch_add(1, Ordering::Relaxed).to_string());
        OpenOptions::new().write(true).create_new(true).open(&path)?;
        self.blobs.insert(id, Blob { path, digest, bytes: 0 });
        Ok(id)
    }

    /// Adds to a blob and gives it its new id. [`BlobId::EMPTY`] begins a blob without a seed, as IDEs of
    /// December 2018 do.
    ///
    /// # Errors
    /// [`BlobError::Unknown`], [`BlobError::TooMuch`]; on [`BlobError::Disk`] the blob is gone.
    pub fn append(&mut self, id: BlobId, data: &[u8]) -> Result<BlobId, BlobError> {
        self.area.touch();
        if id == BlobId::EMPTY && !self.blobs.contains_key(&id) {
            self.seed(b"")?;
        }
        if data.len() > limits::CHUNK_BYTES {
            return Err(BlobError::TooMuch("the chunk is too long"));
        }
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        if self.bytes.saturating_add(length) > limits::SESSION_BLOB_BYTES {
            return Err(BlobError::TooMuch("the transfer is larger than 256 MiB"));
        }
        let mut blob = self.blobs.remove(&id).ok_or(BlobError::Unknown(id))?;
        if let Err(error) = self.area.reserve(length) {
            self.blobs.insert(id, blob);
            return Err(error);
        }
        self.bytes += length;
        blob.bytes += length;
        blob.digest.update(data);
        let new_id = BlobId(blob.digest.clone().finalize().into());
        let mut buffer = match self.pending.take() {
            Some((pending, buffer)) if pending == id => buffer,
            Some((other, buffer)) => {
                self.write(other, &buffer)?;
                Vec::new()
            }
            None => Vec::new(),
        };
        buffer.extend_from_slice(data);
        self.forget(new_id);
        self.blobs.insert(new_id, blob);
        if buffer.len() >= BUFFER_BYTES {
            self.write(new_id, &buffer)?;
        } else {
            self.pending = Some((new_id, buffer));
        }
        Ok(new_id)
    }

    /// Whether the next [`Self::append`] of this many bytes goes to the disk.
    #[must_use]
    pub fn would_write(&self, id: BlobId, bytes: usize) -> bool {
        match &self.pending {
            Some((pending, buffer)) => *pending != id || buffer.len() + bytes >= BUFFER_BYTES,
            None => bytes >= BUFFER_BYTES,
        }
    }

    /// The file that holds a whole blob; not synced.
    ///
    /// # Errors
    /// [`BlobError::Unknown`], [`BlobError::Disk`].
    pub fn file(&mut self, id: BlobId) -> Result<&Path, BlobError> {
        if id == BlobId::EMPTY && !self.blobs.contains_key(&id) {
            // An empty file of an IDE that sends no seeds was never mentioned before.
            self.seed(b"")?;
        }
        if let Some((pending, buffer)) = self.pending.take() {
            self.write(pending, &buffer)?;
        }
        Ok(&self.blobs.get(&id).ok_or(BlobError::Unknown(id))?.path)
    }

    fn write(&mut self, id: BlobId, buffer: &[u8]) -> Result<(), BlobError> {
        let Some(blob) = self.blobs.get(&id) else {
            return Ok(());
        };
        let written =
            OpenOptions::new().append(true).open(&blob.path).and_then(|mut f| f.write_all(buffer));
        written.map_err(|error| {
            self.forget(id);
            BlobError::Disk(error)
        })
    }

    fn forget(&mut self, id: BlobId) {
        if let Some(blob) = self.blobs.remove(&id) {
            let _ = fs::remove_file(blob.path);
            self.bytes = self.bytes.saturating_sub(blob.bytes);
            self.area.used.fetch_sub(blob.bytes, Ordering::Relaxed);
        }
        if self.pending.as_ref().is_some_and(|(pending, _)| *pending == id) {
            self.pending = None;
        }
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        self.purge();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn md5(parts: &[&[u8]]) -> BlobId {
        let mut digest = Md5::new();
        parts.iter().for_each(|part| digest.update(part));
        BlobId(digest.finalize().into())
    }

    fn blobs(dir: &tempfile::TempDir) -> Blobs {
        Blobs::new(TransferArea::open(&dir.path().join("transfer")).unwrap())
    }

    #[test]
    fn the_id_is_the_digest_of_seed_and_chunks_and_the_file_holds_the_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        let id = blobs.seed(b"abc").unwrap();
        assert_eq!(id, md5(&[b"abc"]));
        let id = blobs.append(id, b"xyz").unwrap();
        assert_eq!(id, md5(&[b"abcxyz"]));
        let long = vec![7; 3 * BUFFER_BYTES];
        let id = blobs.append(id, &long).unwrap();
        let id = blobs.append(id, b"end").unwrap();
        assert_eq!(id, md5(&[b"abcxyz", &long, b"end"]));
        assert_eq!(
            fs::read(blobs.file(id).unwrap()).unwrap(),
            [b"xyz", &long[..], b"end"].concat()
        );
    }

    #[test]
    fn an_old_id_is_unknown_once_the_blob_has_grown() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        let id = blobs.seed(b"abc").unwrap();
        blobs.append(id, b"xyz").unwrap();
        assert!(matches!(blobs.append(id, b"xyz"), Err(BlobError::Unknown(_))));
        assert!(matches!(blobs.file(id), Err(BlobError::Unknown(_))));
    }

    #[test]
    fn two_blobs_may_be_filled_in_turn() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        let (mut a, mut b) = (blobs.seed(b"a").unwrap(), blobs.seed(b"b").unwrap());
        for _ in 0..3 {
            a = blobs.append(a, b"A").unwrap();
            b = blobs.append(b, b"B").unwrap();
        }
        assert_eq!(fs::read(blobs.file(a).unwrap()).unwrap(), b"AAA");
        assert_eq!(fs::read(blobs.file(b).unwrap()).unwrap(), b"BBB");
    }

    #[test]
    fn without_a_seed_the_empty_id_begins_a_blob_and_names_an_empty_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        let id = blobs.append(BlobId::EMPTY, b"xyz").unwrap();
        assert_eq!(id, md5(&[b"xyz"]));
        assert_eq!(fs::read(blobs.file(BlobId::EMPTY).unwrap()).unwrap(), b"");
    }

    #[test]
    fn purging_frees_the_disk_and_the_room() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        let id = blobs.seed(b"abc").unwrap();
        blobs.append(id, &vec![0; limits::CHUNK_BYTES]).unwrap();
        assert_eq!(blobs.area.used.load(Ordering::Relaxed), 1 << 20);
        blobs.purge();
        assert_eq!(blobs.area.used.load(Ordering::Relaxed), 0);
        assert_eq!(fs::read_dir(dir.path().join("transfer")).unwrap().count(), 0);
    }

    #[test]
    fn a_transfer_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let mut blobs = blobs(&dir);
        for n in 0..limits::SESSION_BLOBS {
            blobs.seed(&n.to_le_bytes()).unwrap();
        }
        assert!(matches!(blobs.seed(b"one more"), Err(BlobError::TooMuch(_))));
        let id = blobs.seed(&0_usize.to_le_bytes()).unwrap();
        assert!(matches!(
            blobs.append(id, &vec![0; limits::CHUNK_BYTES + 1]),
            Err(BlobError::TooMuch(_))
        ));
        assert!(matches!(blobs.seed(&[0; limits::SEED_BYTES + 1]), Err(BlobError::TooMuch(_))));
    }
}
