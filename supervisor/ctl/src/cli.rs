// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be written on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use plc_api::{
    limits::{PAIRING_SECONDS, PAIRING_STANDARD},
    log::LogLevel,
    paths::{DEFAULT_INSTANCE, Paths},
};

/// Names the API socket when `--socket` is not given.
const SOCKET_VARIABLE: &str = "PLC_RUNTIME_SOCKET";

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed: it was tried and could not be done
  2  usage: the command line is wrong
  3  refused: not possible in the PLC's present state; the message names the next step
  4  unreachable: the runtime does not run, or this user may not reach it

Environment:
  PLC_RUNTIME_SOCKET  the API socket, unless --socket names one
  NO_COLOR            no colours, whatever the terminal can do

With --json every answer is one JSON object, or one per line where values follow
each other; each carries \"format\": 1. The answer goes to stdout, messages go to
stderr.";

/// Operate a PLC: see how it is, start, stop, install programs, read its log, watch its variables.
#[derive(Debug, Parser)]
#[command(name = "plcctl", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// The runtime's API socket [default: $PLC_RUNTIME_SOCKET or /run/plc-runtime/api.sock]
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Answer in JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) verb: Verb,
}

impl Cli {
    /// The socket to use: option, environment, default.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket
            .clone()
            .or_else(|| {
                std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
            })
            .unwrap_or_else(|| Paths::of_instance(DEFAULT_INSTANCE).api_socket())
    }
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Show the state of the PLC, and why it is as it is
    Status(StatusArgs),
    /// Run the installed program
    Start,
    /// Stop the program
    Stop,
    /// Install a program that the IDE has built
    Install(InstallArgs),
    /// Go back to the program before the installed one
    Rollback,
    /// Stop the PLC and forget its program, so that a new one can be installed
    Repair(RepairArgs),
    /// Read the PLC log
    Log(LogArgs),
    /// Watch, plot and force variables of the running program
    Trace(TraceArgs),
    /// Show figures: cycles, their period and cost, trace, connections
    Stats,
    /// Examine machine and runtime, and measure how late a cycle wakes up
    Check(CheckArgs),
    /// Try what is installed here, with a second PLC of its own
    Selftest(SelftestArgs),
    /// Have the configuration and the keys read again; an installed upgrade takes over if it can
    Reload,
    /// Let IDEs learn the device's key, for a while
    Pair(PairArgs),
    /// Make, list and revoke keys of IDEs
    Psk(PskArgs),
}

/// `plcctl pair`
#[derive(Debug, Args)]
#[command(after_help = "\
An IDE that connects without TLS meanwhile is told the device's key, keeps it in
its project, and connects with it over the network from then on. Whoever reaches
that port is told: it is open on this machine alone.

Example:
  plcctl pair --seconds 120")]
pub(crate) struct PairArgs {
    /// For how long; it ends by itself
    #[arg(long, value_name = "N", default_value_t = PAIRING_STANDARD, value_parser = pairing_seconds())]
    pub(crate) seconds: u32,
}

/// `plcctl psk`
#[derive(Debug, Args)]
pub(crate) struct PskArgs {
    #[command(subcommand)]
    pub(crate) verb: PskVerb,
}

/// What is to be done about keys.
#[derive(Debug, Subcommand)]
pub(crate) enum PskVerb {
    /// Make a key, and show what goes into an IDE and into stunnel
    Add(AddKeyArgs),
    /// Take the keys of a file of an IDE, of stunnel or of another runtime
    Import(ImportKeysArgs),
    /// Write a key to a file as IDEs and stunnel read it; for root
    Export(ExportKeyArgs),
    /// List the keys: whose, what for, since when, in which file
    List,
    /// Take a key away and end the connections that were made with it; the device's is replaced
    Revoke(KeyArgs),
    /// Show a key as when it was made; for root
    Show(KeyArgs),
}

