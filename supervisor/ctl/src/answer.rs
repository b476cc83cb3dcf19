// SPDX-License-Identifier: MIT OR Apache-2.0
//! The answer on stdout: text for people or JSON for programs.
//!
//! # JSON
//! Every object carries `"format": 1`; a key may be added within a format, a changed meaning makes a new one.
//! Times are microseconds since the epoch. `status`, `start`, `stop`, `install`, `rollback`, `repair` and `reload` give
//! the state after them ([`crate::status`]); `log` gives `messages` ([`crate::plc_log`]), with `--follow` one
//! message per line; `trace` gives one sample per line ([`crate::trace`]); `stats` gives figures
//! ([`crate::stats`]); `check` gives findings and figures ([`crate::check`]); `pair` and `psk` give keys
//! ([`crate::keys`]); `selftest` gives its steps ([`crate::selftest`]).

use std::io::{self, Write as _};

use serde::Serialize;

use crate::failure::Failure;

/// The version of all JSON that this program writes.
const FORMAT: u8 = 1;

/// Writes to stdout, at once.
#[derive(Debug)]
pub(crate) struct Answer {
    json: bool,
}

#[derive(Serialize)]
struct Versioned<'a, T> {
    format: u8,
    #[serde(flatten)]
    body: &'a T,
}

impl Answer {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether the caller asked for JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes `body` as one line of JSON, or what `text` makes of it; text brings its own line ends.
    pub(crate) fn give<T: Serialize>(
        &mut self,
        body: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json { self.line(body) } else { self.text(&text(body)) }
    }

    /// Writes one line of JSON.
    pub(crate) fn line<T: Serialize>(&mut self, body: &T) -> Result<(), Failure> {
        let format = FORMAT;
        let mut line = serde_json::to_string(&Versioned { format, body })
            .map_err(|error| Failure::Output(error.into()))?;
        line.push('\n');
        self.text(&line)
    }

    /// Writes text as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }
}
