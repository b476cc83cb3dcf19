// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make bench`: figures of a fresh runtime, and beside it, in the same run and in turn with it, of others.
//!
//! Everything is asked for over eRPC, as an IDE asks, so that any runtime can be measured that IDEs since 2024
//! connect to. `rows.rs` holds what is measured, one file each; `erpc.rs` the client, `runtime.rs` the runtimes,
//! `report.rs` the table and the JSON.
#![forbid(unsafe_code)]

mod attack;
mod bare;
mod erpc;
mod figures;
mod fleet;
mod gauge;
mod load;
mod memory;
mod report;
mod restart;
mod rows;
mod runtime;
mod start;
mod status;
mod tls;
mod trace;
mod transfer;
mod wakeup;

use std::{fs, path::PathBuf, process::ExitCode, time::Instant};

use anyhow::Context as _;
use clap::{Parser, ValueEnum as _};

use report::Report;
use rows::{Plan, Row};
use runtime::{Against, Runtime};
use start::{ByCommand, Elsewhere, Starts};

const AFTER_HELP: &str = "\
Each round measures every runtime in turn; the table shows the median over the
rounds, the smallest and the largest value, and how many times ours it is.
Progress goes to standard error.

Another runtime must run already and accept eRPC, as those for IDEs since 2024
do. ITS PLC PROGRAM IS REPLACED, started, and left stopped. pid= is its first
process; it is needed for the row memory alone, for which it should be freshly
started. header= is 6 for erpc 1.12 and later, 4 for those before. clients=many
says that it serves several clients at once.

For the row start another runtime must not run yet. COMMAND, as for a shell, starts
it so that it runs its installed program at once, with DIR as the program's
working directory. It is started once beforehand to be given that program:
  --against-start '127.0.0.1:3001,dir=/tmp/plc,name=Beremiz_service
                   python3 Beremiz_service.py -p 3001 -x 0 -a 1 /tmp/plc'
Starts of ours that were measured elsewhere, such as those of the service in a
machine of its own, are printed beside: --started 'appliance=180.2,175.9'

Nothing else should run on the machine meanwhile.";

/// Measure the runtime, alone or beside others
#[derive(Debug, Parser)]
#[command(name = "bench", after_help = AFTER_HELP)]
struct Args {
    /// Another runtime to measure; may be given several times
    #[arg(long, value_name = "HOST:PORT[,pid=PID][,name=TEXT][,header=4|6][,clients=many]")]
    against: Vec<Against>,

    /// Another runtime to start, in the row start; may be given several times
    #[arg(long, value_name = "HOST:PORT,dir=DIR[,name=TEXT][,header=4|6] COMMAND")]
    against_start: Vec<ByCommand>,

    /// Starts of ours in milliseconds, for the row start; may be given several times
    #[arg(long, value_name = "NAME=MS[,MS]...")]
    started: Vec<Elsewhere>,

    /// How often everything is measured [default: 3, or 1 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// Measure these alone
    #[arg(long, value_name = "ROW", value_enum, value_delimiter = ',')]
    only: Vec<Row>,

    /// A short look, not for figures to be quoted
    #[arg(long)]
    quick: bool,

    /// Write JSON to a file; with `-` to standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let mut plan = if args.quick { Plan::QUICK } else { Plan::FULL };
    plan.rounds = args.rounds.unwrap_or(plan.rounds);
    let rows = if args.only.is_empty() { Row::value_variants() } else { &args.only };
    let begin = Instant::now();
    let others: anyhow::Result<Vec<Runtime>> =
        args.against.iter().cloned().map(Runtime::other).collect();
    let mut others = others?;
    let starts = Starts { others: args.against_start.clone(), elsewhere: args.started.clone() };
    let mut report = Report::default();
    for row in rows {
        row.measure(&plan, &mut others, &starts, &mut report)?;
    }
    eprintln!("bench: done in {:.0} s", begin.elapsed().as_secs_f64());
    let json = || serde_json::to_string_pretty(&report.json(plan.rounds, args.quick));
    match &args.json {
        Some(path) if path.as_os_str() == "-" => println!("{}", json()?),
        Some(path) => {
            print!("{}", report.table());
            fs::write(path, json()? + "\n")
                .with_context(|| format!("{} cannot be written", path.display()))?;
        }
        None => print!("{}", report.table()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_understood() {
        Args::command().debug_assert();
        let line = "bench --only trace,wakeup --against 127.0.0.1:1,pid=2 --against 127.0.0.1:3";
        let args = Args::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(args.only, [Row::Trace, Row::Wakeup]);
        assert_eq!(args.against.len(), 2);
        assert!(Args::try_parse_from(["bench", "--only", "nothing"]).is_err());
    }
}
