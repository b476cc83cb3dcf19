// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stderr: lines that stay and, on a terminal, one living status line below them.
//!
//! A thread of its own writes, because a terminal may be halted (Ctrl-S) or a reader be slow, and neither the
//! children's pipes nor our signals may wait for that. What comes too fast for the reader is dropped and counted.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

/// Lines that may wait for a slow reader.
const WAITING: usize = 1024;
/// How long a reader may take for the last lines.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is to be written.
enum Output {
    Line(String),
    Status(String),
    End,
}

/// A handle to the writing thread.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    output: SyncSender<Output>,
    /// Lines that found no room since the writer looked last.
    lost: Arc<AtomicU64>,
}

/// The writing thread, ended by [`Writer::close`].
#[derive(Debug)]
pub(crate) struct Writer {
    output: SyncSender<Output>,
    done: Receiver<()>,
}

/// Writes one message of ours to stderr, for the time when there is no screen.
pub(crate) fn say_plainly(text: &str) {
    let _ = writeln!(io::stderr(), "plc-local: {text}");
}

/// Starts writing.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn start() -> io::Result<(Screen, Writer)> {
    let (output, queue) = sync_channel(WAITING);
    let (finished, done) = sync_channel(1);
    let lost = Arc::new(AtomicU64::new(0));
    let screen = Screen { output: output.clone(), lost: lost.clone() };
    thread::Builder::new().name("screen".into()).spawn(move || {
        write(&queue, &lost, io::stderr());
        // Nobody waits any more if the reader was too slow.
        let _ = finished.send(());
    })?;
    Ok((screen, Writer { output, done }))
}

impl Screen {
    /// Whether a status line can be redrawn in place.
    pub(crate) fn is_terminal() -> bool {
        io::stderr().is_terminal()
    }

    /// A message of our own.
    pub(crate) fn say(&self, text: &str) {
        self.line(format!("plc-local: {text}"));
    }

    /// A line as it is.
    pub(crate) fn line(&self, text: String) {
        if self.output.try_send(Output::Line(text)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What the status line shows from now on.
    pub(crate) fn status(&self, text: String) {
        let _ = self.output.try_send(Output::Status(text));
    }
}

impl Writer {
    /// Writes what is left, as far as the reader takes it in time.
    pub(crate) fn close(self) {
        if self.output.try_send(Output::End).is_ok() {
            // Done or out of patience: we end either way.
            let _ = self.done.recv_timeout(PATIENCE);
        }
    }
}

fn write(queue: &Receiver<Output>, lost: &AtomicU64, mut to: impl io::Write) {
    let mut status = String::new();
    while let Ok(output) = queue.recv() {
        let text = match output {
            Output::Line(line) => match lost.swap(0, Ordering::Relaxed) {
                0 => above(&line, &status),
                lost => above(&format!("{line}\nplc-local: {lost} lines lost here"), &status),
            },
            Output::Status(new) => {
                status = new;
                format!("\r\x1b[K{status}")
            }
            Output::End => {
                let _ = to.write_all(above_nothing(&status).as_bytes());
                return;
            }
        };
        // A stderr that is gone is no reason to stop a PLC.
        let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    }
}

/// A line, and the status line below it again.
fn above(line: &str, status: &str) -> String {
    if status.is_empty() { format!("{line}\n") } else { format!("\r\x1b[K{line}\n{status}") }
}

/// Takes the status line away.
fn above_nothing(status: &str) -> &'static str {
    if status.is_empty() { "" } else { "\r\x1b[K" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_above_the_status_line() {
        let (output, queue) = sync_channel(8);
        for item in [
            Output::Line("first".into()),
            Output::Status("Started".into()),
            Output::Line("second".into()),
            Output::End,
        ] {
            output.send(item).unwrap();
        }
        let mut written = Vec::new();
        write(&queue, &AtomicU64::new(0), &mut written);
        let text = String::from_utf8(written).unwrap();
        assert_eq!(text, "first\n\r\x1b[KStarted\r\x1b[Ksecond\nStarted\r\x1b[K");
    }

    #[test]
    fn a_full_queue_loses_lines_counts_them_and_never_waits() {
        let (output, queue) = sync_channel(1);
        let lost = Arc::new(AtomicU64::new(0));
        let screen = Screen { output, lost: lost.clone() };
        for number in 0..10 {
            screen.line(number.to_string());
        }
        drop(screen);
        let mut written = Vec::new();
        write(&queue, &lost, &mut written);
        assert_eq!(written, b"0\nplc-local: 9 lines lost here\n");
    }
}
