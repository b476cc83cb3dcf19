// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which Debian release is tested, and which package.

use std::{env, fs, path::PathBuf};

/// The Debian release: the environment's `SUITE`, or `bookworm`.
#[must_use]
pub fn suite() -> String {
    env::var("SUITE").unwrap_or_else(|_| "bookworm".to_owned())
}

/// The package under test: the environment's `PLC_DEB`, or the newest one in `dist/` for this release.
///
/// # Panics
/// There is none; says how to get it.
#[must_use]
pub fn deb() -> PathBuf {
    if let Some(path) = env::var_os("PLC_DEB") {
        let path = PathBuf::from(path);
        return path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    let mark = match suite().as_str() {
        "bookworm" => "~deb12_",
        "trixie" => "~deb13_",
        other => panic!("SUITE={other}: bookworm and trixie are known"),
    };
    let dist = plc_tests::root().join("dist");
    let mut found: Vec<PathBuf> = fs::read_dir(&dist)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("plc-runtime_") && name.contains(mark) && name.ends_with("_amd64.deb")
        })
        .collect();
    found.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
    found.pop().unwrap_or_else(|| {
        panic!("no package for {} in {}; run `make deb SUITE={0}`", suite(), dist.display())
    })
}
