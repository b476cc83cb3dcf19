// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl status`: how the PLC is, and the object that every verb of control answers with in JSON.

use plc_api::{
    plc::{Autostart, Crash, Snapshot, Wish},
    wamp::{RouterAsked, RouterLink},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    cli::StatusArgs,
    failure::Failure,
    render::{self, Counts},
    router,
    session::Session,
    terminal,
};

/// What an installed new version waits for, and how to have it sooner.
pub(crate) const UPGRADE_WAITS: &str =
    "the new version waits for the next restart: systemctl restart plc-runtime";

/// The state of the PLC in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct State {
    /// `Empty`, `Stopped`, `Started` or `Broken`.
    status: &'static str,
    /// `empty`, `loading`, `stopped`, `starting`, `started`, `stopping`, `broken`.
    phase: String,
    /// Why, and the next step; null when there is nothing to say.
    reason: Option<String>,
    /// Null when none is installed.
    program: Option<Program>,
    /// When it was started; null unless it runs.
    started_at_us: Option<u64>,
    worker_pid: Option<u32>,
    /// Programs that ended by themselves since the runtime started.
    crashes: u32,
    /// The last of them: `time_us`, `reason`, `core`; null when there was none.
    last_crash: Option<Crash>,
    /// `run` or `stop`: what somebody asked for last.
    wish: &'static str,
    /// `wish`, `always`, `never`: what of it a boot does.
    autostart: Autostart,
    /// Messages per level since the log was emptied.
    log_counts: Counts,
    /// Of the runtime.
    release: String,
    /// A newer release is installed and takes over when no program runs.
    upgrade_waits: bool,
    /// When pairing ends; null when it is not open.
    pairing_until_us: Option<u64>,
    /// The WAMP router that is asked for: `url` (null for none), `source`, `problems`.
    router_asked: RouterAsked,
    /// The link to it; null when its connector does not run.
    router: Option<RouterLink>,
}

/// The installed program in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Program {
    /// The runtime's name for it; identifies the content.
    id: String,
    /// The IDE's name for the build.
    md5: String,
    /// When it was installed.
    since_us: u64,
}

impl From<&Snapshot> for State {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            status: snapshot.status.as_str(),
            phase: snapshot.phase.clone(),
            reason: snapshot.reason.clone(),
            program: snapshot.program.as_ref().map(|program| Program {
                id: program.id.clone(),
                md5: program.md5.to_string(),
                since_us: program.since_us,
            }),
            started_at_us: snapshot.started_at_us,
            worker_pid: snapshot.worker_pid,
            crashes: snapshot.crashes,
            last_crash: snapshot.last_crash.clone(),
            wish: match snapshot.wish {
                Wish::Run => "run",
                Wish::Stop => "stop",
            },
            autostart: snapshot.autostart,
            log_counts: snapshot.log_counts.into(),
            release: snapshot.release.clone(),
            upgrade_waits: snapshot.upgrade_waits,
            pairing_until_us: snapshot.pairing_until_us,
            router_asked: snapshot.router_asked.clone(),
            router: snapshot.router.clone(),
        }
    }
}

pub(crate) async fn run(
    session: &Session,
    answer: &mut Answer,
    args: &StatusArgs,
) -> Result<(), Failure> {
    let mut snapshots = session.snapshots();
    let mut before = snapshots.borrow_and_update().clone();
    answer.give(&State::from(before.as_ref()), |_| describe(&before, render::now_us()))?;
    if !args.watch {
        return Ok(());
    }
    loop {
        let now = session.changed(&mut snapshots).await?;
        if answer.is_json() {
            answer.line(&State::from(now.as_ref()))?;
        } else if let Some(line) = change(&before, &now) {
            answer.text(&format!("{}  {line}\n", render::utc(render::now_us())))?;
        }
        before = now;
    }
}

