// SPDX-License-Identifier: MIT OR Apache-2.0
//! What clients ask for that changes the disk: from what, how, and what may be found if the supervisor dies meanwhile.

use std::{fs, path::Path};

use plc_api::{
    client::CallError,
    message::{ExtraFile, InstallRequest, Reply, Request, WhenRunning},
    plc::{PlcStatus, Wish},
    program::{BlobId, FileName, ProgramMd5},
};
use plc_tests::{
    api::Api,
    strace::{self, Call, Change},
};

use crate::{
    disk::Event,
    place::{Outcome, Place, install, supervisor},
    programs::{MD5, Program},
};

/// Bytes of one chunk: two of them fill the supervisor's buffer.
const CHUNK: usize = 40_000;

/// One change of the disk.
pub(crate) struct Scenario {
    /// The state before.
    pub(crate) base: Place,
    /// What the client asks.
    pub(crate) act: fn(&mut Asker) -> Result<(), CallError>,
    /// What is found if it did not happen.
    pub(crate) old: Outcome,
    /// What is found if it did.
    pub(crate) new: Outcome,
    /// Whether the first step is the first of the supervisor, or the first after it has greeted the client.
    pub(crate) from_boot: bool,
}

/// What one undisturbed run did.
pub(crate) struct Recording {
    /// Every call of the supervisor on files, in order.
    pub(crate) calls: Vec<Call>,
    /// The first of them that may be disturbed.
    pub(crate) begin: usize,
    /// Those of them that answer a client.
    pub(crate) replies: Vec<usize>,
    /// The changes among them that are to be disturbed: the index of the call, and what it does.
    pub(crate) steps: Vec<(usize, Change)>,
    /// All changes and replies, for [`crate::disk::Disk`].
    pub(crate) events: Vec<Event>,
    /// The first event that is not of the boot.
    pub(crate) first_event: usize,
    /// The current program before and after.
    pub(crate) allowed: Vec<Option<String>>,
}

fn outcome(current: &'static str, before: &'static str, wish: Wish) -> Outcome {
    Outcome { current: Some(current), kept: vec![current, before], wish }
}

/// A PLC with a program that ran once, and two older ones.
pub(crate) fn with_a() -> Place {
    Place::empty().with(|api| {
        for name in ["the oldest", "the older", "A"] {
            install(api, Program::named(name));
        }
        api.start().unwrap();
        api.stop().unwrap();
    })
}

fn with_b() -> Place {
    with_a().with(|api| install(api, Program::named("B")))
}

/// B over A; the fourth program goes.
pub(crate) fn installation() -> Scenario {
    Scenario {
        base: with_a(),
        act: |asker| asker.send(Program::named("B")),
        old: outcome("A", "the older", Wish::Stop),
        new: outcome("B", "A", Wish::Stop),
        from_boot: false,
    }
}

/// A on a PLC that never had a program.
pub(crate) fn first_installation() -> Scenario {
    Scenario {
        base: Place::empty(),
        act: |asker| asker.send(Program::named("A")),
        old: Outcome { current: None, kept: vec![], wish: Wish::Stop },
        new: outcome("A", "A", Wish::Stop),
        from_boot: false,
    }
}

pub(crate) fn start() -> Scenario {
    Scenario {
        base: with_a(),
        act: |asker| asker.ask(Request::Start).map(drop),
        old: outcome("A", "the older", Wish::Stop),
        new: outcome("A", "the older", Wish::Run),
        from_boot: false,
    }
}

pub(crate) fn stop() -> Scenario {
    let act = |asker: &mut Asker| {
        // It runs from boot, and its end is no news to a client that the supervisor told nothing.
        asker.api.wait_status(PlcStatus::Started);
        asker.ask(Request::Stop).map(drop)
    };
    Scenario {
        base: with_a().with(|api| api.start().unwrap()),
        act,
        old: outcome("A", "the older", Wish::Run),
        new: outcome("A", "the older", Wish::Stop),
        from_boot: false,
    }
}

pub(crate) fn rollback() -> Scenario {
    Scenario {
        base: with_b(),
        act: |asker| asker.ask(Request::Rollback).map(drop),
        old: outcome("B", "A", Wish::Stop),
        new: outcome("A", "the older", Wish::Stop),
        from_boot: false,
    }
}

pub(crate) fn repair() -> Scenario {
    Scenario {
        base: with_b(),
        act: |asker| asker.ask(Request::Repair).map(drop),
        old: outcome("B", "A", Wish::Stop),
        new: Outcome { current: None, kept: vec!["B", "A"], wish: Wish::Stop },
        from_boot: false,
    }
}

/// The way back from a repair.
pub(crate) fn recovery() -> Scenario {
    Scenario {
        base: with_b().with(|api| drop(api.call(Request::Repair).unwrap())),
        act: |asker| asker.ask(Request::Rollback).map(drop),
        old: Outcome { current: None, kept: vec!["B", "A"], wish: Wish::Stop },
        new: outcome("B", "A", Wish::Stop),
        from_boot: false,
    }
}

