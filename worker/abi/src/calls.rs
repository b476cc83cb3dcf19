// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of a program: loaded, running, stopped.

use std::{
    ffi::{CStr, CString, c_char},
    marker::PhantomData,
    path::Path,
    ptr,
    sync::{Arc, atomic::Ordering},
};

use thiserror::Error;

use crate::{
    library::{Library, LoadError},
    log::LogReader,
    python::PythonCaller,
    signals::InterruptAction,
    symbols::Symbols,
    tick::TickCounter,
    trace_buffer::{Slot, TraceReader},
    trace_list::{TraceError, TraceList},
};

/// A program in memory that does not run. It stays on the thread that loaded it: Xenomai targets need load,
/// start and stop on one.
#[derive(Debug)]
pub struct Loaded {
    symbols: &'static Symbols,
    one_thread: PhantomData<*const ()>,
}

/// A program whose cycle runs. Dropping it stops it first, and waits for that.
#[derive(Debug)]
pub struct Running {
    symbols: &'static Symbols,
    slot: Arc<Slot>,
    trace_list: TraceList,
    /// `stopPLC` has returned.
    stopped: bool,
    one_thread: PhantomData<*const ()>,
}

/// A program that has stopped. Nothing can be called any more; what is left is the end of the process.
#[derive(Debug)]
pub struct Stopped(());

/// What can be known of a program before it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The cycle it asks for, nanoseconds; 0 if it does not say.
    pub period_ns: u64,
    /// It can trace and force.
    pub traceable: bool,
    /// It has a log.
    pub logs: bool,
    /// It has Python blocks.
    pub wants_python: bool,
    /// Bytes of a TIME, DATE, TOD or DT: 12 in programs since December 2025, before that twice those of a C `long`.
    /// Whatever the library says; above 0.
    pub time_bytes: u64,
    /// What was left out when it was built, and what that means, one sentence each.
    pub left_out: Vec<&'static str>,
    /// What is odd about it, one sentence each.
    pub notes: Vec<String>,
}

/// `startPLC` returned something else than 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("startPLC returned {0}")]
pub struct StartError(pub i32);

impl Loaded {
    /// Maps the library at `path`, finds its functions and tells it its md5 text, and the name of the PLC where it
    /// asks for one.
    ///
    /// # Errors
    /// Every [`LoadError`]. What was mapped before a missing symbol was found stays mapped.
    pub fn open(path: &Path, plc_id: &CStr, name: &CStr) -> Result<Self, LoadError> {
        let library = Library::open(path)?;
        // Leaked: threads and handlers of the program refer to the mapping until the process ends.
        let symbols: &'static Symbols = Box::leak(Box::new(Symbols::resolve(&library)?));
        for (variable, text) in [(symbols.plc_id, plc_id), (symbols.service_name, name)] {
            if let Some(variable) = variable {
                // Leaked: the program keeps the pointer.
                variable.store(text.to_owned().into_raw(), Ordering::Release);
            }
        }
        Ok(Self { symbols, one_thread: PhantomData })
    }

    /// What can be known of it.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            period_ns: self.symbols.period_ns,
            traceable: self.symbols.debug.is_some(),
            logs: self.symbols.log.is_some(),
            wants_python: self.symbols.python.is_some(),
            time_bytes: self.symbols.time_bytes,
            left_out: self.symbols.left_out.clone(),
            notes: self.symbols.notes.clone(),
        }
    }

    /// A reader of the program's log, for a thread that has no other work.
    #[must_use]
    pub fn log(&self) -> Option<LogReader> {
        self.symbols.log.map(LogReader::new)
    }

    /// The program's cycle counter.
    #[must_use]
    pub fn tick(&self) -> Option<TickCounter> {
        self.symbols.tick.map(TickCounter)
    }

    /// Starts the program with these arguments and waits until it has initialised itself.
    ///
    /// # Errors
    /// [`StartError`] with the code of `startPLC`, and the program as it was. Starting it again is possible,
    /// though few libraries clean up after a failure.
    pub fn start(self, args: &[CString]) -> Result<Running, (Self, StartError)> {
        let interrupt = InterruptAction::current().ok();
        // Leaked: a program may keep what it was given.
        let mut argv: Vec<*mut c_char> = args.iter().map(|arg| arg.clone().into_raw()).collect();
        let argc = i32::try_from(argv.len()).unwrap_or(0);
        argv.push(ptr::null_mut());
        let argv = argv.leak();
        // SAFETY: the signature is the library's own; argv has argc texts and a null pointer at its end, and
        // lives for ever. `self` proves that the program does not run.
        let code = unsafe { (self.symbols.life.start)(argc, argv.as_mut_ptr()) };
        if let Some(interrupt) = interrupt {
            interrupt.restore();
        }
        if code != 0 {
            return Err((self, StartError(code)));
        }
        let slot = Arc::<Slot>::default();
        Ok(Running {
            symbols: self.symbols,
            trace_list: TraceList::new(self.symbols, Arc::clone(&slot)),
            slot,
            stopped: false,
            one_thread: PhantomData,
        })
    }
}

impl Running {
    /// The taker of samples, for a thread of its own. Ask once: two takers would steal from each other.
    #[must_use]
    pub fn trace_reader(&self) -> Option<TraceReader> {
        let functions = self.symbols.debug?;
        Some(TraceReader::new(functions, Arc::clone(&self.slot)))
    }

    /// The program's Python blocks, for a thread of its own.
    #[must_use]
    pub fn python(&self) -> Option<PythonCaller> {
        self.symbols.python.map(PythonCaller)
    }

    /// Replaces the traced and forced variables and switches tracing on; an empty list ends tracing and all forces.
    /// Each entry is a variable's index and the bytes to force it to. Returns the cycle counter at the change: a
    /// sample with an older or the same tick may still be of the old list.
    ///
    /// # Errors
    /// [`TraceError`]; then nothing is traced or forced.
    pub fn set_trace(&mut self, list: &[(u32, Option<&[u8]>)]) -> Result<Option<u32>, TraceError> {
        self.trace_list.replace(list)
    }

    /// Ends sampling; the list and its forces stay.
    ///
    /// # Errors
    /// [`TraceError::NotTraceable`].
    pub fn pause_trace(&mut self) -> Result<(), TraceError> {
        self.trace_list.pause()
    }

    /// Samples again, if anything is traced.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn resume_trace(&mut self) -> Result<(), TraceError> {
        self.trace_list.resume()
    }

    /// Stops the program and waits until its cycle has ended and it has cleaned up. That may take for ever:
    /// the deadline is somebody else's, who ends the process.
    #[must_use]
    pub fn stop(mut self) -> Stopped {
        self.call_stop();
        Stopped(())
    }

    fn call_stop(&mut self) {
        if self.stopped {
            return;
        }
        self.slot.set_stopping();
        // SAFETY: the signature is the library's own, and the program runs.
        unsafe { (self.symbols.life.stop)() };
        self.stopped = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.call_stop();
    }
}
