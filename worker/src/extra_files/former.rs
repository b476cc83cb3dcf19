// SPDX-License-Identifier: MIT OR Apache-2.0
//! The extra files of the program before, with what it has changed in them, until the next one starts: a transfer that
//! fails leaves them as they were.
//!
//! They wait in a directory of their own, with their list. While that list is there, whatever loads next puts them
//! back first; so nothing needs to be done when a load fails, whichever way, or when nobody learns that it did not. And
//! a program that has not started has changed nothing.
//!
//! Whose list lies in the working directory tells how far it has come: with their owner's, only they may be on their
//! way, there or back; with any other, what it names are copies of the next program.

use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use plc_api::program::FileName;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};

use super::{LIST, is_plain_file, kind, read_list, remove, write_list};

/// The directory, in the working directory.
pub(super) const FORMER: &str = ".plc-extra-former";

/// Takes the files of `owner` out of the way of the next program.
///
/// # Errors
/// One of them is a directory, ...; [`put_back`] undoes what was done.
pub(super) fn put_aside(
    work: BorrowedFd<'_>,
    owner: &str,
    names: &BTreeSet<FileName>,
) -> io::Result<()> {
    let former = make(work)?;
    write_list(former.as_fd(), owner, names)?;
    fsync(work)?;
    for name in names {
        match kind(work, name.as_str()) {
            None => {}
            Some(FileType::Directory) => {
                return Err(io::Error::other(format!("{name} is a directory")));
            }
            // A link too, and not what it points to.
            Some(_) => renameat(work, name.as_str(), &former, name.as_str())?,
        }
    }
    fsync(&former)?;
    Ok(fsync(work)?)
}

/// Brings the files back, if there are any that wait: the program after them has not started.
///
/// # Errors
/// Whatever one of the steps says; the next attempt goes on from there.
pub(super) fn put_back(work: BorrowedFd<'_>) -> io::Result<()> {
    let Some(former) = find(work)? else { return Ok(()) };
    if !is_plain_file(former.as_fd(), LIST) {
        return Ok(());
    }
    let (owner, names) = read_list(former.as_fd());
    let (last, copies) = read_list(work);
    if last != owner {
        for name in &copies {
            remove(work, name.as_str())?;
        }
        write_list(work, &owner, &names)?;
    }
    for name in &names {
        match renameat(&former, name.as_str(), work, name.as_str()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    fsync(work)?;
    give_up(work)
}

/// Forgets the files: the next program is to start.
///
/// # Errors
/// Whatever one of the steps says; they may then be put back.
pub(super) fn give_up(work: BorrowedFd<'_>) -> io::Result<()> {
    let Some(former) = find(work)? else { return Ok(()) };
    remove(former.as_fd(), LIST)?;
    fsync(&former)?;
    // What is left without a list is in nobody's way, and the next load tries again.
    let _ = clear(&former);
    let _ = unlinkat(work, FORMER, AtFlags::REMOVEDIR);
    Ok(())
}

/// The directory, if there is one.
fn find(work: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    (kind(work, FORMER) == Some(FileType::Directory)).then(|| open(work)).transpose()
}

/// The directory, empty.
fn make(work: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    if let Some(former) = find(work)? {
        clear(&former)?;
        return Ok(former);
    }
    remove(work, FORMER)?;
    mkdirat(work, FORMER, Mode::RWXU)?;
    open(work)
}

fn open(work: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(work, FORMER, flags, Mode::empty())?)
}

fn clear(former: &OwnedFd) -> io::Result<()> {
    for entry in Dir::read_from(former)? {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            unlinkat(former, entry.file_name(), AtFlags::empty())?;
        }
    }
    Ok(())
}
