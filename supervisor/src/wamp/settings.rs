// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the configuration and the installed program's files to what the connector is told.
//!
//! The machine's owner comes first: a program's `wampconf.json` counts where `[wamp]` is not active. What cannot be
//! done as it was asked for is not done at all; a link without its secret, or one that trusts anybody, is never made
//! in its place.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use plc_api::{
    key::SecretText,
    wamp::{Authentication, DirectSettings, RouterAsked, RouterSettings, Verify, WampSettings},
};

use super::{
    files,
    name::{Machine, RouterUrl},
    project::{self, Project},
};
use crate::{
    config::{AuthenticationMethod, WampConfig},
    keys::HOST_NAME,
};

/// The default of `wamp.secret_file`, beside the configuration.
const SECRET_FILE: &str = "wamp.secret";

/// What settings are made of.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    pub(super) config: WampConfig,
    /// The configuration's directory, from which its relative paths go.
    pub(super) config_dir: PathBuf,
    /// The configuration file's name, for people.
    pub(super) config_name: String,
    /// Where the installed program's extra files are.
    pub(super) extra_files: Option<PathBuf>,
    /// A secret that nobody knows.
    pub(super) unknown: SecretText,
}

/// What the connector is told, and what everybody is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) settings: WampSettings,
    pub(super) asked: RouterAsked,
}

/// A router that somebody asks for.
struct Ask {
    project: Project,
    source: String,
    method: Option<AuthenticationMethod>,
    secret_file: PathBuf,
    /// Whether the file's absence is a mistake even if no method asks for it.
    secret_is_named: bool,
}

/// This machine, for the placeholders of names.
pub(super) fn this_machine() -> Machine {
    let line = |path: &str| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.trim();
        (!line.is_empty() && line != "(none)").then(|| line.to_owned())
    };
    Machine { host: line(HOST_NAME), id: line("/etc/machine-id") }
}

impl Sources {
    /// Reads the files and decides. Blocks on the disk.
    pub(super) fn answer(&self, machine: &Machine) -> Answer {
        let mut problems = Vec::new();
        let ask = self.ask(&mut problems);
        let router = ask.as_ref().and_then(|ask| {
            self.router(ask, machine, &mut problems).map_err(|problem| problems.push(problem)).ok()
        });
        let direct = self.direct(machine, &mut problems);
        let trusts_anybody = |ask: &Ask| ask.project.url.is_encrypted() && !self.config.verify;
        let asked = RouterAsked {
            unverified: ask.as_ref().is_some_and(trusts_anybody),
            url: ask.as_ref().map(|ask| ask.project.url.to_string()),
            source: ask.map(|ask| ask.source).unwrap_or_default(),
            problems: problems.clone(),
        };
        Answer { settings: WampSettings { router, problems, direct }, asked }
    }

    fn ask(&self, problems: &mut Vec<String>) -> Option<Ask> {
        let config = &self.config;
        if let (true, Some(url)) = (config.active, &config.url) {
            return Some(self.own(url));
        }
        let dir = self.extra_files.as_deref()?;
        let project = match read_project(&dir.join(project::FILE)) {
            Ok(project) => project?,
            Err(problem) => {
                problems.push(problem);
                return None;
            }
        };
        if !config.project_settings {
            problems.push(format!(
                "the program asks for the router {} in its {}, and wamp.project_settings = false forbids it",
                project.url,
                project::FILE
            ));
            return None;
        }
        Some(Ask {
            project,
            source: format!("{} of the program", project::FILE),
            method: None,
            secret_file: dir.join(project::SECRET_FILE),
            secret_is_named: false,
        })
    }

    /// The router of the configuration.
    fn own(&self, url: &RouterUrl) -> Ask {
        let config = &self.config;
        let named = config.secret_file.as_deref();
        Ask {
            project: Project {
                url: url.clone(),
                realm: config.realm.clone(),
                id: config.id.clone(),
                ping_interval: None,
                ping_timeout: None,
                initial_delay: None,
                max_delay: None,
            },
            source: self.config_name.clone(),
            method: config.authentication,
            secret_file: self.config_dir.join(named.unwrap_or(Path::new(SECRET_FILE))),
            secret_is_named: named.is_some(),
        }
    }

