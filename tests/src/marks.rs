// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs wrote about themselves (`tests/programs/marks.h`): proof from inside that they were stopped, and
//! that no two ran at once.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::PATIENCE;

/// One line of `marks.txt`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `begin`, `stop`, `end`, or a program's own.
    pub what: String,
    /// The program's md5 text.
    pub md5: String,
    /// Its process.
    pub pid: u32,
    /// Monotonic time, nanoseconds.
    pub at_ns: u64,
}

/// All lines, in the order of writing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub Vec<Mark>);

impl Marks {
    /// Reads what is there.
    ///
    /// # Panics
    /// A line is no mark.
    #[must_use]
    pub fn read(work_dir: &Path) -> Self {
        let text = fs::read_to_string(work_dir.join("marks.txt")).unwrap_or_default();
        let mark = |line: &str| {
            let fields: Vec<&str> = line.split(' ').collect();
            let [what, md5, pid, at_ns] = fields[..] else { panic!("not a mark: {line}") };
            Mark {
                what: what.to_owned(),
                md5: md5.to_owned(),
                pid: pid.parse().expect("a pid"),
                at_ns: at_ns.parse().expect("a time"),
            }
        };
        Self(text.lines().map(mark).collect())
    }

    /// Waits until a program has written this mark.
    ///
    /// # Panics
    /// It does not within [`PATIENCE`].
    #[must_use]
    pub fn wait(work_dir: &Path, count: usize, what: &str) -> Self {
        let begin = Instant::now();
        loop {
            let marks = Self::read(work_dir);
            if marks.count(what) >= count {
                return marks;
            }
            assert!(begin.elapsed() < PATIENCE, "no {count} marks {what:?} in {marks:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// How many marks of a kind there are.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.0.iter().filter(|mark| mark.what == what).count()
    }

    /// Asserts that no program began while another had begun and not ended.
    ///
    /// # Panics
    /// One did.
    pub fn assert_no_overlap(&self) {
        let mut running: Option<&Mark> = None;
        for mark in &self.0 {
            match (mark.what.as_str(), running) {
                ("begin", Some(other)) => panic!("{mark:?} began while {other:?} ran"),
                ("begin", None) => running = Some(mark),
                ("end", _) => running = None,
                _ => {}
            }
        }
    }

    /// Asserts that every program that began was stopped, and had ended before the next began.
    ///
    /// # Panics
    /// One was not.
    pub fn assert_each_was_stopped_before_the_next(&self) {
        let kinds: Vec<&str> = self.0.iter().map(|mark| mark.what.as_str()).collect();
        for (index, chunk) in kinds.chunks(3).enumerate() {
            assert_eq!(chunk, ["begin", "stop", "end"], "run {index} in {self:?}");
        }
        for run in self.0.chunks(3) {
            assert!(run.iter().all(|mark| mark.pid == run[0].pid), "{run:?}");
        }
    }
}
