// SPDX-License-Identifier: MIT OR Apache-2.0
//! A newer supervisor: seen by the program file that was replaced under us, and told how to find the PLC.
//!
//! Only what systemd starts again may end for its successor's sake. What we leave lies beside the sockets, so a
//! reboot forgets it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use plc_api::paths::HANDOVER_FILE;
use serde::{Deserialize, Serialize};

use crate::{program::durable, state::Carry};

/// A note older than this was meant for a supervisor that never came.
const FRESH: Duration = Duration::from_secs(60);

/// What one supervisor leaves to the next.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    plc: Carry,
}

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

/// Leaves the PLC to the next supervisor.
///
/// # Errors
/// The note cannot be written.
pub(crate) fn leave(run_dir: &Path, carry: Carry) -> io::Result<()> {
    let text = toml::to_string(&Note { plc: carry }).map_err(io::Error::other)?;
    let place = note(run_dir);
    fs::write(&place, text).map_err(|error| durable::at(&place, &error))
}

/// Takes what the supervisor before us left, if it left anything just now.
#[must_use]
pub(crate) fn take(run_dir: &Path) -> Option<Carry> {
    let place = note(run_dir);
    let written = fs::metadata(&place).and_then(|metadata| metadata.modified()).ok()?;
    let text = fs::read_to_string(&place);
    if let Err(error) = fs::remove_file(&place) {
        tracing::warn!(%error, place = %place.display(), "an old note of an upgrade stays: {error}");
    }
    let fresh = SystemTime::now().duration_since(written).is_ok_and(|age| age < FRESH);
    let note: Note = toml::from_str(&text.ok()?)
        .inspect_err(|error| tracing::warn!(%error, "the note of the supervisor before us cannot be understood: {error}"))
        .ok()?;
    fresh.then_some(note.plc)
}

fn note(run_dir: &Path) -> PathBuf {
    run_dir.join(HANDOVER_FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        for carry in [Carry::Run, Carry::Rest, Carry::Broken("it \"ended\"\nwith SIGSEGV".into())] {
            leave(dir.path(), carry.clone()).unwrap();
            assert_eq!(take(dir.path()), Some(carry));
            assert_eq!(take(dir.path()), None);
        }
    }

    #[test]
    fn an_old_note_is_for_nobody() {
        let dir = tempfile::tempdir().unwrap();
        leave(dir.path(), Carry::Run).unwrap();
        let hour_ago = SystemTime::now() - Duration::from_secs(3600);
        let file = fs::File::options().write(true).open(note(dir.path())).unwrap();
        file.set_modified(hour_ago).unwrap();
        assert_eq!(take(dir.path()), None);
        assert!(!note(dir.path()).exists());
    }

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
