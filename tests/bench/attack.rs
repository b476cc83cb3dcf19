// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an IDE notices of an attack: its status calls alone and, in the same run, while somebody sends what is meant to
//! do harm as fast as the connector takes it; and the memory of the connector afterwards.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use plc_tests::{
    desk::Desk,
    evil::{self, Strangers},
    tls::TlsPort,
};
use rustix::process::Pid;

use crate::{
    erpc::Client,
    figures::{Better, Figure, number, percentile},
    memory::pss_kib,
    report::Report,
    rows::Plan,
    runtime::{Runtime, Whose},
    status::{Calls, status_calls},
    tls,
};

const ROW: &str = "attack";
const NO_TLS: Figures = Figures {
    p50: latency("status call p50"),
    p99: latency("status call p99"),
    pace: pace("attacks"),
    memory: memory("connector's memory afterwards"),
    peak: memory("connector's largest memory so far"),
};
const TLS: Figures = Figures {
    p50: latency("TLS: status call p50"),
    p99: latency("TLS: status call p99"),
    pace: pace("TLS: attacks"),
    memory: memory("TLS: connector's memory afterwards"),
    peak: memory("TLS: connector's largest memory so far"),
};

/// So many hold a connection that they feed slowly: all newcomers that there may be, and as many again.
const SLOW_SENDERS: u8 = 64;

const fn latency(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "µs", better: Better::Less }
}

const fn pace(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "1/s", better: Better::More }
}

const fn memory(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "MB", better: Better::Less }
}

/// The figures of one port.
struct Figures {
    p50: Figure,
    p99: Figure,
    pace: Figure,
    memory: Figure,
    peak: Figure,
}

/// What somebody does again and again. A failure is the connector's defence, and the next attempt begins anew.
type Attacker = Box<dyn FnMut() -> anyhow::Result<()> + Send>;

struct Attack {
    name: &'static str,
    /// How many do it at the same time.
    attackers: usize,
    /// Makes an attacker of this port.
    begin: fn(u16) -> anyhow::Result<Attacker>,
}

/// As many as begin a conversation in Pyro3, in which the connector speaks first, and after a while.
const MANY: usize = 8;

const ON_NO_TLS: [Attack; 6] = [
    Attack {
        name: "pickles that name os.system",
        attackers: MANY,
        begin: |port| {
            Ok(messages(port, evil::pyro3_peer, evil::pyro3(0, &evil::system_pickle("true"))))
        },
    },
    Attack {
        name: "pickles of a million tuples",
        attackers: MANY,
        begin: |port| Ok(messages(port, evil::pyro3_peer, evil::pyro3(0, &evil::nested_pickle()))),
    },
    Attack {
        name: "zip bombs",
        attackers: 1,
        begin: |port| {
            Ok(messages(port, evil::pyro5_peer, evil::pyro5_compressed(&evil::zip_bomb())))
        },
    },
    Attack {
        name: "lengths of 4 GB",
        attackers: 1,
        begin: |port| Ok(messages(port, evil::pyro5_peer, evil::pyro5_too_long())),
    },
    Attack { name: "slow senders", attackers: 1, begin: slow_senders },
    Attack { name: "silent connections", attackers: 1, begin: silent },
];

const ON_TLS: [Attack; 2] = [
    Attack { name: "silent connections", attackers: 1, begin: silent },
    Attack { name: "handshakes with a wrong secret", attackers: 1, begin: wrong_secrets },
];

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    for round in 0..plan.rounds {
        // A fresh one each time, since it cannot be made to forget what memory it once had.
        let mut ours = Runtime::ours("ours", "")?;
        let desk = ours.desk().context("it is ours")?;
        let port = desk.port();
        let connector = connector(desk)?;
        let tls = TlsPort::beside(desk);
        plan.progress(ROW, round, "without TLS");
        under_each(plan, &NO_TLS, &ON_NO_TLS, (port, connector), &mut ours.client, report)?;
        plan.progress(ROW, round, "with TLS");
        let mut client = tls::served(&tls::context(tls::SECRET)?, tls.port())?;
        under_each(plan, &TLS, &ON_TLS, (tls.port(), tls.pid()), &mut client, report)?;
    }
    Ok(())
}

