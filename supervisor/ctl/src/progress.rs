// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far something is: for a transfer a bar that is redrawn on a terminal, plain lines elsewhere. Both on stderr.

use std::io::{self, IsTerminal as _, Write as _};

use crate::{render, terminal};

/// One line on stderr that is written over and over, on a terminal alone.
#[derive(Debug)]
pub(crate) struct Line {
    on_terminal: bool,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self { on_terminal: io::stderr().is_terminal() }
    }

    /// Shows the text in place of what was there.
    pub(crate) fn show(&mut self, text: &str) {
        if self.on_terminal {
            let mut stderr = io::stderr();
            // Progress that nobody sees is not worth failing for.
            let _ = write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Line {
    /// Leaves an empty line for whatever is said next.
    fn drop(&mut self) {
        self.show("");
    }
}

/// Where the progress of a transfer is shown.
#[derive(Debug)]
pub(crate) struct Progress {
    total: u64,
    sent: u64,
    line: Line,
    silent: bool,
}

impl Progress {
    /// Begins at nothing of `total` bytes.
    pub(crate) fn new(total: u64) -> Self {
        Self { total, sent: 0, line: Line::new(), silent: false }
    }

    /// Of something that is part of something else, which tells of its own progress.
    pub(crate) fn silent() -> Self {
        Self { total: 0, sent: 0, line: Line { on_terminal: false }, silent: true }
    }

    /// Another part of the file `name` has arrived.
    pub(crate) fn advance(&mut self, name: &str, bytes: u64) {
        self.sent += bytes;
        if self.line.on_terminal {
            let columns = terminal::size(io::stderr()).columns;
            self.line.show(&bar(name, self.sent, self.total, columns));
        }
    }

    /// The file `name` has arrived.
    pub(crate) fn file_done(&mut self, name: &str, bytes: u64) {
        if !self.line.on_terminal && !self.silent {
            terminal::note(&format!("sent {name}, {}", render::bytes(bytes)));
        }
    }

    /// Everything has arrived, and `next` happens now.
    pub(crate) fn all_done(&mut self, next: &str) {
        self.line.show(next);
    }
}

/// One line of at most `columns` characters.
fn bar(name: &str, sent: u64, total: u64, columns: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let percent = (sent * 100).checked_div(total).unwrap_or(100);
    let figures = format!("{percent:3} %  {} of {}", render::bytes(sent), render::bytes(total));
    let name: String = name.chars().take(24).collect();
    let taken = name.chars().count() + figures.len() + 6;
    let width = columns.saturating_sub(taken).min(40);
    if width < 4 {
        return figures.chars().take(columns).collect();
    }
    let all = u64::try_from(width).unwrap_or(u64::MAX) * 8;
    let filled = usize::try_from((all * sent).checked_div(total).unwrap_or(all)).unwrap_or(0);
    let mut drawn = "█".repeat(filled / 8);
    if filled / 8 < width {
        drawn.extend(EIGHTHS.get(filled % 8));
    }
    format!("{name} ▕{drawn:width$}▏ {figures}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_from_empty_to_full_within_its_line() {
        assert_eq!(bar("a.so", 0, 4096, 50), "a.so ▕                   ▏   0 %  0 B of 4.0 KiB");
        assert_eq!(
            bar("a.so", 2048, 4096, 54),
            "a.so ▕█████████▌         ▏  50 %  2.0 KiB of 4.0 KiB"
        );
        assert_eq!(
            bar("a.so", 4096, 4096, 54),
            "a.so ▕███████████████████▏ 100 %  4.0 KiB of 4.0 KiB"
        );
        for columns in 0..200 {
            for sent in 0..=64 {
                let line = bar("some-long-name-of-a-library.so", sent, 64, columns);
                assert!(line.chars().count() <= columns, "{line}");
            }
        }
    }

    #[test]
    fn nothing_to_send_is_all_of_it() {
        assert!(bar("empty", 0, 0, 60).contains("100 %"));
    }
}
