// SPDX-License-Identifier: MIT OR Apache-2.0
//! How samples are shown: a table, lines of JSON, a plot that is redrawn in place, or one plot at the end.

use std::io;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use crate::{
    answer::Answer,
    failure::Failure,
    iec::{IecType, Value},
    picture::picture,
    recording::Recording,
    render,
    terminal::{self, Size, USUAL_SIZE},
    variables::Variable,
};

/// Cycles that a live plot shows when the program's period is not known.
const WINDOW_CYCLES: u64 = 1000;

/// The form that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Table,
    Json,
    /// On a terminal.
    LivePlot,
    /// Elsewhere: everything, drawn once.
    LastPlot,
}

/// One sample in JSON.
#[derive(Serialize)]
struct Sample {
    tick: u32,
    values: Map<String, Json>,
}

/// A loss in JSON.
#[derive(Serialize)]
struct Dropped {
    dropped: u64,
}

/// Shows samples as they come.
#[derive(Debug)]
pub(super) struct Shown {
    form: Form,
    names: Vec<String>,
    /// Of the table's columns.
    widths: Vec<usize>,
    recording: Recording,
    seconds_per_tick: Option<f64>,
    /// Lines of the picture that stands on the screen.
    drawn: usize,
    has_header: bool,
    told_of_mismatch: bool,
}

impl Shown {
    pub(super) fn new(variables: &[Variable], form: Form, window: f64, period_ns: u64) -> Self {
        let period = std::time::Duration::from_nanos(period_ns).as_secs_f64();
        let seconds_per_tick = (period_ns > 0).then_some(period);
        let cycles = seconds_per_tick.map_or(WINDOW_CYCLES, |period| ticks(window / period));
        let names: Vec<String> =
            variables.iter().map(|variable| terminal::printable(&variable.name, 0)).collect();
        let widths = variables.iter().zip(&names);
        let widths = widths.map(|(v, name)| usual_width(v.iec_type).max(name.chars().count()));
        Self {
            form,
            widths: widths.collect(),
            names,
            recording: Recording::new(variables, (form == Form::LivePlot).then_some(cycles)),
            seconds_per_tick,
            drawn: 0,
            has_header: false,
            told_of_mismatch: false,
        }
    }

    /// One sample.
    pub(super) fn add(
        &mut self,
        answer: &mut Answer,
        tick: u32,
        values: &[Option<Value>],
    ) -> Result<(), Failure> {
        match self.form {
            Form::LivePlot | Form::LastPlot => {
                self.recording.add(tick, values);
                Ok(())
            }
            Form::Json => {
                let named = self.names.iter().cloned().zip(values.iter().map(json_of));
                answer.line(&Sample { tick, values: named.collect() })
            }
            Form::Table => {
                let mut text = String::new();
                if !self.has_header {
                    self.has_header = true;
                    text = row("tick", self.names.iter().cloned(), &self.widths);
                }
                let cells = values
                    .iter()
                    .map(|value| value.as_ref().map_or("-".to_owned(), Value::to_string));
                text.push_str(&row(&tick.to_string(), cells, &self.widths));
                answer.text(&text)
            }
        }
    }

    /// Samples were lost before the next one.
    pub(super) fn dropped(&mut self, answer: &mut Answer, dropped: u64) -> Result<(), Failure> {
        if self.form == Form::Json {
            return answer.line(&Dropped { dropped });
        }
        let samples = render::count(dropped, "sample");
        self.note(&format!("{samples} lost: they were not fetched in time"));
        Ok(())
    }

    /// The samples are not what the types say. Said once.
    pub(super) fn mismatch(&mut self) {
        if !self.told_of_mismatch {
            self.told_of_mismatch = true;
            self.note(
                "the samples are not as long as the types say; \
                 check types and indexes, or trace fewer variables",
            );
        }
    }

    /// A message that leaves the picture whole.
    pub(super) fn note(&mut self, text: &str) {
        // What stands above the note stays there; the picture goes on below it.
        self.drawn = 0;
        terminal::note(text);
    }

    /// No more samples for the moment.
    pub(super) fn pause(&mut self, answer: &mut Answer) -> Result<(), Failure> {
        if self.form == Form::LivePlot {
            self.draw(answer, terminal::size(io::stdout()))
        } else {
            Ok(())
        }
    }

