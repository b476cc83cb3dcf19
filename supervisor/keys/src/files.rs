// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key files in their directories, read again whenever one of them has changed.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    key::{Id, Key, Secret},
    problem::Problem,
    read::read_keys,
};

/// Longest key file, in bytes: some thousands of keys.
pub const FILE_BYTES: u64 = 1 << 20;

/// The files `*.psk` of some directories.
#[derive(Debug)]
pub struct KeyFiles {
    dirs: Vec<PathBuf>,
    last: Mutex<Reading>,
}

/// All keys there are, as of one moment.
#[derive(Debug, Default)]
pub struct KeySet {
    keys: BTreeMap<Id, (Secret, PathBuf)>,
    problems: Vec<Problem>,
}

#[derive(Debug, Default)]
struct Reading {
    stamps: Vec<Stamp>,
    keys: Arc<KeySet>,
}

/// What tells one content of a file from another without reading it: its inode changes when it is replaced, its
/// change time when it is written in place.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    path: PathBuf,
    identity: Option<(u64, u64, i64, i64, u64)>,
}

impl KeyFiles {
    /// The key files of these directories; of two keys with the same ID that in the earlier directory counts.
    #[must_use]
    pub fn new(dirs: Vec<PathBuf>) -> Self {
        Self { dirs, last: Mutex::default() }
    }

    /// The keys as they are now. A directory that does not exist has none. Waits for the disk.
    ///
    /// The same allocation as the last time, unless a file has come, changed or gone, or could not be read.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut problems = Vec::new();
        // Before reading: a change in between is then seen the next time.
        let stamps: Vec<Stamp> =
            self.dirs.iter().flat_map(|dir| key_files(dir, &mut problems)).map(stamp).collect();
        if stamps != last.stamps || last.keys.must_be_read_again() || !problems.is_empty() {
            *last = Reading { keys: Arc::new(read_all(&stamps, problems)), stamps };
        }
        last.keys.clone()
    }
}

impl KeySet {
    /// The secret of this ID.
    #[must_use]
    pub fn secret(&self, id: &str) -> Option<&Secret> {
        self.keys.get(id).map(|(secret, _)| secret)
    }

    /// Every key's ID and secret, and the file it is in, in the order of the IDs.
    pub fn iter(&self) -> impl Iterator<Item = (&Id, &Secret, &Path)> {
        self.keys.iter().map(|(id, (secret, path))| (id, secret, path.as_path()))
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// What does not count, and why.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// What hinders reading, such as too many open files, may pass without a trace on the file.
    fn must_be_read_again(&self) -> bool {
        self.problems.iter().any(|problem| matches!(problem, Problem::Unreadable { .. }))
    }

    fn add(&mut self, key: Key, path: &Path) {
        match self.keys.entry(key.id) {
            Entry::Vacant(place) => drop(place.insert((key.secret, path.to_owned()))),
            Entry::Occupied(first) => self.problems.push(Problem::Twice {
                id: first.key().clone(),
                earlier: first.get().1.clone(),
                later: path.to_owned(),
            }),
        }
    }
}

/// The files in a directory that count, and those that look as if they should, in the order of their names.
fn key_files(dir: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries: io::Result<Vec<PathBuf>> = fs::read_dir(dir)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect());
    let mut files = match entries {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(Problem::Unreadable { path: dir.to_owned(), error });
            Vec::new()
        }
    };
    files.retain(|path| counts(path) || looks_like_keys(path));
    files.sort();
    files
}

fn counts(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "psk")
}

