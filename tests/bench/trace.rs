// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a trace misses: a 1 ms program with 8 variables, polled every 100 ms, idle and with all processors loaded.

use crate::{
    bare::BareLoader,
    figures::{Better, Figure, number},
    gauge::{self, Traced},
    load::{Kind, Load},
    report::Report,
    rows::{self, Plan},
    runtime::{Runtime, Whose},
};

const ROW: &str = "trace";

/// The figures under one load.
struct Figures {
    load: Kind,
    ticks: Figure,
    cycles: Figure,
    dropped: Figure,
}

const ALL: [Figures; 2] = [
    Figures {
        load: Kind::Idle,
        ticks: missed("ticks missed, idle"),
        cycles: missed("cycles that ran missed, idle"),
        dropped: dropped("samples dropped, idle"),
    },
    Figures {
        load: Kind::Cpu,
        ticks: missed("ticks missed, CPU load"),
        cycles: missed("cycles that ran missed, CPU load"),
        dropped: dropped("samples dropped, CPU load"),
    },
];

const fn missed(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "%", better: Better::Less }
}

const fn dropped(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "samples", better: Better::Less }
}

pub(crate) fn measure(
    plan: &Plan,
    others: &mut [Runtime],
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut ours = rows::ours_with_and_without_fifo(report)?;
    let bare = BareLoader::compile()?;
    for round in 0..plan.rounds {
        for figures in &ALL {
            let load = Load::begin(figures.load)?;
            for runtime in ours.iter_mut().chain(&mut *others) {
                plan.progress(figures.ticks.name, round, &runtime.name);
                one_runtime(plan, figures, runtime, report)?;
            }
            let (traced, name) = bare.run(plan.trace)?;
            add(report, figures, &name, Whose::Others, &traced);
            drop(load);
        }
    }
    Ok(())
}

fn one_runtime(
    plan: &Plan,
    figures: &Figures,
    runtime: &mut Runtime,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (name, whose) = (runtime.name.clone(), runtime.whose());
    let result = runtime.run(gauge::PROGRAM, |runtime| {
        let (traced, _) = gauge::watch(&mut runtime.client, plan.trace)?;
        let stats = runtime.desk().map(|desk| desk.api().stats());
        Ok((traced, stats.map(|stats| stats.trace_dropped)))
    });
    if let Some((traced, dropped)) = report.unless_others(ROW, &name, whose, result)? {
        add(report, figures, &name, whose, &traced);
        if let Some(dropped) = dropped {
            report.add(figures.dropped, &name, whose, number(dropped));
        }
    }
    Ok(())
}

fn add(report: &mut Report, figures: &Figures, name: &str, whose: Whose, traced: &Traced) {
    report.add(figures.ticks, name, whose, traced.missed_ticks());
    report.add(figures.cycles, name, whose, traced.missed_cycles());
}
