// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that comes as open files: the shared object, and its extra files as a directory or a tar.
//!
//! The caller opened them, so it may read them; the names in a directory, though, are opened by us. Only files that
//! the caller owns or everybody may read are taken from there, lest somebody lend us a directory of links to what we
//! alone may read. Blocks on the disk.

use std::{
    ffi::CStr,
    fs::File,
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt as _, FileTypeExt as _, MetadataExt as _},
    },
};

use md5::{Digest as _, Md5};
use plc_api::{
    limits,
    message::{ExtraFile, InstallRequest, WhenRunning},
    program::{BlobId, FileName, ProgramMd5},
};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use thiserror::Error;

use super::{
    blobs::{BlobError, Blobs},
    tar_file,
};

/// How much is read at a time.
const READ_BYTES: usize = 64 << 10;

/// Linux's number for /dev/null (`Documentation/admin-guide/devices.txt`: character device 1, 3).
const DEV_NULL: (u32, u32) = (1, 3);

/// The seed of the library's blob: the one with an empty name in front of its NUL, see [`seed`].
const LIBRARY_SEED: &[u8] = b"\0";

/// Why a parcel was not taken.
#[derive(Debug, Error)]
pub enum ParcelError {
    /// It is not as it should be; says how it should be.
    #[error("{0}")]
    Bad(String),
    /// It cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, io::Error),
    /// It cannot be kept.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

/// An open program.
#[derive(Debug)]
pub struct Parcel {
    /// The shared object.
    pub program: OwnedFd,
    /// The IDE's name for it; empty: its MD5.
    pub md5: String,
    /// Directory, tar, or /dev/null.
    pub extra_files: OwnedFd,
    /// Who brings it.
    pub uid: u32,
}

impl Parcel {
    /// Reads everything into `blobs`, in the order of the names.
    ///
    /// # Errors
    /// [`ParcelError`].
    pub fn unpack(self, blobs: &mut Blobs) -> Result<InstallRequest, ParcelError> {
        let given = match self.md5.as_str() {
            "" => None,
            text => Some(ProgramMd5::new(text).map_err(|error| {
                ParcelError::Bad(format!("{error}, or empty for those of the file"))
            })?),
        };
        let program = Regular::new(self.program.into(), "the program")?;
        let mut digest = Md5::new();
        let library = program.copy(LIBRARY_SEED, blobs, |data| digest.update(data))?;
        let md5 = match given {
            Some(md5) => md5,
            None => md5_text(&digest.finalize())?,
        };
        let mut extra_files = extra_files(self.extra_files.into(), self.uid, blobs)?;
        extra_files.sort_by(|a, b| a.name.cmp(&b.name));
        // Only a tar can hold two, and which of them is meant nobody knows.
        if let Some(twice) = extra_files.windows(2).find_map(|two| match two {
            [a, b] if a.name == b.name => Some(&a.name),
            _ => None,
        }) {
            return Err(ParcelError::Bad(format!(
                "the extra file {twice} is there twice; make the tar file again"
            )));
        }
        Ok(InstallRequest { md5, library, extra_files, when_running: WhenRunning::Refuse })
    }
}

fn md5_text(digest: &[u8]) -> Result<ProgramMd5, ParcelError> {
    let text: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    ProgramMd5::new(&text).map_err(|error| ParcelError::Bad(error.to_string()))
}

fn extra_files(file: File, uid: u32, blobs: &mut Blobs) -> Result<Vec<ExtraFile>, ParcelError> {
    let what = "extra_files";
    let data = file.metadata().map_err(|error| ParcelError::Read(what.into(), error))?;
    let kind = data.file_type();
    let device = (rustix::fs::major(data.rdev()), rustix::fs::minor(data.rdev()));
    if kind.is_dir() {
        directory(&file, uid, blobs)
    } else if kind.is_char_device() && device == DEV_NULL {
        Ok(Vec::new())
    } else if kind.is_file() {
        tar_file::unpack(&Regular::new(file, what)?, blobs)
    } else {
        Err(ParcelError::Bad(format!(
            "{what} must be an open directory, an open tar file, or /dev/null for none"
        )))
    }
}

fn directory(dir: &File, uid: u32, blobs: &mut Blobs) -> Result<Vec<ExtraFile>, ParcelError> {
    let unreadable = |error: rustix::io::Errno| {
        ParcelError::Read("the directory of extra files".into(), error.into())
    };
    let mut found = Vec::new();
    for entry in Dir::read_from(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        check_count(found.len())?;
        let file = open_in(dir, name, uid)?;
        let name = file_name(name.to_str().map_err(|_| not_utf8(&name.to_string_lossy()))?)?;
        let blob = file.copy(&seed(&name), blobs, |_| ())?;
        found.push(ExtraFile { name, blob });
    }
    Ok(found)
}

fn open_in(dir: &File, name: &CStr, uid: u32) -> Result<Regular, ParcelError> {
    let shown = format!("the extra file {:?}", name.to_string_lossy());
    let unreadable = |error: rustix::io::Errno| ParcelError::Read(shown.clone(), error.into());
    // Looked at before it is opened: opening a device does something.
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(unreadable)?;
    if !FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(ParcelError::Bad(format!(
            "{shown} is not a regular file; links, subdirectories and devices are not taken"
        )));
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(unreadable)?);
    let data = file.metadata().map_err(|error| ParcelError::Read(shown.clone(), error))?;
    let everybody_may = Mode::from_raw_mode(data.mode()).contains(Mode::ROTH);
    if uid != 0 && data.uid() != uid && !everybody_may {
        return Err(ParcelError::Bad(format!(
            "{shown} is neither yours nor readable for everybody; make it so, or pass a tar file"
        )));
    }
    Regular::new(file, &shown)
}

