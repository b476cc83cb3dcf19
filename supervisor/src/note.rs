// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the PLC is to be, written down for the supervisor that comes after this one in the same boot.
//!
//! What lies here is beside the sockets, so a reboot forgets it. There are two notes: one that a supervisor leaves
//! when it ends for a newer one, and one that is kept up to date for the case that it ends without being told to.

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use plc_api::{paths::HANDOVER_FILE, plc::Wish};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{program::durable, state::Carry};

/// The note for the case of an end that nobody asked for.
const MEANT_FILE: &str = "meant.toml";
/// A note older than this was meant for a supervisor that never came.
const FRESH: Duration = Duration::from_secs(60);

/// What one supervisor leaves to the next.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Handover {
    plc: Carry,
}

/// What a supervisor keeps for the one after its unexpected end.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meant {
    /// The wish on disk at that time. With another one there this note is older than what was decided last.
    wish: Wish,
    plc: Carry,
}

/// Leaves the PLC to the next supervisor.
///
/// # Errors
/// The note cannot be written.
pub(crate) fn leave(run_dir: &Path, carry: Carry) -> io::Result<()> {
    write(&run_dir.join(HANDOVER_FILE), &Handover { plc: carry })
}

/// Takes what the supervisor before us left, if it left anything just now.
#[must_use]
pub(crate) fn take(run_dir: &Path) -> Option<Carry> {
    let place = run_dir.join(HANDOVER_FILE);
    let written = fs::metadata(&place).and_then(|metadata| metadata.modified()).ok()?;
    let note: Option<Handover> = read(&place);
    if let Err(error) = fs::remove_file(&place) {
        tracing::warn!(%error, place = %place.display(), "an old note of an upgrade stays: {error}");
    }
    let fresh = SystemTime::now().duration_since(written).is_ok_and(|age| age < FRESH);
    note.filter(|_| fresh).map(|note| note.plc)
}

/// Keeps how the PLC is to be if this supervisor ends without being told to; `wish` is that on disk.
///
/// # Errors
/// The note cannot be written.
pub(crate) fn keep(run_dir: &Path, carry: Carry, wish: Wish) -> io::Result<()> {
    write(&run_dir.join(MEANT_FILE), &Meant { wish, plc: carry })
}

/// What the supervisor before us kept, unless the wish has changed since.
#[must_use]
pub(crate) fn kept(run_dir: &Path, wish: Wish) -> Option<Carry> {
    let note: Meant = read(&run_dir.join(MEANT_FILE))?;
    (note.wish == wish).then_some(note.plc)
}

/// A good end: the next start is one as after a boot.
///
/// # Errors
/// The note stays.
pub(crate) fn forget(run_dir: &Path) -> io::Result<()> {
    durable::remove_if_there(&run_dir.join(MEANT_FILE))
}

/// Half a note is none, and one that is not there is no news.
fn read<T: DeserializeOwned>(place: &Path) -> Option<T> {
    let text = fs::read_to_string(place).ok()?;
    toml::from_str(&text)
        .inspect_err(|error| tracing::warn!(%error, "the note of the supervisor before us cannot be understood: {error}"))
        .ok()
}

fn write(place: &Path, note: &impl Serialize) -> io::Result<()> {
    let text = toml::to_string(note).map_err(io::Error::other)?;
    fs::write(place, text).map_err(|error| durable::at(place, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carries() -> [Carry; 3] {
        [Carry::Run, Carry::Rest, Carry::Broken("it \"ended\"\nwith SIGSEGV".into())]
    }

    #[test]
    fn a_note_is_taken_once() {
        let dir = tempfile::tempdir().unwrap();
        for carry in carries() {
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
        let file = fs::File::options().write(true).open(dir.path().join(HANDOVER_FILE)).unwrap();
        file.set_modified(hour_ago).unwrap();
        assert_eq!(take(dir.path()), None);
        assert!(!dir.path().join(HANDOVER_FILE).exists());
    }

    #[test]
    fn what_is_kept_counts_until_it_is_forgotten_or_the_wish_is_another_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path(), Wish::Run), None);
        for carry in carries() {
            keep(dir.path(), carry.clone(), Wish::Run).unwrap();
            assert_eq!(kept(dir.path(), Wish::Run), Some(carry.clone()));
            assert_eq!(kept(dir.path(), Wish::Run), Some(carry));
            assert_eq!(kept(dir.path(), Wish::Stop), None);
        }
        forget(dir.path()).unwrap();
        assert_eq!(kept(dir.path(), Wish::Run), None);
        forget(dir.path()).unwrap();
    }
}
