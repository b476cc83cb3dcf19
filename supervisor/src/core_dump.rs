// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the core dump of a worker is, or why there is none and how to get one.

use std::{fs, path::Path};

use crate::end::End;

/// What the kernel does with core dumps: core(5), `/proc/sys/kernel/core_pattern`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    uses_pid: bool,
}

impl Pattern {
    /// The pattern of this machine now.
    #[must_use]
    pub(crate) fn read() -> Self {
        let setting = |name| fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
        let text = setting("core_pattern").unwrap_or_default();
        let uses_pid = setting("core_uses_pid").is_ok_and(|flag| flag.trim() != "0");
        Self { text: text.trim_end().to_owned(), uses_pid }
    }

    /// Where the core of the worker `pid` is, whose program ran in `work_dir`; else why there is none. For people.
    #[must_use]
    pub(crate) fn place(&self, end: Option<&End>, pid: Option<u32>, work_dir: &Path) -> String {
        let (dumps, dumped) = match end {
            Some(End::Signal { name, dumped, .. }) => (ends_with_a_core(name), *dumped),
            Some(End::Exit(_)) => (false, false),
            Some(End::Unknown(_)) => {
                return "not known; `coredumpctl list` shows those that systemd keeps".to_owned();
            }
            None => return "none: the runtime ended the program".to_owned(),
        };
        match (dumps || dumped, dumped, pid) {
            (true, true, Some(pid)) => self.resolve(pid, work_dir),
            (true, ..) => "none was written; to get one the next time, install systemd-coredump, or raise LimitCORE= \
                           with `systemctl edit plc-worker@.service` (at a desk: `ulimit -c unlimited`)"
                .to_owned(),
            (false, ..) => "none: such an end leaves none".to_owned(),
        }
    }

    fn resolve(&self, pid: u32, work_dir: &Path) -> String {
        if let Some(command) = self.text.strip_prefix('|') {
            let program = command.split_whitespace().next().unwrap_or_default();
            if program.ends_with("/systemd-coredump") {
                return format!("`coredumpctl info {pid}`");
            }
            return format!("given to {program}");
        }
        if self.text.is_empty() {
            return format!(
                "one of process {pid} was written; `sysctl kernel.core_pattern` says where"
            );
        }
        let mut name = self.expanded(pid);
        if self.uses_pid && !self.text.contains("%p") {
            name += &format!(".{pid}");
        }
        // An absolute name stands alone.
        work_dir.join(name).display().to_string()
    }

    /// What only the kernel knows becomes `*`.
    fn expanded(&self, pid: u32) -> String {
        let mut name = String::new();
        let mut text = self.text.chars();
        while let Some(c) = text.next() {
            match (c, c == '%') {
                (_, true) => match text.next() {
                    Some('p') => name += &pid.to_string(),
                    Some('%') => name.push('%'),
                    _ => name.push('*'),
                },
                (c, false) => name.push(c),
            }
        }
        name
    }
}

/// signal(7): the signals whose default is "Core".
fn ends_with_a_core(signal: &str) -> bool {
    matches!(
        signal,
        "SIGSEGV"
            | "SIGBUS"
            | "SIGABRT"
            | "SIGFPE"
            | "SIGILL"
            | "SIGSYS"
            | "SIGTRAP"
            | "SIGQUIT"
            | "SIGXCPU"
            | "SIGXFSZ"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::end::Sender;

    fn place(pattern: &str, uses_pid: bool, dumped: bool) -> String {
        let end = End::Signal { name: "SIGSEGV".into(), dumped, by: Sender::Anybody };
        Pattern { text: pattern.into(), uses_pid }.place(
            Some(&end),
            Some(77),
            Path::new("/plc-work"),
        )
    }

    #[test]
    fn a_core_is_where_the_pattern_says() {
        for (pattern, uses_pid, expected) in [
            ("|/lib/systemd/systemd-coredump %P %u %g %s", false, "`coredumpctl info 77`"),
            ("|/usr/share/apport/apport -p%p", false, "given to /usr/share/apport/apport"),
            ("core", false, "/plc-work/core"),
            ("core", true, "/plc-work/core.77"),
            ("core.%p", true, "/plc-work/core.77"),
            ("/var/crash/%e-%p-100%%", false, "/var/crash/*-77-100%"),
        ] {
            assert_eq!(place(pattern, uses_pid, true), expected);
        }
        assert!(place("", false, true).contains("core_pattern"));
    }

    #[test]
    fn a_core_that_is_not_there_has_a_reason() {
        assert!(place("core", false, false).contains("systemd-coredump"));
        let nothing = Pattern::default();
        let none = |end: Option<&End>| nothing.place(end, Some(77), Path::new("/plc-work"));
        assert!(none(Some(&End::Exit(0))).contains("leaves none"));
        assert!(none(None).contains("the runtime ended"));
        assert!(none(Some(&End::Unknown(String::new()))).contains("coredumpctl list"));
        let killed = End::Signal { name: "SIGKILL".into(), dumped: false, by: Sender::Anybody };
        assert!(none(Some(&killed)).contains("leaves none"));
    }
}
