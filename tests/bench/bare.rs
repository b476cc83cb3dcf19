// SPDX-License-Identifier: MIT OR Apache-2.0
//! `tests/programs/bare_loader.c`: the least that can run a program, under `SCHED_FIFO` if that is permitted.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use plc_tests::programs;
use serde::Deserialize;

use crate::{
    erpc::Sample,
    gauge::{PROGRAM, Traced, VARIABLES},
    rows::FIFO_PRIORITY,
};

/// What the loader forces the program's RESET to.
pub(crate) const RESET: u32 = 1;

/// The compiled loader.
#[derive(Debug)]
pub(crate) struct BareLoader {
    path: PathBuf,
}

/// What it prints.
#[derive(Debug, Deserialize)]
struct Printed {
    scheduling: String,
    samples: u32,
    first: PrintedSample,
    last: PrintedSample,
}

#[derive(Debug, Deserialize)]
struct PrintedSample {
    tick: u32,
    data: String,
}

impl BareLoader {
    pub(crate) fn compile() -> anyhow::Result<Self> {
        let place = plc_tests::root().join("target/programs");
        fs::create_dir_all(&place)?;
        let path = place.join("bare_loader");
        let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .arg(&path)
            .arg(plc_tests::root().join("tests/programs/bare_loader.c"))
            .args(["-ldl", "-lpthread"])
            .output()
            .context("a C compiler is needed")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bare_loader.c does not compile:\n{words}");
        Ok(Self { path })
    }

    /// Runs the program for a time: its samples, and the name for the figures, which says under which scheduling.
    pub(crate) fn run(&self, duration: Duration) -> anyhow::Result<(Traced, String)> {
        let output = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(&self.path)
            .arg(programs::built(PROGRAM))
            .args(
                [duration.as_millis(), FIFO_PRIORITY.into(), VARIABLES.into()]
                    .map(|n| n.to_string()),
            )
            .stdin(Stdio::null())
            .output()
            .context("setpriv (util-linux) is needed; scripts/need test installs it")?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bare_loader failed: {words}");
        let printed: Printed = serde_json::from_slice(&output.stdout)?;
        let traced =
            Traced::new(&printed.first.try_into()?, &printed.last.try_into()?, printed.samples)?;
        Ok((traced, format!("bare loader, {}", printed.scheduling)))
    }
}

impl TryFrom<PrintedSample> for Sample {
    type Error = anyhow::Error;

    fn try_from(printed: PrintedSample) -> anyhow::Result<Self> {
        let byte = |pair: &[u8]| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
        let data: anyhow::Result<Vec<u8>> = printed.data.as_bytes().chunks(2).map(byte).collect();
        Ok(Self { tick: printed.tick, data: data? })
    }
}
