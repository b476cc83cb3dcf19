// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's own writable copies of its extra files, in its working directory.
//!
//! The directory belongs to programs, and the last one may have been hostile: whatever lies there under an
//! expected name, a link above all, is replaced and never followed. A list in the directory tells which files
//! came with which program, so that the next one's can take their place; it is trusted for nothing but bare
//! names of that directory.
//!
//! A program that changes its extra files finds its changes again after a restart: they are copied once for
//! each program, and later only if one is missing.

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
    fs::{AtFlags, FileType, Mode, OFlags, open, openat, renameat, statat, unlinkat},
    io::Errno,
};

/// First line: the program's id, or nothing while its files are being copied; then one name per line.
const LIST: &str = ".plc-extra-files";
/// A file on its way to its name.
const NEW: &str = ".plc-extra-new";
/// No extra file may be called like one of the two.
const RESERVED: &str = ".plc-extra-";

const LIST_BYTES: u64 = (limits::EXTRA_FILES * 2 * (limits::FILE_NAME_BYTES + 1)) as u64;

/// Brings the extra files of a program into the working directory and takes those of its predecessor away.
/// Returns their names.
///
/// # Errors
/// In words for people; the files are not complete then, and the next attempt begins anew.
pub(crate) fn install(
    program_dir: &Path,
    program_id: &str,
    work_dir: &Path,
) -> anyhow::Result<BTreeSet<FileName>> {
    let work = open(work_dir, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .with_context(|| format!("the working directory {}", work_dir.display()))?;
    let names = names_in(&program_dir.join("extra"))?;
    let (owner, former) = read_list(work.as_fd());
    let new_program = owner != program_id;
    if new_program {
        let all = former.union(&names).cloned().collect();
        write_list(work.as_fd(), "", &all).context("the list of extra files")?;
        for name in former.difference(&names) {
            remove(work.as_fd(), name.as_str())
                .with_context(|| format!("the old extra file {name} cannot be removed"))?;
        }
    }
    for name in &names {
        if new_program || !is_plain_file(work.as_fd(), name.as_str()) {
            copy(&program_dir.join("extra").join(name.as_str()), work.as_fd(), name)
                .with_context(|| format!("the extra file {name} cannot be copied"))?;
        }
    }
    if new_program {
        write_list(work.as_fd(), program_id, &names).context("the list of extra files")?;
    }
    Ok(names)
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

fn write_list(work: BorrowedFd<'_>, owner: &str, names: &BTreeSet<FileName>) -> io::Result<()> {
    let mut text = format!("{owner}\n");
    for name in names {
        text.push_str(name.as_str());
        text.push('\n');
    }
    let mut list = create_new(work)?;
    list.write_all(text.as_bytes())?;
    Ok(renameat(work, NEW, work, LIST)?)
}

fn copy(from: &Path, work: BorrowedFd<'_>, name: &FileName) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(open(from, flags, Mode::empty())?);
    io::copy(&mut source, &mut create_new(work)?)?;
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
    statat(work, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

fn open_plain_file(work: BorrowedFd<'_>, name: &str) -> io::Result<File> {
    // Without waiting, should it be a pipe.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: OwnedFd = openat(work, name, flags, Mode::empty())?;
    let file = File::from(file);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidData.into()) }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use tempfile::TempDir;

    use super::*;

    struct Place {
        dir: TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("work")).unwrap();
            Self { dir }
        }

        fn install(&self, id: &str, files: &[(&str, &str)]) -> anyhow::Result<BTreeSet<FileName>> {
            let program = self.dir.path().join(id);
            if !program.exists() {
                fs::create_dir_all(program.join("extra")).unwrap();
                for (name, text) in files {
                    fs::write(program.join("extra").join(name), text).unwrap();
                }
            }
            install(&program, id, &self.dir.path().join("work"))
        }

        fn work(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join("work").join(name)
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.work(name)).unwrap()
        }
    }

    #[test]
    fn a_new_program_s_files_take_the_place_of_the_old_one_s() {
        let place = Place::new();
        fs::write(place.work("mine.dat"), "of the program itself").unwrap();
        place.install("1-a", &[("a.txt", "a"), ("both.txt", "old")]).unwrap();
        place.install("2-b", &[("b.txt", "b"), ("both.txt", "new")]).unwrap();
        assert!(!place.work("a.txt").exists());
        assert_eq!(place.read("b.txt"), "b");
        assert_eq!(place.read("both.txt"), "new");
        assert_eq!(place.read("mine.dat"), "of the program itself");
    }

    #[test]
    fn what_a_program_wrote_into_its_files_is_there_after_a_restart() {
        let place = Place::new();
        let files = [("settings.csv", "factory"), ("other.csv", "there")];
        place.install("1-a", &files).unwrap();
        fs::write(place.work("settings.csv"), "changed").unwrap();
        fs::remove_file(place.work("other.csv")).unwrap();
        let names = place.install("1-a", &files).unwrap();
        assert_eq!(names.len(), 2);
        assert_eq!(place.read("settings.csv"), "changed");
        assert_eq!(place.read("other.csv"), "there");
        place.install("2-a", &files).unwrap();
        assert_eq!(place.read("settings.csv"), "factory");
    }

    #[test]
    fn no_link_in_the_working_directory_is_followed() {
        let place = Place::new();
        let outside = place.dir.path().join("outside");
        fs::write(&outside, "precious").unwrap();
        for name in ["a.txt", "gone.txt", LIST, NEW] {
            symlink(&outside, place.work(name)).unwrap();
        }
        place.install("1-a", &[("a.txt", "a")]).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
        assert_eq!(place.read("a.txt"), "a");
        assert!(!place.work("a.txt").is_symlink());
        assert!(!place.work(LIST).is_symlink());
        fs::remove_file(place.work("a.txt")).unwrap();
        symlink(&outside, place.work("a.txt")).unwrap();
        place.install("1-a", &[]).unwrap();
        assert!(!place.work("a.txt").is_symlink());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "precious");
    }

    #[test]
    fn a_forged_list_removes_nothing_outside() {
        let place = Place::new();
        let outside = place.dir.path().join("outside");
        fs::write(&outside, "precious").unwrap();
        fs::write(place.work("retain_buffer_file"), "retained").unwrap();
        let names = format!("0-x\n../outside\n{}\nretain_buffer_file\n", outside.display());
        fs::write(place.work(LIST), names).unwrap();
        place.install("1-a", &[]).unwrap();
        assert!(outside.exists());
        assert!(place.work("retain_buffer_file").exists());
    }

    #[test]
    fn a_name_of_ours_is_refused() {
        let place = Place::new();
        let error = place.install("1-a", &[(LIST, "x")]).unwrap_err();
        assert!(error.to_string().contains(LIST), "{error}");
    }

    #[test]
    fn files_of_an_interrupted_copy_are_remembered() {
        let place = Place::new();
        // A directory is in the way, so the copy of the second file fails.
        fs::create_dir(place.work("b.txt")).unwrap();
        let error = place.install("1-a", &[("a.txt", "a"), ("b.txt", "b")]).unwrap_err();
        assert!(format!("{error:#}").contains("b.txt"), "{error:#}");
        place.install("2-b", &[]).unwrap_err();
        fs::remove_dir(place.work("b.txt")).unwrap();
        place.install("2-b", &[]).unwrap();
        assert!(!place.work("a.txt").exists());
    }
}
