// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that `plcctl psk` reads and writes: secrets, and keys as IDEs, stunnel and the reference runtime keep them.
//!
//! All of these keep a key as one line, `ID:secret`: `psk/ID.secret` of a project, `keystore/own/default.psk` and
//! exports of it for an IDE's own key, `psk.txt` of stunnel and of the reference runtime.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use plc_api::key::{ApiKey, SecretText};
use plc_keys::{Key, Problem, keys_in, read_file, read_stream, text_in};
use tempfile::NamedTempFile;

use crate::failure::Failure;

/// The argument that stands for standard input or output.
const STANDARD: &str = "-";

/// Whether standard input or output is meant.
pub(crate) fn is_standard(file: &Path) -> bool {
    file == Path::new(STANDARD)
}

/// The keys in a file of an IDE, of stunnel or of the reference runtime; at least one.
///
/// # Errors
/// [`Failure::Failed`], with the file, what is wrong with it and the next step.
pub(crate) fn read_keys(file: &Path) -> Result<Vec<Key>, Failure> {
    let shown = shown(file);
    let keys = content(&shown, file).and_then(|content| keys_in(&shown, &content));
    let keys = keys.map_err(|problem| failure(&problem))?;
    if keys.is_empty() {
        return Err(Failure::Failed(format!(
            "{} holds no key; a key is a line ID:secret",
            shown.display()
        )));
    }
    Ok(keys)
}

/// A secret without the end of its line, and without a byte order mark. Not an argument, which all users could see.
///
/// # Errors
/// [`Failure::Failed`], as [`read_keys`], and for a file that holds whole keys.
pub(crate) fn read_secret(id: &str, file: &Path) -> Result<SecretText, Failure> {
    let shown = shown(file);
    let content = content(&shown, file).map_err(|problem| failure(&problem))?;
    let text = text_in(&shown, &content).map_err(|problem| failure(&problem))?;
    // Its ID would become a part of the secret, and no IDE would get in.
    if text.strip_prefix(id).is_some_and(|rest| rest.starts_with(':')) {
        return Err(Failure::Failed(format!(
            "{0} holds the whole key ID:secret, not the secret alone; take it with: plcctl psk import {0}",
            shown.display()
        )));
    }
    Ok(SecretText::new(text.trim_end_matches(['\n', '\r'])))
}

/// The line that a key is kept as.
pub(crate) fn line(key: &ApiKey) -> String {
    format!("{}:{}\n", key.id, key.secret.reveal())
}

/// Writes a key to a file that only this user may read. One that has it already is left as it is.
///
/// # Errors
/// [`Failure::Failed`], with the next step: there is something else of that name, or the disk.
pub(crate) fn write_key(key: &ApiKey, file: &Path) -> Result<(), Failure> {
    let line = line(key);
    if file.is_dir() {
        return Err(Failure::Failed(format!(
            "{0} is a directory; name a file in it, such as {0}/{1}.secret",
            file.display(),
            key.id
        )));
    }
    if fs::symlink_metadata(file).is_ok() {
        let is_it = read_file(file).is_ok_and(|content| content == line.as_bytes());
        return if is_it { Ok(()) } else { Err(taken(file)) };
    }
    write_new(&line, file).map_err(|error| {
        if error.kind() == io::ErrorKind::AlreadyExists {
            return taken(file);
        }
        Failure::Failed(format!(
            "{} cannot be written: {error}; name a file in a directory that exists and that you may write to",
            file.display()
        ))
    })
}

