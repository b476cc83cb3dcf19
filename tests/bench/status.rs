// SPDX-License-Identifier: MIT OR Apache-2.0
//! Status calls on one eRPC connection: how many, how fast, and how fast while another client keeps the runtime busy.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use plc_tests::programs;

use crate::{
    erpc::Client,
    figures::{Better, Figure, number, percentile},
    gauge,
    report::Report,
    rows::Plan,
    runtime::{Runtime, Whose},
    transfer,
};

const ROW: &str = "status";
const CALLS: Figure = Figure { row: ROW, name: "calls", unit: "1/s", better: Better::More };
const P50: Figure = latency("p50");
const P99: Figure = latency("p99");
const P99_START: Figure = latency("p99 while another client's start hangs");
const P99_STOP: Figure = latency("p99 while another client's stop hangs");
const P99_TRANSFER: Figure = latency("p99 while another client transfers 20 MB");

const fn latency(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "µs", better: Better::Less }
}

/// What one row of calls took, in microseconds, and all of them together.
pub(crate) struct Calls {
    pub(crate) each_us: Vec<f64>,
    elapsed: Duration,
}

pub(crate) fn measure(
    plan: &Plan,
    others: &mut [Runtime],
    report: &mut Report,
) -> anyhow::Result<()> {
    let config = format!(
        "[plc]\nstart_timeout_ms = {0}\nstop_timeout_ms = {0}\nrestart = \"never\"\n",
        plan.hang.as_millis()
    );
    let mut ours = Runtime::ours("ours", &config)?;
    if let Some(other) = others.first() {
        report.note(format!(
            "status of {} and others while a start or stop hangs left out: only a runtime with deadlines survives that",
            other.name
        ));
    }
    for round in 0..plan.rounds {
        for runtime in std::iter::once(&mut ours).chain(&mut *others) {
            plan.progress(ROW, round, &runtime.name);
            let (name, whose) = (runtime.name.clone(), runtime.whose());
            let result = alone(plan, runtime, report);
            report.unless_others("status", &name, whose, result)?;
            let result = while_transferring(round, plan, runtime);
            if let Some(p99) = report.unless_others(P99_TRANSFER.name, &name, whose, result)? {
                report.add(P99_TRANSFER, &name, whose, p99);
            }
        }
        while_hanging(plan, &mut ours, report)?;
    }
    Ok(())
}

/// With a program running and nobody else there.
fn alone(plan: &Plan, runtime: &mut Runtime, report: &mut Report) -> anyhow::Result<()> {
    let whose = runtime.whose();
    let mut calls = runtime.run(gauge::PROGRAM, |runtime| {
        let end = Instant::now() + plan.status;
        status_calls(&mut runtime.client, || Instant::now() < end)
    })?;
    let per_second = number(calls.each_us.len()) / calls.elapsed.as_secs_f64();
    report.add(CALLS, &runtime.name, whose, per_second);
    report.add(P50, &runtime.name, whose, percentile(&mut calls.each_us, 50));
    report.add(P99, &runtime.name, whose, percentile(&mut calls.each_us, 99));
    Ok(())
}

fn while_transferring(round: u32, plan: &Plan, runtime: &mut Runtime) -> anyhow::Result<f64> {
    let mut second = runtime.second_client()?;
    let library = transfer::padded(&programs::bytes(transfer::PROGRAM), plan.transfer_bytes, round);
    let md5 = runtime.forget_program(&library);
    let (mut calls, _) = while_busy(&mut runtime.client, || second.install(&md5, &library))?;
    Ok(percentile(&mut calls.each_us, 99))
}

fn while_hanging(plan: &Plan, ours: &mut Runtime, report: &mut Report) -> anyhow::Result<()> {
    let mut second = ours.second_client()?;
    ours.install("hang_start")?;
    let p99 = hanging(plan, &mut ours.client, || second.start()).context("a hanging start")?;
    report.add(P99_START, &ours.name, Whose::Ours, p99);
    ours.install("hang_stop")?;
    ours.start()?;
    let p99 = hanging(plan, &mut ours.client, || second.stop()).context("a hanging stop")?;
    report.add(P99_STOP, &ours.name, Whose::Ours, p99);
    Ok(())
}

/// The p99 while a call hangs until its deadline ends it. What it is answered then does not matter here.
fn hanging(
    plan: &Plan,
    client: &mut Client,
    call: impl FnOnce() -> anyhow::Result<()> + Send,
) -> anyhow::Result<f64> {
    let (mut calls, busy) = while_busy(client, || {
        let _ = call();
        Ok(())
    })?;
    ensure!(busy >= plan.hang, "it came back after {busy:?} and did not hang");
    Ok(percentile(&mut calls.each_us, 99))
}

/// Status calls while another thread does something; how long that took.
fn while_busy(
    client: &mut Client,
    work: impl FnOnce() -> anyhow::Result<()> + Send,
) -> anyhow::Result<(Calls, Duration)> {
    thread::scope(|scope| {
        let begin = Instant::now();
        let worker = scope.spawn(work);
        let calls = status_calls(client, || !worker.is_finished());
        worker.join().ok().context("the other client failed")??;
        Ok((calls?, begin.elapsed()))
    })
}

pub(crate) fn status_calls(
    client: &mut Client,
    mut go_on: impl FnMut() -> bool,
) -> anyhow::Result<Calls> {
    let mut each_us = Vec::new();
    let begin = Instant::now();
    while go_on() {
        let call = Instant::now();
        client.status()?;
        each_us.push(call.elapsed().as_secs_f64() * 1e6);
    }
    Ok(Calls { each_us, elapsed: begin.elapsed() })
}
