// SPDX-License-Identifier: MIT OR Apache-2.0
//! The terminal: notes on stderr, its size, its colours, text that cannot play tricks on it.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    os::fd::AsFd,
};

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// What is assumed where nobody tells.
pub(crate) const USUAL_SIZE: Size = Size { columns: 80, rows: 24 };

/// Writes a message to stderr. A message that nobody can read is not worth failing for.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "plcctl: {text}");
}

/// The size of the terminal behind `fd`, or the usual one.
pub(crate) fn size(fd: impl AsFd) -> Size {
    match rustix::termios::tcgetwinsize(fd) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        Ok(_) | Err(_) => USUAL_SIZE,
    }
}

/// Whether the answer may be coloured.
pub(crate) fn colours() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The text with control characters shown, so that what a program logs cannot drive the terminal.
/// Line ends stay, and continue below the column `indent`.
pub(crate) fn printable(text: &str, indent: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\n' => {
                shown.push('\n');
                shown.extend(std::iter::repeat_n(' ', indent));
            }
            '\t' => shown.push(' '),
            '\r' => (),
            other if other.is_control() => shown.extend(other.escape_default()),
            other => shown.push(other),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(printable("a\x1b[2Jb\r\nc\n", 2), "a\\u{1b}[2Jb\n  c".to_owned());
    }
}
