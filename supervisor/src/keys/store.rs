// SPDX-License-Identifier: MIT OR Apache-2.0
//! The key files: those in our own directory, which are made and removed here, and those that others have brought.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use plc_api::{
    key::{KeyInfo, KeyKind, KeyList},
    limits,
};
use plc_keys::{
    Id, InvalidId, InvalidSecret, Key, KeyFiles, KeySet, Keys, Problem, Secret, read_file, text_in,
};
use thiserror::Error;

use super::fresh;
use crate::program::durable::{self, Readers};

/// Where the kernel tells the host's name.
pub(crate) const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Why keys are not changed, each with the next step.
#[derive(Debug, Error)]
pub enum KeysError {
    /// The ID is none.
    #[error("{0:?} is no ID: {1}")]
    Id(String, InvalidId),
    /// The secret is none.
    #[error(transparent)]
    Secret(#[from] InvalidSecret),
    /// There is a key of that ID.
    #[error("there is a key of {0} already, in {path}; revoke it first: plcctl psk revoke {0}", path = .1.display())]
    Taken(Id, PathBuf),
    /// There is a file in its place.
    #[error("{} is there already and its keys do not count; plcctl psk list says why", .0.display())]
    InTheWay(PathBuf),
    /// There are too many.
    #[error(
        "there are {} keys of clients already; revoke one that is not needed",
        limits::CLIENT_KEYS
    )]
    TooMany,
    /// There is no such key.
    #[error("there is no key of {0}; plcctl psk list shows the keys")]
    Unknown(String),
    /// It is not ours to take away.
    #[error(
        "the key of {0} was brought in {path}, and is taken away there: remove its line, then systemctl reload \
         plc-runtime",
        path = .1.display()
    )]
    Brought(String, PathBuf),
    /// The file of the device's key has none.
    #[error(
        "{} holds no key that counts; plcctl psk list says why; correct or remove that file, then try again",
        .0.display()
    )]
    NoDeviceKey(PathBuf),
    /// The disk; which directory, and why.
    #[error("the keys in {dir} cannot be written: {1}", dir = .0.display())]
    Disk(PathBuf, io::Error),
}

/// What a revocation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// The key is gone.
    Gone,
    /// It was the device's, which has a new one.
    Replaced,
}

/// All key files.
#[derive(Debug)]
pub(crate) struct KeyStore {
    own: PathBuf,
    files: KeyFiles,
}

impl KeyStore {
    /// The key files in our own directory and in those of others; of two keys with one ID ours counts.
    #[must_use]
    pub(crate) fn new(own: PathBuf, others: impl IntoIterator<Item = PathBuf>) -> Self {
        let dirs = std::iter::once(own.clone()).chain(others).collect();
        Self { own, files: KeyFiles::new(dirs) }
    }

    /// The keys as they are now.
    #[must_use]
    pub(crate) fn current(&self) -> Arc<KeySet> {
        self.files.current()
    }

    /// The device's key; made now if there never was one.
    ///
    /// # Errors
    /// [`KeysError::NoDeviceKey`], [`KeysError::Disk`].
    pub(crate) fn device(&self) -> Result<Key, KeysError> {
        let file = self.device_file();
        if let Some(key) = device(&self.current(), &file) {
            return Ok(key);
        }
        let disk = |error| self.disk(error);
        if is_taken(&file).map_err(disk)? {
            return Err(KeysError::NoDeviceKey(file));
        }
        self.make_device(&file).map_err(disk)
    }

    fn make_device(&self, file: &Path) -> io::Result<Key> {
        // On an appliance it is there, with the group of those who may read the keys (tmpfiles.d).
        DirBuilder::new().recursive(true).mode(0o750).create(&self.own)?;
        let key = fresh::key(fresh::device_id(&fs::read_to_string(HOST_NAME)?)?)?;
        write(file, &line(&key))?;
        Ok(key)
    }

    fn disk(&self, error: io::Error) -> KeysError {
        KeysError::Disk(self.own.clone(), error)
    }

    /// Makes a client's key.
    ///
    /// # Errors
    /// [`KeysError::Id`], [`KeysError::Secret`], [`KeysError::Taken`], [`KeysError::InTheWay`], [`KeysError::TooMany`],
    /// [`KeysError::Disk`].
    pub(crate) fn add(&self, id: &str, secret: Option<&str>) -> Result<Key, KeysError> {
        let id = Id::new(id).map_err(|error| KeysError::Id(id.to_owned(), error))?;
        let disk = |error| self.disk(error);
        let key = match secret {
            Some(secret) => Key { id, secret: Secret::new(secret)? },
            None => fresh::key(id).map_err(disk)?,
        };
        let current = self.current();
        if let Some((_, _, path)) = current.iter().find(|(id, _, _)| **id == key.id) {
            return Err(KeysError::Taken(key.id, path.to_owned()));
        }
        let clients = current.iter().filter(|(_, _, path)| self.kind(path) == KeyKind::Client);
        if clients.count() >= limits::CLIENT_KEYS {
            return Err(KeysError::TooMany);
        }
        // No name of ours can be met: there is a prefix.
        let file = self.own.join(format!("client-{}.psk", key.id));
        if is_taken(&file).map_err(disk)? {
            return Err(KeysError::InTheWay(file));
        }
        write(&file, &line(&key)).map_err(disk)?;
        Ok(key)
    }