/// `plcctl psk add`
#[derive(Debug, Args)]
pub(crate) struct AddKeyArgs {
    /// Whose: 1 to 64 letters, digits, '_' and '-'
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// Take the secret from this file, - for standard input: 16 to 512 characters without blanks [default: a new one]
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

/// `plcctl psk import`
#[derive(Debug, Args)]
#[command(after_help = "\
The file holds lines ID:secret, as the one in which a Beremiz of 1.5 or 1.6 keeps
its own key and which it exports, psk/ID.secret of a project, and psk.txt of
stunnel and of Beremiz_service. All of its keys are taken, or none.

Example:
  plcctl psk import ~/.local/share/beremiz/keystore/own/default.psk")]
pub(crate) struct ImportKeysArgs {
    /// The file, - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `plcctl psk export`
#[derive(Debug, Args)]
#[command(after_help = "\
The file gets one line ID:secret, and is for your user alone. An IDE looks for it
as psk/ID.secret in the project's directory, stunnel where PSKsecrets says; one of
1.5 or 1.6 also takes it for its own key. A file that is there is never replaced.

Example:
  sudo plcctl psk export anna anna.secret")]
pub(crate) struct ExportKeyArgs {
    /// Whose
    #[arg(value_name = "ID")]
    pub(crate) id: String,

    /// The file, - for standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// The key that is meant.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// Whose
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

fn pairing_seconds() -> clap::builder::RangedI64ValueParser<u32> {
    let (least, most) = PAIRING_SECONDS.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}

/// `plcctl status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Go on and tell every change, until interrupted
    #[arg(long)]
    pub(crate) watch: bool,
}

/// `plcctl install`
#[derive(Debug, Args)]
#[command(after_help = "\
The extra files lie beside the program when it runs. Of a directory its files are
taken, not the directories in it. A running PLC is not touched unless --restart
is given.

Example:
  plcctl install build/project.so --extra project_files --restart")]
pub(crate) struct InstallArgs {
    /// The shared object that the IDE's build has made
    #[arg(value_name = "PROGRAM.so")]
    pub(crate) program: PathBuf,

    /// A file that the program needs, or a directory of such files; may be repeated
    #[arg(long, value_name = "FILE_OR_DIR")]
    pub(crate) extra: Vec<PathBuf>,

    /// The IDE's name for this build, 32 hexadecimal digits [default: MD5 of PROGRAM.so]
    #[arg(long, value_name = "HEX")]
    pub(crate) md5: Option<String>,

    /// If a program runs: stop it, install, start the new one
    #[arg(long)]
    pub(crate) restart: bool,
}

/// `plcctl repair`
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// Do not ask; needed where nobody can be asked
    #[arg(long)]
    pub(crate) yes: bool,
}

/// `plcctl log`
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Only messages of this level; may be repeated
    #[arg(long, value_name = "LEVEL")]
    pub(crate) level: Vec<Level>,

    /// Go on and show new messages, until interrupted
    #[arg(long)]
    pub(crate) follow: bool,

    /// Only the newest N messages [default: all that are kept, 10 with --follow]
    #[arg(long, value_name = "N")]
    pub(crate) lines: Option<usize>,

    /// Empty the log
    #[arg(long, conflicts_with_all = ["level", "follow", "lines"])]
    pub(crate) reset: bool,
}

/// A level's name on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Level {
    Critical,
    Warning,
    Info,
    Debug,
}

impl From<Level> for LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Critical => Self::Critical,
            Level::Warning => Self::Warning,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
        }
    }
}

/// `plcctl trace`
#[derive(Debug, Args)]
#[command(after_help = "\
A variable is INDEX:TYPE, its number in the program's debug table and its IEC
type, as in 12:INT. With --variables it may be a name, or the end of one if that
is unique: INSTANCE0.COUNTER. FILE is the VARIABLES.csv of the IDE's build
directory, or lines of the form index;name;type.

Types: BOOL SINT INT DINT LINT USINT UINT UDINT ULINT BYTE WORD DWORD LWORD REAL
LREAL TIME DATE TOD DT STRING. Values are written as in IEC 61131-3: TRUE, -7,
16#FF, 1.5, T#1h30m, D#2025-01-31, TOD#12:30:00, DT#2025-01-31-12:30:00, 'text'.