fn connector(desk: &Desk) -> anyhow::Result<Pid> {
    desk.children("plc-connector-pyro").first().copied().context("no connector runs")
}

/// Status calls alone, then under each of these attacks.
fn under_each(
    plan: &Plan,
    figures: &Figures,
    attacks: &[Attack],
    (port, connector): (u16, Pid),
    client: &mut Client,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut add = |name: &str, whose, mut calls: Calls| {
        report.add(figures.p50, name, whose, percentile(&mut calls.each_us, 50));
        report.add(figures.p99, name, whose, percentile(&mut calls.each_us, 99));
        let [pss, peak] = [pss_kib(connector)?, evil::peak_memory_kb(connector)?];
        report.add(figures.memory, name, whose, number(pss) * 1024.0 / 1e6);
        report.add(figures.peak, name, whose, number(peak) * 1024.0 / 1e6);
        anyhow::Ok(())
    };
    let end = Instant::now() + plan.status;
    add("ours", Whose::Ours, status_calls(client, || Instant::now() < end)?)?;
    let mut paces = Vec::new();
    for attack in attacks {
        let name = format!("ours, under {}", attack.name);
        let attackers: anyhow::Result<Vec<Attacker>> =
            (0..attack.attackers).map(|_| (attack.begin)(port)).collect();
        let (calls, pace) = under(plan.status, attackers?, client).context(name.clone())?;
        add(&name, Whose::Others, calls)?;
        paces.push((name, pace));
    }
    for (name, pace) in paces {
        report.add(figures.pace, &name, Whose::Others, pace);
    }
    Ok(())
}

/// Status calls while the attack lasts, and how many attacks there were in a second.
fn under(
    time: Duration,
    attackers: Vec<Attacker>,
    client: &mut Client,
) -> anyhow::Result<(Calls, f64)> {
    let (over, attacks) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        for mut attack in attackers {
            let (over, attacks) = (&over, &attacks);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    match attack() {
                        Ok(()) => drop(attacks.fetch_add(1, Ordering::Relaxed)),
                        // Refused: to come again at once would only take the processor.
                        Err(_) => thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        }
        let begin = Instant::now();
        let calls = status_calls(client, || begin.elapsed() < time);
        let pace = number(attacks.load(Ordering::Relaxed)) / begin.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
        Ok((calls?, pace))
    })
}

/// Sends the same message over and over, through a new connection where the old one was closed.
fn messages(
    port: u16,
    connect: fn(u16) -> std::io::Result<TcpStream>,
    message: Vec<u8>,
) -> Attacker {
    let mut peer = None;
    Box::new(move || {
        let mut stream = match peer.take() {
            Some(stream) => stream,
            None => connect(port)?,
        };
        // One that is dismissed from the head of its message does not take the rest.
        let sent = stream.write_all(&message);
        let answered = stream.read(&mut [0; 1 << 12]);
        if sent.is_ok() && matches!(answered, Ok(1..)) {
            peer = Some(stream);
        }
        Ok(())
    })
}

/// Begins messages at many connections and sends a byte of them now and then.
fn slow_senders(port: u16) -> anyhow::Result<Attacker> {
    let begun = || (0..SLOW_SENDERS).map(|host| evil::from_elsewhere(host + 1, port));
    let mut peers = begun().collect::<Result<Vec<_>, _>>()?;
    let mut next = 0;
    Ok(Box::new(move || {
        thread::sleep(Duration::from_millis(5));
        next = (next + 1) % peers.len();
        if peers[next].write_all(b"P").is_err() {
            peers[next] = evil::from_elsewhere(u8::try_from(next)? + 1, port)?;
        }
        Ok(())
    }))
}

fn silent(port: u16) -> anyhow::Result<Attacker> {
    let mut strangers = Strangers::who_say(b"", port);
    Ok(Box::new(move || Ok(strangers.one_more()?)))
}

fn wrong_secrets(port: u16) -> anyhow::Result<Attacker> {
    let context = tls::context("this-is-not-the-secret-of-anna")?;
    let mut host = 0;
    Ok(Box::new(move || {
        host = host % Strangers::HOSTS + 1;
        let stream = evil::from_elsewhere(u8::try_from(host)?, port)?;
        // That it fails is what it is about.
        let _ = tls::handshake(&context, stream);
        Ok(())
    }))
}
