// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is shipped, as `make install` lays it down.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::{binary, root, scratch::scratch};

/// The names of all programs.
///
/// # Panics
/// `make` does not tell.
#[must_use]
pub fn programs() -> Vec<String> {
    let names = make(&["programs".into()]);
    names.split_whitespace().map(str::to_owned).collect()
}

/// What `make` says.
fn make(arguments: &[String]) -> String {
    let mut make = Command::new("make");
    let output = make.arg("--silent").args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Lays everything down in a directory of its own.
///
/// # Panics
/// A program is not built, or `make install` fails; says why.
#[must_use]
pub fn installed() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let built = dir.path().join("built");
    fs::create_dir(&built).unwrap();
    for name in programs() {
        symlink(binary(&name), built.join(name)).unwrap();
    }
    fs::write(built.join("sample.so"), "").unwrap();
    make(&[
        "install".into(),
        "PREFIX=/usr".into(),
        format!("BUILT={}", built.display()),
        format!("DESTDIR={}", dir.path().display()),
    ]);
    dir
}

/// The programs and the demo in one directory, where they find each other.
///
/// # Panics
/// A program is not built; says how to.
#[must_use]
pub fn side_by_side() -> TempDir {
    let dir = scratch("installed");
    for name in programs() {
        fs::copy(binary(&name), dir.path().join(name)).unwrap();
    }
    let sample = crate::programs::compiled(&root().join("supervisor/local/sample/sample.c"));
    fs::copy(sample, dir.path().join("sample.so")).unwrap();
    dir
}

/// All files below a directory.
///
/// # Panics
/// It cannot be read.
#[must_use]
pub fn below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, mut found): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    found.extend(dirs.iter().flat_map(|dir| below(dir)));
    found.sort();
    found
}