/// Everything a person may want to know at a glance.
fn describe(snapshot: &Snapshot, now_us: u64) -> String {
    let mut rows = Vec::new();
    let since = snapshot.started_at_us.map_or_else(String::new, |start| {
        let elapsed = render::elapsed(now_us.saturating_sub(start));
        format!(" for {elapsed}, since {}", render::utc(start))
    });
    rows.push(("PLC", format!("{}{since}", render::state(snapshot))));
    if let Some(reason) = &snapshot.reason {
        rows.push(("reason", reason.clone()));
    }
    if let Some(program) = &snapshot.program {
        let installed = render::utc(program.since_us);
        rows.push(("program", format!("{}, installed {installed}", program.id)));
        rows.push(("md5", program.md5.to_string()));
    } else {
        rows.push(("program", "none; install one with: plcctl install".into()));
    }
    if let Some(pid) = snapshot.worker_pid {
        rows.push(("worker", format!("process {pid}")));
    }
    rows.push(("at boot", at_boot(snapshot.autostart, snapshot.wish).to_owned()));
    rows.push(("crashes", snapshot.crashes.to_string()));
    if let Some(crash) = &snapshot.last_crash {
        rows.push(("last", format!("{}: {}", render::utc(crash.time_us), crash.reason)));
        if !crash.core.is_empty() {
            rows.push(("core", crash.core.clone()));
        }
    }
    if let Some(until) = snapshot.pairing_until_us {
        rows.push(("pairing", pairing(until)));
    }
    rows.extend(router::rows(snapshot, now_us));
    rows.push(("log", Counts::from(snapshot.log_counts).to_string()));
    rows.push(("runtime", snapshot.release.clone()));
    if snapshot.upgrade_waits {
        rows.push(("upgrade", UPGRADE_WAITS.into()));
    }
    render::facts(&rows)
}

/// What a boot does, and why. What was asked last is told also where the configuration overrules it.
fn at_boot(autostart: Autostart, wish: Wish) -> &'static str {
    match (autostart, wish) {
        (Autostart::Wish, Wish::Run) => "runs (last asked to start)",
        (Autostart::Wish, Wish::Stop) => "stays stopped (last asked to stop)",
        (Autostart::Always, Wish::Run) => r#"runs (autostart = "always")"#,
        (Autostart::Always, Wish::Stop) => r#"runs (autostart = "always"; last asked to stop)"#,
        (Autostart::Never, Wish::Run) => {
            r#"stays stopped (autostart = "never"; last asked to start)"#
        }
        (Autostart::Never, Wish::Stop) => r#"stays stopped (autostart = "never")"#,
    }
}

fn pairing(until_us: u64) -> String {
    format!("open until {}: IDEs without TLS are told the device's key", render::utc(until_us))
}

