// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a PLC library exports: all of it resolved at once, or the missing piece named.
//!
//! Starting and stopping are required. The rest comes in groups, because a target may be built without
//! logging, debugging or Python; a group with a hole counts as absent, and a note says so.

use std::{
    ffi::{c_char, c_int, c_long, c_uint, c_void},
    sync::atomic::{AtomicPtr, AtomicU32},
};

use crate::library::{Library, LoadError};

/// One group of functions, looked up together.
enum Group<T> {
    Whole(T),
    /// The name of the first missing function, and whether another one is there.
    Missing(&'static str, bool),
}

macro_rules! group {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $symbol:literal as $signature:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name { $(pub(crate) $field: $signature,)* }

        impl $name {
            fn resolve(library: &Library) -> Group<Self> {
                $(
                    // SAFETY: the signature is the one of the reference runtime's libraries, see each group.
                    let $field: Option<$signature> = unsafe { library.function($symbol) };
                )*
                if let ($(Some($field),)*) = ($($field,)*) {
                    return Group::Whole(Self { $($field,)* });
                }
                let found = [$(($symbol, $field.is_some()),)*];
                let missing = found.iter().find(|(_, there)| !there).map_or("", |(name, _)| name);
                Group::Missing(missing, found.iter().any(|(_, there)| *there))
            }
        }
    };
}

group! {
    /// Starting and stopping: reference runtime, `targets/Linux/plc_Linux_main.c`.
    Life {
        start: "startPLC" as unsafe extern "C" fn(c_int, *mut *mut c_char) -> c_int,
        stop: "stopPLC" as unsafe extern "C" fn() -> c_int,
    }
}

group! {
    /// Tracing and forcing: reference runtime, `targets/plc_debug.c`.
    ///
    /// Tick and size are `unsigned long *` in libraries before May 2024 and `unsigned *` since; eight zeroed
    /// bytes serve both. The third argument of `RegisterDebugVariable` exists since January 2024; the calling
    /// conventions of all supported machines let an older library ignore it.
    Debug {
        reset: "ResetDebugVariables" as unsafe extern "C" fn(),
        register: "RegisterDebugVariable" as unsafe extern "C" fn(c_uint, *mut c_void, usize) -> c_int,
        get: "GetDebugData" as unsafe extern "C" fn(*mut u64, *mut u64, *mut *mut c_void) -> c_int,
        free: "FreeDebugData" as unsafe extern "C" fn(),
        suspend: "suspendDebug" as unsafe extern "C" fn(c_int) -> c_int,
        resume: "resumeDebug" as unsafe extern "C" fn(),
    }
}

group! {
    /// The program's log: reference runtime, `targets/plc_main_tail.c`.
    Log {
        count: "GetLogCount" as unsafe extern "C" fn(u8) -> u32,
        message: "GetLogMessage" as unsafe extern "C" fn(
            u8, u32, *mut c_char, u32, *mut u32, *mut u32, *mut u32) -> u32,
    }
}

group! {
    /// Blocks of Python inside the program: reference runtime, `py_ext/plc_python.c`.
    ///
    /// The third argument exists since February 2025, and the library writes to it; the calling conventions of all
    /// supported machines let an older library ignore it.
    Python {
        next: "PythonIterator" as unsafe extern "C" fn(
            *const c_char, *mut *mut c_void, *mut c_int) -> *const c_char,
    }
}

/// Everything that a library offers.
#[derive(Debug)]
pub(crate) struct Symbols {
    pub(crate) life: Life,
    pub(crate) debug: Option<Debug>,
    pub(crate) log: Option<Log>,
    pub(crate) python: Option<Python>,
    /// Whether `RegisterDebugVariable` has a result: it came together with `force_list` in December 2021.
    pub(crate) registration_answers: bool,
    /// `PLC_ID`, where the program finds its own md5 text.
    pub(crate) plc_id: Option<&'static AtomicPtr<c_char>>,
    /// `PLC_SERVICE_NAME`, where programs since 2026 find the name of the PLC on the network.
    pub(crate) service_name: Option<&'static AtomicPtr<c_char>>,
    /// `__tick`, the cycle counter.
    pub(crate) tick: Option<&'static AtomicU32>,
    /// `common_ticktime__`, nanoseconds; 0 if there is none.
    pub(crate) period_ns: u64,
    /// Bytes of a TIME, DATE, TOD or DT.
    pub(crate) time_bytes: u64,
    /// What was left out when it was built, and what that means, one sentence each.
    pub(crate) left_out: Vec<&'static str>,
    /// What is odd about this library, one sentence each.
    pub(crate) notes: Vec<String>,
}

