// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl trace`: variables as they are at the end of every cycle, as a table, JSON or a plot.
//!
//! JSON has one line per sample: `tick`, and `values` by name: booleans, numbers, and text for STRING (as it
//! is) and for TIME, DATE, TOD, DT (IEC literals). A value that the sample does not hold is null. Before a
//! sample that follows a loss there is a line with `dropped`.

mod shown;

use std::{
    fs,
    io::{self, IsTerminal as _},
    time::Duration,
};

use plc_api::{
    client::CallError,
    limits,
    message::{ApiError, Reply, Request},
    plc::{PlcStatus, Stats},
    trace::{TimeLayout, TraceBatch, TraceSample, TraceVariable},
};
use serde_bytes::ByteBuf;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::{
    answer::Answer,
    cli::TraceArgs,
    ending::Ending,
    failure::Failure,
    iec::Value,
    session::{Session, unexpected},
    terminal,
    trace::shown::{Form, Shown},
    variables::{self, Table, Variable},
};

/// How often samples are fetched; the IDE's own period.
const POLL: Duration = Duration::from_millis(100);
const WAITING: &str = "the PLC does not run; waiting for its start";
/// Variables that one plot can show.
const PLOT_VARIABLES: usize = 16;

/// What is to be traced, checked as far as it can be without the runtime.
#[derive(Debug)]
pub(crate) struct Plan {
    /// In ascending index, as samples hold them.
    variables: Vec<Variable>,
    /// What each of them is forced to.
    forces: Vec<Option<Value>>,
    form: Form,
    window: f64,
    count: Option<u64>,
    duration: Option<Duration>,
}

impl Plan {
    /// Finds the variables.
    ///
    /// # Errors
    /// [`Failure::Usage`] for what the command line got wrong, [`Failure::Failed`] for a table that cannot be read.
    pub(crate) fn new(args: &TraceArgs, json: bool) -> Result<Self, Failure> {
        let table = match &args.table {
            None => Table::default(),
            Some(path) => {
                let bytes = fs::read(path).map_err(|error| {
                    Failure::Failed(format!("cannot read {}: {error}", path.display()))
                })?;
                Table::read(&String::from_utf8_lossy(&bytes))?
            }
        };
        let entries = entries(&table, args)?;
        let form = match (json, args.plot, io::stdout().is_terminal()) {
            (true, true, _) => {
                return usage("--plot draws, --json does not: leave one of them out");
            }
            (true, false, _) => Form::Json,
            (false, true, true) => Form::LivePlot,
            (false, true, false) => Form::LastPlot,
            (false, false, _) => Form::Table,
        };
        if args.plot && entries.len() > PLOT_VARIABLES {
            return usage(&format!("a plot has room for {PLOT_VARIABLES} variables"));
        }
        let (variables, forces) = entries.into_iter().unzip();
        Ok(Self {
            variables,
            forces,
            form,
            window: args.window,
            count: args.count,
            duration: args.duration.map(Duration::from_secs_f64),
        })
    }

    /// How the program keeps times; `None`: not known before a program is loaded.
    fn times(&self, stats: &Stats, status: PlcStatus) -> Result<Option<TimeLayout>, Failure> {
        match stats.time_bytes {
            // A runtime that does not say runs programs from before there was a difference.
            0 => Ok((status == PlcStatus::Started).then_some(TimeLayout::TWO_LONGS)),
            bytes => match TimeLayout::from_bytes(bytes) {
                None if self.variables.iter().any(|variable| variable.iec_type.is_time()) => {
                    Err(Failure::Failed(format!(
                        "a TIME of this program has {bytes} bytes, which plcctl does not know; \
                         leave out what is of type TIME, DATE, TOD or DT"
                    )))
                }
                known => Ok(known),
            },
        }
    }

