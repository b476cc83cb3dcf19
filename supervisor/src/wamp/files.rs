// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that settings name: secrets, and certificates of authorities. Each reason ends with the next step.

use std::{
    fs::File,
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use plc_api::{key::SecretText, limits};
use rustix::{
    fs::{Mode, OFlags, open},
    io::Errno,
};

/// Bytes of a file with a secret.
const SECRET_BYTES: usize = 4096;

/// What reading one small file came to.
enum Text {
    Absent,
    Some { text: String, mode: u32 },
}

/// A secret, and what else is to be said of its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) text: SecretText,
    /// A sentence: others can read it.
    pub(super) warning: Option<String>,
}

/// Reads a secret: the whole file but for one end of line at its end. `None`: there is no such file.
///
/// # Errors
/// A sentence.
pub(super) fn secret(path: &Path) -> Result<Option<Secret>, String> {
    let shown = path.display();
    let give = format!("chown root:plc-runtime {shown}; chmod 0640 {shown}; plcctl reload");
    let (text, mode) = match small(path, SECRET_BYTES) {
        Ok(Text::Absent) => return Ok(None),
        Ok(Text::Some { text, mode }) => (text, mode),
        Err(error) => return Err(format!("the secret {shown} cannot be read ({error}): {give}")),
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!(
            "the secret {shown} is empty: write the secret there, then plcctl reload"
        ));
    }
    let warning = (mode & 0o007 != 0).then(|| {
        format!("everybody on this machine can read the secret {shown}: chmod o= {shown}")
    });
    Ok(Some(Secret { text: SecretText::new(text), warning }))
}

/// Reads a secret that stands behind `ID:`, as IDEs write keys; without a colon it is the whole text.
///
/// # Errors
/// A sentence.
pub(super) fn psk(path: &Path) -> Result<Option<Secret>, String> {
    let Some(Secret { text, warning }) = secret(path)? else { return Ok(None) };
    let text = text.reveal().split_once(':').map_or(text.reveal(), |(_, secret)| secret);
    Ok(Some(Secret { text: SecretText::new(text), warning }))
}

/// Reads the PLC's own certificate and its private key, PEM. `None`: there is no such file.
///
/// # Errors
/// A sentence.
pub(super) fn certificate(path: &Path) -> Result<Option<Secret>, String> {
    let shown = path.display();
    let give = format!("chown root:plc-runtime {shown}; chmod 0640 {shown}; plcctl reload");
    let (text, mode) = match small(path, limits::CA_BYTES) {
        Ok(Text::Absent) => return Ok(None),
        Ok(Text::Some { text, mode }) => (text, mode),
        Err(error) => {
            return Err(format!("the certificate {shown} cannot be read ({error}): {give}"));
        }
    };
    let has = |what: &str| {
        text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(what))
    };
    if !has("CERTIFICATE") || !has("PRIVATE KEY") || has("ENCRYPTED") {
        return Err(format!(
            "{shown} is to hold a certificate and its private key, both in PEM and without a password"
        ));
    }
    let warning = (mode & 0o007 != 0).then(|| {
        format!("everybody on this machine can read the private key in {shown}: chmod o= {shown}")
    });
    Ok(Some(Secret { text: SecretText::new(text), warning }))
}

/// Reads certificates in PEM.
///
/// # Errors
/// A sentence.
pub(super) fn authorities(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = match small(path, limits::CA_BYTES) {
        Ok(Text::Some { text, .. }) => text,
        Ok(Text::Absent) => {
            return Err(format!(
                "there is no {shown}, which counts as wamp.ca_file: put the authorities' certificates there, then plcctl reload"
            ));
        }
        Err(error) => {
            return Err(format!(
                "{shown} cannot be read ({error}): chmod a+r {shown}; plcctl reload"
            ));
        }
    };
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(text);
    }
    Err(format!(
        "there is no certificate in {shown}: it must be in PEM, -----BEGIN CERTIFICATE-----"
    ))
}