/// Whether a file is named as stunnel's or an IDE's, or with capitals, as on Windows.
fn looks_like_keys(path: &Path) -> bool {
    let is_one = |extension: &std::ffi::OsStr| {
        ["psk", "secret", "txt"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    path.extension().is_some_and(is_one)
}

fn stamp(path: PathBuf) -> Stamp {
    let metadata = fs::metadata(&path).ok();
    let identity = metadata.map(|m| (m.dev(), m.ino(), m.ctime(), m.ctime_nsec(), m.size()));
    Stamp { path, identity }
}

fn read_all(stamps: &[Stamp], problems: Vec<Problem>) -> KeySet {
    let mut set = KeySet { keys: BTreeMap::new(), problems };
    for Stamp { path, .. } in stamps {
        match (read_keys(path), counts(path)) {
            (Ok(keys), true) => keys.into_iter().for_each(|key| set.add(key, path)),
            (Err(problem), true) => set.problems.push(problem),
            (Ok(keys), false) if !keys.is_empty() => {
                set.problems.push(Problem::OtherName(path.clone()));
            }
            // Something else, such as a text about the keys.
            (Ok(_) | Err(_), false) => {}
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const SECRET: &str = "0123456789abcdef";
    const OTHER: &str = "fedcba9876543210";

    fn files(dirs: &[&TempDir]) -> KeyFiles {
        KeyFiles::new(dirs.iter().map(|dir| dir.path().to_owned()).collect())
    }

    fn write(dir: &TempDir, name: &str, text: &str) {
        fs::write(dir.path().join(name), text).unwrap();
    }

    fn secret(set: &KeySet, id: &str) -> Option<String> {
        set.secret(id).map(|secret| secret.reveal().to_owned())
    }

    #[test]
    fn every_psk_file_counts_and_no_other() {
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        write(&here, "device.psk", &format!("plc:{SECRET}\n"));
        write(&here, "device.psk~", &format!("old:{SECRET}\n"));
        write(&there, "a.psk", &format!("anna:{OTHER}\n"));
        let missing = there.path().join("missing");
        let keys = KeyFiles::new(vec![here.path().into(), there.path().into(), missing]).current();
        let ids: Vec<_> = keys.iter().map(|(id, _, _)| id.as_str()).collect();
        assert_eq!(ids, ["anna", "plc"]);
        assert!(keys.problems().is_empty(), "{:?}", keys.problems());
    }

    #[test]
    fn a_change_is_seen_and_without_one_nothing_is_read() {
        let dir = TempDir::new().unwrap();
        let files = files(&[&dir]);
        assert!(files.current().is_empty());
        write(&dir, "a.psk", &format!("anna:{SECRET}\n"));
        let first = files.current();
        assert_eq!(secret(&first, "anna").as_deref(), Some(SECRET));
        assert!(Arc::ptr_eq(&first, &files.current()));
        // Of the same length, and put in place as a whole.
        write(&dir, "new", &format!("anna:{OTHER}\n"));
        fs::rename(dir.path().join("new"), dir.path().join("a.psk")).unwrap();
        assert_eq!(secret(&files.current(), "anna").as_deref(), Some(OTHER));
        fs::remove_file(dir.path().join("a.psk")).unwrap();
        assert!(files.current().is_empty());
    }

    #[test]
    fn a_bad_file_is_reported_and_takes_no_other_with_it() {
        let dir = TempDir::new().unwrap();
        write(&dir, "bad.psk", &format!("one:{SECRET}\ntwo:short\n"));
        write(&dir, "good.psk", &format!("anna:{SECRET}\n"));
        let keys = files(&[&dir]).current();
        assert!(keys.secret("one").is_none() && keys.secret("anna").is_some());
        let problem = keys.problems().first().unwrap().to_string();
        assert!(problem.contains("bad.psk, line 2"), "{problem}");
    }

    #[test]
    fn of_two_keys_with_one_id_the_earlier_counts_and_the_later_is_reported() {
        let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        write(&here, "z.psk", &format!("anna:{SECRET}\n"));
        write(&there, "a.psk", &format!("anna:{OTHER}\n"));
        let keys = files(&[&here, &there]).current();
        assert_eq!(secret(&keys, "anna").as_deref(), Some(SECRET));
        assert!(matches!(keys.problems(), [Problem::Twice { .. }]), "{:?}", keys.problems());
    }

    #[test]
    fn a_file_without_an_end_or_a_pipe_is_not_read_and_takes_no_other_with_it() {
        let dir = TempDir::new().unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("a.psk")).unwrap();
        fs::create_dir(dir.path().join("b.psk")).unwrap();
        write(&dir, "good.psk", &format!("anna:{SECRET}\n"));
        let keys = files(&[&dir]).current();
        assert!(keys.secret("anna").is_some());
        let [Problem::NotAFile(_), Problem::Directory(_)] = keys.problems() else {
            panic!("{:?}", keys.problems());
        };
    }

    #[test]
    fn keys_in_a_file_of_another_name_are_reported() {
        let dir = TempDir::new().unwrap();
        for name in ["psk.txt", "anna.secret", "ANNA.PSK"] {
            write(&dir, name, &format!("anna:{SECRET}\n"));
        }
        // These hold none.
        write(&dir, "readme.txt", "Keys of the night shift\n");
        write(&dir, "wamp.secret", SECRET);
        let keys = files(&[&dir]).current();
        assert!(keys.is_empty());
        let problems: Vec<String> = keys.problems().iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems.iter().all(|problem| problem.contains("rename it to ")), "{problems:?}");
    }

    #[test]
    fn a_file_that_could_not_be_read_is_tried_again_though_it_did_not_change() {
        let dir = TempDir::new().unwrap();
        write(&dir, "a.psk", &format!("anna:{SECRET}\n"));
        let files = files(&[&dir]);
        let first = files.current();
        assert!(Arc::ptr_eq(&first, &files.current()));
        // As if there had been too many open files at that time.
        let path = dir.path().join("a.psk");
        let unreadable = Problem::Unreadable { path, error: io::ErrorKind::Other.into() };
        let nothing = KeySet { keys: BTreeMap::new(), problems: vec![unreadable] };
        files.last.lock().unwrap().keys = Arc::new(nothing);
        assert_eq!(secret(&files.current(), "anna").as_deref(), Some(SECRET));
        assert!(files.current().problems().is_empty());
    }
}
