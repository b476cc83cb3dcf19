// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: that of the reference runtime's `Beremiz_service.py`, and a few long options of our own.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgAction, Parser};

const AFTER_HELP: &str = "\
With DIR the PLC lives there: its program, its retained variables and, if there
is one, the configuration plc-runtime.toml. Without DIR it lives in a scratch
directory that is removed at the end, with a sample program that runs at once.

The working directory is printed on stdout when an IDE may connect. Ctrl-C stops
the PLC and ends.

To let an IDE use it for LOCAL://, start the IDE with
BEREMIZPYTHONPATH=/usr/bin/plc-local in its environment.

The options of Beremiz_service.py are accepted; -n -x -t -w -c -s -e and the
status change commands have no effect here.";

/// Run a PLC on this desk: no root, no services, ended with Ctrl-C
#[derive(Debug, Parser)]
#[command(name = "plc-local", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(args_override_self = true)]
pub(crate) struct Args {
    /// Port for the IDE; 0 takes a free one and says which
    #[arg(short, long, value_name = "PORT", default_value = "3000", value_parser = trimmed::<u16>)]
    pub(crate) port: u16,

    /// Address or name of the interface for the IDE
    #[arg(short, long, value_name = "IP", default_value = "127.0.0.1", value_parser = trimmed::<String>)]
    pub(crate) interface: String,

    /// Start the installed program at once: 0 or 1
    #[arg(short, value_name = "0|1", default_value = "0", value_parser = trimmed::<u8>)]
    pub(crate) autostart: u8,

    /// Install and start this program
    #[arg(long, value_name = "FILE.so")]
    pub(crate) program: Option<PathBuf>,

    /// Without DIR: install no sample program
    #[arg(long)]
    pub(crate) no_sample: bool,

    /// Let IDEs come by WAMP too, without a router; 0 takes a free port and says which [port if none is given: 8888]
    #[arg(
        long,
        value_name = "PORT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "8888",
        value_parser = trimmed::<u16>
    )]
    pub(crate) wamp: Option<u16>,

    /// Say also what is of no consequence
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Where the PLC lives
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) supervisor: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) worker: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) pyro: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "PATH")]
    pub(crate) wamp_connector: Option<PathBuf>,

    #[command(flatten)]
    historical: Historical,

    /// An IDE started us in place of the reference runtime. It shows all that we write as warnings, beside the
    /// PLC log that it reads anyway.
    #[arg(skip)]
    pub(crate) for_ide: bool,
}

/// Options of the reference runtime that mean nothing here.
#[derive(Debug, clap::Args)]
struct Historical {
    #[arg(short = 'n', hide = true, allow_hyphen_values = true)]
    name: Vec<String>,
    #[arg(short = 'x', hide = true, allow_hyphen_values = true)]
    taskbar: Vec<String>,
    #[arg(short = 't', hide = true, allow_hyphen_values = true)]
    web: Vec<String>,
    #[arg(short = 'w', hide = true, allow_hyphen_values = true)]
    web_port: Vec<String>,
    #[arg(short = 'c', hide = true, allow_hyphen_values = true)]
    wamp_settings: Vec<String>,
    #[arg(short = 's', hide = true, allow_hyphen_values = true)]
    psk: Vec<String>,
    #[arg(short = 'e', hide = true, allow_hyphen_values = true, action = ArgAction::Append)]
    extension: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    status_change: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    on_plc_start: Vec<String>,
    #[arg(long, hide = true, allow_hyphen_values = true)]
    on_plc_stop: Vec<String>,
}

impl Args {
    /// Notes about options that were given and have no effect: always about those somebody may rely on, about
    /// the rest when asked to be verbose.
    pub(crate) fn notes(&self) -> Vec<String> {
        let old = &self.historical;
        let on = |values: &[String]| values.iter().any(|value| value.trim() != "off");
        let relied_upon = [
            ("-n", on(&old.name), "this PLC is not announced on the network"),
            (
                "-c",
                on(&old.wamp_settings),
                "a router is set in [wamp] of DIR/plc-runtime.toml, see plcctl check; --wamp needs none",
            ),
            ("-s", on(&old.psk), "the IDE port of the desk has no keys"),
            ("-e", on(&old.extension), "Python extensions are not run"),
            ("--status-change", on(&old.status_change), "no command is run"),
            ("--on-plc-start", on(&old.on_plc_start), "no command is run"),
            ("--on-plc-stop", on(&old.on_plc_stop), "no command is run"),
        ];
        let harmless = [
            ("-x", on(&old.taskbar), "there is no icon"),
            ("-t", on(&old.web), "there is no web page"),
            ("-w", on(&old.web_port), "there is no web page"),
        ];
        let harmless = harmless.into_iter().filter(|_| self.verbose);
        relied_upon
            .into_iter()
            .chain(harmless)
            .filter(|(_, given, _)| *given)
            .map(|(option, _, effect)| format!("{option} has no effect: {effect}"))
            .collect()
    }
}

