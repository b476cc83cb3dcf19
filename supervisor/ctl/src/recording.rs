// SPDX-License-Identifier: MIT OR Apache-2.0
//! The samples that a plot is drawn from: bounded, the oldest forgotten first.

use std::collections::VecDeque;

use crate::{
    iec::{IecType, Value},
    picture::Panel,
    variables::Variable,
};

/// Values that all variables of a recording hold together: 16 bytes each.
const VALUES: usize = 1 << 20;

/// Samples in the order they came.
#[derive(Debug)]
pub(crate) struct Recording {
    variables: Vec<Variable>,
    last_tick: Option<u32>,
    now: u64,
    samples: VecDeque<(u64, Vec<Option<f64>>)>,
    /// The newest value of each variable as it is written.
    shown: Vec<String>,
    /// How many ticks are kept; `None` as many as fit.
    window: Option<u64>,
}

impl Recording {
    pub(crate) fn new(variables: &[Variable], window: Option<u64>) -> Self {
        Self {
            variables: variables.to_vec(),
            last_tick: None,
            now: 0,
            samples: VecDeque::new(),
            shown: vec!["-".to_owned(); variables.len()],
            window,
        }
    }

    /// Adds what was sampled at `tick`, one value per variable.
    pub(crate) fn add(&mut self, tick: u32, values: &[Option<Value>]) {
        // The counter wraps, and a program that is started again begins at 0.
        let step = self.last_tick.map_or(0, |last| tick.wrapping_sub(last));
        self.now += u64::from(if step > u32::MAX / 2 { 1 } else { step });
        self.last_tick = Some(tick);
        for (shown, value) in self.shown.iter_mut().zip(values) {
            *shown = value.as_ref().map_or("-".to_owned(), Value::to_string);
        }
        let heights = values.iter().map(|value| value.as_ref().and_then(Value::height)).collect();
        self.samples.push_back((self.now, heights));
        let oldest = self.window.map_or(0, |window| self.now.saturating_sub(window));
        let most = VALUES / self.variables.len().max(1);
        while self.samples.len() > most || self.samples.front().is_some_and(|(at, _)| *at < oldest)
        {
            self.samples.pop_front();
        }
    }

    /// The first and the last tick that is drawn.
    pub(crate) fn ticks(&self) -> (u64, u64) {
        let first = self.samples.front().map_or(self.now, |(at, _)| *at);
        let oldest = self.window.map_or(first, |window| self.now.saturating_sub(window));
        (oldest.min(first), self.now.max(oldest + 1))
    }

    /// One panel for each variable.
    pub(crate) fn panels(&self) -> Vec<Panel> {
        let described = self.variables.iter().zip(&self.shown).enumerate();
        described
            .map(|(column, (variable, shown))| Panel {
                name: variable.name.clone(),
                value: shown.clone(),
                digital: variable.iec_type == IecType::Bool,
                points: self
                    .samples
                    .iter()
                    .filter_map(|(at, values)| Some((*at, (*values.get(column)?)?)))
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_variable(window: Option<u64>) -> Recording {
        let variable = Variable { index: 0, name: "X".into(), iec_type: IecType::Int };
        Recording::new(&[variable], window)
    }

    #[test]
    fn the_tick_counter_may_wrap_or_begin_again() {
        let mut recording = one_variable(None);
        for tick in [u32::MAX - 1, u32::MAX, 1, 3, 0, 2] {
            recording.add(tick, &[Some(Value::Signed(1))]);
        }
        let panels = recording.panels();
        let ticks: Vec<u64> = panels[0].points.iter().map(|point| point.0).collect();
        assert_eq!(ticks, [0, 1, 3, 5, 6, 8]);
    }

    #[test]
    fn what_has_left_the_window_is_forgotten() {
        let mut recording = one_variable(Some(10));
        for tick in 0..100 {
            recording.add(tick, &[Some(Value::Signed(tick.into()))]);
        }
        assert_eq!(recording.ticks(), (89, 99));
        let panel = recording.panels().remove(0);
        assert_eq!(panel.points.first(), Some(&(89, 89.0)));
        assert_eq!(panel.value, "99");
    }

    #[test]
    fn a_long_recording_stays_bounded() {
        let mut recording = one_variable(None);
        for tick in 0..u32::try_from(VALUES + 5).unwrap() {
            recording.add(tick, &[None]);
        }
        assert_eq!(recording.samples.len(), VALUES);
    }
}
