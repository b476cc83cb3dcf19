// SPDX-License-Identifier: MIT OR Apache-2.0
//! A router that somebody asks for: what it takes to join it, and where that lies.
//!
//! The machine's own files lie beside its configuration, a program's among its extra files, by the names of the
//! reference runtime. A program never gets the machine's secret or certificate: its router is another one.

use std::path::{Path, PathBuf};

use plc_api::wamp::{Authentication, Verify};

use super::super::{
    files::{self, Secret},
    name::RouterUrl,
    project::{self, Project, ProjectAuthentication},
};
use crate::config::{AuthenticationMethod, WampConfig};

/// See the module.
pub(super) struct Ask {
    pub(super) project: Project,
    /// Who asks, for people.
    pub(super) source: String,
    /// Whether the router must show who it is.
    pub(super) verify: bool,
    method: Option<AuthenticationMethod>,
    secret: Secrets,
    certificate: PathBuf,
    /// The authorities that count; none: the system's.
    authorities: Option<PathBuf>,
}

/// Where a secret may lie.
enum Secrets {
    /// Beside the configuration: this file, by default or because it is named.
    Own { path: PathBuf, is_named: bool },
    /// Among a program's files.
    OfProgram { dir: PathBuf },
}

impl Ask {
    /// The configuration's router at this address.
    pub(super) fn own(config: &WampConfig, dir: &Path, name: &str, url: &RouterUrl) -> Self {
        let named = config.secret_file.as_deref();
        let certificate = config.certificate_file.as_deref();
        let by_certificate = certificate.map(|_| AuthenticationMethod::Tls);
        Self {
            project: Project {
                url: url.clone(),
                realm: config.realm.clone(),
                id: config.id.clone(),
                authentication: None,
                verify: None,
                ping_interval: None,
                ping_timeout: None,
                initial_delay: None,
                max_delay: None,
            },
            source: name.to_owned(),
            verify: config.verify,
            method: config.authentication.or(by_certificate),
            secret: Secrets::Own {
                path: dir.join(named.unwrap_or(Path::new(project::SECRET_FILE))),
                is_named: named.is_some(),
            },
            certificate: dir.join(certificate.unwrap_or(Path::new(project::CERTIFICATE_FILE))),
            authorities: authorities(config, dir),
        }
    }

    /// The router of a program whose extra files are in `extra`, on a machine whose configuration is in `dir`.
    pub(super) fn of_program(
        project: Project,
        extra: &Path,
        config: &WampConfig,
        dir: &Path,
    ) -> Self {
        let brought = Some(extra.join(project::AUTHORITIES_FILE)).filter(|path| path.exists());
        Self {
            source: format!("{} of the program", project::FILE),
            verify: config.verify && project.verify.unwrap_or(true),
            method: project.authentication.map(|authentication| match authentication {
                ProjectAuthentication::None => AuthenticationMethod::Anonymous,
                ProjectAuthentication::Psk => AuthenticationMethod::WampCra,
                ProjectAuthentication::ClientCertificate => AuthenticationMethod::Tls,
            }),
            secret: Secrets::OfProgram { dir: extra.to_owned() },
            certificate: extra.join(project::CERTIFICATE_FILE),
            authorities: brought.or_else(|| authorities(config, dir)),
            project,
        }
    }

    /// What the router's certificate is held against.
    pub(super) fn verification(&self) -> Result<Verify, String> {
        match &self.authorities {
            _ if !self.verify => Ok(Verify::Nothing),
            Some(file) if self.project.url.is_encrypted() => {
                files::authorities(file).map(Verify::Authorities)
            }
            Some(_) | None => Ok(Verify::System),
        }
    }

