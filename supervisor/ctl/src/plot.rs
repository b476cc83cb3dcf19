// SPDX-License-Identifier: MIT OR Apache-2.0
//! A curve in braille: every character cell is two dots wide and four high. Pure.
//!
//! A PLC's variable keeps its value from one cycle to the next, so the curve goes sideways to the next sample
//! and then up or down: what is drawn is what was.

/// Dots of one character cell.
const CELL_WIDTH: usize = 2;
const CELL_HEIGHT: usize = 4;
/// U+2800 and these bits give the braille pattern; left column, then right, from above.
const DOTS: [[u8; CELL_HEIGHT]; CELL_WIDTH] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
const BLANK: u32 = 0x2800;

/// A closed range of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Span {
    /// The span of all `values`; one of some width even if they are all the same.
    pub(crate) fn over(values: impl Iterator<Item = f64>) -> Option<Self> {
        let span = values.fold(None, |span: Option<Self>, value| {
            Some(span.map_or(Self { low: value, high: value }, |span| Self {
                low: span.low.min(value),
                high: span.high.max(value),
            }))
        })?;
        if span.low < span.high {
            return Some(span);
        }
        let margin = (span.low.abs() * 0.1).max(0.5);
        Some(Self { low: span.low - margin, high: span.high + margin })
    }

    /// The dot of `steps` that `value` falls on.
    fn dot(self, value: f64, steps: usize) -> usize {
        let last = steps.saturating_sub(1);
        let share = (value - self.low) / (self.high - self.low);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "clamped to the dots of a terminal, which a double counts exactly"
        )]
        let dot = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        dot.min(last)
    }
}

/// Draws the points, in order of their `x`, into `rows` lines of `columns` characters.
pub(crate) fn draw(
    points: impl Iterator<Item = (f64, f64)>,
    x: Span,
    y: Span,
    columns: usize,
    rows: usize,
) -> Vec<String> {
    let mut canvas = Canvas::new(columns, rows);
    let (width, height) = (columns * CELL_WIDTH, rows * CELL_HEIGHT);
    let mut before: Option<(usize, usize)> = None;
    for (at, value) in points.filter(|(at, _)| (x.low..=x.high).contains(at)) {
        let column = x.dot(at, width);
        let row = height.saturating_sub(1) - y.dot(value, height);
        if let Some((last_column, last_row)) = before {
            for between in last_column..column {
                canvas.set(between, last_row);
            }
            for between in last_row.min(row)..=last_row.max(row) {
                canvas.set(column, between);
            }
        }
        canvas.set(column, row);
        before = Some((column, row));
    }
    canvas.lines()
}

struct Canvas {
    columns: usize,
    cells: Vec<u8>,
}

impl Canvas {
    fn new(columns: usize, rows: usize) -> Self {
        Self { columns, cells: vec![0; columns * rows] }
    }

    fn set(&mut self, column: usize, row: usize) {
        let cell = row / CELL_HEIGHT * self.columns + column / CELL_WIDTH;
        let dot = DOTS.get(column % CELL_WIDTH).and_then(|dots| dots.get(row % CELL_HEIGHT));
        if let (Some(cell), Some(dot)) = (self.cells.get_mut(cell), dot) {
            *cell |= dot;
        }
    }

    fn lines(&self) -> Vec<String> {
        self.cells
            .chunks(self.columns.max(1))
            .map(|cells| {
                cells.iter().filter_map(|&cell| char::from_u32(BLANK + u32::from(cell))).collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(values: &[f64], columns: usize, rows: usize) -> String {
        let points: Vec<(f64, f64)> =
            (0_u32..).map(f64::from).zip(values.iter().copied()).collect();
        let x = Span::over(points.iter().map(|p| p.0)).unwrap();
        let y = Span::over(points.iter().map(|p| p.1)).unwrap();
        draw(points.into_iter(), x, y, columns, rows).join("\n")
    }

    #[test]
    fn a_ramp_climbs_from_corner_to_corner() {
        let values: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(picture(&values, 4, 2), "⠀⠀⣠⠞\n⣠⠞⠁⠀");
    }

    #[test]
    fn a_switched_bit_has_upright_flanks() {
        assert_eq!(picture(&[0., 0., 1., 1., 0., 0., 1., 1.], 8, 1), "⣀⣀⡏⠉⢹⣀⣸⠉");
    }

    #[test]
    fn a_value_that_never_changes_is_a_line_in_the_middle() {
        assert_eq!(picture(&[5., 5., 5., 5.], 4, 1), "⠒⠒⠒⠒");
    }

    #[test]
    fn one_point_and_no_point_are_drawn_too() {
        assert_eq!(picture(&[1.], 3, 1), "⠀⠐⠀");
        let span = Span { low: 0., high: 1. };
        assert_eq!(draw(std::iter::empty(), span, span, 2, 1), ["⠀⠀"]);
        assert!(draw(std::iter::once((0., 0.)), span, span, 0, 0).is_empty());
    }

    #[test]
    fn what_lies_outside_the_span_is_left_out() {
        let span = Span { low: 10., high: 20. };
        let lines = draw([(5., 15.), (25., 15.)].into_iter(), span, span, 3, 1);
        assert_eq!(lines, ["⠀⠀⠀"]);
    }
}