    /// The list for a program that keeps times so. Without knowing it nothing is forced to a time: bytes of another
    /// program's form would be another time.
    fn list(&self, times: Option<TimeLayout>) -> Result<Vec<TraceVariable>, Failure> {
        let entries = self.variables.iter().zip(&self.forces);
        let entry = |(variable, force): (&Variable, &Option<Value>)| {
            let waits = times.is_none() && variable.iec_type.is_time();
            let value = force.as_ref().filter(|_| !waits);
            let bytes = value.map(|value| {
                variable.iec_type.encode(value, times.unwrap_or(TimeLayout::TWO_LONGS)).map_err(
                    |error| {
                        Failure::Usage(format!(
                            "{} cannot be forced: {value} {error}",
                            variable.name
                        ))
                    },
                )
            });
            Ok(TraceVariable {
                index: variable.index,
                force: bytes.transpose()?.map(ByteBuf::from),
            })
        };
        entries.map(entry).collect()
    }
}

fn usage<T>(text: &str) -> Result<T, Failure> {
    Err(Failure::Usage(text.to_owned()))
}

/// A variable and, if it is forced, what to.
type Entry = (Variable, Option<Value>);

/// Every variable once, in ascending index.
fn entries(table: &Table, args: &TraceArgs) -> Result<Vec<Entry>, Failure> {
    let mut entries: Vec<Entry> = Vec::new();
    for text in &args.force {
        let (variable, value) = variables::forced(table, text)?;
        if entries.iter().any(|(known, _)| known.index == variable.index) {
            return usage(&format!("{} is forced twice", variable.name));
        }
        entries.push((variable, Some(value)));
    }
    for text in &args.variables {
        let variable = table.find(text)?;
        match entries.iter().find(|(known, _)| known.index == variable.index) {
            None => entries.push((variable, None)),
            Some((known, _)) if known.iec_type == variable.iec_type => (),
            Some((known, _)) => {
                return usage(&format!(
                    "{} and {} are one variable with two types",
                    known.name, variable.name
                ));
            }
        }
    }
    if entries.is_empty() {
        return usage("name at least one variable, as INDEX:TYPE; see plcctl trace --help");
    }
    if entries.len() > limits::TRACE_VARIABLES {
        return usage("these are more variables than the runtime can trace");
    }
    entries.sort_by_key(|(variable, _)| variable.index);
    Ok(entries)
}

pub(crate) async fn run(session: &Session, answer: &mut Answer, plan: Plan) -> Result<(), Failure> {
    let stats = stats(session).await?;
    warn_of_takeover(&stats);
    // From before anything is forced, so that no signal leaves it so.
    let mut ending = Ending::listen()?;
    let shown = Shown::new(&plan.variables, plan.form, plan.window, stats.period_ns);
    let mut tracer = Tracer {
        session,
        shown,
        token: 0,
        times: TimeLayout::TWO_LONGS,
        status: session.snapshot().status,
        program: program_now(session),
        left: plan.count.unwrap_or(u64::MAX),
        plan,
    };
    tracer.set_list(&stats).await?;
    if tracer.status != PlcStatus::Started {
        tracer.shown.note(WAITING);
    }
    let result = tracer.follow(answer, &mut ending).await;
    let finished = tracer.shown.finish(answer);
    if !matches!(result, Ok(End::TakenOver | End::OtherProgram)) {
        // Forced variables are released and sampling ends with an empty list; what became of the
        // trace is told by `result`, whether or not this still gets through.
        let _ = session.ask(Request::SetTrace(Vec::new())).await;
    }
    finished?;
    match result? {
        End::Reached => Ok(()),
        End::TakenOver => Err(Failure::Failed(
            "another client has taken over debugging; variables forced here are no longer ours"
                .into(),
        )),
        End::OtherProgram => Err(Failure::Failed(
            "another program was installed: the variables traced and forced here were those of the one before; \
             start the trace again"
                .into(),
        )),
        End::Broken => Err(Failure::Failed(format!(
            "the PLC is broken{}",
            session
                .snapshot()
                .reason
                .as_ref()
                .map_or(String::new(), |reason| format!(": {}", terminal::printable(reason, 4)))
        ))),
    }
}

async fn stats(session: &Session) -> Result<Stats, Failure> {
    let Reply::Stats(stats) = session.call(Request::Stats).await? else {
        return Err(unexpected());
    };
    Ok(*stats)
}

