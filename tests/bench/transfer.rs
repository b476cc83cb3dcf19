// SPDX-License-Identifier: MIT OR Apache-2.0
//! Transfer of a large program as IDEs of the eRPC time do it, in chunks of 4095 bytes, until it is installed.

use std::time::Instant;

use plc_tests::programs;

use crate::{
    figures::{Better, Figure, number},
    report::Report,
    rows::Plan,
    runtime::Runtime,
};

const ROW: &str = "transfer";
const SPEED: Figure =
    Figure { row: ROW, name: "20 MB until installed", unit: "MB/s", better: Better::More };

/// The program that is made large.
pub(crate) const PROGRAM: &str = "good";

pub(crate) fn measure(
    plan: &Plan,
    others: &mut [Runtime],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut ours = Runtime::ours("ours", "")?;
    let program = programs::bytes(PROGRAM);
    for round in 0..plan.rounds {
        let library = padded(&program, plan.transfer_bytes, round);
        for runtime in std::iter::once(&mut ours).chain(&mut *others) {
            plan.progress(ROW, round, &runtime.name);
            let (name, whose) = (runtime.name.clone(), runtime.whose());
            let begin = Instant::now();
            let md5 = runtime.forget_program(&library);
            let result = runtime.client.install(&md5, &library);
            let speed = number(library.len()) / 1e6 / begin.elapsed().as_secs_f64();
            if report.unless_others(ROW, &name, whose, result)?.is_some() {
                report.add(SPEED, &name, whose, speed);
            }
        }
    }
    Ok(())
}

/// A program with bytes behind its end, which no loader looks at: different ones in each round, so that nobody can
/// know the whole from before.
pub(crate) fn padded(program: &[u8], size: usize, round: u32) -> Vec<u8> {
    let mut library = program.to_vec();
    library.resize(size.saturating_sub(4).max(program.len()), 0xa5);
    library.extend(round.to_ne_bytes());
    library
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_program_begins_with_it_and_is_another_one_each_round() {
        let (one, two) = (padded(b"program", 100, 1), padded(b"program", 100, 2));
        assert!(one.starts_with(b"program"));
        assert_eq!(one.len(), 100);
        assert_ne!(one, two);
        assert_eq!(padded(b"program", 3, 1).len(), 11, "never cut");
    }
}
