// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was found: a verdict, the value, the next step; and how that looks to people.

use std::borrow::Cow;

use serde::Serialize;

use crate::terminal;

/// What to think of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it should be.
    Good,
    /// It works, and could be better.
    Improve,
    /// It does not work, or not as it is configured.
    Problem,
    /// It could not be looked at.
    Unknown,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Improve => "improve",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }

    /// Its colour: green, yellow, bold red, faint.
    const fn colour(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Improve => "\x1b[33m",
            Self::Problem => "\x1b[1;31m",
            Self::Unknown => "\x1b[2m",
        }
    }
}

/// One line of the examination, in JSON as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) topic: &'static str,
    pub(crate) verdict: Verdict,
    /// What was seen there.
    pub(crate) value: String,
    /// What to do about it; null when that is nothing.
    pub(crate) next_step: Option<String>,
}

impl Finding {
    pub(crate) fn good(topic: &'static str, value: impl Into<String>) -> Self {
        Self { topic, verdict: Verdict::Good, value: value.into(), next_step: None }
    }

    /// One that asks for something to be done.
    pub(crate) fn of(
        verdict: Verdict,
        topic: &'static str,
        value: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self { topic, verdict, value: value.into(), next_step: Some(next_step.into()) }
    }
}

/// Findings that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) findings: Vec<Finding>,
}

/// How the findings are laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    /// On a terminal: its width, in which the lines are broken. Else each finding has one line.
    pub(crate) columns: Option<usize>,
    pub(crate) colours: bool,
}

/// Everything, section by section, and how many of each kind.
pub(crate) fn text(sections: &[Section], layout: Layout) -> String {
    let findings = || sections.iter().flat_map(|section| &section.findings);
    let width = findings().map(|finding| finding.topic.len()).max().unwrap_or(0);
    let mut text = String::new();
    for section in sections {
        text.push_str(section.title);
        text.push('\n');
        for finding in &section.findings {
            lay_out(&mut text, finding, width, layout);
        }
        text.push('\n');
    }
    let count = |verdict| findings().filter(|finding| finding.verdict == verdict).count();
    let (problems, improve) = (count(Verdict::Problem), count(Verdict::Improve));
    let (good, unknown) = (count(Verdict::Good), count(Verdict::Unknown));
    text + &format!("{problems} problem, {improve} improve, {good} good, {unknown} unknown\n")
}

fn lay_out(text: &mut String, finding: &Finding, topic_width: usize, layout: Layout) {
    let word = finding.verdict.word();
    let verdict = if layout.colours {
        format!("{}{word:7}\x1b[0m", finding.verdict.colour())
    } else {
        format!("{word:7}")
    };
    let head = format!("  {verdict}  {:topic_width$}  ", finding.topic);
    let indent = 2 + 7 + 2 + topic_width + 2;
    let value = shown(&finding.value);
    let next = finding.next_step.as_deref().map(|next| format!("-> {}", shown(next)));
    text.push_str(&head);
    let Some(columns) = layout.columns else {
        text.push_str(&value);
        text.extend(next.map(|next| format!(" {next}")));
        text.push('\n');
        return;
    };
    let room = columns.saturating_sub(indent).max(20);
    let mut lines = broken(&value, room, "");
    if let Some(next) = next {
        lines.extend(broken(&next, room, "   "));
    }
    text.push_str(&lines.join(&format!("\n{:indent$}", "")));
    text.push('\n');
}

/// On one line, and unable to drive the terminal.
fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let words: Vec<&str> = text.split_whitespace().collect();
        terminal::printable(&words.join(" "), 0).into()
    } else {
        text.into()
    }
}

/// The text in lines of at most `room` characters, broken at blanks; all but the first begin with `indent`.
fn broken(text: &str, room: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let long = line.chars().count() + 1 + word.chars().count() > room;
        if long && !line.trim().is_empty() {
            lines.push(std::mem::replace(&mut line, indent.to_owned()));
            line.push_str(word);
        } else {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections() -> Vec<Section> {
        let findings = vec![
            Finding::good("service", "active"),
            Finding::of(Verdict::Problem, "rights", "0\x1b[2J", "raise it by some words"),
        ];
        vec![Section { title: "Runtime", findings }]
    }

    #[test]
    fn a_pipe_gets_one_line_for_each_finding() {
        let layout = Layout { columns: None, colours: false };
        assert_eq!(
            text(&sections(), layout),
            "\
Runtime
  good     service  active
  problem  rights   0\\u{1b}[2J -> raise it by some words

1 problem, 0 improve, 1 good, 0 unknown
"
        );
    }

    #[test]
    fn a_terminal_gets_lines_that_fit_it() {
        let layout = Layout { columns: Some(40), colours: true };
        assert_eq!(
            text(&sections(), layout),
            "\
Runtime
  \x1b[32mgood   \x1b[0m  service  active
  \x1b[1;31mproblem\x1b[0m  rights   0\\u{1b}[2J
                    -> raise it by some
                       words

1 problem, 0 improve, 1 good, 0 unknown
"
        );
    }
}
