// SPDX-License-Identifier: MIT OR Apache-2.0
//! Figures: what they are called, their values over the rounds, their medians and ratios.

use serde::Serialize;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figure {
    /// The row of the benchmark that it belongs to.
    pub(crate) row: &'static str,
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Which values are good ones.
    pub(crate) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Less,
    More,
}

/// The values of one figure for one runtime, one for each round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Values {
    pub(crate) runtime: String,
    pub(crate) ours: bool,
    pub(crate) values: Vec<f64>,
}

impl Values {
    /// The middle one, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match (sorted.get(middle), sorted.len() % 2) {
            (Some(&value), 1) => value,
            (Some(&value), _) => f64::midpoint(sorted[middle - 1], value),
            (None, _) => f64::NAN,
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    /// How many times the median of `base` this one's is; none where that says nothing.
    pub(crate) fn ratio(&self, base: &Self) -> Option<f64> {
        let ratio = self.median() / base.median();
        ratio.is_finite().then_some(ratio)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// One figure of all runtimes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    pub(crate) figure: Figure,
    pub(crate) results: Vec<Values>,
}

/// The value that `percent` of the measurements do not exceed (nearest rank). Sorts them.
pub(crate) fn percentile(measurements: &mut [f64], percent: usize) -> f64 {
    measurements.sort_by(f64::total_cmp);
    let rank = (measurements.len() * percent).div_ceil(100).max(1);
    measurements.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// A whole number as a value; all that are counted here are far below the 2^53 where that would lose digits.
pub(crate) fn number(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(values: &[f64]) -> Values {
        Values { runtime: "x".to_owned(), ours: true, values: values.to_vec() }
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(values(&[9.0, 1.0, 5.0]).median(), 5.0);
        assert_eq!(values(&[4.0, 1.0, 9.0, 2.0]).median(), 3.0);
        assert!(values(&[]).median().is_nan());
        let some = values(&[9.0, 1.0, 5.0]);
        assert_eq!((some.min(), some.max()), (1.0, 9.0));
    }

    #[test]
    fn a_ratio_says_how_many_times_the_base_it_is() {
        assert_eq!(values(&[30.0]).ratio(&values(&[10.0])), Some(3.0));
        assert_eq!(values(&[30.0]).ratio(&values(&[0.0])), None, "of nothing there is none");
        assert_eq!(values(&[0.0]).ratio(&values(&[0.0])), None);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut hundred, 50), 50.0);
        assert_eq!(percentile(&mut hundred, 99), 99.0);
        assert_eq!(percentile(&mut hundred, 100), 100.0);
        assert_eq!(percentile(&mut [7.0], 1), 7.0);
        assert_eq!(percentile(&mut [1.0, 2.0, 3.0], 50), 2.0);
        assert!(percentile(&mut [], 50).is_nan());
    }
}
