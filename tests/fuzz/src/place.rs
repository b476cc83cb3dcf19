// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files for targets that read files: in memory where that can be had.

use std::path::Path;

use tempfile::TempDir;

/// A directory for as long as the process lives.
///
/// # Panics
/// If there is no place for one.
pub(crate) fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a temporary directory")
}