/// With `-DPLC_NO_DEBUG`, among others.
const WITHOUT_DEBUGGING: &str =
    "the program was built without debugging: its variables can be neither traced nor forced";
/// With `-DPLC_NO_LOGGING`, among others.
const WITHOUT_LOGGING: &str =
    "the program was built without logging: its own messages are not in this log";

impl Symbols {
    pub(crate) fn resolve(library: &Library) -> Result<Self, LoadError> {
        let life = match Life::resolve(library) {
            Group::Whole(life) => life,
            Group::Missing(name, _) => return Err(LoadError::MissingSymbol(name)),
        };
        // Its start would succeed, and no cycle would do anything without the other library.
        if library.variable::<u8>("loadPLCLogic").is_some() {
            return Err(LoadError::TwoLibraries);
        }
        let mut notes = Vec::new();
        let debug = optional(Debug::resolve(library), "cannot be debugged", &mut notes);
        let log = optional(Log::resolve(library), "has no log", &mut notes);
        let python = optional(Python::resolve(library), "has no Python blocks", &mut notes);
        let text = |name| {
            library.variable(name).map(|text| {
                // SAFETY: aligned and not null (`variable`), and mapped for ever; others only read it.
                unsafe { AtomicPtr::from_ptr(text) }
            })
        };
        let tick = library.variable("__tick").map(|tick| {
            // SAFETY: aligned and not null (`variable`), and mapped for ever; the library writes it with
            // plain aligned stores, which are atomic on every machine this runs on.
            unsafe { AtomicU32::from_ptr(tick) }
        });
        Ok(Self {
            life,
            debug,
            log,
            python,
            left_out: [
                debug.is_none().then_some(WITHOUT_DEBUGGING),
                log.is_none().then_some(WITHOUT_LOGGING),
            ]
            .into_iter()
            .flatten()
            .collect(),
            registration_answers: library.variable::<u8>("force_list").is_some(),
            plc_id: text("PLC_ID"),
            service_name: text("PLC_SERVICE_NAME"),
            tick,
            period_ns: period_ns(library),
            time_bytes: time_bytes(library),
            notes,
        })
    }
}

fn optional<T>(group: Group<T>, consequence: &str, notes: &mut Vec<String>) -> Option<T> {
    match group {
        Group::Whole(functions) => Some(functions),
        Group::Missing(_, false) => None,
        Group::Missing(name, true) => {
            notes.push(format!(
                "the program has no {name}, though it has its companions; it is treated as one that {consequence}"
            ));
            None
        }
    }
}

/// Bytes of a TIME: those of `__CURRENT_TIME`, which has that type. 12 since December 2025, `int64_t` seconds and
/// `int32_t` nanoseconds without padding, on every machine; two C `long`s before.
fn time_bytes(library: &Library) -> u64 {
    const TWO_LONGS: u64 = 2 * (c_long::BITS as u64) / 8;
    library.variable_bytes(c"__CURRENT_TIME").unwrap_or(TWO_LONGS)
}

/// The period before the start; a library that says 0 runs with 1 ms (reference runtime,
/// `targets/plc_main_head.c`).
fn period_ns(library: &Library) -> u64 {
    const OF_A_LIBRARY_THAT_SAYS_NOTHING: u64 = 1_000_000;
    let Some(address) = library.variable::<u64>("common_ticktime__") else {
        return 0;
    };
    // SAFETY: aligned and not null (`variable`), and mapped; no thread of the program runs before its start.
    match unsafe { address.read_volatile() } {
        0 => OF_A_LIBRARY_THAT_SAYS_NOTHING,
        period => period,
    }
}
