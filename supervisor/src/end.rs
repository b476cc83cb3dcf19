// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a worker process ended, and how to say it to people.

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus, str::FromStr};

use nix::sys::signal::Signal;
use plc_worker_link::{Ended, exit_code};

/// Exit codes from here on mean that the service manager could not set the process up; systemd.exec(5), "Process
/// Exit Codes".
const SET_UP_FAILED: u8 = 200;

/// How a worker process ended, as far as anybody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It ended by itself with this code.
    Exit(u8),
    /// A signal ended it.
    Signal {
        /// The signal, such as `SIGSEGV`.
        name: String,
        /// The kernel has taken a core dump.
        dumped: bool,
        /// Who sent it, if that is known.
        by: Sender,
    },
    /// Nobody knows; in words.
    Unknown(String),
}

/// What is known of a signal's sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The program itself, or somebody.
    Anybody,
    /// The kernel, because the memory that the unit may use was exhausted.
    OutOfMemory,
    /// The service manager, because the worker gave no sign of life.
    Watchdog,
    /// The service manager, because stopping the unit took too long.
    StopTimeout,
}

impl End {
    /// The end of a child.
    #[must_use]
    pub(crate) fn of_child(status: ExitStatus) -> Self {
        if let Some(number) = status.signal() {
            let name = Signal::try_from(number)
                .map_or_else(|_| format!("signal {number}"), |s| s.to_string());
            return Self::Signal { name, dumped: status.core_dumped(), by: Sender::Anybody };
        }
        match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code) => Self::Exit(code),
            None => Self::Unknown(status.to_string()),
        }
    }

    /// The end that the service manager tells of.
    #[must_use]
    pub(crate) fn told(ended: &Ended) -> Self {
        let by = match ended.result.as_str() {
            "oom-kill" => Sender::OutOfMemory,
            "watchdog" => Sender::Watchdog,
            "timeout" => Sender::StopTimeout,
            _ => Sender::Anybody,
        };
        match (ended.code.as_str(), ended.status.parse()) {
            ("exited", Ok(code)) => Self::Exit(code),
            ("killed" | "dumped", _) => Self::Signal {
                name: format!("SIG{}", ended.status),
                dumped: ended.code == "dumped",
                by,
            },
            _ => Self::Unknown(format!("the service manager says {:?}", ended.result)),
        }
    }

    /// A worker that found its lock taken, which is no failure.
    #[must_use]
    pub(crate) fn is_busy(&self) -> bool {
        *self == Self::Exit(exit_code::LOCK_IS_BUSY)
    }

    /// The same of a worker that has not greeted yet, as in "the worker ...".
    #[must_use]
    pub(crate) fn before_greeting(&self) -> String {
        match self {
            Self::Exit(code) if *code >= SET_UP_FAILED => format!(
                "could not be set up by the service manager (exit code {code}, see systemd.exec(5)): a setting of its \
                 unit cannot be had on this machine; `journalctl -u 'plc-worker@*'` says which"
            ),
            end @ (Self::Exit(_) | Self::Signal { .. } | Self::Unknown(_)) => {
                format!("{end} before it greeted")
            }
        }
    }

    /// The signal that ended it.
    #[must_use]
    pub(crate) fn signal(&self) -> Option<&str> {
        if let Self::Signal { name, .. } = self { Some(name) } else { None }
    }

    /// The code it ended with.
    #[must_use]
    pub(crate) fn exit_code(&self) -> Option<u8> {
        if let Self::Exit(code) = self { Some(*code) } else { None }
    }
}

/// As in "the program ...".
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(exit_code::TERMINATED) => {
                f.write_str("was stopped by a SIGTERM that did not come from us")
            }
            Self::Exit(exit_code::CHANNEL_ENDED) => {
                f.write_str("lost the supervisor: it closed descriptors it did not open")
            }
            Self::Exit(code) => write!(f, "called exit({code})"),
            Self::Signal { name, dumped, by } => {
                let explanation = match by {
                    Sender::Anybody => explain(name),
                    Sender::OutOfMemory => {
                        " (killed by the kernel: the memory that the worker may use is exhausted; \
                         MemoryMax= of plc-worker@.service bounds it)"
                    }
                    Sender::Watchdog => {
                        " (the service manager's watchdog: the worker gave no sign of life)"
                    }
                    Sender::StopTimeout => " (the service manager: stopping took too long)",
                };
                let core = if *dumped { ", core dumped" } else { "" };
                write!(f, "ended with {name}{explanation}{core}")
            }
            Self::Unknown(why) => {
                write!(
                    f,
                    "ended, and how is not known ({why}); `journalctl -u 'plc-worker@*'` may say it"
                )
            }
        }
    }
}

/// A signal in the words of those who do not know its name.
fn explain(name: &str) -> &'static str {
    match Signal::from_str(name) {
        Ok(Signal::SIGSEGV | Signal::SIGBUS) => {
            " (invalid memory access: a wrong pointer, an index out of range, or a stack overflow)"
        }
        Ok(Signal::SIGABRT) => " (the program gave up: an assertion or damaged memory)",
        Ok(Signal::SIGFPE) => " (arithmetic error, such as an integer division by zero)",
        Ok(Signal::SIGILL) => " (illegal instruction: built for another processor?)",
        Ok(Signal::SIGSYS) => " (a system call that the sandbox of plc-worker@.service forbids)",
        Ok(Signal::SIGKILL) => " (killed: by the kernel when memory is exhausted, or by somebody)",
        Ok(Signal::SIGTERM) => " (somebody else told it to end)",
        Ok(Signal::SIGXCPU) => " (a real-time thread used the processor for too long)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_child_is_told_in_words() {
        let end = |raw| End::of_child(ExitStatus::from_raw(raw)).to_string();
        assert!(end(11).contains("SIGSEGV (invalid memory access"));
        assert!(end(11 | 0x80).ends_with("core dumped"));
        assert_eq!(end(0), "called exit(0)");
        assert!(end(69 << 8).contains("lost the supervisor"));
    }

    #[test]
    fn the_service_manager_s_words_say_the_same_as_a_child_s_status() {
        let told = |code, status| End::told(&Ended::new("-", code, status));
        for (raw, code, status) in [
            (11, "killed", "SEGV"),
            (6 | 0x80, "dumped", "ABRT"),
            (9, "killed", "KILL"),
            (7 << 8, "exited", "7"),
            (143 << 8, "exited", "143"),
        ] {
            assert_eq!(told(code, status), End::of_child(ExitStatus::from_raw(raw)));
        }
    }

    #[test]
    fn who_sent_a_signal_is_said_when_the_service_manager_knows() {
        let told = |result| End::told(&Ended::new(result, "killed", "KILL")).to_string();
        assert!(told("oom-kill").contains("MemoryMax="));
        assert!(told("timeout").contains("took too long"));
        let watchdog = End::told(&Ended::new("watchdog", "dumped", "ABRT")).to_string();
        assert!(watchdog.contains("watchdog") && watchdog.ends_with("core dumped"), "{watchdog}");
    }

    #[test]
    fn a_report_without_a_process_and_nonsense_are_unknown_ends() {
        for (code, status) in [("", ""), ("exited", "many"), ("exploded", "7")] {
            let end = End::told(&Ended::new("resources", code, status));
            assert!(end.to_string().contains("resources"), "{end}");
        }
    }

    #[test]
    fn a_worker_that_could_not_be_set_up_is_no_program_that_called_exit() {
        let words = End::Exit(214).before_greeting();
        assert!(words.contains("214") && words.contains("journalctl"), "{words}");
        assert!(End::Exit(75).is_busy());
    }
}