/// Whole or not at all, and never over another file.
fn write_new(line: &str, file: &Path) -> io::Result<()> {
    let dir = file.parent().filter(|dir| !dir.as_os_str().is_empty());
    let mut new = NamedTempFile::new_in(dir.unwrap_or(Path::new(".")))?;
    new.write_all(line.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist_noclobber(file)?;
    Ok(())
}

fn taken(file: &Path) -> Failure {
    Failure::Failed(format!(
        "{} is there already, holds something else, and stays as it is; choose another name, or remove it first",
        file.display()
    ))
}

/// The file's name for people.
fn shown(file: &Path) -> PathBuf {
    if is_standard(file) { "the standard input".into() } else { file.to_owned() }
}

fn content(shown: &Path, file: &Path) -> Result<Vec<u8>, Problem> {
    if is_standard(file) { read_stream(shown, io::stdin()) } else { read_file(file) }
}

/// In the words of the one who gave the file, who need not be who runs the service.
fn failure(problem: &Problem) -> Failure {
    Failure::Failed(match problem {
        Problem::Unreadable { path, error } => {
            let next = if error.kind() == io::ErrorKind::NotFound {
                "name the file that the IDE has exported, or its own, ~/.local/share/beremiz/keystore/own/default.psk"
            } else if error.kind() == io::ErrorKind::PermissionDenied {
                "let its owner make it readable for you, or hand it to the standard input, with - as its name"
            } else {
                "name a file that can be read"
            };
            format!("{} cannot be read: {error}; {next}", path.display())
        }
        Problem::Directory(path) => {
            let name = if path.join("psk.txt").exists() { "psk.txt" } else { "default.psk" };
            format!("{0} is a directory; name the file in it, such as {0}/{name}", path.display())
        }
        Problem::NotAFile(path) => {
            format!("{} is not a file; to hand over what comes from a pipe use -", path.display())
        }
        Problem::TooLong(_)
        | Problem::Utf16(_)
        | Problem::NotText(_)
        | Problem::Malformed { .. }
        | Problem::Twice { .. }
        | Problem::OtherName(_) => problem.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    const SECRET: &str = "0123456789abcdef+g";

    fn key() -> ApiKey {
        ApiKey { id: "anna".into(), secret: SecretText::new(SECRET) }
    }

    fn written(content: &[u8]) -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("anna.psk");
        fs::write(&file, content).unwrap();
        (dir, file)
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn a_secret_comes_from_a_file_without_its_line_s_end() {
        for content in [SECRET.to_owned(), format!("{SECRET}\r\n"), format!("\u{feff}{SECRET}\n")] {
            let (_dir, file) = written(content.as_bytes());
            assert_eq!(read_secret("anna", &file).unwrap().reveal(), SECRET);
        }
    }

    #[test]
    fn a_file_of_whole_keys_is_not_taken_for_a_secret() {
        let (_dir, file) = written(line(&key()).as_bytes());
        let refusal = refusal(read_secret("anna", &file));
        assert!(refusal.contains("plcctl psk import ") && !refusal.contains(SECRET), "{refusal}");
        // A colon alone is a character as any other.
        assert!(read_secret("otto", &file).is_ok());
    }

    #[test]
    fn what_is_written_is_read_again_and_is_for_its_owner_alone() {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("anna.secret");
        write_key(&key(), &file).unwrap();
        let keys = read_keys(&file).unwrap();
        let [Key { id, secret }] = &keys[..] else { panic!("{keys:?}") };
        assert_eq!((id.as_str(), secret.reveal()), ("anna", SECRET));
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        // Once more is no harm.
        write_key(&key(), &file).unwrap();
    }

    #[test]
    fn nothing_is_written_over() {
        let (dir, file) = written(b"anna:something-else-of-hers\n");
        let said = refusal(write_key(&key(), &file));
        assert!(said.contains("choose another name"), "{said}");
        assert_eq!(fs::read(&file).unwrap(), b"anna:something-else-of-hers\n");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(refusal(write_key(&key(), &link)).contains("choose another name"));
        let said = refusal(write_key(&key(), dir.path()));
        assert!(said.contains("/anna.secret"), "{said}");
        let said = refusal(write_key(&key(), &dir.path().join("no/anna.psk")));
        assert!(said.contains("in a directory that exists"), "{said}");
    }

    #[test]
    fn each_fault_of_a_file_is_named_with_the_next_step() {
        let dir = TempDir::new().unwrap();
        let said = refusal(read_keys(&dir.path().join("none.psk")));
        assert!(said.contains("none.psk cannot be read") && said.contains("default.psk"), "{said}");
        let said = refusal(read_keys(dir.path()));
        assert!(said.contains("is a directory; name the file in it"), "{said}");
        fs::write(dir.path().join("psk.txt"), "").unwrap();
        assert!(refusal(read_keys(dir.path())).contains("/psk.txt"));
        for (content, words) in [
            (&b""[..], "holds no key"),
            (b"# nothing\n", "holds no key"),
            (b"\xff\xfea\0", "UTF-16"),
            (b":", "shown it no key"),
            (b"anna:0123456789abcdefg \n", "a blank in the secret or behind it"),
            (b"anna:0123456789\n", "and this one has 10"),
            (b"0123456789abcdefg\n", "not ID:secret"),
        ] {
            let (_dir, file) = written(content);
            let said = refusal(read_keys(&file));
            assert!(said.contains(words) && said.contains("anna.psk"), "{said}");
            assert!(!said.contains("0123456789abcdefg"), "{said}");
        }
    }
}
