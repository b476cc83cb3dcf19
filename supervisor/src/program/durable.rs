// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes that outlive a power cut: contents are on disk before the name that leads to them, and the name
//! before anybody is told.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Path, PathBuf},
};

/// Writes back what the page cache holds of a directory: the names in it.
///
/// # Errors
/// Whatever `open` or `fsync` says, with the path.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| at(dir, &error))
}

/// Who may read a new file, besides its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody.
    All,
    /// Its group.
    Group,
}

/// Creates a new file with this content and writes it back; its name is not yet durable.
///
/// # Errors
/// The file exists, the disk is full, ...; with the path.
pub fn create_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    create_for(Readers::All, path, content)
}

fn create_for(readers: Readers, path: &Path, content: &[u8]) -> io::Result<()> {
    let mode = match readers {
        Readers::All => 0o644,
        Readers::Group => 0o640,
    };
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|error| at(path, &error))
}

/// Replaces a file as a whole: after a power cut it has either content, never a mixture.
///
/// # Errors
/// Whatever one of the steps says; then the file is as it was.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_file_for(Readers::All, path, content)
}

/// The same of a file that not everybody may read.
///
/// # Errors
/// As [`replace_file`].
pub fn replace_file_for(readers: Readers, path: &Path, content: &[u8]) -> io::Result<()> {
    let new = sibling(path);
    remove_if_there(&new)?;
    create_for(readers, &new, content)?;
    fs::rename(&new, path).map_err(|error| at(path, &error))?;
    sync_dir(parent(path))
}

/// Points a symbolic link somewhere else in one step.
///
/// # Errors
/// Whatever one of the steps says; then the link is as it was, or durable only after the next sync.
pub fn replace_link(link: &Path, target: &Path) -> io::Result<()> {
    let new = sibling(link);
    remove_if_there(&new)?;
    symlink(target, &new).map_err(|error| at(&new, &error))?;
    fs::rename(&new, link).map_err(|error| at(link, &error))?;
    sync_dir(parent(link))
}

/// Removes a file for good.
///
/// # Errors
/// It is not there, ...; with the path.
pub fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path).map_err(|error| at(path, &error))?;
    sync_dir(parent(path))
}

/// Removes a file that need not be there.
///
/// # Errors
/// Anything but its absence, with the path.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(path, &error)),
        _ => Ok(()),
    }
}

/// Adds the path that an error is about.
pub fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn sibling(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}
