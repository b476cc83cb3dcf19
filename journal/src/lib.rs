// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where every process of ours writes its log: the system's journal when standard error leads there, text on standard
//! error otherwise.
#![forbid(unsafe_code)]

use std::{
    env,
    io::{self, IsTerminal},
    os::fd::AsFd,
};

use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// Begins logging. Call once, before the first message.
///
/// `RUST_LOG` chooses what is logged, as `LEVEL` or `TARGET=LEVEL`, separated by commas; without it, or if it
/// cannot be understood, `info` and worse.
pub fn begin() {
    let chosen = env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    let filter = chosen.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
    let journal = stderr_is_the_journal().then(tracing_journald::layer);
    let output = match journal {
        Some(Ok(journal)) => journal.boxed(),
        Some(Err(_)) | None => tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .boxed(),
    };
    tracing_subscriber::registry().with(output.with_filter(filter)).init();
}

/// systemd.exec(5), `$JOURNAL_STREAM`: set for services and, by inheritance, for what a terminal started; only
/// when device and inode agree does standard error really lead to the journal.
fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(io::stderr().as_fd()) else { return false };
    env::var("JOURNAL_STREAM")
        .is_ok_and(|value| value == format!("{}:{}", stat.st_dev, stat.st_ino))
}
