// SPDX-License-Identifier: MIT OR Apache-2.0
//! What TLS costs: ours, and beside it, in the same run, a stunnel as in the manual of the IDE before the plain port of
//! the same runtime. Both speak TLS 1.2 with the same suite, as the IDEs of today would with us.

use std::{
    net::{Ipv4Addr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVersion};
use plc_tests::tls::{ANNA, Stunnel, TlsPort};

use crate::{
    erpc::{Carrier, Client, Framing, PATIENCE},
    figures::{Better, Figure, number, percentile},
    report::Report,
    rows::Plan,
    runtime::{Runtime, Whose},
    status::status_calls,
};

const ROW: &str = "tls";
/// Of the one key that there is.
pub(crate) const SECRET: &str = ANNA.1;
const SUITE: &str = "ECDHE-PSK-CHACHA20-POLY1305";
const HANDSHAKES: Figure =
    Figure { row: ROW, name: "handshakes", unit: "1/s", better: Better::More };
const P50: Figure = latency("status call p50");
const P99: Figure = latency("status call p99");
const ADDED: Figure = latency("added to a status call without TLS, p50");

const fn latency(name: &'static str) -> Figure {
    Figure { row: ROW, name, unit: "µs", better: Better::Less }
}

impl Carrier for SslStream<TcpStream> {
    fn socket(&self) -> &TcpStream {
        self.get_ref()
    }
}

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let mut plain = Runtime::ours("ours, plain", "")?;
    let desk = plain.desk().context("it is ours")?;
    let tls = TlsPort::beside(desk);
    let stunnel = Stunnel::serving(&tls.key(), desk.port());
    let context = context(SECRET)?;
    let ways = [("ours", Whose::Ours, tls.port()), ("stunnel", Whose::Others, stunnel.port())];
    for round in 0..plan.rounds {
        plan.progress(ROW, round, &plain.name);
        let without = calls(plan, &mut plain.client, report, &plain.name, Whose::Ours)?;
        for (name, whose, port) in ways {
            plan.progress(ROW, round, name);
            let begin = Instant::now();
            let mut handshakes = 0_u32;
            while begin.elapsed() < plan.status {
                drop(connect(&context, port).context(name)?);
                handshakes += 1;
            }
            let per_second = number(handshakes) / begin.elapsed().as_secs_f64();
            report.add(HANDSHAKES, name, whose, per_second);
            let mut client = served(&context, port).context(name)?;
            let with = calls(plan, &mut client, report, name, whose)?;
            report.add(ADDED, name, whose, with - without);
        }
    }
    Ok(())
}

/// A connection that is served, after so many that the runtime may still be counting as there.
pub(crate) fn served(context: &SslContext, port: u16) -> anyhow::Result<Client> {
    let begin = Instant::now();
    loop {
        let mut client = Client::over(Box::new(connect(context, port)?), Framing::Six)?;
        match client.status() {
            Ok(_) => return Ok(client),
            Err(error) if begin.elapsed() > PATIENCE => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Status calls for a while; their p50.
fn calls(
    plan: &Plan,
    client: &mut Client,
    report: &mut Report,
    name: &str,
    whose: Whose,
) -> anyhow::Result<f64> {
    let end = Instant::now() + plan.status;
    let mut calls = status_calls(client, || Instant::now() < end)?;
    let p50 = percentile(&mut calls.each_us, 50);
    report.add(P50, name, whose, p50);
    report.add(P99, name, whose, percentile(&mut calls.each_us, 99));
    Ok(p50)
}

/// A client with this secret for the key's ID.
pub(crate) fn context(secret: &'static str) -> anyhow::Result<SslContext> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_max_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(SUITE)?;
    context.set_psk_client_callback(move |_, _, identity, place| {
        // The identity ends with a zero; both buffers are longer than what goes in here.
        identity[..ANNA.0.len()].copy_from_slice(ANNA.0.as_bytes());
        identity[ANNA.0.len()] = 0;
        place[..secret.len()].copy_from_slice(secret.as_bytes());
        Ok(secret.len())
    });
    Ok(context.build())
}

fn connect(context: &SslContext, port: u16) -> anyhow::Result<SslStream<TcpStream>> {
    handshake(context, TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
}

/// Begins TLS.
pub(crate) fn handshake(
    context: &SslContext,
    stream: TcpStream,
) -> anyhow::Result<SslStream<TcpStream>> {
    stream.set_nodelay(true)?;
    Ssl::new(context)?.connect(stream).map_err(|error| anyhow!("no handshake: {error}"))
}
