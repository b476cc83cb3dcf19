// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the configuration and the installed program's files to what the connector is told.
//!
//! The machine's owner comes first: a program's `wampconf.json` counts where `[wamp]` is not active. What cannot be
//! done as it was asked for is not done at all; a link without its secret, or one that trusts anybody, is never made
//! in its place.

mod ask;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use plc_api::{
    key::SecretText,
    wamp::{DirectSettings, RouterAsked, RouterSettings, WampSettings},
};

use self::ask::{Ask, absent};
use super::{
    files,
    name::Machine,
    project::{self, Project},
};
use crate::{config::WampConfig, keys::HOST_NAME};

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
        let trusts_anybody = |ask: &Ask| ask.project.url.is_encrypted() && !ask.verify;
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
            return Some(Ask::own(config, &self.config_dir, &self.config_name, url));
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
        Some(Ask::of_program(project, dir, config, &self.config_dir))
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
        let router = RouterSettings {
            url: project.url.to_string(),
            realm: project.realm.clone(),
            id: project.id.resolve(machine)?,
            authentication: ask.authentication(problems)?,
            verify: ask.verification()?,
            ping_interval_ms: millis(project.ping_interval.unwrap_or(config.ping_interval)),
            ping_timeout_ms: millis(project.ping_timeout.unwrap_or(config.ping_timeout)),
            initial_delay_ms: millis(initial_delay),
            max_delay_ms: millis(max_delay),
            source: ask.source.clone(),
        };
        problems.extend(ask.unencrypted());
        Ok(router)
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
        DirectSettings {
            realm: config.realm.clone(),
            id,
            secret,
            keys: config.keys,
            origins: config.origins.clone(),
        }
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

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