/// An open regular file, read at places of our own, not where its opener left it.
#[derive(Debug)]
pub(super) struct Regular {
    file: File,
    length: u64,
    shown: String,
}

impl Regular {
    fn new(file: File, shown: &str) -> Result<Self, ParcelError> {
        let data = file.metadata().map_err(|error| ParcelError::Read(shown.into(), error))?;
        if !data.is_file() {
            return Err(ParcelError::Bad(format!("{shown} must be an open regular file")));
        }
        if data.len() > limits::SESSION_BLOB_BYTES {
            return Err(ParcelError::Bad(format!("{shown} is larger than 256 MiB")));
        }
        Ok(Self { file, length: data.len(), shown: shown.to_owned() })
    }

    /// Its length when it was opened.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Reads the whole of it into a blob, and shows each piece.
    fn copy(
        &self,
        seed: &[u8],
        blobs: &mut Blobs,
        see: impl FnMut(&[u8]),
    ) -> Result<BlobId, ParcelError> {
        self.copy_part(0, self.length, seed, blobs, see)
    }

    /// Reads a part of it into a blob, and shows each piece.
    pub(super) fn copy_part(
        &self,
        mut at: u64,
        length: u64,
        seed: &[u8],
        blobs: &mut Blobs,
        mut see: impl FnMut(&[u8]),
    ) -> Result<BlobId, ParcelError> {
        let end = at.saturating_add(length);
        let mut blob = blobs.seed(seed)?;
        let mut buffer = vec![0; READ_BYTES];
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(READ_BYTES).min(READ_BYTES);
            let room = buffer.get_mut(..wanted).unwrap_or_default();
            let data = self.read(at, room)?;
            if data.is_empty() {
                return Err(ParcelError::Bad(format!(
                    "{} is cut short; send it again",
                    self.shown
                )));
            }
            see(data);
            blob = blobs.append(blob, data)?;
            at += u64::try_from(data.len()).unwrap_or(u64::MAX);
        }
        Ok(blob)
    }

    fn read<'a>(&self, at: u64, room: &'a mut [u8]) -> Result<&'a [u8], ParcelError> {
        loop {
            match self.file.read_at(room, at) {
                Ok(count) => return Ok(room.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ParcelError::Read(self.shown.clone(), error)),
            }
        }
    }
}

/// A reader of its own, from the beginning.
#[derive(Debug)]
pub(super) struct FromBeginning<'a> {
    of: &'a Regular,
    at: u64,
}

impl<'a> FromBeginning<'a> {
    pub(super) const fn new(of: &'a Regular) -> Self {
        Self { of, at: 0 }
    }
}

impl io::Read for FromBeginning<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let count = self.of.file.read_at(room, self.at)?;
        self.at += u64::try_from(count).unwrap_or(u64::MAX);
        Ok(count)
    }
}

/// The seed of an extra file's blob. A blob is named by the digest of seed and content together, and a name has no NUL;
/// so another file's name with another content never is the same blob.
pub(super) fn seed(name: &FileName) -> Vec<u8> {
    [name.as_str().as_bytes(), b"\0"].concat()
}

/// Whether one more extra file is too many.
pub(super) fn check_count(found: usize) -> Result<(), ParcelError> {
    if found < limits::EXTRA_FILES {
        return Ok(());
    }
    Err(ParcelError::Bad(format!("more than {} extra files", limits::EXTRA_FILES)))
}

pub(super) fn file_name(name: &str) -> Result<FileName, ParcelError> {
    FileName::new(name).map_err(|error| ParcelError::Bad(error.to_string()))
}

pub(super) fn not_utf8(shown: &str) -> ParcelError {
    ParcelError::Bad(format!("the extra file name {shown:?} is not UTF-8"))
}

#[cfg(test)]
mod tests;