    /// No more samples.
    pub(super) fn finish(&mut self, answer: &mut Answer) -> Result<(), Failure> {
        match self.form {
            Form::LivePlot => self.draw(answer, terminal::size(io::stdout())),
            Form::LastPlot => self.draw(answer, USUAL_SIZE),
            Form::Table | Form::Json => Ok(()),
        }
    }

    /// Draws over the picture that stands there already.
    fn draw(&mut self, answer: &mut Answer, size: Size) -> Result<(), Failure> {
        let ticks = self.recording.ticks();
        let panels = self.recording.panels();
        let lines = picture(&panels, ticks, self.seconds_per_tick, size);
        let mut text = String::new();
        let in_place = self.form == Form::LivePlot;
        if in_place && self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn.min(size.rows)));
        }
        for line in &lines {
            text.push_str(line);
            text.push_str(if in_place { "\x1b[K\n" } else { "\n" });
        }
        if in_place {
            text.push_str("\x1b[J");
        }
        self.drawn = lines.len();
        answer.text(&text)
    }
}

/// What most values of a type need, so that columns stand straight.
fn usual_width(iec_type: IecType) -> usize {
    match iec_type {
        IecType::Bool => 5,
        IecType::Sint | IecType::Int | IecType::Usint | IecType::Uint => 6,
        IecType::Byte | IecType::Word => 7,
        IecType::Dint | IecType::Udint | IecType::Dword | IecType::Real => 13,
        IecType::Lint | IecType::Ulint | IecType::Lword | IecType::Lreal => 21,
        IecType::Date => 12,
        IecType::Time | IecType::Tod | IecType::String => 20,
        IecType::Dt => 33,
    }
}

/// Cells below the names they belong to; a sample's tick first.
fn row(tick: &str, cells: impl Iterator<Item = String>, widths: &[usize]) -> String {
    let mut line = format!("{tick:>10}");
    for (cell, width) in cells.zip(widths) {
        line.push_str(&format!("  {cell:>width$}"));
    }
    line.push('\n');
    line
}

fn json_of(value: &Option<Value>) -> Json {
    match value {
        None => Json::Null,
        Some(Value::Bool(value)) => json!(value),
        Some(Value::Signed(value)) => json!(value),
        Some(Value::Unsigned(value) | Value::Bits(value)) => json!(value),
        // As many digits as a REAL has, and not those of the double it becomes.
        Some(Value::Real(value)) => json!(value.to_string().parse::<f64>().ok()),
        Some(Value::Lreal(value)) => json!(value),
        Some(Value::Text(text)) => json!(String::from_utf8_lossy(text)),
        Some(time @ (Value::Time(_) | Value::Date(_) | Value::Tod(_) | Value::Dt(_))) => {
            json!(time.to_string())
        }
    }
}

/// A number of cycles, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and both sides of the division are positive"
)]
fn ticks(cycles: f64) -> u64 {
    (cycles.ceil() as u64).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_below_their_names() {
        let names = ["A".to_owned(), "CONFIG.INSTANCE0.X".to_owned()];
        let widths = [5, 18];
        let text = row("tick", names.iter().cloned(), &widths)
            + &row("7", ["TRUE".to_owned(), "-5".to_owned()].into_iter(), &widths);
        assert_eq!(
            text,
            "      tick      A  CONFIG.INSTANCE0.X\n         \
             7   TRUE                  -5\n"
        );
    }

    #[test]
    fn json_has_the_types_that_json_knows() {
        assert_eq!(json_of(&Some(Value::Bits(255))), json!(255));
        assert_eq!(json_of(&Some(Value::Text(b"a\"b".to_vec()))), json!("a\"b"));
        assert_eq!(json_of(&Some(Value::Time(1_500_000_000))), json!("T#1s500ms"));
        assert_eq!(json_of(&Some(Value::Lreal(f64::NAN))), Json::Null);
        assert_eq!(json_of(&None), Json::Null);
        assert_eq!(json_of(&Some(Value::Real(0.1))), json!(0.1));
        assert_eq!(json_of(&Some(Value::Real(f32::INFINITY))), Json::Null);
    }
}
