// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person at the desk sees of the PLC: a living line on a terminal, a line per change elsewhere.

use std::{path::PathBuf, sync::Arc, time::Duration};

use plc_api::{
    client::Client,
    message::{Reply, Request},
    plc::{Snapshot, Stats},
};
use rustix::termios::tcgetwinsize;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{opening, screen::Screen};

/// How often the living line is renewed.
const RENEWAL: Duration = Duration::from_millis(500);

/// Shows the status for as long as it is polled; `ready` counts how often a supervisor became ready.
pub(crate) async fn show(api: PathBuf, port: u16, mut ready: watch::Receiver<u64>, screen: Screen) {
    loop {
        ready.borrow_and_update();
        // Unreachable only while a supervisor starts or ends; the next one says that it is ready.
        if let Ok(client) = opening::connect(&api).await {
            if Screen::is_terminal() {
                live(&client, port, &screen).await;
            } else {
                changes(&client, &screen).await;
            }
        }
        if ready.changed().await.is_err() {
            return;
        }
    }
}

/// Renews the living line until the connection ends.
async fn live(client: &Client, port: u16, screen: &Screen) {
    let mut renewal = interval(RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reason = None;
    loop {
        let Ok(Reply::Stats(stats)) = client.call(Request::Stats).await else {
            screen.status("the supervisor is away".into());
            return;
        };
        let snapshot = client.snapshot();
        if snapshot.reason != reason {
            reason.clone_from(&snapshot.reason);
            if reason.is_some() {
                screen.say(&change(&snapshot));
            }
        }
        // A terminal that does not know its size says 0.
        let columns = tcgetwinsize(std::io::stderr()).map_or(0, |size| usize::from(size.ws_col));
        let columns = if columns == 0 { 80 } else { columns };
        let mut line = line(&snapshot, &stats, port);
        if let Some((end, _)) = line.char_indices().nth(columns.saturating_sub(1)) {
            line.truncate(end);
        }
        screen.status(line);
        renewal.tick().await;
    }
}

/// Says what changes until the connection ends.
async fn changes(client: &Client, screen: &Screen) {
    let mut snapshots = client.snapshots();
    let mut before: Option<Arc<Snapshot>> = None;
    loop {
        let now = snapshots.borrow_and_update().clone();
        let same = before.as_ref().is_some_and(|before| {
            before.status == now.status
                && before.reason == now.reason
                && before.program == now.program
        });
        if !same {
            screen.say(&change(&now));
        }
        before = Some(now);
        if snapshots.changed().await.is_err() {
            return;
        }
    }
}

/// One change, for people.
fn change(snapshot: &Snapshot) -> String {
    let mut text = format!("the PLC is {}", snapshot.status);
    if let Some(program) = &snapshot.program {
        text.push_str(&format!(", program {}", program.id));
    }
    if let Some(reason) = &snapshot.reason {
        text.push_str(&format!(": {}", reason.replace('\n', " ")));
    }
    text
}

/// The living line: state, ticks, measured period, processor time per cycle, connections, port.
fn line(snapshot: &Snapshot, stats: &Stats, port: u16) -> String {
    let mut parts = vec![snapshot.status.to_string()];
    let status = snapshot.status.as_str();
    if !snapshot.phase.is_empty() && !snapshot.phase.eq_ignore_ascii_case(status) {
        parts.push(snapshot.phase.clone());
    }
    if snapshot.started_at_us.is_some() {
        parts.push(format!("{} cycles", stats.ticks));
        if stats.measured_period_ns > 0 {
            parts.push(format!("every {}", milliseconds(stats.measured_period_ns)));
        }
        if stats.cycle_cpu_us.max > 0.0 {
            parts.push(format!("{:.1} µs each", stats.cycle_cpu_us.avg));
        }
    }
    let others =
        stats.connections.iter().filter(|connection| connection.connector != "plc-local").count();
    parts.push(match others {
        0 => "nobody connected".into(),
        1 => "1 connection".into(),
        many => format!("{many} connections"),
    });
    parts.push(format!("port {port}"));
    parts.join(" · ")
}

fn milliseconds(ns: u64) -> String {
    format!("{}.{:03} ms", ns / 1_000_000, ns % 1_000_000 / 1000)
}

#[cfg(test)]
mod tests {
    use plc_api::plc::{ConnectionInfo, CycleTime, PlcStatus};

    use super::*;

    fn connection(connector: &str) -> ConnectionInfo {
        ConnectionInfo {
            connector: connector.into(),
            peer: "127.0.0.1:1".into(),
            identity: String::new(),
        }
    }

    #[test]
    fn the_line_of_a_running_plc_has_all_figures() {
        let snapshot = Snapshot {
            status: PlcStatus::Started,
            phase: "started".into(),
            started_at_us: Some(1),
            ..Snapshot::default()
        };
        let stats = Stats {
            ticks: 1234,
            measured_period_ns: 10_002_300,
            cycle_cpu_us: CycleTime { min: 1.0, avg: 3.25, max: 9.0 },
            connections: vec![connection("plc-local"), connection("pyro")],
            ..Stats::default()
        };
        assert_eq!(
            line(&snapshot, &stats, 3000),
            "Started · 1234 cycles · every 10.002 ms · 3.2 µs each · 1 connection · port 3000"
        );
    }

    #[test]
    fn the_line_of_an_empty_plc_has_no_figures() {
        let snapshot = Snapshot { phase: "empty".into(), ..Snapshot::default() };
        assert_eq!(
            line(&snapshot, &Stats::default(), 3000),
            "Empty · nobody connected · port 3000"
        );
    }

    #[test]
    fn a_change_names_the_reason() {
        let snapshot = Snapshot {
            status: PlcStatus::Broken,
            reason: Some("killed by SIGSEGV".into()),
            ..Snapshot::default()
        };
        assert_eq!(change(&snapshot), "the PLC is Broken: killed by SIGSEGV");
    }
}
