// SPDX-License-Identifier: MIT OR Apache-2.0
//! Installed programs: `programs/SEQ-HASH/`, immutable, and the link `current` to one of them.
//!
//! An installation has two halves. [`Store::stage`] puts the whole program on disk under its final name;
//! [`Store::commit`] makes it the current one by renaming a link. A power cut between any two system calls leaves
//! the old program current, or the new one; what is left lying about is swept up by [`Store::open`].

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use plc_api::{
    limits,
    message::InstallRequest,
    plc::Wish,
    program::{FileName, ProgramInfo},
};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    blobs::{BlobError, Blobs},
    durable,
    manifest::{Manifest, ProgramId},
};

/// Programs that are kept: the current one and those it came from.
const KEPT: usize = 3;

/// Why a program could not be put on disk.
#[derive(Debug, Error)]
pub enum StageError {
    /// One of the blobs is not there.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// Two extra files of one name, or too many.
    #[error("{0}")]
    BadRequest(String),
    /// The disk's words.
    #[error("the program cannot be stored: {0}")]
    Disk(#[from] io::Error),
}

/// The programs and the wish of one PLC. One process has it open at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    /// Held while the names in `programs/` change.
    names: Mutex<()>,
    staging: AtomicU64,
    _lock: File,
}

impl Store {
    /// Opens the store in `dir`, makes it if need be, and removes what interrupted installations left.
    ///
    /// # Errors
    /// Another supervisor has it open, or the disk's words.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir.join("programs")).map_err(|error| durable::at(dir, &error))?;
        // Each time: the one who made the directory may have lost its power before this.
        durable::sync_dir(dir)?;
        let lock = File::create(dir.join("lock")).map_err(|error| durable::at(dir, &error))?;
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| {
                io::Error::other(format!(
                    "another supervisor has {} open; stop it first",
                    dir.display()
                ))
            },
        )?;
        let store = Self {
            dir: dir.to_owned(),
            names: Mutex::new(()),
            staging: AtomicU64::new(0),
            _lock: lock,
        };
        store.sweep()?;
        Ok(store)
    }

    /// The directory of a program.
    #[must_use]
    pub fn program_dir(&self, program: &ProgramInfo) -> PathBuf {
        self.programs().join(&program.id)
    }

    /// The current program, if there is one that is whole.
    ///
    /// # Errors
    /// There is one and it cannot be read.
    pub fn current(&self) -> io::Result<Option<ProgramInfo>> {
        match self.linked("current")? {
            Some(id) => Ok(Some(self.manifest(&id)?.info())),
            None => Ok(None),
        }
    }

    /// Where a rollback leads: the program that the current one replaced, or the one that was forgotten. If the
    /// current one does not tell any more it is the newest of those before it.
    ///
    /// # Errors
    /// A link or a manifest cannot be read.
    pub fn former(&self) -> io::Result<Option<ProgramInfo>> {
        let installed = self.installed()?;
        let id = match self.linked("current")? {
            Some(current) => match self.manifest(&current) {
                Ok(manifest) => manifest.replaces,
                Err(_) => installed.iter().filter(|id| **id < current).max().cloned(),
            },
            None => self.linked("forgotten")?,
        };
        match id {
            Some(id) if installed.contains(&id) => Ok(Some(self.manifest(&id)?.info())),
            _ => Ok(None),
        }
    }

    /// Puts a program on disk, whole and synced, under its final name. It is not the current one yet.
    ///
    /// # Errors
    /// [`StageError`]; then nothing of it stays.
    pub fn stage(
        &self,
        request: &InstallRequest,
        blobs: &mut Blobs,
    ) -> Result<ProgramInfo, StageError> {
        check(request)?;
        let number = self.staging.fetch_add(1, Ordering::Relaxed);
        let dir = self.programs().join(format!(".new-{number}"));
        self.fill(&dir, request, blobs).inspect_err(|_| {
            // What cannot be removed now is swept up at the next start.
            let _ = fs::remove_dir_all(&dir);
        })
    }

    fn fill(
        &self,
        dir: &Path,
        request: &InstallRequest,
        blobs: &mut Blobs,
    ) -> Result<ProgramInfo, StageError> {
        let extra = dir.join("extra");
        fs::create_dir(dir).map_err(|error| durable::at(dir, &error))?;
        fs::create_dir(&extra).map_err(|error| durable::at(&extra, &error))?;
        let mut digest = Sha256::new();
        take(blobs.file(request.library)?, &dir.join("program.so"), "", &mut digest)?;
        for file in &request.extra_files {
            take(
                blobs.file(file.blob)?,
                &extra.join(file.name.as_str()),
                file.name.as_str(),
                &mut digest,
            )?;
        }
        durable::sync_dir(&extra)?;
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let manifest = Manifest {
            id: ProgramId::new(self.next_sequence()?, &digest.finalize()),
            md5: request.md5.clone(),
            logic_md5: None,
            since_us: now_us(),
            replaces: self.newest_kept()?,
            extra_files: request.extra_files.iter().map(|file| file.name.clone()).collect(),
        };
        manifest.write(dir)?;
        durable::sync_dir(dir)?;
        let place = self.programs().join(manifest.id.to_string());
        fs::rename(dir, &place).map_err(|error| durable::at(&place, &error))?;
        durable::sync_dir(&self.programs())?;
        Ok(manifest.info())
    }

    /// Makes a staged or former program the current one. When this returns, a power cut cannot undo it.
    ///
    /// # Errors
    /// The disk's words; then the old one is still current.
    pub fn commit(&self, program: &ProgramInfo) -> io::Result<()> {
        let link = self.dir.join("current");
        let before = self.linked("current")?;
        // It may be switched and not be durable. Who is told of an error goes on with the old one, and so must a boot.
        durable::replace_link(&link, &place(&program.id)).inspect_err(|_| self.put_back(before))?;
        // It is current, whatever becomes of those that are not.
        if let Err(error) = durable::remove_if_there(&self.dir.join("forgotten")) {
            tracing::warn!(%error, "what was forgotten stays: {error}");
        }
        self.prune();
        Ok(())
    }

    /// Makes the program current again that was, if another one is already.
    fn put_back(&self, before: Option<ProgramId>) {
        let link = self.dir.join("current");
        let done = match (self.linked("current"), before) {
            (Ok(now), before) if now == before => Ok(()),
            (_, Some(id)) => durable::replace_link(&link, &place(&id.to_string())),
            (_, None) => durable::remove_if_there(&link),
        };
        if let Err(error) = done {
            tracing::error!(%error, "which program is current shows at the next start only: {error}");
        }
    }

    /// Forgets the current program; a rollback brings it back.
    ///
    /// # Errors
    /// The disk's words; then it is still current.
    pub fn forget(&self) -> io::Result<()> {
        let current = self.dir.join("current");
        match fs::rename(&current, self.dir.join("forgotten")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(durable::at(&current, &error))
            }
            _ => durable::sync_dir(&self.dir),
        }
    }

    /// Removes a program that was staged and is not wanted.
    ///
    /// # Errors
    /// It is the current or the forgotten one, or the disk's words; it is swept up at the next start.
    pub fn discard(&self, program: &ProgramInfo) -> io::Result<()> {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        for link in ["current", "forgotten"] {
            if self.linked(link)?.is_some_and(|id| id.to_string() == program.id) {
                return Err(io::Error::other(format!("{} is the {link} program", program.id)));
            }
        }
        self.remove(&program.id)
    }

    /// Whether the PLC is meant to run, as last written; a missing or unreadable file means no.
    #[must_use]
    pub fn wish(&self) -> Wish {
        match fs::read_to_string(self.dir.join("wish")).as_deref().map(str::trim) {
            Ok("run") => Wish::Run,
            _ => Wish::Stop,
        }
    }

    /// Keeps the wish; when this returns, a power cut cannot undo it.
    ///
    /// # Errors
    /// The disk's words; then the former wish stands.
    pub fn write_wish(&self, wish: Wish) -> io::Result<()> {
        let text = match wish {
            Wish::Run => "run\n",
            Wish::Stop => "stop\n",
        };
        durable::replace_file(&self.dir.join("wish"), text.as_bytes())
    }

    fn programs(&self) -> PathBuf {
        self.dir.join("programs")
    }

    fn manifest(&self, id: &ProgramId) -> io::Result<Manifest> {
        Manifest::read(&self.programs().join(id.to_string()))
    }

    /// The program that a link of ours leads to. An unreadable link is an error and never "none": what no link
    /// leads to is removed.
    fn linked(&self, link: &str) -> io::Result<Option<ProgramId>> {
        let link = self.dir.join(link);
        let target = match fs::read_link(&link) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(durable::at(&link, &error)),
        };
        let id = target.file_name().and_then(|name| name.to_str()).and_then(ProgramId::parse);
        id.map(Some).ok_or_else(|| io::Error::other(format!("{} is not ours", link.display())))
    }

    /// The program that was current last.
    fn newest_kept(&self) -> io::Result<Option<ProgramId>> {
        match self.linked("current")? {
            Some(current) => Ok(Some(current)),
            None => self.linked("forgotten"),
        }
    }

    fn installed(&self) -> io::Result<Vec<ProgramId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(self.programs())? {
            ids.extend(entry?.file_name().to_str().and_then(ProgramId::parse));
        }
        Ok(ids)
    }

    fn next_sequence(&self) -> io::Result<u64> {
        Ok(self.installed()?.iter().map(|id| id.sequence).max().unwrap_or(0) + 1)
    }

    /// Removes all programs but the current one and those it came from, as far as possible.
    fn prune(&self) {
        if let Err(error) = self.try_to_prune() {
            tracing::warn!(%error, "programs that nobody needs any more are kept: {error}");
        }
    }

    fn try_to_prune(&self) -> io::Result<()> {
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let installed = self.installed()?;
        let mut kept = Vec::new();
        let mut next = self.newest_kept()?;
        // The current one is looked at in any case: which are to be kept is known only from what it says.
        while let Some(id) =
            next.take_if(|id| kept.is_empty() || (kept.len() < KEPT && installed.contains(id)))
        {
            next = self.manifest(&id)?.replaces;
            kept.push(id);
        }
        for id in installed {
            // A larger number than the current one's may be staged by another connection right now.
            let is_later = kept.first().is_some_and(|current| id.sequence > current.sequence);
            if !kept.contains(&id) && !is_later {
                self.remove(&id.to_string())?;
            }
        }
        Ok(())
    }

    /// Takes a program's name away before its files, so that nobody ever finds half of one.
    fn remove(&self, id: &str) -> io::Result<()> {
        let trash = self.programs().join(format!(".trash-{id}"));
        fs::rename(self.programs().join(id), &trash)
            .map_err(|error| durable::at(&trash, &error))?;
        fs::remove_dir_all(&trash).map_err(|error| durable::at(&trash, &error))
    }

    /// Removes what interrupted calls left behind.
    fn sweep(&self) -> io::Result<()> {
        for left_over in ["current.new", "wish.new"] {
            durable::remove_if_there(&self.dir.join(left_over))?;
        }
        for entry in fs::read_dir(self.programs())? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                fs::remove_dir_all(entry.path())
                    .map_err(|error| durable::at(&entry.path(), &error))?;
            }
        }
        let newest_kept = self.newest_kept()?;
        for id in self.installed()? {
            // Staged, and never made current; or left behind by a rollback.
            if newest_kept.as_ref().is_none_or(|kept| id.sequence > kept.sequence) {
                self.remove(&id.to_string())?;
            }
        }
        self.prune();
        Ok(())
    }
}

/// What a link to a program says.
fn place(id: &str) -> PathBuf {
    Path::new("programs").join(id)
}

/// Gives a blob's file a second name in the program's directory, and syncs and digests its content.
fn take(blob: &Path, place: &Path, name: &str, digest: &mut Sha256) -> Result<(), StageError> {
    fs::hard_link(blob, place).map_err(|error| durable::at(place, &error))?;
    let mut file = File::open(place).map_err(|error| durable::at(place, &error))?;
    digest.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes());
    digest.update(name);
    digest.update(file.metadata()?.len().to_le_bytes());
    io::copy(&mut file, digest)?;
    file.sync_all().map_err(|error| durable::at(place, &error))?;
    Ok(())
}

fn check(request: &InstallRequest) -> Result<(), StageError> {
    if request.extra_files.len() > limits::EXTRA_FILES {
        return Err(StageError::BadRequest("too many extra files".into()));
    }
    let mut names: Vec<&FileName> = request.extra_files.iter().map(|file| &file.name).collect();
    names.sort();
    match names.windows(2).find(|pair| pair.first() == pair.last()) {
        Some(pair) => {
            Err(StageError::BadRequest(format!("two extra files are named {:?}", pair.first())))
        }
        None => Ok(()),
    }
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