There is one debugger at a time: this takes debugging from an IDE, and an IDE may
take it back. Forced variables are released when the command ends.

Examples:
  plcctl trace 3:INT 4:BOOL --count 100
  plcctl trace --variables build/VARIABLES.csv COUNTER --force ENABLE=TRUE --plot")]
pub(crate) struct TraceArgs {
    /// What to watch
    #[arg(value_name = "VARIABLE")]
    pub(crate) variables: Vec<String>,

    /// Hold a variable at a value; may be repeated
    #[arg(long, value_name = "VARIABLE=VALUE")]
    pub(crate) force: Vec<String>,

    /// A table of the program's variables
    #[arg(long = "variables", value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,

    /// End after N samples, one per cycle
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// End after this time
    #[arg(long = "for", value_name = "SECONDS", conflicts_with = "count", value_parser = seconds)]
    pub(crate) duration: Option<f64>,

    /// Draw the values over time
    #[arg(long)]
    pub(crate) plot: bool,

    /// How much time a plot on a terminal shows
    #[arg(long, value_name = "SECONDS", default_value = "10", requires = "plot", value_parser = seconds)]
    pub(crate) window: f64,
}

/// `plcctl check`
#[derive(Debug, Args)]
#[command(after_help = "\
Each line has a verdict, what was seen, and the next step:
  good     as it should be
  improve  it works, and could be better
  problem  it does not work, or not as it is configured
  unknown  it could not be looked at

Nothing is changed, and neither root nor a running runtime is needed; root sees
more, and measures with the priority that the program has. Measure while the
machine is as busy as it will be.

The exit code is 1 when there are problems.

Examples:
  plcctl check --no-latency
  sudo plcctl check --seconds 60")]
pub(crate) struct CheckArgs {
    /// How long to measure the wake-up latency
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,

    /// Measure no wake-up latency
    #[arg(long, conflicts_with = "seconds")]
    pub(crate) no_latency: bool,
}

/// `plcctl selftest`
#[derive(Debug, Args)]
#[command(after_help = "\
A demo program is installed, started, traced, forced, stopped, made to crash and
seen to recover, in a second PLC in a directory of its own that goes afterwards.
It needs no root and no running runtime, and leaves the machine's own PLC alone.

The exit code is 1 when a step failed; then the directory stays.

Example:
  plcctl selftest --dir /var/tmp")]
pub(crate) struct SelftestArgs {
    /// Where that directory is made; programs must be allowed to run there [default: $TMPDIR or /tmp]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// A time a person may mean: above nothing, at most a year.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 31_536_000.0 => Ok(seconds),
        Ok(_) | Err(_) => Err("must be a number of seconds above 0, at most a year".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::completions;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shells_complete_what_the_command_line_takes() {
        completions::are_current(Cli::command());
    }

    #[test]
    fn extra_files_may_stand_before_or_after_the_program() {
        for line in
            ["--extra a --extra b p.so", "p.so --extra a --extra b", "--extra=a p.so --extra=b"]
        {
            let line = ["plcctl", "install"].into_iter().chain(line.split(' '));
            let Verb::Install(args) = Cli::try_parse_from(line).unwrap().verb else {
                unreachable!("install")
            };
            assert_eq!((args.program, args.extra), ("p.so".into(), vec!["a".into(), "b".into()]));
        }
    }

    #[test]
    fn an_option_may_stand_before_or_after_the_verb() {
        for line in [
            ["plcctl", "--socket", "/x", "--json", "status"],
            ["plcctl", "status", "--json", "--socket", "/x"],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            assert_eq!(cli.socket(), PathBuf::from("/x"));
            assert!(cli.json);
        }
    }

    #[test]
    fn a_time_is_a_positive_number_of_seconds() {
        for bad in ["0", "-1", "nan", "inf", "1e9", "soon"] {
            assert!(seconds(bad).is_err(), "{bad} was accepted");
        }
        assert_eq!(seconds("0.5"), Ok(0.5));
    }
}
