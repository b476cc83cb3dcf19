// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a load order to a program in memory.

use std::{ffi::CString, fs, path::Path};

use anyhow::Context;
use plc_abi::{LoadError, Loaded};
use plc_api::log::LogLevel;
use plc_worker_link::LoadOrder;
// Its limits have 64 bits on every processor.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{extra_files, python_files};

/// Limits the process, brings the extra files, goes to the working directory, maps the library. Besides the
/// program it returns what people should know, one sentence each.
///
/// # Errors
/// In words for people.
pub(crate) fn load(
    order: &LoadOrder,
    work_dir: &Path,
) -> anyhow::Result<(Loaded, Vec<(LogLevel, String)>)> {
    if order.logic_md5.is_some() {
        return Err(LoadError::TwoLibraries.into());
    }
    let program_dir = std::path::absolute(&order.program_dir)?;
    let files = extra_files::install(&program_dir, &order.program_id, work_dir)?;
    std::env::set_current_dir(work_dir)
        .with_context(|| format!("the working directory {}", work_dir.display()))?;
    if let Some(bytes) = order.memory_max_bytes {
        limit_memory(bytes).context("the memory limit cannot be set")?;
    }
    let md5 = CString::new(order.md5.as_str())?;
    let program = Loaded::open(&program_dir.join("program.so"), &md5, &machine_name())?;
    let facts = program.facts();
    let left_out = facts.left_out.iter().map(|note| (LogLevel::Info, sentence(note)));
    let odd = facts.notes.iter().map(|note| (LogLevel::Warning, sentence(note)));
    let python = python_files::warning(&files, &program_dir.join("extra"))
        .map(|warning| (LogLevel::Warning, warning));
    Ok((program, left_out.chain(odd).chain(python).collect()))
}

/// What a program gets for the name that the reference runtime is given by its option `-n`; empty if it is unknown.
fn machine_name() -> CString {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    CString::new(name.trim()).unwrap_or_default()
}

/// Bounds the address space. Only the soft limit, so that [`lift_memory_limit`] can make room.
fn limit_memory(bytes: u64) -> rustix::io::Result<()> {
    let maximum = getrlimit(Resource::As).maximum;
    let current = Some(maximum.map_or(bytes, |hard| bytes.min(hard)));
    setrlimit(Resource::As, Rlimit { current, maximum })
}

/// Takes the bound away again: a process that dies of it needs some memory to say its last words.
pub(crate) fn lift_memory_limit() {
    let maximum = getrlimit(Resource::As).maximum;
    if let Err(error) = setrlimit(Resource::As, Rlimit { current: maximum, maximum }) {
        tracing::debug!(error = error.to_string(), "the memory limit stays");
    }
}

fn sentence(note: &str) -> String {
    let mut letters = note.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_becomes_a_sentence() {
        assert_eq!(sentence("the program is odd"), "The program is odd.");
    }
}
