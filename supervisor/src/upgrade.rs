// SPDX-License-Identifier: MIT OR Apache-2.0
//! A newer supervisor: seen by the program file that was replaced under us.
//!
//! Only what systemd starts again may end for its successor's sake.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Whether another file lies now where our program came from.
///
/// A file that was removed is no upgrade: the package may be on its way out.
#[must_use]
pub(crate) fn is_waiting() -> bool {
    let own = Path::new("/proc/self/exe");
    fs::read_link(own).is_ok_and(|place| is_replaced(own, &original(&place)))
}

/// The kernel adds " (deleted)" to the place of a program whose file has no name any more (`proc_pid_exe(5)`).
fn original(place: &Path) -> PathBuf {
    let text = place.to_string_lossy();
    text.strip_suffix(" (deleted)").map_or_else(|| place.to_owned(), PathBuf::from)
}

fn is_replaced(running: &Path, place: &Path) -> bool {
    let (Ok(running), Ok(there)) = (fs::metadata(running), fs::metadata(place)) else {
        return false;
    };
    (running.dev(), running.ino()) != (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_file_that_was_replaced_is_seen_and_one_that_was_removed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let [place, running, new] = ["program", "running", "new"].map(|name| dir.path().join(name));
        fs::write(&place, "old").unwrap();
        fs::hard_link(&place, &running).unwrap();
        assert!(!is_replaced(&running, &place));
        fs::write(&new, "new").unwrap();
        fs::rename(&new, &place).unwrap();
        assert!(is_replaced(&running, &place));
        fs::remove_file(&place).unwrap();
        assert!(!is_replaced(&running, &place));
        assert_eq!(original(Path::new("/a/b (deleted)")), Path::new("/a/b"));
    }

    #[test]
    fn our_own_file_is_the_one_we_run() {
        assert!(!is_waiting());
    }
}