/// One line about what a person would call a change; new log messages are not one.
fn change(before: &Snapshot, now: &Snapshot) -> Option<String> {
    let state_changed = (before.status, &before.phase, &before.reason)
        != (now.status, &now.phase, &now.reason)
        || before.crashes != now.crashes;
    let program_changed = before.program != now.program;
    let upgrade_waits = now.upgrade_waits && !before.upgrade_waits;
    if !state_changed && !program_changed {
        return match (before.pairing_until_us, now.pairing_until_us) {
            _ if upgrade_waits => Some(UPGRADE_WAITS.to_owned()),
            (before, Some(until)) if before != Some(until) => {
                Some(format!("pairing {}", pairing(until)))
            }
            (Some(_), None) => Some("pairing has ended".to_owned()),
            _ => router::change(before, now),
        };
    }
    let mut line = render::state(now);
    if let Some(program) = now.program.as_ref().filter(|_| program_changed) {
        line.push_str(&format!(", program {}", program.id));
    }
    if let Some(reason) = &now.reason {
        line.push_str(&format!(": {}", terminal::printable(reason, 4)));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use plc_api::{
        plc::PlcStatus,
        program::{ProgramInfo, ProgramMd5},
    };

    use super::*;

    fn running() -> Snapshot {
        Snapshot {
            status: PlcStatus::Started,
            phase: "started".into(),
            program: Some(ProgramInfo {
                id: "3-0badcafe".into(),
                md5: ProgramMd5::new("0123456789abcdef0123456789abcdef").unwrap(),
                since_us: 1_709_210_000_000_000,
            }),
            started_at_us: Some(1_709_210_096_000_000),
            worker_pid: Some(4242),
            wish: Wish::Run,
            log_counts: [0, 1, 2, 3],
            release: "0.1.0".into(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_running_plc_is_described() {
        assert_eq!(
            describe(&running(), 1_709_210_221_000_000),
            "\
PLC      Started for 2 min 5 s, since 2024-02-29 12:34:56 UTC
program  3-0badcafe, installed 2024-02-29 12:33:20 UTC
md5      0123456789abcdef0123456789abcdef
worker   process 4242
at boot  runs (last asked to start)
crashes  0
log      0 critical, 1 warning, 2 info, 3 debug
runtime  0.1.0
"
        );
    }

    #[test]
    fn a_boot_does_what_the_configuration_says_and_otherwise_what_was_asked_last() {
        let described = |autostart, wish| {
            let text = describe(&Snapshot { autostart, wish, ..running() }, 0);
            let row = text.lines().find_map(|line| line.strip_prefix("at boot  "));
            row.unwrap_or_default().to_owned()
        };
        for (autostart, wish, row) in [
            (Autostart::Wish, Wish::Run, "runs (last asked to start)"),
            (Autostart::Wish, Wish::Stop, "stays stopped (last asked to stop)"),
            (Autostart::Always, Wish::Run, "runs (autostart = \"always\")"),
            (Autostart::Always, Wish::Stop, "runs (autostart = \"always\"; last asked to stop)"),
            (
                Autostart::Never,
                Wish::Run,
                "stays stopped (autostart = \"never\"; last asked to start)",
            ),
            (Autostart::Never, Wish::Stop, "stays stopped (autostart = \"never\")"),
        ] {
            assert_eq!(described(autostart, wish), row);
        }
    }

    #[test]
    fn the_last_crash_and_a_waiting_upgrade_are_described() {
        let crash = Crash {
            time_us: 1_709_210_096_000_000,
            reason: "killed by SIGSEGV".into(),
            core: "coredumpctl info 4242".into(),
        };
        let now =
            Snapshot { crashes: 1, last_crash: Some(crash), upgrade_waits: true, ..running() };
        let text = describe(&now, 1_709_210_221_000_000);
        let crashed = "\
crashes  1
last     2024-02-29 12:34:56 UTC: killed by SIGSEGV
core     coredumpctl info 4242
";
        assert!(text.contains(crashed), "{text}");
        assert!(text.contains("upgrade  the new version waits"), "{text}");
        assert_eq!(
            change(&running(), &Snapshot { upgrade_waits: true, ..running() }).as_deref(),
            Some(UPGRADE_WAITS)
        );
    }

    #[test]
    fn open_pairing_is_described_and_its_end_is_told() {
        let open =
            Snapshot { pairing_until_us: Some(1_709_210_096_000_000), ..Snapshot::default() };
        let text = describe(&open, 0);
        assert!(text.contains("pairing  open until 2024-02-29 12:34:56 UTC"), "{text}");
        let closed = Snapshot::default();
        assert!(change(&closed, &open).unwrap().starts_with("pairing open until"));
        assert_eq!(change(&open, &closed).as_deref(), Some("pairing has ended"));
        assert_eq!(change(&open, &open), None);
    }

    #[test]
    fn a_reason_is_shown_without_its_control_characters() {
        let broken = Snapshot {
            status: PlcStatus::Broken,
            phase: "broken".into(),
            reason: Some("killed by SIGSEGV\x1b[31m".into()),
            ..Snapshot::default()
        };
        let text = describe(&broken, 0);
        assert!(text.contains("reason   killed by SIGSEGV\\u{1b}"), "{text}");
    }

    #[test]
    fn a_new_log_message_is_no_change_of_the_state() {
        let before = running();
        let mut now = before.clone();
        now.log_counts = [0, 1, 2, 4];
        assert_eq!(change(&before, &now), None);
        now.status = PlcStatus::Stopped;
        now.phase = "stopped".into();
        assert_eq!(change(&before, &now).as_deref(), Some("Stopped"));
    }
}