    /// How to show who this is; what is wrong with it and can be lived with goes to `problems`.
    pub(super) fn authentication(
        &self,
        problems: &mut Vec<String>,
    ) -> Result<Authentication, String> {
        let encrypted = self.project.url.is_encrypted();
        let found = match self.method {
            Some(AuthenticationMethod::Anonymous) => return Ok(Authentication::Anonymous),
            Some(AuthenticationMethod::Tls) => self.certificate(encrypted)?,
            Some(AuthenticationMethod::WampCra | AuthenticationMethod::Ticket) => {
                self.secret()?.ok_or_else(|| self.no_secret())?
            }
            None => match (self.secret()?, &self.secret) {
                (Some(found), _) => found,
                (None, Secrets::Own { is_named: true, .. }) => return Err(self.no_secret()),
                (None, _) => return Ok(Authentication::Anonymous),
            },
        };
        problems.extend(found.warning);
        Ok(match self.method {
            Some(AuthenticationMethod::Tls) => Authentication::Certificate(found.text),
            Some(AuthenticationMethod::Ticket) => {
                if !encrypted {
                    problems.push(
                        "wamp.authentication = \"ticket\" tells the secret to everybody on the way to the router: use an \
                         address with wss://, or \"wampcra\""
                            .to_owned(),
                    );
                }
                Authentication::Ticket(found.text)
            }
            _ => Authentication::Cra(found.text),
        })
    }

    /// What is to be said of a program's address that is not encrypted: such files were written before 2025, and the
    /// reference runtime does not join by them any more.
    pub(super) fn unencrypted(&self) -> Option<String> {
        let Project { url, authentication, verify, .. } = &self.project;
        let knows = (authentication, verify) == (&Some(ProjectAuthentication::None), &Some(false));
        let is_plain = !url.is_encrypted() && url.leaves_this_machine();
        let is_of_program = matches!(self.secret, Secrets::OfProgram { .. });
        (is_of_program && is_plain && !knows).then(|| {
            format!(
                "{} asks for {url}, which is not encrypted: everybody on the way to the router can command this PLC; use an \
                 address with wss://",
                self.source
            )
        })
    }

    fn secret(&self) -> Result<Option<Secret>, String> {
        match &self.secret {
            Secrets::Own { path, .. } => files::secret(path),
            Secrets::OfProgram { dir } => match files::psk(&dir.join(project::PSK_FILE))? {
                Some(found) => Ok(Some(found)),
                None => files::secret(&dir.join(project::SECRET_FILE)),
            },
        }
    }

    fn no_secret(&self) -> String {
        match &self.secret {
            Secrets::Own { path, is_named: true } => absent(path, "wamp.secret_file names it"),
            Secrets::Own { path, is_named: false } => {
                absent(path, "wamp.authentication asks for a secret")
            }
            Secrets::OfProgram { .. } => format!(
                "{} asks for a secret, authentication \"PSK\", and the program brings none: add {} or {} to the files of \
                 the project",
                self.source,
                project::PSK_FILE,
                project::SECRET_FILE
            ),
        }
    }

    fn certificate(&self, encrypted: bool) -> Result<Secret, String> {
        if !encrypted {
            return Err(format!(
                "{} is to show a certificate to {}, and only TLS can: use an address with wss://",
                self.source, self.project.url
            ));
        }
        let path = &self.certificate;
        files::certificate(path)?.ok_or_else(|| match &self.secret {
            Secrets::Own { .. } => format!(
                "there is no certificate {}, and wamp.authentication = \"tls\" asks for it: put it there with its private \
                 key, then plcctl reload",
                path.display()
            ),
            Secrets::OfProgram { .. } => format!(
                "{} asks for a certificate, authentication \"ClientCertificate\", and the program brings none: add {} to \
                 the files of the project",
                self.source,
                project::CERTIFICATE_FILE
            ),
        })
    }
}

/// The authorities that count on this machine.
fn authorities(config: &WampConfig, dir: &Path) -> Option<PathBuf> {
    let by_default = || Some(dir.join(project::AUTHORITIES_FILE)).filter(|path| path.exists());
    config.ca_file.as_ref().map(|file| dir.join(file)).or_else(by_default)
}

/// Why there is no secret, and what to do about it.
pub(super) fn absent(path: &Path, who: &str) -> String {
    let path = path.display();
    format!(
        "there is no secret {path}, and {who}: write it there, then chown root:plc-runtime {path}; chmod 0640 {path}; \
         plcctl reload"
    )
}
