// SPDX-License-Identifier: MIT OR Apache-2.0
//! How late a 1 ms cycle wakes up while all processors and the disk are loaded.
//!
//! On a virtual machine the numbers themselves say more about its host than about any runtime: read the ratios.

use crate::{
    bare::{self, BareLoader},
    figures::{Better, Figure, number},
    gauge::{self, Reading},
    load::{Kind, Load},
    report::Report,
    rows::{self, Plan},
    runtime::{Runtime, Whose},
};

const ROW: &str = "wake-up";
const P50: Figure = late("p50 late under CPU and disk load");
const P99: Figure = late("p99 late under CPU and disk load");
const MAX: Figure = late("largest lateness under CPU and disk load");

const fn late(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "µs", better: Better::Less }
}

pub(crate) fn measure(
    plan: &Plan,
    others: &mut [Runtime],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut ours = rows::ours_with_and_without_fifo(report)?;
    let bare = BareLoader::compile()?;
    for round in 0..plan.rounds {
        let load = Load::begin(Kind::CpuAndDisk)?;
        for runtime in ours.iter_mut().chain(&mut *others) {
            plan.progress(ROW, round, &runtime.name);
            let (name, whose) = (runtime.name.clone(), runtime.whose());
            let result = runtime.run(gauge::PROGRAM, |runtime| {
                let (traced, reset) = gauge::watch(&mut runtime.client, plan.wakeup)?;
                traced.lateness(reset)
            });
            if let Some(reading) = report.unless_others(ROW, &name, whose, result)? {
                add(report, &name, whose, reading);
            }
        }
        let (traced, name) = bare.run(plan.wakeup)?;
        add(report, &name, Whose::Others, traced.lateness(bare::RESET)?);
        drop(load);
    }
    Ok(())
}

fn add(report: &mut Report, name: &str, whose: Whose, reading: Reading) {
    report.add(P50, name, whose, number(reading.p50_us));
    report.add(P99, name, whose, number(reading.p99_us));
    report.add(MAX, name, whose, number(reading.max_us));
}
