// SPDX-License-Identifier: MIT OR Apache-2.0
//! Death at a random moment of an installation: another thread kills the supervisor once so many bytes were sent, so
//! many replies have come, or so many things have happened to its directories; meanwhile the conversation goes on.

use std::{
    io::{self, Read, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::Path,
    sync::mpsc::{Sender, channel},
    thread,
};

use plc_api::{
    API_VERSION, RELEASE,
    frame::{HEADER_BYTES, body_length, decode, encode},
    message::{ClientMessage, Hello, HelloReply, Reply, Request, ServerMessage},
};
use rustix::{
    fs::inotify::{self, CreateFlags, WatchFlags},
    process::Signal,
};

use crate::{
    place::Place,
    programs::Program,
    scenario::{Asker, Scenario},
};

/// When to die.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Moment {
    /// This many bytes of requests were sent.
    Byte(usize),
    /// This many replies have come.
    Reply(usize),
    /// This many events were seen in the state directory, `programs` and `transfer`.
    Event(usize),
}

/// An installation's requests, and how much there is of everything that a [`Moment`] counts.
#[derive(Debug)]
pub(crate) struct Conversation {
    requests: Vec<Vec<u8>>,
    events: usize,
}

impl Conversation {
    /// Has an installation carried out and listens. Blobs are named by their content, so what was said once can be
    /// said again.
    pub(crate) fn learn(base: &Place) -> Self {
        let place = base.copy();
        let mut supervisor = place.start(None);
        let api = supervisor.api().unwrap();
        let watch = watch(&place.state());
        let mut nothing = |_| ();
        let mut asker = Asker::new(&api, &mut nothing);
        asker.send(Program::named("B")).unwrap();
        let requests = asker.asked;
        rustix::io::ioctl_fionbio(&watch, true).unwrap();
        let mut events = 0;
        count_events(&watch, |count| {
            events = count;
            true
        });
        supervisor.end();
        let encoded = |(id, request): (usize, Request)| {
            encode(&ClientMessage { id: id.try_into().unwrap(), request }).unwrap()
        };
        Self { requests: requests.into_iter().enumerate().map(encoded).collect(), events }
    }

    /// A moment of it, chosen by a number. Half of them are events: only these come while the program is installed.
    pub(crate) fn moment(&self, number: u64) -> Moment {
        let upto = |count: usize| {
            1 + usize::try_from((number >> 8) % u64::try_from(count).unwrap()).unwrap()
        };
        match number % 4 {
            0 => Moment::Byte(upto(self.requests.iter().map(Vec::len).sum())),
            1 => Moment::Reply(upto(self.requests.len())),
            _ => Moment::Event(upto(self.events)),
        }
    }

    /// Says all of it to a supervisor that dies at that moment; what is found then.
    pub(crate) fn die(&self, scenario: &Scenario, moment: Moment) -> &'static str {
        let place = scenario.base.copy();
        let mut supervisor = place.start(None);
        assert!(supervisor.await_ready());
        let pid = supervisor.pid().unwrap();
        let (reached, wait) = channel::<()>();
        let killer = thread::spawn(move || {
            // An end of the conversation without the moment is a moment too.
            let _ = wait.recv();
            rustix::process::kill_process(pid, Signal::KILL).unwrap();
        });
        if let Moment::Event(wanted) = moment {
            let (watch, reached) = (watch(&place.state()), reached.clone());
            // If it waits for more than happens, it waits until the test process ends.
            thread::spawn(move || {
                count_events(&watch, |count| count < wanted);
                let _ = reached.send(());
            });
        }
        let done = self.say(&supervisor.socket(), moment, &reached).unwrap_or(false);
        let _ = reached.send(());
        killer.join().unwrap();
        supervisor.await_end();
        scenario.assert_retain(&place);
        scenario.examine(&place, done)
    }

    /// Whether the last reply has come, and says that the program is installed.
    fn say(&self, socket: &Path, moment: Moment, reached: &Sender<()>) -> io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        let hello = Hello {
            api_version: API_VERSION,
            release: RELEASE.to_owned(),
            client: "test".into(),
            peer: "test".into(),
            identity: String::new(),
            secret: None,
            local_user: None,
        };
        stream.write_all(&encode(&hello).unwrap())?;
        let HelloReply::Welcome(_) = decode(&frame(&mut stream)?).unwrap() else {
            panic!("not welcome")
        };
        let (mut sent, mut is_installed) = (0, false);
        for (index, request) in self.requests.iter().enumerate() {
            let rest = match moment {
                Moment::Byte(at) if (sent + 1..=sent + request.len()).contains(&at) => {
                    let (first, rest) = request.split_at(at - sent);
                    stream.write_all(first)?;
                    let _ = reached.send(());
                    rest
                }
                _ => request,
            };
            stream.write_all(rest)?;
            sent += request.len();
            is_installed = loop {
                if let ServerMessage::Reply { result, .. } = decode(&frame(&mut stream)?).unwrap() {
                    break matches!(result.unwrap(), Reply::Installed { .. });
                }
            };
            if matches!(moment, Moment::Reply(at) if at == index + 1) {
                let _ = reached.send(());
            }
        }
        Ok(is_installed)
    }
}

fn frame(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut header = [0; HEADER_BYTES];
    stream.read_exact(&mut header)?;
    let mut body = vec![0; body_length(header).unwrap()];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn watch(state: &Path) -> OwnedFd {
    let watch = inotify::init(CreateFlags::CLOEXEC).unwrap();
    for dir in [state.to_owned(), state.join("programs"), state.join("transfer")] {
        inotify::add_watch(&watch, dir, WatchFlags::ALL_EVENTS).unwrap();
    }
    watch
}

/// Reads events until one is the last, or there are none.
fn count_events(watch: &OwnedFd, mut goes_on: impl FnMut(usize) -> bool) {
    let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(watch, &mut buffer);
    let mut count = 0;
    while reader.next().is_ok() {
        count += 1;
        if !goes_on(count) {
            return;
        }
    }
}

/// A seed, given in `PLC_TEST_SEED` or by the clock.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("PLC_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        u64::from(now.unwrap_or_default().subsec_nanos())
    })
}

/// The `index`-th number that follows from a seed (SplitMix64: Steele, Lea, Flood 2014).
pub(crate) fn number(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add((index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
