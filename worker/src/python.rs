// SPDX-License-Identifier: MIT OR Apache-2.0
//! Answers the program's Python blocks, so that they do not wait for ever: this runtime has no Python.

use std::{ffi::CStr, io};

use plc_abi::PythonCaller;
use plc_api::log::LogLevel;

use crate::{channel::Supervisor, threads};

/// What a block gets the first time it is asked for its last result (reference runtime, `PLCObject.py`).
const NO_RESULT_YET: &CStr = c"None";
/// The form of a failed evaluation that programs know.
const ANSWER: &CStr = c"#EXCEPTION : this runtime has no Python";
/// Characters of an expression that are shown.
const SHOWN: usize = 100;

/// Serves the blocks on a thread of its own until the program stops.
///
/// # Errors
/// The thread cannot be made.
pub(crate) fn answer(mut blocks: PythonCaller, supervisor: Supervisor) -> io::Result<()> {
    threads::spawn("plc-python", move || {
        let Some(expression) = blocks.answer(NO_RESULT_YET) else {
            return;
        };
        let shown: String = expression.text.to_string_lossy().chars().take(SHOWN).collect();
        supervisor.notice(
            LogLevel::Warning,
            format!(
                "The program wants Python to evaluate \"{shown}\". This runtime has no Python: each such block gets \"{}\".",
                ANSWER.to_string_lossy()
            ),
        );
        while blocks.answer(ANSWER).is_some() {}
    })
    .map(drop)
}
