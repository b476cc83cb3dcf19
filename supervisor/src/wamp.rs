// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the WAMP connector is told, and what is known of its link.
//!
//! `wamp/settings.rs` makes the answer of the configuration and the installed program's files. This file keeps the last one,
//! makes it anew whenever one of its sources may have changed, and counts the changes in the snapshot: before the
//! reply of the call that caused one. It also keeps what connectors report of their link, for as long as they are there.

mod files;
pub mod name;
pub mod project;
mod settings;

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use plc_api::{
    key::SecretText,
    limits,
    paths::Paths,
    wamp::{RouterAsked, RouterLink, WampSettings},
};
use plc_journal::message_id;

use self::settings::{Answer, Sources};
use crate::{config::WampConfig, publish::Published};

/// Random bytes of the secret that stands in for one that cannot be read.
const RANDOM_BYTES: usize = 32;

/// Characters of a text in a connector's report.
const REPORT_CHARS: usize = limits::URL_BYTES;

/// See the module.
#[derive(Debug)]
pub struct Wamp {
    sources: Mutex<Sources>,
    told: Mutex<Answer>,
    links: Mutex<Vec<(u64, RouterLink)>>,
    published: Published,
}

impl Wamp {
    /// Reads the settings of these places, and of the program installed in this directory, for the first time. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub fn open(
        paths: &Paths,
        config: WampConfig,
        program: Option<&Path>,
        published: Published,
    ) -> io::Result<Self> {
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let name = paths.config_file.file_name().unwrap_or_default();
        let sources = Sources {
            config,
            config_dir: paths.config_dir.clone(),
            config_name: name.to_string_lossy().into_owned(),
            extra_files: program.map(extra_files),
            unknown: SecretText::new(STANDARD.encode(random)),
        };
        let wamp = Self {
            sources: Mutex::new(sources),
            told: Mutex::default(),
            links: Mutex::default(),
            published,
        };
        wamp.settings();
        Ok(wamp)
    }

    /// What the connector is told now. Blocks on the disk.
    pub fn settings(&self) -> WampSettings {
        let sources = lock(&self.sources);
        self.tell(sources.answer(&settings::this_machine()))
    }

    /// The configuration was read again; files that it names may have changed too. Blocks on the disk.
    pub fn configure(&self, config: WampConfig) {
        lock(&self.sources).config = config;
        self.settings();
    }

    /// Another program is installed, in this directory, or none. Blocks on the disk.
    pub fn program_is(&self, dir: Option<&Path>) {
        lock(&self.sources).extra_files = dir.map(extra_files);
        self.settings();
    }

    /// A connector tells of its link. `peer` is its API connection.
    pub fn report(&self, peer: u64, link: RouterLink) {
        self.links(|links| {
            links.retain(|(from, _)| *from != peer);
            links.push((peer, bounded(link)));
        });
    }

    /// An API connection has ended, and what it told counts no more.
    pub fn left(&self, peer: u64) {
        self.links(|links| links.retain(|(from, _)| *from != peer));
    }

    /// Of several connectors, as while one replaces another, the one that spoke last is right.
    fn links(&self, change: impl FnOnce(&mut Vec<(u64, RouterLink)>)) {
        let mut links = lock(&self.links);
        change(&mut links);
        let router = links.last().map(|(_, link)| link.clone());
        self.published.update(|snapshot| snapshot.router = router);
    }

    /// Keeps and publishes an answer, if it is another than before.
    fn tell(&self, answer: Answer) -> WampSettings {
        let mut told = lock(&self.told);
        if *told != answer {
            log(&told.asked, &answer.asked);
            told.clone_from(&answer);
            self.published.update(|snapshot| {
                snapshot.settings_revision += 1;
                snapshot.router_asked = answer.asked.clone();
            });
        }
        answer.settings
    }
}

fn log(before: &RouterAsked, now: &RouterAsked) {
    for problem in now.problems.iter().filter(|problem| !before.problems.contains(problem)) {
        tracing::warn!(message_id = message_id::WAMP_SETTINGS, "WAMP: {problem}");
    }
    match &now.url {
        _ if before.url == now.url && before.source == now.source => {}
        Some(url) => tracing::info!("the WAMP router {url} is asked for by {}", now.source),
        None => tracing::info!("no WAMP router is asked for any more"),
    }
}

/// Where the extra files of the program in `dir` are.
fn extra_files(dir: &Path) -> PathBuf {
    dir.join("extra")
}

/// A report that fits into everybody's snapshot, and cannot drive a terminal.
fn bounded(link: RouterLink) -> RouterLink {
    let text = |text: String| -> String {
        text.chars().filter(|c| !c.is_control()).take(REPORT_CHARS).collect()
    };
    RouterLink {
        reason: link.reason.map(text),
        url: text(link.url),
        realm: text(link.realm),
        id: text(link.id),
        source: text(link.source),
        authentication: text(link.authentication),
        certificate: link.certificate.map(text),
        ..link
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