    fn router(
        &self,
        ask: &Ask,
        machine: &Machine,
        problems: &mut Vec<String>,
    ) -> Result<RouterSettings, String> {
        let (config, project) = (&self.config, &ask.project);
        let max_delay = project.max_delay.unwrap_or(config.max_delay);
        let initial_delay = project.initial_delay.unwrap_or(config.initial_delay).min(max_delay);
        Ok(RouterSettings {
            url: project.url.to_string(),
            realm: project.realm.clone(),
            id: project.id.resolve(machine)?,
            authentication: ask.authentication(problems)?,
            verify: self.verify(&project.url)?,
            ping_interval_ms: millis(project.ping_interval.unwrap_or(config.ping_interval)),
            ping_timeout_ms: millis(project.ping_timeout.unwrap_or(config.ping_timeout)),
            initial_delay_ms: millis(initial_delay),
            max_delay_ms: millis(max_delay),
            source: ask.source.clone(),
        })
    }

    fn verify(&self, url: &RouterUrl) -> Result<Verify, String> {
        match &self.config.ca_file {
            _ if !self.config.verify => Ok(Verify::Nothing),
            Some(file) if url.is_encrypted() => {
                files::authorities(&self.config_dir.join(file)).map(Verify::Authorities)
            }
            Some(_) | None => Ok(Verify::System),
        }
    }

    fn direct(&self, machine: &Machine, problems: &mut Vec<String>) -> DirectSettings {
        let config = &self.config.direct;
        let mut closed = |problem: String| {
            problems.push(format!("IDEs without a router are not let in: {problem}"));
            Some(self.unknown.clone())
        };
        let mut id = None;
        let mut secret = None;
        if let Some(pattern) = &config.id {
            match pattern.resolve(machine) {
                Ok(name) => id = Some(name),
                Err(problem) => secret = closed(problem),
            }
        }
        if let Some(file) = config.secret_file.as_ref().filter(|_| secret.is_none()) {
            let path = self.config_dir.join(file);
            match files::secret(&path) {
                Ok(Some(found)) => {
                    secret = Some(found.text);
                    problems.extend(found.warning);
                }
                Ok(None) => secret = closed(absent(&path, "wamp.direct_secret_file names it")),
                Err(problem) => secret = closed(problem),
            }
        }
        DirectSettings { realm: config.realm.clone(), id, secret, origins: config.origins.clone() }
    }
}

impl Ask {
    fn authentication(&self, problems: &mut Vec<String>) -> Result<Authentication, String> {
        if self.method == Some(AuthenticationMethod::Anonymous) {
            return Ok(Authentication::Anonymous);
        }
        let found = match (files::secret(&self.secret_file)?, self.method) {
            (Some(found), _) => found,
            (None, None) if !self.secret_is_named => return Ok(Authentication::Anonymous),
            (None, None) => return Err(absent(&self.secret_file, "wamp.secret_file names it")),
            (None, Some(_)) => {
                return Err(absent(&self.secret_file, "wamp.authentication asks for a secret"));
            }
        };
        problems.extend(found.warning);
        if self.method != Some(AuthenticationMethod::Ticket) {
            return Ok(Authentication::Cra(found.text));
        }
        if !self.project.url.is_encrypted() {
            problems.push(
                "wamp.authentication = \"ticket\" tells the secret to everybody on the way to the router: use an address \
                 with wss://, or \"wampcra\""
                    .to_owned(),
            );
        }
        Ok(Authentication::Ticket(found.text))
    }
}

fn read_project(path: &Path) -> Result<Option<Project>, String> {
    let unreadable =
        |error: io::Error| format!("{} of the program cannot be read: {error}", project::FILE);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    // One byte more than it may have, which its reader refuses with the reason.
    project::read(&files::beginning(&file, project::FILE_BYTES + 1).map_err(unreadable)?)
}

fn absent(path: &Path, who: &str) -> String {
    let path = path.display();
    format!(
        "there is no secret {path}, and {who}: write it there, then chown root:plc-runtime {path}; chmod 0640 {path}; \
         plcctl reload"
    )
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
