// SPDX-License-Identifier: MIT OR Apache-2.0
//! One process of ours: started in a group of its own, its output passed on, ended in good order.

use std::{
    future::Future,
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};

use crate::screen::Screen;

/// Tells a process whose end is its own end too: our children, and us, where a program starts us.
pub(crate) const PARENT_VARIABLE: &str = "PLC_PARENT_PID";
/// What a service manager may have told us and is not meant for our children.
const NOT_INHERITED: [&str; 7] = [
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
];
/// Bytes of one line of output; a longer one is broken.
const LINE_BYTES: u64 = 4096;
/// How long output may stay open after the end of its process.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
    readers: JoinSet<()>,
}

/// How much a child says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// As it does by itself, or as `RUST_LOG` says.
    Usual,
    /// To an IDE, which takes all that it hears for warnings: errors alone.
    Little,
}

/// A command for a child; nothing of our terminal but what `screen` passes on.
pub(crate) fn command(program: &std::path::Path, talk: Talk) -> Command {
    let mut command = Command::new(program);
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    if talk == Talk::Little && std::env::var_os("RUST_LOG").is_none() {
        command.env("RUST_LOG", "error,plc=off");
    }
    command
        .env(PARENT_VARIABLE, std::process::id().to_string())
        // Their output is ours to colour.
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // The terminal's Ctrl-C is for us alone: the children are ended in order.
        .process_group(0)
        .kill_on_drop(true);
    command
}

impl Process {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(
        name: &'static str,
        mut command: Command,
        screen: &Screen,
    ) -> io::Result<Self> {
        let mut child = command.spawn()?;
        let mut readers = JoinSet::new();
        if let Some(stdout) = child.stdout.take() {
            readers.spawn(pass_on(stdout, screen.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.spawn(pass_on(stderr, screen.clone()));
        }
        Ok(Self { name, child, readers })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// The kernel does not tell.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Asks it to end, waits while `patience` does, and kills it then.
    pub(crate) async fn end(mut self, patience: impl Future<Output = ()>, screen: &Screen) {
        let name = self.name;
        // Without an id it has ended and was reaped, so no other process is meant by mistake.
        if let Some(pid) = self.pid() {
            // It may end at this moment; then there is nobody to ask.
            let _ = kill_process(pid, Signal::TERM);
        }
        let ended = tokio::select! {
            _ = self.child.wait() => true,
            () = patience => false,
        };
        if !ended {
            screen.say(&format!("{name} has not ended and is killed"));
            if let Err(error) = self.child.kill().await {
                screen.say(&format!("{name} cannot be killed: {error}"));
            }
        }
        self.last_words().await;
    }

    /// Passes on what it has still to say.
    pub(crate) async fn last_words(&mut self) {
        let readers = &mut self.readers;
        let all = async { while readers.join_next().await.is_some() {} };
        // A worker may hold the output open a little longer; it is not waited for here.
        let _ = timeout(LAST_WORDS, all).await;
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }
}

async fn pass_on(output: impl AsyncRead + Unpin, screen: Screen) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut output).take(LINE_BYTES);
        match limited.read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => screen.line(printable(&line)),
        }
    }
}

/// The line without its end, its control characters shown: a program must not drive the terminal.
fn printable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        if character == '\t' {
            shown.push(' ');
        } else if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::time::sleep;

    use super::*;
    use crate::screen;

    fn shell(script: &str) -> (Process, screen::Writer, Screen) {
        let (screen, writer) = screen::start().unwrap();
        let mut command = command(Path::new("/bin/sh"), Talk::Usual);
        command.args(["-c", script]);
        let process = Process::start("shell", command, &screen).unwrap();
        (process, writer, screen)
    }

    #[tokio::test]
    async fn a_process_that_ignores_us_is_killed() {
        let (process, _writer, screen) = shell("trap '' TERM; while :; do sleep 0.1; done");
        let pid = process.pid().unwrap();
        process.end(sleep(Duration::from_millis(200)), &screen).await;
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[tokio::test]
    async fn a_child_knows_its_parent_and_not_our_service_manager() {
        let script = r#"test "$PLC_PARENT_PID" = "$PPID" && test -z "$NOTIFY_SOCKET""#;
        let (mut process, _writer, _screen) = shell(script);
        assert!(process.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_child_is_in_a_group_of_its_own() {
        let (process, _writer, screen) = shell("cat");
        let pid = process.pid().unwrap();
        assert_eq!(rustix::process::getpgid(Some(pid)).unwrap(), pid);
        process.end(sleep(Duration::from_secs(10)), &screen).await;
    }

    #[test]
    fn control_characters_of_a_program_are_shown_and_not_sent() {
        assert_eq!(printable(b"a\x1b[2J\tb\xff\r\n"), "a\\u{1b}[2J b\u{fffd}");
    }
}
