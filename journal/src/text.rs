// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the fields of an event look as text, where no journal keeps them apart.

use std::fmt;

use tracing::field::Field;
use tracing_subscriber::{
    field::{RecordFields, Visit},
    fmt::{FormatFields, format::Writer},
};

/// `message name=value ...`, without the fields whose values the message says already; the message alone if the event
/// has a `message_id`, for then it says everything.
#[derive(Debug)]
pub(crate) struct Text;

impl<'writer> FormatFields<'writer> for Text {
    fn format_fields<R: RecordFields>(
        &self,
        mut writer: Writer<'writer>,
        fields: R,
    ) -> fmt::Result {
        let mut seen = Seen::default();
        fields.record(&mut seen);
        write_harmless(&mut writer, &seen.message)?;
        if seen.is_sentence {
            return Ok(());
        }
        for (name, value) in seen.fields.iter().filter(|(_, value)| !seen.message.contains(value)) {
            write!(writer, " {name}=")?;
            write_harmless(&mut writer, value)?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Seen {
    message: String,
    fields: Vec<(&'static str, String)>,
    is_sentence: bool,
}

impl Visit for Seen {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let value = format!("{value:?}");
        match field.name() {
            "message" => self.message = value,
            "message_id" => self.is_sentence = true,
            name => self.fields.push((name, value)),
        }
    }
}

/// A terminal must not obey what a program or a peer put into a text; lines stay lines.
fn write_harmless(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            write!(writer, "{}", c.escape_default())?;
        } else {
            writer.write_char(c)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(tell: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(Text)
            .with_writer(move || writer.clone())
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, tell);
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn fields_follow_the_message_unless_it_says_them_already() {
        let text = written(|| tracing::info!(peer = "::1", error = "no", calls = 3, "refused: no"));
        assert_eq!(text, " INFO refused: no peer=::1 calls=3\n");
    }

    #[test]
    fn an_event_with_an_id_is_a_sentence() {
        let text = written(|| tracing::warn!(message_id = "0", plc_state = "x", "PLC started"));
        assert_eq!(text, " WARN PLC started\n");
    }

    #[test]
    fn a_terminal_obeys_nobody() {
        let text = written(|| tracing::error!("two\nlines \x1b[2J and \u{9b}"));
        assert_eq!(text, "ERROR two\nlines \\u{1b}[2J and \\u{9b}\n");
    }
}