    /// Takes a key away; the device's is replaced by a new one.
    ///
    /// # Errors
    /// [`KeysError::Unknown`], [`KeysError::Brought`], [`KeysError::Disk`].
    pub(crate) fn revoke(&self, id: &str) -> Result<Revoked, KeysError> {
        let disk = |error| self.disk(error);
        let mut revoked = None;
        // With the key that counts gone, another one of that ID may count.
        loop {
            let current = self.current();
            let found = current.iter().find(|(found, _, _)| found.as_str() == id);
            let Some((found, _, path)) = found else {
                return revoked.ok_or_else(|| KeysError::Unknown(id.to_owned()));
            };
            match self.kind(path) {
                KeyKind::Brought => return Err(KeysError::Brought(id.to_owned(), path.to_owned())),
                KeyKind::Client => rewrite(path, found, None).map_err(disk)?,
                KeyKind::Device => {
                    let key = fresh::key(found.clone()).map_err(disk)?;
                    rewrite(path, found, Some(&key)).map_err(disk)?;
                    return Ok(Revoked::Replaced);
                }
            }
            revoked = Some(Revoked::Gone);
        }
    }

    /// All keys, without their secrets.
    #[must_use]
    pub(crate) fn list(&self) -> KeyList {
        let current = self.current();
        let info = |(id, secret, path): (&Id, &Secret, &Path)| KeyInfo {
            id: id.to_string(),
            kind: self.kind(path),
            source: path.display().to_string(),
            since_us: written_us(path),
            hex_looking: secret.looks_hex(),
        };
        KeyList {
            keys: current.iter().map(info).collect(),
            problems: current.problems().iter().map(Problem::to_string).collect(),
        }
    }

    fn kind(&self, path: &Path) -> KeyKind {
        match path {
            path if path == self.device_file() => KeyKind::Device,
            path if path.starts_with(&self.own) => KeyKind::Client,
            _ => KeyKind::Brought,
        }
    }

    fn device_file(&self) -> PathBuf {
        self.own.join("device.psk")
    }
}

/// The device's key among all of them.
fn device(keys: &KeySet, file: &Path) -> Option<Key> {
    let (id, secret, _) = keys.iter().find(|(_, _, path)| *path == file)?;
    Some(Key { id: id.clone(), secret: secret.clone() })
}

/// Whether there is anything of this name, such as a link to a disk that is not mounted.
///
/// # Errors
/// That cannot be found out; then it must not be replaced.
fn is_taken(file: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(file) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn line(key: &Key) -> String {
    format!("{}:{}\n", key.id, key.secret.reveal())
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    durable::replace_file_for(Readers::Group, file, text.as_bytes())
}

/// Replaces the line of `id`, or removes it; a file without keys goes.
///
/// # Errors
/// The disk, or there is no such line, which would be found again and again.
fn rewrite(file: &Path, id: &Id, by: Option<&Key>) -> io::Result<()> {
    let is_its = |text: &str| text.split_once(':').is_some_and(|(name, _)| name == id.as_str());
    let content = read_file(file).map_err(io::Error::other)?;
    let text = text_in(file, &content).map_err(io::Error::other)?;
    let mut kept = String::new();
    let mut found = false;
    for old in text.split_inclusive('\n') {
        match by {
            _ if !is_its(old) => kept.push_str(old),
            Some(key) => kept.push_str(&line(key)),
            None => {}
        }
        found |= is_its(old);
    }
    if !found {
        let changed = format!("{} has no key of {id} any more; try again", file.display());
        return Err(io::Error::other(changed));
    }
    match Keys::parse(&kept) {
        Ok(keys) if keys.is_empty() => durable::remove_file(file),
        Ok(_) | Err(_) => write(file, &kept),
    }
}

/// When a file was written last, microseconds since the epoch.
fn written_us(path: &Path) -> u64 {
    let written =
        fs::metadata(path).map(|file| file.mtime() * 1_000_000 + file.mtime_nsec() / 1000);
    written.ok().and_then(|us| u64::try_from(us).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
