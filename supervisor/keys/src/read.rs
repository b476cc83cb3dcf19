// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading one file of keys: bounded, never waiting for a pipe, each fault named.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

use crate::{
    files::FILE_BYTES,
    key::Key,
    problem::Problem,
    text::{Keys, without_mark},
};

/// The keys in a file, in its order.
///
/// # Errors
/// [`Problem`], but for those that concern several files.
pub fn read_keys(path: &Path) -> Result<Vec<Key>, Problem> {
    keys_in(path, &read_file(path)?)
}

/// The keys in the content of a file; `path` is its name, for the error.
///
/// # Errors
/// [`Problem::Utf16`], [`Problem::NotText`], [`Problem::Malformed`].
pub fn keys_in(path: &Path, content: &[u8]) -> Result<Vec<Key>, Problem> {
    let text = text_in(path, content)?;
    Keys::parse(text).map_err(|error| Problem::Malformed { path: path.to_owned(), error })
}

/// The content of a file as text, without a byte order mark; `path` is its name, for the error.
///
/// # Errors
/// [`Problem::Utf16`], [`Problem::NotText`].
pub fn text_in<'a>(path: &Path, content: &'a [u8]) -> Result<&'a str, Problem> {
    if content.starts_with(&[0xff, 0xfe]) || content.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::Utf16(path.to_owned()));
    }
    let text = std::str::from_utf8(content).map_err(|_| Problem::NotText(path.to_owned()))?;
    Ok(without_mark(text))
}

/// The content of a file, at most [`FILE_BYTES`].
///
/// # Errors
/// [`Problem::Unreadable`], [`Problem::Directory`], [`Problem::NotAFile`], [`Problem::TooLong`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, Problem> {
    let unreadable = |error| Problem::Unreadable { path: path.to_owned(), error };
    // Without NONBLOCK opening a pipe waits until something writes to it.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|error| unreadable(error.into()))?;
    let file = File::from(file);
    let kind = file.metadata().map_err(unreadable)?.file_type();
    match kind {
        kind if kind.is_dir() => Err(Problem::Directory(path.to_owned())),
        kind if !kind.is_file() => Err(Problem::NotAFile(path.to_owned())),
        _ => read_stream(path, file),
    }
}

/// All that comes from `source`, at most [`FILE_BYTES`]; `path` is its name, for the error.
///
/// # Errors
/// [`Problem::Unreadable`], [`Problem::TooLong`].
pub fn read_stream(path: &Path, source: impl Read) -> Result<Vec<u8>, Problem> {
    let mut content = Vec::new();
    let read: io::Result<usize> = source.take(FILE_BYTES + 1).read_to_end(&mut content);
    read.map_err(|error| Problem::Unreadable { path: path.to_owned(), error })?;
    if content.len() as u64 > FILE_BYTES {
        return Err(Problem::TooLong(path.to_owned()));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
        path::PathBuf,
    };

    use rustix::fs::{CWD, FileType, mknodat};
    use tempfile::TempDir;

    use super::*;

    const KEY: &str = "anna:0123456789abcdefg";

    fn file(dir: &TempDir, content: &[u8]) -> PathBuf {
        let path = dir.path().join("default.psk");
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn the_own_file_of_an_ide_is_read_from_every_system() {
        let dir = TempDir::new().unwrap();
        let secret = "A+/9".repeat(64);
        for (mark, end) in [("", ""), ("", "\n"), ("", "\r\n"), ("\u{feff}", "\r\n")] {
            let text = format!("{mark}00ff11ee22dd33cc:{secret}{end}");
            let keys = read_keys(&file(&dir, text.as_bytes())).unwrap();
            let [Key { id, secret: read }] = &keys[..] else { panic!("{keys:?}") };
            assert_eq!((id.as_str(), read.reveal()), ("00ff11ee22dd33cc", &*secret), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_text_is_named() {
        let dir = TempDir::new().unwrap();
        let little: Vec<u8> =
            std::iter::once(0xfeff).chain(KEY.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let problem = read_keys(&file(&dir, &little)).unwrap_err();
        assert!(matches!(problem, Problem::Utf16(_)), "{problem}");
        assert!(problem.to_string().contains("default.psk is in UTF-16"), "{problem}");
        let problem = read_keys(&file(&dir, b"anna:\xe4\xf6\xfc")).unwrap_err();
        assert!(matches!(problem, Problem::NotText(_)), "{problem}");
    }

    #[test]
    fn what_is_not_a_file_is_named_and_not_waited_for() {
        let dir = TempDir::new().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("dir.psk")).unwrap();
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, at("pipe.psk"), FileType::Fifo, mode, 0).unwrap();
        symlink("/dev/zero", at("zero.psk")).unwrap();
        symlink("nowhere", at("link.psk")).unwrap();
        for (name, words) in [
            ("dir.psk", "dir.psk is a directory; keys are in files"),
            ("pipe.psk", "pipe.psk is neither a file nor a link to one"),
            ("zero.psk", "zero.psk is neither a file nor a link to one"),
            ("link.psk", "link.psk cannot be read: No such file"),
        ] {
            let problem = read_keys(&at(name)).unwrap_err().to_string();
            assert!(problem.contains(words), "{problem}");
        }
    }

    #[test]
    fn who_may_not_read_a_file_is_told_how_the_service_may() {
        let dir = TempDir::new().unwrap();
        let path = file(&dir, KEY.as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
        let error = io::Error::from(io::ErrorKind::PermissionDenied);
        // Root may read it all the same.
        let problem = read_keys(&path).err().unwrap_or(Problem::Unreadable { path, error });
        let text = problem.to_string();
        assert!(text.contains("default.psk cannot be read: "), "{text}");
        assert!(text.contains("chgrp plc-keys") && text.contains("chmod g+rX"), "{text}");
    }

    #[test]
    fn a_file_is_read_to_a_bound() {
        let dir = TempDir::new().unwrap();
        let path = file(&dir, b"");
        File::options().write(true).open(&path).unwrap().set_len(1 << 30).unwrap();
        assert!(matches!(read_keys(&path), Err(Problem::TooLong(_))));
        assert!(matches!(read_stream(&path, io::repeat(b'x')), Err(Problem::TooLong(_))));
    }
}
