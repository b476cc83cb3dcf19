// SPDX-License-Identifier: MIT OR Apache-2.0
//! A picture of several variables over the same time, one panel each, as lines of text. Pure.

use crate::{
    plot::{self, Span},
    terminal::Size,
};

/// Columns of the scale on the left, its line included.
const SCALE: usize = 11;
/// Rows of a panel that shows a number, when there is room.
const TALL: usize = 8;
/// The axis at the bottom: its line and its labels.
const AXIS: usize = 2;

/// One variable.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) name: String,
    /// The newest value as it is written.
    pub(crate) value: String,
    /// Two values only: one row will do.
    pub(crate) digital: bool,
    /// Tick and height, in order.
    pub(crate) points: Vec<(u64, f64)>,
}

impl Panel {
    /// A title, and the rows of the curve.
    fn smallest(&self) -> usize {
        1 + usize::from(!self.points.is_empty())
    }
}

/// Draws the panels below each other from the first to the last of `ticks`. No line is wider than `size`, and
/// there are fewer lines than it has rows, so that a cursor below the picture stays on the screen.
pub(crate) fn picture(
    panels: &[Panel],
    ticks: (u64, u64),
    seconds_per_tick: Option<f64>,
    size: Size,
) -> Vec<String> {
    let columns = size.columns.saturating_sub(SCALE + 1).max(1);
    let room = size.rows.saturating_sub(AXIS + 1);
    let mut lines = Vec::new();
    let (heights, left_out) = share(panels, room);
    for (panel, rows) in panels.iter().zip(heights) {
        lines.extend(drawn(panel, ticks, columns, rows));
    }
    lines.extend(axis(ticks, seconds_per_tick, columns));
    if left_out > 0 {
        lines.push(format!("{left_out} more: the terminal is too small"));
    }
    for line in &mut lines {
        if let Some((end, _)) = line.char_indices().nth(size.columns) {
            line.truncate(end);
        }
    }
    lines
}

