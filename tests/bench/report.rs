// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was measured, as a table for people and as JSON for programs.

use std::{fmt::Write as _, thread};

use serde_json::{Value, json};

use crate::{
    figures::{Block, Figure, Values},
    runtime::Whose,
};

/// The form of the JSON; larger when a reader of the old one would be misled.
const JSON_VERSION: u32 = 1;

/// All figures so far, in the order in which they first came.
#[derive(Debug, Default)]
pub(crate) struct Report {
    blocks: Vec<Block>,
    notes: Vec<String>,
}

impl Report {
    /// Adds the value of one round.
    pub(crate) fn add(&mut self, figure: Figure, runtime: &str, whose: Whose, value: f64) {
        let index = self.blocks.iter().position(|block| block.figure == figure);
        let index = index.unwrap_or_else(|| {
            self.blocks.push(Block { figure, results: Vec::new() });
            self.blocks.len() - 1
        });
        let results = &mut self.blocks[index].results;
        match results.iter_mut().find(|values| values.runtime == runtime) {
            Some(values) => values.values.push(value),
            None => results.push(Values {
                runtime: runtime.to_owned(),
                ours: whose == Whose::Ours,
                values: vec![value],
            }),
        }
    }

    /// Says something about the figures, once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            eprintln!("bench: {note}");
            self.notes.push(note);
        }
    }

    /// Goes on without a figure of another runtime, with a note; a figure of ours must be there.
    pub(crate) fn unless_others<T>(
        &mut self,
        what: &str,
        runtime: &str,
        whose: Whose,
        result: anyhow::Result<T>,
    ) -> anyhow::Result<Option<T>> {
        match (result, whose) {
            (Ok(value), _) => Ok(Some(value)),
            (Err(error), Whose::Ours) => Err(error.context(format!("{what} of {runtime}"))),
            (Err(error), Whose::Others) => {
                self.note(format!("{what} of {runtime} left out: {error:#}"));
                Ok(None)
            }
        }
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut table = String::new();
        for block in &self.blocks {
            write_block(&mut table, block);
        }
        if !self.notes.is_empty() {
            table.push_str("notes\n");
            for note in &self.notes {
                let _ = writeln!(table, "  {note}");
            }
        }
        table
    }

    /// The same for programs.
    pub(crate) fn json(&self, rounds: u32, quick: bool) -> Value {
        let figures: Vec<Value> = self.blocks.iter().map(block_json).collect();
        json!({
            "version": JSON_VERSION,
            "rounds": rounds,
            "quick": quick,
            "processors": thread::available_parallelism().map_or(0, usize::from),
            "figures": figures,
            "notes": self.notes,
        })
    }
}

/// The ones of ours that another can be compared with.
fn bases<'a>(block: &'a Block, other: &'a Values) -> impl Iterator<Item = &'a Values> {
    block.results.iter().filter(move |base| base.ours && base.runtime != other.runtime)
}

fn write_block(table: &mut String, block: &Block) {
    let figure = block.figure;
    let title = format!("{}: {}, {}", figure.row, figure.name, figure.unit);
    let _ = writeln!(table, "{title:<56}{:>10}   min .. max", "median");
    for values in &block.results {
        let range = format!("{} .. {}", shown(values.min()), shown(values.max()));
        let mut line =
            format!("  {:<54}{:>10}   {range:<20}", values.runtime, shown(values.median()));
        for base in bases(block, values) {
            if let Some(ratio) = values.ratio(base) {
                let _ = write!(line, "  {} x {}", shown(ratio), base.runtime);
            }
        }
        let _ = writeln!(table, "{}", line.trim_end());
    }
    table.push('\n');
}

fn block_json(block: &Block) -> Value {
    let results = block.results.iter().map(|values| {
        let ratio = |base: &Values| json!({ "to": base.runtime, "ratio": values.ratio(base) });
        let ratios: Vec<Value> = bases(block, values).map(ratio).collect();
        json!({
            "runtime": values.runtime,
            "ours": values.ours,
            "median": values.median(),
            "min": values.min(),
            "max": values.max(),
            "values": values.values,
            "ratios": ratios,
        })
    });
    let results: Vec<Value> = results.collect();
    let figure = block.figure;
    json!({
        "row": figure.row,
        "figure": figure.name,
        "unit": figure.unit,
        "better": figure.better,
        "results": results,
    })
}

/// Three digits that say something, and no more.
fn shown(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::figures::Better;

    const CALLS: Figure =
        Figure { row: "status", name: "calls", unit: "1/s", better: Better::More };

    fn report() -> Report {
        let mut report = Report::default();
        for (runtime, whose, value) in [
            ("ours", Whose::Ours, 1000.0),
            ("other", Whose::Others, 100.0),
            ("ours", Whose::Ours, 3000.0),
            ("other", Whose::Others, 300.0),
        ] {
            report.add(CALLS, runtime, whose, value);
        }
        report
    }

    #[test]
    fn the_table_has_median_range_and_ratio() {
        let table = report().table();
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("status: calls, 1/s"), "{table}");
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(lines[1]), "ours 2000 1000 .. 3000");
        assert_eq!(words(lines[2]), "other 200 100 .. 300 0.10 x ours");
    }

    #[test]
    fn the_json_has_every_value() {
        let json = report().json(2, false);
        let results = &json["figures"][0]["results"];
        assert_eq!(json["version"], 1);
        assert_eq!(results[0]["values"], json!([1000.0, 3000.0]));
        assert_eq!(results[0]["ratios"], json!([]));
        assert_eq!(results[1]["ratios"], json!([{ "to": "ours", "ratio": 0.1 }]));
    }

    #[test]
    fn a_figure_of_another_may_be_missing_and_one_of_ours_may_not() {
        let mut report = Report::default();
        let others =
            report.unless_others("calls", "it", Whose::Others, Err::<(), _>(anyhow!("no")));
        assert!(others.unwrap().is_none());
        assert!(report.table().contains("calls of it left out: no"));
        assert!(
            report.unless_others("calls", "it", Whose::Ours, Err::<(), _>(anyhow!("no"))).is_err()
        );
    }

    #[test]
    fn figures_are_shown_with_the_digits_that_matter() {
        let shown = [0.0, 0.001, 0.1234, 12.34, 1234.5].map(shown);
        assert_eq!(shown, ["0", "1.0e-3", "0.12", "12.3", "1234"]);
    }
}
