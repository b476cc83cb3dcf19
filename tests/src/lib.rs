// SPDX-License-Identifier: MIT OR Apache-2.0
//! The harness: real processes, real sockets, real client libraries, programs in C.
//!
//! Tests wait for events, never for a time; [`PATIENCE`] only turns a hang into a failure. A failing test prints
//! what every process wrote.
#![forbid(unsafe_code)]

use std::time::Duration;

pub mod activated;
pub mod api;
pub mod bus;
pub mod desk;
pub mod erpc_ide;
pub mod errors;
pub mod evil;
pub mod guides;
pub mod ide;
pub mod installed;
pub mod manual;
pub mod marks;
pub mod programs;
pub mod scratch;
pub mod strace;
pub mod tls;
pub mod wamp;

/// How long an event may take on a loaded machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The root of the checkout.
#[must_use]
pub fn root() -> std::path::PathBuf {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A program of the workspace, built with the same profile as the tests.
///
/// # Panics
/// It is not built; says how to.
#[must_use]
pub fn binary(name: &str) -> std::path::PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let mut dir = own.parent().unwrap_or(&own);
    if dir.ends_with("deps") {
        dir = dir.parent().unwrap_or(dir);
    }
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is not built; run `make unit`, or `cargo build --workspace`",
        path.display()
    );
    path
}
