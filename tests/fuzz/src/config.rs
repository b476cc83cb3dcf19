// SPDX-License-Identifier: MIT OR Apache-2.0
//! A configuration is read or refused with its place; as the file and as a drop-in it means the same.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use plc_supervisor::config::{Config, ConfigError};
use tempfile::TempDir;

use crate::place;

/// Where the files are.
struct Place {
    _dir: TempDir,
    file: PathBuf,
    drop_ins: PathBuf,
    drop_in: PathBuf,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let dir = place::directory();
    let file = dir.path().join("plc-runtime.toml");
    let drop_ins = dir.path().join("plc-runtime.toml.d");
    fs::create_dir(&drop_ins).expect("a directory in it");
    let drop_in = drop_ins.join("50-local.toml");
    Place { _dir: dir, file, drop_ins, drop_in }
});

/// The input is the file and, behind a NUL, a drop-in.
pub fn run(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (file, drop_in) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let alone = read(file, b"");
    match (&alone, read(b"", file)) {
        (Ok(one), Ok(other)) => assert_eq!(*one, other),
        (Err(_), Err(_)) => {}
        (one, other) => panic!("{one:?} as the file, {other:?} as a drop-in"),
    }
    let both = read(file, drop_in);
    assert!(alone.is_ok() || both.is_err(), "a drop-in heals a bad file");
}

fn read(file: &[u8], drop_in: &[u8]) -> Result<Config, ConfigError> {
    let place = &*PLACE;
    fs::write(&place.file, file).expect("the file");
    fs::write(&place.drop_in, drop_in).expect("the drop-in");
    let read = Config::read(&place.file, &place.drop_ins);
    if let Err(error) = &read {
        assert_place(error, &place.file);
    }
    read
}

/// An error names the file, or the key and what would be right.
fn assert_place(error: &ConfigError, file: &Path) {
    let text = error.to_string();
    let dir = file.parent().expect("it is in a directory").to_string_lossy();
    assert!(text.contains(&*dir) || text.contains(": must be "), "{text}");
}

/// The shipped file, and each of its keys set.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let shipped = include_str!("../../../etc/plc-runtime/plc-runtime.toml");
    // Prose begins with "# ", a key with "#".
    let keys = shipped.lines().filter(|line| !line.starts_with("# ") && *line != "#");
    let keys: String =
        keys.flat_map(|line| [line.strip_prefix('#').unwrap_or(line), "\n"]).collect();
    let others = [
        "[plc]\nstop_timeout_ms = 1000\n\0[plc]\nstop_timeout_ms = 2000\nrestart = \"never\"\n",
        "[realtime]\npolicy = \"fifo\"\npriority = 50\ncpus = [1, 2]\nstack_size_kib = 512\n",
        "plc.autostart = \"always\"\nwatchdog = { periods = 10, action = \"restart\" }\n",
        "[plc]\nstop_timeout_ms = 5\n",
    ];
    [shipped, &keys].into_iter().chain(others).map(|text| text.as_bytes().to_vec()).collect()
}
