// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be wrong with a file of keys. Each text names the file and the next step, and repeats no secret.

use std::{
    io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{files::FILE_BYTES, key::Id, text::KeyError};

/// Why a key or a file of keys does not count.
#[derive(Debug, Error)]
pub enum Problem {
    /// The directory or the file cannot be read.
    #[error("{} cannot be read: {error}{}", path.display(), permission(path, error))]
    Unreadable {
        /// The file or the directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A directory has the name of a file of keys.
    #[error("{} is a directory; keys are in files: put a file in its place", .0.display())]
    Directory(PathBuf),
    /// A pipe, a socket or a device has the name of a file of keys.
    #[error("{} is neither a file nor a link to one; put a file in its place", .0.display())]
    NotAFile(PathBuf),
    /// The file is too long.
    #[error("{} is longer than {FILE_BYTES} bytes, so it is not a file of keys", .0.display())]
    TooLong(PathBuf),
    /// The file is not in UTF-8, but in an encoding that Windows offers.
    #[error("{} is in UTF-16, as some programs on Windows write; save it as UTF-8", .0.display())]
    Utf16(PathBuf),
    /// The file is not in UTF-8.
    #[error("{} is not a text in UTF-8, so it is not a file of keys; write ID:secret, in ASCII", .0.display())]
    NotText(PathBuf),
    /// The file has a bad line; none of its keys counts.
    #[error("{}, {error}; none of its keys is used", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: KeyError,
    },
    /// Another file has a key of that ID; that one counts.
    #[error("{}: there is a key of {id} in {} already, and that one is used", later.display(), earlier.display())]
    Twice {
        /// Whose.
        id: Id,
        /// Where the key is that counts.
        earlier: PathBuf,
        /// Where the key is that does not.
        later: PathBuf,
    },
    /// It holds keys, but its name does not end with `.psk`.
    #[error(
        "{} holds keys that are not used, because its name does not end with .psk; rename it to {}",
        .0.display(),
        .0.with_extension("psk").display()
    )]
    OtherName(PathBuf),
}

/// What lets the service read a file that it may not read.
fn permission(path: &Path, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return String::new();
    }
    let path = path.display();
    format!(
        "; the group plc-keys must be able to read it: chgrp plc-keys {path}; chmod g+rX {path}"
    )
}
