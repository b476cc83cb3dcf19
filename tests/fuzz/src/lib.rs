// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must hold of any bytes, one module for each fuzz target.
//!
//! Each has a `run`, which panics if something does not hold, and `seeds`, the inputs to begin with: well-formed ones,
//! made of the recorded dialogues and of the messages themselves, so that they follow when those change. [`bounded`]
//! holds the memory that an input may take, libFuzzer the time.
#![forbid(unsafe_code)]

use std::{env, fs, path::Path};

use peak_alloc::PeakAlloc;

pub use libfuzzer_sys;

pub mod api;
pub mod config;
mod conversation;
pub mod erpc;
pub mod keys;
pub mod msgpack;
pub mod pickle;
mod place;
pub mod pyro3;
pub mod pyro5;
pub mod serpent;
pub mod tar;
mod values;
mod vectors;
pub mod wamp;
pub mod wampconf;
pub mod worker_link;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What one input may take whatever its length: the bounds on the number of values in one message allow this much.
const MEMORY_BYTES: usize = 32 << 20;

/// What one byte of an input may take in addition; most of it is the targets' own notes.
const MEMORY_FACTOR: usize = 64;

/// Makes a fuzz target of one of the modules.
#[macro_export]
macro_rules! target {
    ($module:ident) => {
        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::write_seeds($crate::$module::seeds),
            |data: &[u8]| $crate::bounded($crate::$module::run, data)
        );
    };
}

/// Writes the seeds into the directory that `FUZZ_SEEDS` names, before libFuzzer reads it.
///
/// # Panics
/// If they cannot be written.
pub fn write_seeds(seeds: fn() -> Vec<Vec<u8>>) {
    let Some(dir) = env::var_os("FUZZ_SEEDS") else { return };
    let dir = Path::new(&dir);
    fs::create_dir_all(dir).expect("the directory FUZZ_SEEDS");
    for (number, seed) in seeds().into_iter().enumerate() {
        fs::write(dir.join(format!("{number:03}")), seed).expect("a seed");
    }
}

/// Runs one input, and holds the memory that it takes.
///
/// # Panics
/// If it takes too much, or if something does not hold.
pub fn bounded(run: fn(&[u8]), data: &[u8]) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    run(data);
    let used = MEMORY.peak_usage().saturating_sub(before);
    let limit = MEMORY_BYTES + MEMORY_FACTOR * data.len();
    assert!(used <= limit, "{} bytes take {used} bytes of memory, not {limit} at most", data.len());
}
