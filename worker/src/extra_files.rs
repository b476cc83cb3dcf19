// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's own writable copies of its extra files, in its working directory.
//!
//! The directory belongs to programs, and the last one may have been hostile: whatever lies there under an
//! expected name, a link above all, is replaced and never followed. A list in the directory tells which files
//! came with which program, so that the next one's can take their place; it is trusted for nothing but bare
//! names of that directory.
//!
//! A program that changes its extra files finds its changes again after a restart: they are copied once for
//! each program, and later only if one is missing. So a list that calls them complete is on disk only after
//! they are, whenever the power fails. And those of the program before are given up only when the next one
//! starts, see [`former`].

mod former;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use anyhow::{Context, ensure};
use plc_api::{limits, program::FileName};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fsync, open, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// First line: the program's id, or nothing while its files are being copied; then one name per line.
const LIST: &str = ".plc-extra-files";
/// A file on its way to its name.
const NEW: &str = ".plc-extra-new";
/// No extra file may be called like one of ours.
const RESERVED: &str = ".plc-extra-";

const LIST_BYTES: u64 = (limits::EXTRA_FILES * 2 * (limits::FILE_NAME_BYTES + 1)) as u64;

/// Brings the extra files of a program into the working directory and puts those of its predecessor aside until
/// [`keep`]. Returns their names.
///
/// # Errors
/// In words for people; the files are not complete then, and the next attempt begins anew.
pub(crate) fn install(
    program_dir: &Path,
    program_id: &str,
    work_dir: &Path,
) -> anyhow::Result<BTreeSet<FileName>> {
    let work = open_dir(work_dir)?;
    former::put_back(work.as_fd()).context("the former extra files cannot be put back")?;
    let names = names_in(&program_dir.join("extra"))?;
    let (owner, former) = read_list(work.as_fd());
    let new_program = owner != program_id;
    if new_program {
        former::put_aside(work.as_fd(), &owner, &former)
            .context("the former extra files cannot be put aside")?;
        write_list(work.as_fd(), "", &names).context("the list of extra files")?;
    }
    let missing =
        names.iter().filter(|name| new_program || !is_plain_file(work.as_fd(), name.as_str()));
    for name in missing {
        copy(&program_dir.join("extra").join(name.as_str()), work.as_fd(), name)
            .with_context(|| format!("the extra file {name} cannot be copied"))?;
    }
    if new_program {
        fsync(&work).context("the working directory")?;
        write_list(work.as_fd(), program_id, &names).context("the list of extra files")?;
    }
    Ok(names)
}

/// Gives up the predecessor's files: the program whose files were installed is to start.
///
/// # Errors
/// In words for people; the next load brings them back, and then this program's anew.
pub(crate) fn keep(work_dir: &Path) -> anyhow::Result<()> {
    let work = open_dir(work_dir)?;
    former::give_up(work.as_fd()).context("the former extra files cannot be given up")
}

fn open_dir(work_dir: &Path) -> anyhow::Result<OwnedFd> {
    open(work_dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("the working directory {}", work_dir.display()))
}

fn names_in(extra: &Path) -> anyhow::Result<BTreeSet<FileName>> {
    let entries = match extra.read_dir() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(error).with_context(|| extra.display().to_string()),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = FileName::new(&entry?.file_name().to_string_lossy())?;
        ensure!(!name.as_str().starts_with(RESERVED), "no extra file may be called {name}");
        names.insert(name);
        ensure!(names.len() <= limits::EXTRA_FILES, "too many extra files");
    }
    Ok(names)
}

/// Whose files are there, and which. Anything that is not a list of ours counts as none.
fn read_list(work: BorrowedFd<'_>) -> (String, BTreeSet<FileName>) {
    let mut text = String::new();
    let read = open_plain_file(work, LIST)
        .and_then(|list| list.take(LIST_BYTES).read_to_string(&mut text));
    if read.is_err() {
        return Default::default();
    }
    let mut lines = text.lines();
    let owner = lines.next().unwrap_or_default().to_owned();
    let names = lines
        .filter_map(|line| FileName::new(line).ok())
        .filter(|name| !name.as_str().starts_with(RESERVED));
    (owner, names.collect())
}

/// Durable before it returns.
fn write_list(work: BorrowedFd<'_>, owner: &str, names: &BTreeSet<FileName>) -> io::Result<()> {
    let mut text = format!("{owner}\n");
    for name in names {
        text.push_str(name.as_str());
        text.push('\n');
    }
    let mut list = create_new(work)?;
    list.write_all(text.as_bytes())?;
    list.sync_all()?;
    renameat(work, NEW, work, LIST)?;
    Ok(fsync(work)?)
}

fn copy(from: &Path, work: BorrowedFd<'_>, name: &FileName) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(open(from, flags, Mode::empty())?);
    let mut copy = create_new(work)?;
    io::copy(&mut source, &mut copy)?;
    // Else the name could be on disk before the content.
    copy.sync_all()?;
    // Replaces a link, not what it points to.
    Ok(renameat(work, NEW, work, name.as_str())?)
}

fn create_new(work: BorrowedFd<'_>) -> io::Result<File> {
    remove(work, NEW)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    Ok(File::from(openat(work, NEW, flags, mode)?))
}

fn remove(work: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match unlinkat(work, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_plain_file(work: BorrowedFd<'_>, name: &str) -> bool {
    kind(work, name) == Some(FileType::RegularFile)
}

/// What has this name, if anything.
fn kind(work: BorrowedFd<'_>, name: &str) -> Option<FileType> {
    let stat = statat(work, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

fn open_plain_file(work: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    // Without waiting, should it be a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: OwnedFd = openat(work, name, flags, Mode::empty())?;
    let file = File::from(file);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidData.into()) }
}
