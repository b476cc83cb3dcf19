// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looks at the real machine: asks the runtime, systemd, and the supervisor about its configuration.
//!
//! The one place of the examination that runs other programs. Each has a deadline, and may be absent.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use plc_api::{
    message::{Reply, Request},
    paths::LIBEXEC,
};
use tokio::{process::Command, time::timeout};

use super::{
    place::{Kind, Place},
    router,
    seen::{self, Configuration, Logind, Runtime, Seen, Units, User},
    settings::Settings,
    tree::Tree,
};
use crate::{failure::Failure, session::Session, user};

/// How long another program may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const SUPERVISOR: &str = "plc-supervisor";

/// The configuration is not good: `EX_CONFIG` of sysexits.h.
const EXIT_CONFIGURATION: i32 = 78;

/// Looks at everything.
pub(crate) async fn gather(socket: &Path) -> Seen {
    let tree = Tree::at(Path::new("/"));
    let place = Place::of_socket(socket);
    let groups = rustix::process::getgroups().unwrap_or_default();
    let primary = rustix::process::getegid();
    let user = User {
        name: user::name(),
        root: rustix::process::geteuid().is_root(),
        groups: groups.into_iter().chain([primary]).map(rustix::process::Gid::as_raw).collect(),
    };
    Seen {
        runtime: ask_runtime(socket).await,
        units: ask_systemd(&tree, &place).await,
        configuration: check_configuration(&tree, &place).await,
        synchronized: ask_clock(&tree).await,
        logind: ask_logind(&place).await,
        settings: Settings::read(&tree, &place.paths),
        user,
        place,
        tree,
    }
}

async fn ask_runtime(socket: &Path) -> Runtime {
    let session = match Session::open(socket).await {
        Ok(session) => session,
        Err(failure) => return unreachable(&failure),
    };
    let period_ns = match session.call(Request::Stats).await {
        Ok(Reply::Stats(stats)) => stats.period_ns,
        Ok(_) => 0,
        Err(failure) => return unreachable(&failure),
    };
    let keys = match session.call(Request::ListKeys).await {
        Ok(Reply::Keys(keys)) => Some(keys),
        Ok(_) | Err(_) => None,
    };
    let snapshot = Box::new(session.snapshot().as_ref().clone());
    Runtime::Answers { snapshot, period_ns, keys }
}

fn unreachable(failure: &Failure) -> Runtime {
    Runtime::Unreachable(failure.to_string())
}

async fn ask_systemd(tree: &Tree, place: &Place) -> Option<Units> {
    let service = place.service()?;
    if !tree.exists("/run/systemd/system") {
        return None;
    }
    let mut command = Command::new("systemctl");
    command.args(["show", "--no-pager", "--property", seen::PROPERTIES]);
    command.arg(format!("{service}.service"));
    command.args(place.unit("worker.socket"));
    // An instance that never runs has the settings of its template.
    command.args(place.unit("worker@check.service"));
    command.args(place.unit(router::UNIT));
    command.args(connector_sockets(tree, place));
    let output = run(&mut command).await?;
    output.status.success().then(|| seen::units(&String::from_utf8_lossy(&output.stdout)))
}

/// The installed sockets behind which connectors are.
fn connector_sockets(tree: &Tree, place: &Place) -> Vec<String> {
    let Some(prefix) = place.unit("connector-") else { return Vec::new() };
    let dirs = ["/usr/lib/systemd/system", "/lib/systemd/system", "/etc/systemd/system"];
    let mut names: Vec<String> = dirs.into_iter().flat_map(|dir| tree.names(dir)).collect();
    names.retain(|name| name.starts_with(&prefix) && name.ends_with(".socket"));
    names.sort();
    names.dedup();
    names
}

async fn check_configuration(tree: &Tree, place: &Place) -> Configuration {
    if tree.is_closed(&place.paths.config_file) {
        let file = place.paths.config_file.display();
        return Configuration::NotAsked(format!("{file} may not be read by this user"));
    }
    let Some(supervisor) = supervisor(tree) else {
        return Configuration::NotAsked(format!("there is no {LIBEXEC}/{SUPERVISOR}"));
    };
    let mut command = Command::new(supervisor);
    command.arg("--check-config").env_remove("RUST_LOG");
    match &place.kind {
        Kind::Appliance(name) => command.arg("--instance").arg(name),
        Kind::Desk(dir) => command.arg("--desk").arg(dir),
    };
    let Some(output) = run(&mut command).await else {
        return Configuration::NotAsked(format!("{SUPERVISOR} does not answer"));
    };
    match output.status.code() {
        Some(0) => Configuration::Good,
        Some(EXIT_CONFIGURATION) => Configuration::Bad(complaint(&output.stderr)),
        _ => Configuration::NotAsked(format!("{SUPERVISOR}: {}", output.status)),
    }
}

/// The sentence in a line of the supervisor's log.
fn complaint(log: &[u8]) -> String {
    let log = String::from_utf8_lossy(log);
    let text = log.split_once("configuration: ").map_or(&*log, |(_, text)| text);
    text.trim().to_owned()
}

/// Beside this program, where a build leaves both, or where packages install it.
fn supervisor(tree: &Tree) -> Option<PathBuf> {
    let own = env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let places = beside.into_iter().chain([LIBEXEC.into()]);
    places.map(|dir| dir.join(SUPERVISOR)).find(|path| tree.exists(path))
}

async fn ask_clock(tree: &Tree) -> Option<bool> {
    if tree.exists("/run/systemd/timesync/synchronized") {
        return Some(true);
    }
    if !tree.exists("/run/systemd/system") {
        return None;
    }
    let mut command = Command::new("timedatectl");
    let output = run(command.args(["show", "--property", "NTPSynchronized", "--value"])).await?;
    match String::from_utf8_lossy(&output.stdout).trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

async fn ask_logind(place: &Place) -> Option<Logind> {
    place.service()?;
    let waits = busctl("get-property", "InhibitDelayMaxUSec").await?;
    // "t 30000000"
    let waits = waits.trim().strip_prefix("t ")?.parse().ok().map(Duration::from_micros)?;
    // What, who, why, how, and by which user and process.
    let inhibitors = busctl("call", "ListInhibitors").await?;
    Some(Logind { waits, asked_to: inhibitors.contains("\"sleep\" \"plc-runtime\"") })
}

/// What logind answers.
async fn busctl(verb: &str, member: &str) -> Option<String> {
    let mut command = Command::new("busctl");
    command.args([verb, "org.freedesktop.login1", "/org/freedesktop/login1"]);
    command.args(["org.freedesktop.login1.Manager", member]);
    let output = run(&mut command).await?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn run(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_the_sentence_after_time_and_level() {
        let log = b"2026-01-01T00:00:00Z ERROR configuration: a.toml: plc.x = 5: must be 7\n";
        assert_eq!(complaint(log), "a.toml: plc.x = 5: must be 7");
        assert_eq!(complaint(b"gone\n"), "gone");
    }
}