/// Everything but an absent file and a small text is an error.
fn small(path: &Path, most: usize) -> io::Result<Text> {
    // A pipe is not waited for.
    let file = match open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
    {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(Text::Absent),
        Err(error) => return Err(error.into()),
    };
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let bytes = beginning(&file, most + 1)?;
    if bytes.len() > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is no text"))?;
    Ok(Text::Some { text, mode: facts.mode() })
}

/// At most this many bytes of an open file.
///
/// # Errors
/// The disk's words.
pub(super) fn beginning(file: &File, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn written(content: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wamp.secret");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (dir, path)
    }

    #[test]
    fn a_secret_is_the_file_without_the_end_of_its_line() {
        for (content, expected) in [
            ("se cret", "se cret"),
            ("secret\n", "secret"),
            ("secret\r\n", "secret"),
            ("a\n\n", "a\n"),
        ] {
            let (_dir, path) = written(content.as_bytes(), 0o640);
            let secret = secret(&path).unwrap().unwrap();
            assert_eq!((secret.text.reveal(), secret.warning), (expected, None));
        }
        assert_eq!(secret(Path::new("/nonexistent/wamp.secret")), Ok(None));
    }

    #[test]
    fn a_secret_that_everybody_can_read_counts_and_is_warned_about() {
        let (_dir, path) = written(b"secret", 0o644);
        let warning = secret(&path).unwrap().unwrap().warning.unwrap();
        assert!(warning.contains("chmod o= "), "{warning}");
        assert!(!warning.contains("secret\"") && warning.contains(path.to_str().unwrap()));
    }

    #[test]
    fn what_is_no_secret_is_an_error_with_the_next_step() {
        for content in [&b""[..], b"\n", b"\xff\xfe", &[b'x'; SECRET_BYTES + 1]] {
            let (_dir, path) = written(content, 0o640);
            let error = secret(&path).unwrap_err();
            assert!(error.contains("plcctl reload") && error.contains("wamp.secret"), "{error}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(secret(dir.path()).unwrap_err().contains("it is no file"));
    }

    #[test]
    fn authorities_are_certificates_in_a_file_that_is_there() {
        let pem = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
        let (_dir, path) = written(pem.as_bytes(), 0o644);
        assert_eq!(authorities(&path), Ok(pem.to_owned()));
        let (_dir, path) = written(b"no", 0o644);
        assert!(authorities(&path).unwrap_err().contains("no certificate"));
        let (_dir, path) = written(&vec![b'x'; limits::CA_BYTES + 1], 0o644);
        assert!(authorities(&path).unwrap_err().contains("larger than"));
        assert!(authorities(Path::new("/nonexistent/ca")).unwrap_err().contains("wamp.ca_file"));
    }

    #[test]
    fn a_key_of_an_ide_is_what_stands_behind_the_colon() {
        for (content, expected) in [("plc15:abc:d\n", "abc:d"), ("abc\n", "abc")] {
            let (_dir, path) = written(content.as_bytes(), 0o640);
            assert_eq!(psk(&path).unwrap().unwrap().text.reveal(), expected);
        }
        assert_eq!(psk(Path::new("/nonexistent/psk.txt")), Ok(None));
    }

    #[test]
    fn a_certificate_of_our_own_comes_with_its_key() {
        let block = |what: &str| format!("-----BEGIN {what}-----\nMA==\n-----END {what}-----\n");
        let both = block("CERTIFICATE") + &block("EC PRIVATE KEY");
        let (_dir, path) = written(both.as_bytes(), 0o640);
        let found = certificate(&path).unwrap().unwrap();
        assert_eq!((found.text.reveal(), found.warning), (both.as_str(), None));
        let (_dir, path) = written(both.as_bytes(), 0o644);
        assert!(certificate(&path).unwrap().unwrap().warning.unwrap().contains("chmod o= "));
        for half in [
            block("CERTIFICATE"),
            block("PRIVATE KEY"),
            block("CERTIFICATE") + &block("ENCRYPTED PRIVATE KEY"),
        ] {
            let (_dir, path) = written(half.as_bytes(), 0o640);
            assert!(certificate(&path).unwrap_err().contains("without a password"), "{half}");
        }
        assert_eq!(certificate(Path::new("/nonexistent/c.pem")), Ok(None));
    }
}