/// There is one debugger at a time; who else is connected may have been it.
fn warn_of_takeover(stats: &Stats) {
    let others: Vec<String> = stats
        .connections
        .iter()
        .filter(|connection| !["plcctl", "plc-local"].contains(&connection.connector.as_str()))
        .map(|connection| format!("{} ({})", connection.peer, connection.connector))
        .collect();
    if !others.is_empty() {
        let others = terminal::printable(&others.join(", "), 0);
        terminal::note(&format!(
            "this takes debugging from whoever has it now; connected are: {others}"
        ));
    }
}

async fn set(session: &Session, list: &[TraceVariable]) -> Result<u32, Failure> {
    let Reply::Token(token) = session.call(Request::SetTrace(list.to_vec())).await? else {
        return Err(unexpected());
    };
    Ok(token)
}

/// Why a trace is over.
enum End {
    /// As many samples or as much time as was wanted, or an interrupt.
    Reached,
    TakenOver,
    /// What was traced is no longer installed.
    OtherProgram,
    Broken,
}

/// The id of the installed program.
fn program_now(session: &Session) -> Option<String> {
    session.snapshot().program.as_ref().map(|program| program.id.clone())
}

struct Tracer<'a> {
    session: &'a Session,
    shown: Shown,
    token: u32,
    /// How the program keeps times.
    times: TimeLayout,
    status: PlcStatus,
    /// The id of the program that has the list.
    program: Option<String>,
    /// Samples still to be shown.
    left: u64,
    plan: Plan,
}

