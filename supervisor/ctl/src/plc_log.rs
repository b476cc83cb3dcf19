// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl log`: the four levels of the PLC log, merged by time.

use plc_api::{
    limits,
    log::{LogCounts, LogLevel, LogMessage},
    message::{Reply, Request},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    cli::LogArgs,
    failure::Failure,
    render,
    session::{Session, unexpected},
    terminal,
};

/// How many messages `--follow` begins with.
const FOLLOW_LINES: usize = 10;

/// One message in JSON.
#[derive(Debug, Serialize)]
struct Message<'a> {
    /// `critical`, `warning`, `info`, `debug`.
    level: &'static str,
    /// Counts from 0 within the level.
    id: u32,
    /// The PLC's cycle counter.
    tick: u32,
    time_us: u64,
    text: &'a str,
}

impl<'a> From<&'a LogMessage> for Message<'a> {
    fn from(message: &'a LogMessage) -> Self {
        Self {
            level: message.level.as_str(),
            id: message.id,
            tick: message.tick,
            time_us: message.time_us,
            text: &message.text,
        }
    }
}

#[derive(Debug, Serialize)]
struct Messages<'a> {
    /// Oldest first.
    messages: Vec<Message<'a>>,
}

pub(crate) async fn run(
    session: &Session,
    answer: &mut Answer,
    args: &LogArgs,
) -> Result<(), Failure> {
    if args.reset {
        return reset(session, answer).await;
    }
    let mut snapshots = session.snapshots();
    let counts = snapshots.borrow_and_update().log_counts;
    let lines = args.lines.or(args.follow.then_some(FOLLOW_LINES));
    let mut reader = Reader::new(session, args, counts, lines);
    let mut messages = reader.read(counts).await?;
    let surplus = messages.len().saturating_sub(lines.unwrap_or(usize::MAX));
    messages.drain(..surplus);
    if !args.follow {
        let all = Messages { messages: messages.iter().map(Message::from).collect() };
        return answer.give(&all, |_| describe(&messages, terminal::colours()));
    }
    loop {
        show(answer, &messages)?;
        let counts = session.changed(&mut snapshots).await?.log_counts;
        messages = reader.read(counts).await?;
    }
}

async fn reset(session: &Session, answer: &mut Answer) -> Result<(), Failure> {
    let Reply::Done = session.call(Request::ResetLog).await? else {
        return Err(unexpected());
    };
    let none = Messages { messages: Vec::new() };
    answer.give(&none, |_| "The PLC log is empty.\n".into())
}

fn show(answer: &mut Answer, messages: &[LogMessage]) -> Result<(), Failure> {
    if !answer.is_json() {
        return answer.text(&describe(messages, terminal::colours()));
    }
    for message in messages {
        answer.line(&Message::from(message))?;
    }
    Ok(())
}

/// Where the reading stands in each level.
struct Reader<'a> {
    session: &'a Session,
    levels: Vec<(LogLevel, u32)>,
}

impl<'a> Reader<'a> {
    /// Begins as far back as `lines` messages may lie when there are `counts`.
    fn new(session: &'a Session, args: &LogArgs, counts: LogCounts, lines: Option<usize>) -> Self {
        let wanted: Vec<LogLevel> = args.level.iter().map(|&level| level.into()).collect();
        let back = lines.map_or(u32::MAX, |lines| u32::try_from(lines).unwrap_or(u32::MAX));
        let levels = LogLevel::ALL
            .into_iter()
            .filter(|level| wanted.is_empty() || wanted.contains(level))
            .map(|level| (level, count(counts, level).saturating_sub(back)))
            .collect();
        Self { session, levels }
    }

    /// Reads what is new up to `counts`, merged by time.
    async fn read(&mut self, counts: LogCounts) -> Result<Vec<LogMessage>, Failure> {
        let mut messages = Vec::new();
        for (level, next) in &mut self.levels {
            let end = count(counts, *level);
            if end < *next {
                *next = 0; // somebody emptied the log
            }
            while *next < end {
                let request = Request::ReadLog {
                    level: *level,
                    from: *next,
                    max: limits::LOG_REPLY_MESSAGES,
                };
                let Reply::Log(page) = self.session.call(request).await? else {
                    return Err(unexpected());
                };
                let Some(last) = page.last() else { break };
                *next = last.id.saturating_add(1).max(next.saturating_add(1));
                messages.extend(page);
            }
            *next = (*next).max(end);
        }
        messages.sort_by_key(|message| (message.time_us, message.tick));
        Ok(messages)
    }
}

fn count(counts: LogCounts, level: LogLevel) -> u32 {
    counts.get(usize::from(level.number())).copied().unwrap_or(0)
}

/// One line per message; the lines of a longer text stand below each other.
fn describe(messages: &[LogMessage], colours: bool) -> String {
    messages
        .iter()
        .map(|message| {
            let head = format!(
                "{}  {:8}  tick {:<10}  ",
                render::utc_precise(message.time_us),
                message.level,
                message.tick
            );
            let text = terminal::printable(&message.text, head.len());
            match (colours, message.level) {
                (true, LogLevel::Critical) => format!("\x1b[31m{head}{text}\x1b[0m\n"),
                (true, LogLevel::Warning) => format!("\x1b[33m{head}{text}\x1b[0m\n"),
                (true, LogLevel::Info | LogLevel::Debug) | (false, _) => format!("{head}{text}\n"),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_and_its_further_lines_stand_below() {
        let message = LogMessage {
            level: LogLevel::Warning,
            id: 0,
            tick: 42,
            time_us: 1_709_210_096_000_042,
            text: "first\nsecond\n".into(),
        };
        assert_eq!(
            describe(std::slice::from_ref(&message), false),
            "\
2024-02-29 12:34:56.000042 UTC  warning   tick 42          first
                                                           second
"
        );
        assert!(describe(&[message], true).starts_with("\x1b[33m2024"));
    }
}
