// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where every process of ours writes its log: the system's journal when standard error leads there, text on standard
//! error otherwise.
//!
//! In the journal each field of an event is a field of the entry under its own name in capitals, without a prefix:
//! `program_id` is `PROGRAM_ID=`. So no event may use a name of systemd.journal-fields(7) for something else. Used are
//! `plc_state`, `plc_level`, `plc_source`, `plc_tick`, `plc_log`, `program_id`, `program_md5`, `worker_pid`, `signal`,
//! `exit_code`, `core`, `left_out`, `call`, `connector`, `peer`, `identity`, `uid`, `request_id`, `elapsed_ms`, `error`,
//! and [`message_id`]. `SYSLOG_IDENTIFIER=` is the name of the program, `PRIORITY=` 3 for error, 4 for warning, 6 for info,
//! 7 for debug and trace.
#![forbid(unsafe_code)]

mod aside;
pub mod message_id;
mod text;

use std::{
    env,
    io::{self, IsTerminal},
    os::fd::AsFd,
    sync::Arc,
};

use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The target of what the PLC program itself says: all levels of it are logged, since their number is bounded.
pub const PROGRAM: &str = "program";

use crate::aside::{Aside, Output};

/// Begins logging. Call once, before the first message.
///
/// A thread is begun that writes: block the signals before that it is not to get.
///
/// `RUST_LOG` chooses what is logged, as `LEVEL` or `TARGET=LEVEL`, separated by commas; without it, or if it
/// cannot be understood, `info` and worse, and all that the program says.
pub fn begin() {
    let chosen = env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = chosen.unwrap_or_else(|| {
        Targets::new().with_default(LevelFilter::INFO).with_target(PROGRAM, LevelFilter::DEBUG)
    });
    let aside = Aside::begin(output);
    tracing_subscriber::registry().with(aside.with_filter(filter)).init();
}

fn output() -> Output {
    let journal = stderr_is_the_journal().then(tracing_journald::layer);
    let layer = match journal {
        Some(Ok(journal)) => {
            journal.with_field_prefix(None).with_priority_mappings(priorities()).boxed()
        }
        Some(Err(_)) | None => tracing_subscriber::fmt::layer()
            .fmt_fields(text::Text)
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
    };
    Arc::new(tracing_subscriber::registry().with(layer))
}

/// As syslog(3) and everybody else understand them: "notice" is for what stands out.
fn priorities() -> PriorityMappings {
    PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    }
}

/// systemd.exec(5), `$JOURNAL_STREAM`: set for services and, by inheritance, for what a terminal started; only
/// when device and inode agree does standard error really lead to the journal.
fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    env::var("JOURNAL_STREAM")
        .is_ok_and(|value| value == format!("{}:{}", stat.st_dev, stat.st_ino))
}