impl Tracer<'_> {
    async fn follow(&mut self, answer: &mut Answer, ending: &mut Ending) -> Result<End, Failure> {
        let begin = Instant::now();
        let far = Duration::from_secs(31_536_000);
        let end = begin + self.plan.duration.unwrap_or(far);
        let mut poll = interval(POLL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = ending.asked() => return Ok(End::Reached),
                () = sleep_until(end) => return Ok(End::Reached),
                _ = poll.tick() => (),
            }
            if let Some(end) = self.fetch(answer).await? {
                return Ok(end);
            }
        }
    }

    /// Fetches and shows all samples there are.
    async fn fetch(&mut self, answer: &mut Answer) -> Result<Option<End>, Failure> {
        loop {
            let Some(batch) = self.read().await? else {
                let same = self.program == program_now(self.session);
                return Ok(Some(if same { End::TakenOver } else { End::OtherProgram }));
            };
            if batch.dropped > 0 {
                self.shown.dropped(answer, batch.dropped)?;
            }
            for sample in &batch.samples {
                let values = self.decode(sample);
                self.shown.add(answer, sample.tick, &values)?;
                self.left -= 1;
                if self.left == 0 {
                    return Ok(Some(End::Reached));
                }
            }
            if !batch.more {
                self.shown.pause(answer)?;
                return self.follow_status(batch.status).await;
            }
        }
    }

    async fn read(&mut self) -> Result<Option<TraceBatch>, Failure> {
        let max_bytes = u32::try_from(limits::TRACE_REPLY_BYTES).unwrap_or(u32::MAX);
        let request = Request::ReadTrace { token: Some(self.token), max_bytes };
        match self.session.ask(request).await {
            Ok(Reply::Trace(batch)) => Ok(Some(batch)),
            Ok(_) => Err(unexpected()),
            Err(CallError::Api(ApiError::TokenLost)) => Ok(None),
            Err(error) => Err(self.session.failure(error)),
        }
    }

    /// Gives the list to the program, in the form of that program.
    async fn set_list(&mut self, stats: &Stats) -> Result<(), Failure> {
        let times = self.plan.times(stats, self.status)?;
        self.times = times.unwrap_or(TimeLayout::TWO_LONGS);
        self.token = set(self.session, &self.plan.list(times)?).await?;
        Ok(())
    }

    /// A program forgets its trace list when it ends, so one that was started again gets it again. Another one does not:
    /// its variables have other indexes.
    async fn follow_status(&mut self, status: PlcStatus) -> Result<Option<End>, Failure> {
        if self.program != program_now(self.session) {
            return Ok(Some(End::OtherProgram));
        }
        if status == self.status {
            return Ok(None);
        }
        self.status = status;
        match status {
            PlcStatus::Broken => return Ok(Some(End::Broken)),
            PlcStatus::Started => {
                let stats = stats(self.session).await?;
                self.set_list(&stats).await?;
                self.shown.note("the PLC runs");
            }
            PlcStatus::Stopped | PlcStatus::Empty => {
                self.shown.note(WAITING);
            }
        }
        Ok(None)
    }

    /// The values of a sample; those beyond its end are missing.
    fn decode(&mut self, sample: &TraceSample) -> Vec<Option<Value>> {
        let mut rest = sample.data.as_slice();
        let mut cut = false;
        let values = self.plan.variables.iter().map(|variable| {
            let decoded = variable.iec_type.decode(rest, self.times).filter(|_| !cut);
            cut = decoded.is_none();
            let (value, taken) = decoded?;
            rest = rest.get(taken..).unwrap_or_default();
            Some(value)
        });
        let values = values.collect();
        if cut || !rest.is_empty() {
            self.shown.mismatch();
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn plan(line: &[&str]) -> Result<Plan, Failure> {
        let line = ["plcctl", "trace"].iter().chain(line);
        let cli = Cli::try_parse_from(line).unwrap();
        let Verb::Trace(args) = cli.verb else { panic!("not a trace") };
        Plan::new(&args, cli.json)
    }

    #[test]
    fn the_list_is_in_ascending_index_and_holds_what_is_forced() {
        let plan = plan(&["9:INT", "2:BOOL", "--force", "5:INT=258"]).unwrap();
        let list = plan.list(None).unwrap();
        let indexes: Vec<u32> = list.iter().map(|entry| entry.index).collect();
        assert_eq!(indexes, [2, 5, 9]);
        let forced: Vec<_> = list.iter().map(|entry| &entry.force).collect();
        let bytes = ByteBuf::from(258_i16.to_ne_bytes().to_vec());
        assert_eq!(forced, [&None, &Some(bytes), &None]);
    }

    #[test]
    fn a_variable_named_twice_is_traced_once() {
        let list = plan(&["2:BOOL", "2:BOOL", "--force", "2:BOOL=TRUE"]).unwrap();
        assert_eq!(list.variables.len(), 1);
    }

    #[test]
    fn times_are_forced_in_the_form_of_the_program_and_not_before_it_is_known() {
        let plan = plan(&["--force", "2:TIME=T#-1s500ms", "--force", "3:INT=1"]).unwrap();
        let bytes = |times| -> Vec<Option<usize>> {
            let list = plan.list(times).unwrap();
            list.iter().map(|entry| entry.force.as_ref().map(|bytes| bytes.len())).collect()
        };
        assert_eq!(bytes(Some(TimeLayout::Packed)), [Some(12), Some(2)]);
        assert_eq!(bytes(Some(TimeLayout::Long64)), [Some(16), Some(2)]);
        assert_eq!(bytes(None), [None, Some(2)]);
        let says = |time_bytes| Stats { time_bytes, ..Stats::default() };
        let times = |bytes, status| plan.times(&says(bytes), status);
        assert_eq!(times(12, PlcStatus::Stopped).unwrap(), Some(TimeLayout::Packed));
        assert_eq!(times(0, PlcStatus::Stopped).unwrap(), None);
        assert_eq!(times(0, PlcStatus::Started).unwrap(), Some(TimeLayout::TWO_LONGS));
        let unknown = times(24, PlcStatus::Started).unwrap_err().to_string();
        assert!(unknown.contains("24 bytes"), "{unknown}");
    }

    #[test]
    fn a_time_that_the_program_cannot_hold_is_refused() {
        let plan = plan(&["--force", "2:DT=DT#2100-01-01-00:00:00"]).unwrap();
        assert!(plan.list(Some(TimeLayout::Packed)).is_ok());
        let refused = plan.list(Some(TimeLayout::Long32)).unwrap_err();
        assert!(matches!(refused, Failure::Usage(_)), "{refused:?}");
    }

    #[test]
    fn contradictions_are_usage_errors() {
        for line in [
            &[][..],
            &["2:BOOL", "2:INT"],
            &["--force", "2:INT=1", "--force", "2:INT=2"],
            &["2:INT", "--plot", "--json"],
            &["2:INT", "--variables", "/dev/null"],
        ] {
            let result = plan(line);
            assert!(matches!(result, Err(Failure::Usage(_))), "{line:?}");
        }
    }
}
