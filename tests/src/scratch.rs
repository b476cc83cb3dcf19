// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories for tests below `/tmp`. What a killed test has left there goes when the next one needs a directory.

use std::{
    env,
    fs::{self, File},
    path::Path,
    sync::{Mutex, PoisonError},
};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

/// How their names begin.
const MARK: &str = "plc-test-";

/// A directory with this word in its name. It goes with the value, or after the process.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn scratch(name: &str) -> TempDir {
    // A locked directory is somebody's, which tmpfiles.d(5) respects too. The locks go with the process.
    static LOCKS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let mut locks = LOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = env::temp_dir();
    let (dir, lock) = make(&place, name, locks.is_empty());
    locks.push(lock);
    dir
}

fn make(place: &Path, name: &str, is_first: bool) -> (TempDir, File) {
    // Over all processes one at a time, so that nobody finds a directory between its making and its lock.
    let turn = File::open(place).expect("a place for scratch directories");
    flock(&turn, FlockOperation::LockExclusive).expect("a lock");
    if is_first {
        sweep(place);
    }
    let dir = tempfile::Builder::new().prefix(&format!("{MARK}{name}-")).tempdir_in(place);
    let dir = dir.expect("a scratch directory");
    let lock = File::open(dir.path()).expect("our own directory");
    flock(&lock, FlockOperation::LockExclusive).expect("a lock");
    (dir, lock)
}

/// Removes what nobody has locked.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_one = entry.file_name().to_string_lossy().starts_with(MARK)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        let is_nobodys = || {
            let lock = File::open(entry.path());
            lock.is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
        };
        if is_one && is_nobodys() {
            // Another user's may stay: theirs to remove.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_test_left_goes_and_what_belongs_to_somebody_stays() {
        let place = tempfile::tempdir().unwrap();
        let (living, _lock) = make(place.path(), "living", true);
        let (killed, lock) = make(place.path(), "killed", false);
        let other = place.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(killed.path().join("disk.img"), "").unwrap();
        drop(lock);
        let (_next, _lock) = make(place.path(), "next", true);
        assert!(living.path().exists() && other.exists());
        assert!(!killed.path().exists(), "it is still there");
    }
}
