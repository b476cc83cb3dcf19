// SPDX-License-Identifier: MIT OR Apache-2.0
//! The directory in which everything of one PLC lies.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use plc_api::paths::Paths;
use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// The longest path of a socket: the kernel's `sun_path` and its end.
const SOCKET_PATH_BYTES: usize = 107;

/// A prepared directory that nobody else uses while this lives.
#[derive(Debug)]
pub(crate) struct Desk {
    /// As it was named, but absolute: what an IDE waits for.
    pub(crate) dir: PathBuf,
    pub(crate) paths: Paths,
    scratch: Option<TempDir>,
    /// Locked; the kernel gives it free whatever becomes of us.
    _lock: File,
}

impl Desk {
    /// Makes what is missing in `dir`, or in a scratch directory. What else lies there is left alone.
    ///
    /// # Errors
    /// The directory cannot be used, or another plc-local uses it.
    pub(crate) fn prepare(dir: Option<&Path>) -> anyhow::Result<Self> {
        let (dir, scratch) = match dir {
            Some(dir) => (absolute(dir)?, None),
            None => {
                let scratch = tempfile::Builder::new()
                    .prefix("plc-local-")
                    .permissions(Permissions::from_mode(0o700))
                    .tempdir()
                    .context("cannot make a scratch directory; name one: plc-local DIR")?;
                (scratch.path().to_owned(), Some(scratch))
            }
        };
        let paths = Paths::of_desk(&dir);
        let longest = paths.connector_socket("pyro");
        ensure!(
            longest.as_os_str().as_bytes().len() <= SOCKET_PATH_BYTES,
            "{} is too long a path for the sockets in it; choose a shorter directory",
            dir.display()
        );
        make(&dir).with_context(|| cannot_use(&dir))?;
        for inner in
            [&paths.state_dir, &paths.work_dir, &paths.run_dir, &paths.run_dir.join("connectors")]
        {
            make(inner).with_context(|| cannot_use(inner))?;
        }
        let lock = lock(&paths.run_dir.join("desk.lock"), &dir)?;
        open(&paths.worker_lock).with_context(|| cannot_use(&paths.worker_lock))?;
        Ok(Self { dir, paths, scratch, _lock: lock })
    }

    /// Whether the directory is ours to remove.
    pub(crate) fn is_scratch(&self) -> bool {
        self.scratch.is_some()
    }

    /// Removes a scratch directory.
    ///
    /// # Errors
    /// What is left of it could not be removed.
    pub(crate) fn clear(self) -> anyhow::Result<()> {
        match self.scratch {
            Some(scratch) => scratch
                .close()
                .with_context(|| format!("{} could not be removed", self.dir.display())),
            None => Ok(()),
        }
    }
}

/// The path as it was written if it is absolute: an IDE looks for its own text.
fn absolute(dir: &Path) -> anyhow::Result<PathBuf> {
    if dir.is_absolute() {
        return Ok(dir.to_owned());
    }
    std::path::absolute(dir).with_context(|| cannot_use(dir))
}

fn cannot_use(path: &Path) -> String {
    format!("{} cannot be used", path.display())
}

/// Makes a directory that is its owner's alone. One that is there already stays as it is.
fn make(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    if fs::metadata(dir)?.is_dir() { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn lock(path: &Path, dir: &Path) -> anyhow::Result<File> {
    let file = open(path).with_context(|| cannot_use(path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!(
            "another plc-local runs in {}; end it first, or choose another directory",
            dir.display()
        ),
        Err(error) => Err(error).with_context(|| cannot_use(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_has_its_directories_and_they_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let desk = Desk::prepare(Some(dir.path())).unwrap();
        for inner in ["state", "work", "run", "run/connectors"] {
            let mode = fs::metadata(dir.path().join(inner)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{inner}");
        }
        assert_eq!(fs::metadata(&desk.paths.worker_lock).unwrap().len(), 0);
    }

    #[test]
    fn what_lies_in_the_directory_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let stock = dir.path().join("lasttransferedPLC.md5");
        fs::write(&stock, "0123").unwrap();
        Desk::prepare(Some(dir.path())).unwrap().clear().unwrap();
        Desk::prepare(Some(dir.path())).unwrap();
        assert_eq!(fs::read(stock).unwrap(), b"0123");
    }

    #[test]
    fn a_directory_is_used_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Desk::prepare(Some(dir.path())).unwrap();
        let second = Desk::prepare(Some(dir.path())).unwrap_err().to_string();
        assert!(second.contains("another plc-local"), "{second}");
        drop(first);
        assert!(Desk::prepare(Some(dir.path())).is_ok());
    }

    #[test]
    fn a_scratch_directory_is_removed_with_all_that_is_in_it() {
        let desk = Desk::prepare(None).unwrap();
        let dir = desk.dir.clone();
        fs::write(dir.join("work/retain"), "x").unwrap();
        assert!(desk.is_scratch());
        let mode = fs::metadata(&dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        desk.clear().unwrap();
        assert!(!dir.exists());
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("x".repeat(100));
        assert!(Desk::prepare(Some(&deep)).is_err());
        assert!(!deep.exists());
    }
}