/// Rows of each panel's curve, and how many panels found no room.
fn share(panels: &[Panel], room: usize) -> (Vec<usize>, usize) {
    let all: usize = panels.iter().map(Panel::smallest).sum();
    let room = room.saturating_sub(usize::from(all > room));
    let mut taken = 0;
    let mut heights: Vec<usize> = panels
        .iter()
        .map_while(|panel| {
            taken += panel.smallest();
            (taken <= room).then(|| panel.smallest() - 1)
        })
        .collect();
    let left_out = panels.len() - heights.len();
    let growing = |(panel, rows): &(&Panel, &mut usize)| {
        !panel.digital && !panel.points.is_empty() && **rows < TALL
    };
    let mut spare = room.saturating_sub(taken);
    while left_out == 0 && spare > 0 {
        let mut grown = false;
        for (_, rows) in panels.iter().zip(&mut heights).filter(growing) {
            if spare > 0 {
                *rows += 1;
                spare -= 1;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    (heights, left_out)
}

fn drawn(panel: &Panel, (first, last): (u64, u64), columns: usize, rows: usize) -> Vec<String> {
    let mut lines = vec![format!("{} = {}", panel.name, panel.value)];
    let y = if panel.digital {
        Some(Span { low: 0.0, high: 1.0 })
    } else {
        Span::over(panel.points.iter().map(|point| point.1))
    };
    let Some(y) = y.filter(|_| rows > 0) else {
        return lines;
    };
    let x = Span { low: position(first), high: position(last) };
    let points = panel.points.iter().map(|&(at, value)| (position(at), value));
    let curve = plot::draw(points, x, y, columns, rows);
    for (row, curve) in curve.iter().enumerate() {
        let label = match row {
            _ if panel.digital => String::new(),
            0 => number(y.high),
            row if row + 1 == rows => number(y.low),
            _ => String::new(),
        };
        let mark = if label.is_empty() { '│' } else { '┤' };
        lines.push(format!("{label:>width$} {mark}{curve}", width = SCALE - 2));
    }
    lines
}

fn axis(
    (first, last): (u64, u64),
    seconds_per_tick: Option<f64>,
    columns: usize,
) -> [String; AXIS] {
    let line = format!("{:>SCALE$}{}", '└', "─".repeat(columns));
    let length = last - first;
    let begin = match seconds_per_tick {
        Some(seconds) => format!("-{} s", number(position(length) * seconds)),
        None => format!("-{length} cycles"),
    };
    let width = columns.saturating_sub(begin.len());
    [line, format!("{:SCALE$}{begin}{:>width$}", "", "now")]
}

#[expect(clippy::cast_precision_loss, reason = "a picture has fewer dots than a double has digits")]
fn position(tick: u64) -> f64 {
    tick as f64
}

/// At most nine characters that say how much it is.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        return format!("{value:.2e}");
    }
    let digits = if size >= 1000.0 { 1 } else { 3 };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saw() -> Panel {
        Panel {
            name: "SAW".into(),
            value: "7".into(),
            digital: false,
            points: (0_u32..32).map(|t| (t.into(), f64::from(t % 8))).collect(),
        }
    }

    fn bit() -> Panel {
        Panel {
            name: "LAMP".into(),
            value: "TRUE".into(),
            digital: true,
            points: (0_u32..32).map(|t| (t.into(), f64::from(t / 4 % 2))).collect(),
        }
    }

    fn text() -> Panel {
        Panel { name: "NAME".into(), value: "'pump'".into(), digital: false, points: Vec::new() }
    }

    const SMALL: Size = Size { columns: 28, rows: 12 };

    #[test]
    fn panels_stand_over_one_axis() {
        let lines = picture(&[saw(), bit(), text()], (0, 31), Some(0.1), SMALL);
        let golden = "\
SAW = 7
        7 ┤⠀⠀⠀⣸⡇⠀⠀⣸⡇⠀⠀⣸⡇⠀⠀⣸
          │⠀⠀⢰⠃⡇⠀⢰⠃⡇⠀⢰⠃⡇⠀⢰⠃
          │⠀⢀⡏⠀⡇⢀⡏⠀⡇⢀⡏⠀⡇⢀⡏⠀
          │⠀⡼⠀⠀⡇⡼⠀⠀⡇⡼⠀⠀⡇⡼⠀⠀
        0 ┤⣸⠁⠀⠀⣿⠁⠀⠀⣿⠁⠀⠀⣿⠁⠀⠀
LAMP = TRUE
          │⣀⣀⡏⠉⣇⣀⡏⠉⣇⣀⡏⠉⣇⣀⡏⠉
NAME = 'pump'
          └────────────────
           -3.1 s       now";
        assert_eq!(lines.join("\n"), golden);
    }

    #[test]
    fn a_picture_always_fits_the_terminal_and_leaves_a_line_for_the_cursor() {
        for rows in 0..40 {
            for columns in 0..60 {
                let size = Size { columns, rows };
                let lines = picture(&[saw(), bit(), saw(), text()], (0, 31), None, size);
                let fits = lines.len() < rows || lines.len() <= AXIS + 1;
                assert!(fits, "{} lines in {rows} rows", lines.len());
                assert!(lines.iter().all(|line| line.chars().count() <= columns));
            }
        }
    }

    #[test]
    fn panels_without_room_are_counted() {
        let size = Size { columns: 40, rows: 8 };
        let lines = picture(&[bit(), bit(), bit()], (0, 31), None, size);
        assert_eq!(lines.last().map(String::as_str), Some("1 more: the terminal is too small"));
    }

    #[test]
    fn a_number_on_the_scale_is_short() {
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (0.1234, "0.123"),
            (12_345.678, "12345.7"),
            (-1_234_567.0, "-1.23e6"),
            (0.000_02, "2.00e-5"),
        ] {
            assert_eq!(number(value), text);
            assert!(text.len() <= SCALE - 2);
        }
    }
}