/// Reads the command line, or ends the process with help or a message.
pub(crate) fn from_command_line(line: impl Iterator<Item = OsString>) -> Args {
    let (line, for_ide) = without_script(line);
    Args { for_ide, ..Args::parse_from(line) }
}

/// The line without the script's path, which an IDE puts first because it believes us a Python interpreter; and
/// whether it was there.
fn without_script(line: impl Iterator<Item = OsString>) -> (Vec<OsString>, bool) {
    let mut line: Vec<OsString> = line.collect();
    let script = |argument: &OsString| argument.as_encoded_bytes().ends_with(b"Beremiz_service.py");
    let for_ide = line.get(1).is_some_and(script);
    if for_ide {
        line.remove(1);
    }
    (line, for_ide)
}

/// Reads a value that may have blanks around it: the IDE passes `-x 0` as one argument.
fn trimmed<T: std::str::FromStr>(text: &str) -> Result<T, T::Err> {
    text.trim().parse()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::completions;

    fn parsed(line: &[&str]) -> Args {
        let line = ["plc-local"].iter().chain(line).map(OsString::from);
        Args::try_parse_from(without_script(line).0).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn shells_complete_what_the_command_line_takes() {
        // What `--help` hides is not suggested either.
        let all = Args::command();
        let shown = all.get_arguments().filter(|argument| !argument.is_hide_set()).cloned();
        completions::are_current(clap::Command::new("plc-local").version("0").args(shown));
    }

    #[test]
    fn the_command_line_of_an_ide_is_understood() {
        let args = parsed(&[
            "/opt/beremiz/Beremiz_service.py",
            "-p",
            "61200",
            "-i",
            "127.0.0.1",
            "-x 0",
            "/tmp/tmpabc",
        ]);
        assert_eq!(args.port, 61_200);
        assert_eq!(args.dir, Some(PathBuf::from("/tmp/tmpabc")));
        assert!(args.notes().is_empty(), "an IDE's log stays quiet");
    }

    #[test]
    fn an_option_and_its_value_may_be_one_argument_or_two() {
        for line in [&["-x", "0"][..], &["-x0"], &["-x 0"]] {
            assert_eq!(parsed(line).dir, None, "{line:?}");
        }
        assert_eq!(parsed(&["-p4000"]).port, 4000);
        assert_eq!(parsed(&["-p 4000"]).port, 4000);
        assert_eq!(parsed(&["-a 1"]).autostart, 1);
    }

    #[test]
    fn every_option_of_the_reference_runtime_is_accepted() {
        let line =
            "-n plc -i localhost -p 3001 -x 1 -t 0 -a 1 -w off -c off -s /k -e /a.py -e /b.py dir";
        let args = parsed(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(args.interface, "localhost");
        assert_eq!(args.autostart, 1);
        assert_eq!(args.dir, Some(PathBuf::from("dir")));
        let notes = args.notes().join("\n");
        assert!(notes.contains("-s has no effect"), "{notes}");
        assert!(!notes.contains("-c has"), "WAMP was off: {notes}");
    }

    #[test]
    fn the_port_for_wamp_is_there_when_asked_for() {
        assert_eq!(parsed(&["dir"]).wamp, None);
        let args = parsed(&["--wamp", "dir"]);
        assert_eq!((args.wamp, args.dir), (Some(8888), Some(PathBuf::from("dir"))));
        assert_eq!(parsed(&["--wamp=0"]).wamp, Some(0));
        let notes = parsed(&["-c", "wampconf.json"]).notes().join("\n");
        assert!(notes.contains("-c has no effect") && notes.contains("--wamp"), "{notes}");
    }

    #[test]
    fn the_script_is_a_script_only_where_an_interpreter_expects_it() {
        let args = parsed(&["-p", "1", "/home/me/Beremiz_service.py"]);
        assert_eq!(args.dir, Some(PathBuf::from("/home/me/Beremiz_service.py")));
    }

    #[test]
    fn the_last_of_repeated_options_counts() {
        assert_eq!(parsed(&["-p", "1", "-p", "2"]).port, 2);
        assert_eq!(parsed(&["-n", "a", "-n", "b"]).notes().len(), 1);
    }
}
