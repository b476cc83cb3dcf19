// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that failed: everything that is known of it, in one entry of the journal.

use std::{fmt::Write, path::PathBuf, time::SystemTime};

use plc_api::{log::LogMessage, plc::Crash, program::ProgramInfo};
use plc_journal::message_id;

use crate::{core_dump::Pattern, end::End, journal::Journal};

/// How many messages of the PLC log an entry holds, and how many characters of each.
pub(crate) const LAST_MESSAGES: usize = 20;
const MESSAGE_CHARACTERS: usize = 200;

/// Sees workers come and go, and knows what is to be known when a program fails.
#[derive(Debug)]
pub(crate) struct Witness {
    work_dir: PathBuf,
    program: Option<ProgramInfo>,
    worker_pid: Option<u32>,
    end: Option<End>,
}

impl Witness {
    /// A witness of programs that run in this directory.
    #[must_use]
    pub(crate) fn new(work_dir: PathBuf) -> Self {
        Self { work_dir, program: None, worker_pid: None, end: None }
    }

    /// A worker is asked for, to run this program.
    pub(crate) fn launched(&mut self, program: &ProgramInfo) {
        self.program = Some(program.clone());
        self.worker_pid = None;
        self.end = None;
    }

    /// The program that the newest worker is for.
    #[must_use]
    pub(crate) fn program(&self) -> Option<&ProgramInfo> {
        self.program.as_ref()
    }

    /// It is there.
    pub(crate) fn up(&mut self, pid: u32) {
        self.worker_pid = Some(pid);
    }

    /// It is gone.
    pub(crate) fn gone(&mut self, end: End) {
        self.end = Some(end);
    }

    /// All that is known now.
    #[must_use]
    pub(crate) fn facts(&self, reason: &str, journal: &Journal) -> Facts {
        Facts {
            reason: reason.to_owned(),
            program: self.program.clone(),
            worker_pid: self.worker_pid,
            end: self.end.clone(),
            tick: journal.tick(),
            core: Pattern::read().place(self.end.as_ref(), self.worker_pid, &self.work_dir),
            log: journal.newest(),
        }
    }
}

/// What is known when a program has failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// What happened, as the PLC log says it.
    pub reason: String,
    /// The program.
    pub program: Option<ProgramInfo>,
    /// Its process, if there was one.
    pub worker_pid: Option<u32>,
    /// How the process ended; `None`: it still lives and is ended by the runtime.
    pub end: Option<End>,
    /// The cycle as last known.
    pub tick: u32,
    /// The place of the core dump, or why there is none.
    pub core: String,
    /// The newest messages of the PLC log since the process was asked for, oldest first.
    pub log: Vec<LogMessage>,
}

impl Facts {
    /// The same for the snapshot.
    #[must_use]
    pub(crate) fn published(&self) -> Crash {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Crash {
            time_us: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            reason: self.reason.clone(),
            core: self.core.clone(),
        }
    }

    /// Writes the entry.
    pub(crate) fn tell(&self) {
        let program = self.program.as_ref();
        tracing::error!(
            message_id = message_id::CRASH,
            program_id = program.map(|program| program.id.as_str()),
            program_md5 = program.map(|program| program.md5.as_str()),
            plc_tick = self.tick,
            worker_pid = self.worker_pid,
            signal = self.end.as_ref().and_then(End::signal),
            exit_code = self.end.as_ref().and_then(End::exit_code),
            core = self.core,
            plc_log = self.log_lines(),
            "{}",
            self.sentence()
        );
    }

    fn sentence(&self) -> String {
        let mut text = self.reason.clone();
        if let Some(ProgramInfo { id, md5, .. }) = &self.program {
            text += &format!("\nprogram {id}, md5 {}, cycle {}", md5.as_str(), self.tick);
        }
        if let Some(pid) = self.worker_pid {
            text += &format!("\nworker {pid}, core dump: {}", self.core);
        }
        match self.log.len() {
            0 => text += "\nnothing in the PLC log since its start",
            n => {
                text += &format!(
                    "\nthe last {n} messages of the PLC log since its start:\n{}",
                    self.log_lines()
                )
            }
        }
        text
    }

    fn log_lines(&self) -> String {
        let mut lines = String::new();
        for message in &self.log {
            let text: String = message.text.trim_end().chars().take(MESSAGE_CHARACTERS).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(lines, "  cycle {} {}: {text}", message.tick, message.level);
        }
        lines.truncate(lines.trim_end().len());
        lines
    }
}

#[cfg(test)]
mod tests {
    use plc_api::log::LogLevel;

    use super::*;

    #[test]
    fn the_entry_begins_with_the_reason_and_ends_with_the_log() {
        let message = |id, text: &str| LogMessage {
            level: LogLevel::Warning,
            id,
            tick: id,
            time_us: 0,
            text: text.into(),
        };
        let facts = Facts {
            reason: "the program ended with SIGSEGV".into(),
            worker_pid: Some(77),
            core: "/plc-work/core.77".into(),
            log: vec![message(6, "first\n"), message(7, &"x".repeat(5000))],
            ..Facts::default()
        };
        let text = facts.sentence();
        assert!(text.starts_with(
            "the program ended with SIGSEGV\nworker 77, core dump: /plc-work/core.77\n"
        ));
        assert!(text.contains(
            "the last 2 messages of the PLC log since its start:\n  cycle 6 warning: first\n"
        ));
        assert!(text.len() < 500, "{}", text.len());
        assert!(Facts::default().sentence().ends_with("nothing in the PLC log since its start"));
    }
}
