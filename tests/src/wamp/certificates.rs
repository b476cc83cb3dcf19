// SPDX-License-Identifier: MIT OR Apache-2.0
//! An authority of the test's own, and what it issues, by OpenSSL's own commands.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

/// An authority. Its files live as long as it.
#[derive(Debug)]
pub struct Authority {
    dir: TempDir,
}

/// A server's certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// PEM.
    pub certificate: PathBuf,
    /// PEM.
    pub key: PathBuf,
}

/// How long a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Today.
    Today,
    /// Until yesterday.
    Expired,
}

impl Authority {
    /// A new one.
    ///
    /// # Panics
    /// OpenSSL is not installed; says how to.
    #[must_use]
    pub fn new() -> Self {
        let made = Self { dir: tempfile::tempdir().expect("a directory") };
        let request =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let subject = ["-subj", "/CN=authority of the test", "-days", "1"];
        made.openssl(
            &[&request[..], &subject[..], &["-keyout", "ca.key", "-out", "ca.pem"]].concat(),
        );
        // What `openssl ca` wants to find.
        fs::write(made.path("index.txt"), "").expect("written");
        let configuration = "[ca]\ndefault_ca = it\n[it]\ndatabase = index.txt\nnew_certs_dir = .\ndefault_md = sha256\n\
             policy = any\nrand_serial = yes\nunique_subject = no\n[any]\ncommonName = supplied\n\
             [server]\nbasicConstraints = critical,CA:FALSE\nextendedKeyUsage = serverAuth\n\
             subjectAltName = IP:127.0.0.1,DNS:localhost,DNS:router.plant\n\
             [client]\nbasicConstraints = critical,CA:FALSE\nextendedKeyUsage = clientAuth\n";
        fs::write(made.path("ca.conf"), configuration).expect("written");
        made
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// A certificate for 127.0.0.1, localhost and router.plant.
    ///
    /// # Panics
    /// OpenSSL says no; its words are shown.
    #[must_use]
    pub fn issue(&self, validity: Validity) -> Certificate {
        let name = match validity {
            Validity::Today => "today",
            Validity::Expired => "expired",
        };
        let dates = match validity {
            Validity::Today => ["-days", "1"].to_vec(),
            Validity::Expired => {
                ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"].to_vec()
            }
        };
        self.sign(name, "router of the test", "server", &dates)
    }

    /// A client's certificate and key in one file, as runtimes and IDEs want them, and its fingerprint as Crossbar
    /// writes it.
    ///
    /// # Panics
    /// OpenSSL says no; its words are shown.
    #[must_use]
    pub fn issue_client(&self, name: &str) -> (PathBuf, String) {
        let Certificate { certificate, key } = self.sign(name, name, "client", &["-days", "1"]);
        let read = |path: &Path| fs::read_to_string(path).expect("written");
        let both = self.path(&format!("{name}.both.pem"));
        fs::write(&both, read(&certificate) + &read(&key)).expect("written");
        let shown = self.openssl(&[
            "x509",
            "-noout",
            "-fingerprint",
            "-sha1",
            "-in",
            &format!("{name}.pem"),
        ]);
        let (_, fingerprint) = shown.trim().split_once('=').expect("a fingerprint");
        (both, fingerprint.to_owned())
    }

    fn sign(&self, name: &str, subject: &str, extensions: &str, dates: &[&str]) -> Certificate {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.pem"));
        let new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let subject = format!("/CN={subject}");
        let subject = ["-subj", &subject, "-keyout", &key, "-out", &request];
        self.openssl(&[&new[..], &subject[..]].concat());
        let sign = ["ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", extensions];
        let files =
            ["-cert", "ca.pem", "-keyfile", "ca.key", "-in", &request, "-out", &certificate];
        self.openssl(&[&sign[..], dates, &files[..]].concat());
        Certificate { certificate: self.path(&certificate), key: self.path(&key) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> String {
        let dir: &Path = self.dir.path();
        let output = Command::new("openssl").args(arguments).current_dir(dir).output();
        let output = output.expect("run `scripts/need test`");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments:?}:\n{words}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