/// A boot that finds nothing at all.
pub(crate) fn first_boot() -> Scenario {
    let none = Outcome { current: None, kept: vec![], wish: Wish::Stop };
    Scenario {
        base: Place::empty(),
        act: |_| Ok(()),
        old: none.clone(),
        new: none,
        from_boot: true,
    }
}

/// A boot that finds what interrupted installations left, and is itself interrupted.
pub(crate) fn boot() -> Scenario {
    let base = with_a();
    base.tear();
    Scenario {
        base,
        act: |_| Ok(()),
        old: outcome("A", "the older", Wish::Stop),
        new: outcome("A", "the older", Wish::Stop),
        from_boot: true,
    }
}

/// A client that can be interrupted before each of its requests.
pub(crate) struct Asker<'a> {
    pub(crate) api: &'a Api,
    /// What was asked.
    pub(crate) asked: Vec<Request>,
    /// Called before each request with the number of those before it.
    pub(crate) before: &'a mut dyn FnMut(usize),
}

impl<'a> Asker<'a> {
    pub(crate) fn new(api: &'a Api, before: &'a mut dyn FnMut(usize)) -> Self {
        Self { api, asked: Vec::new(), before }
    }

    fn ask(&mut self, request: Request) -> Result<Reply, CallError> {
        (self.before)(self.asked.len());
        self.asked.push(request.clone());
        self.api.call(request)
    }

    /// Transfers and installs a program as an IDE does, in chunks.
    pub(crate) fn send(&mut self, program: &Program) -> Result<(), CallError> {
        self.ask(Request::PurgeBlobs)?;
        let library = self.upload(MD5, &program.library)?;
        let mut extra_files = Vec::new();
        for (name, data) in &program.extra {
            let blob = self.upload(name, data)?;
            extra_files.push(ExtraFile { name: FileName::new(name).unwrap(), blob });
        }
        let md5 = ProgramMd5::new(MD5).unwrap();
        let when_running = WhenRunning::Refuse;
        let request = InstallRequest { md5, library, extra_files, when_running };
        self.ask(Request::Install(request)).map(drop)
    }

    fn upload(&mut self, seed: &str, data: &[u8]) -> Result<BlobId, CallError> {
        let mut id = blob(&self.ask(Request::SeedBlob { seed: seed.into() })?);
        for chunk in data.chunks(CHUNK) {
            id = blob(&self.ask(Request::AppendChunk { blob: id, data: chunk.to_vec() })?);
        }
        Ok(id)
    }
}

fn blob(reply: &Reply) -> BlobId {
    match reply {
        Reply::Blob(id) => *id,
        other => panic!("not a blob: {other:?}"),
    }
}

impl Scenario {
    /// Whether anything is different afterwards.
    pub(crate) fn changes(&self) -> bool {
        self.old != self.new
    }

    /// Runs it once, undisturbed, and writes down what happened.
    pub(crate) fn record(&self) -> Recording {
        let place = self.base.copy();
        let before = current(&place.state());
        let log = place.path().join("strace.log");
        let mut supervisor = place.start(Some(strace::record(&log, &supervisor())));
        let api = supervisor.api().expect("the supervisor starts");
        (self.act)(&mut Asker::new(&api, &mut |_| ())).unwrap();
        supervisor.end();
        let after = current(&place.state());
        place.examine(&[&self.new]);
        let calls = strace::calls(&log);
        let replies: Vec<usize> = (0..calls.len()).filter(|i| is_reply(&calls[*i])).collect();
        let window = match replies.last() {
            Some(last) => first_greeting(&calls)..*last,
            None => 0..calls.len(),
        };
        let changes: Vec<(usize, Change)> = calls
            .iter()
            .enumerate()
            .filter_map(|(index, call)| Some((index, call.change(&place.state())?)))
            .map(|(index, change)| (index, change.below(&place.state())))
            .collect();
        let mut events: Vec<(usize, Event)> = changes
            .iter()
            .filter(|(index, _)| !calls[*index].failed())
            .map(|(index, change)| (calls[*index].end, Event::Did(change.clone())))
            .chain(replies.iter().map(|index| (calls[*index].begin, Event::Replied)))
            .collect();
        events.sort_by_key(|(line, _)| *line);
        let booted = calls[first_greeting(&calls)].begin;
        let first_event = events.partition_point(|(line, _)| *line < booted);
        let calls = calls.into_iter().map(|call| call.with_root(place.path())).collect();
        Recording {
            calls,
            steps: changes.into_iter().filter(|(index, _)| window.contains(index)).collect(),
            first_event,
            begin: window.start,
            replies,
            events: events.into_iter().map(|(_, event)| event).collect(),
            allowed: vec![before, after],
        }
    }
}

fn first_greeting(calls: &[Call]) -> usize {
    let says = |call: &Call| call.args.iter().any(|arg| arg.contains("Welcome"));
    calls.iter().position(says).expect("the client is greeted")
}

/// Whether a call sends an answer to a client; the worker's link has other words.
fn is_reply(call: &Call) -> bool {
    let sends = ["sendto", "sendmsg", "write", "writev"].contains(&&*call.name);
    sends && call.args.get(1).is_some_and(|data| data.contains("Reply") && data.contains("result"))
}

fn current(state: &Path) -> Option<String> {
    let link = fs::read_link(state.join("current")).ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}
