// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a program logged just before it crashed is not lost.
//!
//! The program's log lies in its own memory and is read out by one of the host's threads. When any thread of
//! the process faults, aborts or calls `exit`, that thread waits a moment here until the reader has read the
//! log once more, and only then dies: of the same signal, at the same place, as a core dump will show.
//!
//! A program that installs handlers of its own for these signals does without. So does a stack overflow on a
//! thread without an alternate stack: there is no room left to run a handler in.

use std::{
    ffi::{c_int, c_void},
    io,
    mem::MaybeUninit,
    ptr,
    sync::atomic::{AtomicI32, AtomicU32, Ordering},
    time::{Duration, Instant},
};

use rustix::thread::futex::{self, Flags, Timespec};

/// The signals that mean the process is about to die by its own fault.
const FATAL: [c_int; 5] = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGABRT];

/// How long a dying thread waits for the reader of the log.
const PATIENCE: Duration = Duration::from_millis(200);

// Two counters and no descriptor: a program that closes every descriptor cannot take these away, and a
// futex is among the few things a signal handler may use.
static ASKED: AtomicU32 = AtomicU32::new(0);
static ANSWERED: AtomicU32 = AtomicU32::new(0);
/// The listener's thread, which cannot wait for itself; 0 while there is none, [`SOON`] before it has begun.
static LISTENER: AtomicI32 = AtomicI32::new(0);
const SOON: i32 = -1;

/// The reader of the log listens here between two readings. There is one.
#[derive(Debug)]
pub struct Listener(());

/// Somebody waits for a reading that begins after this was received.
#[derive(Debug)]
pub struct Ask(u32);

/// Makes the process speak its last words. Call once, early, from any thread.
///
/// # Errors
/// Whatever `sigaction` or `atexit` says.
pub fn install() -> io::Result<Listener> {
    let mut action = {
        // SAFETY: all zeros are a valid `sigaction`.
        unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() }
    };
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_fault;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for signal in FATAL {
        // SAFETY: the handler does only what a signal handler may do: atomics, futex, clock_gettime, sigaction,
        // raise; `action` is wholly initialised.
        if unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // SAFETY: the function takes nothing, returns nothing and lives as long as the process.
    if unsafe { libc::atexit(on_exit) } != 0 {
        return Err(io::Error::other("atexit has no room left"));
    }
    Ok(Listener(()))
}

/// Lets the listener return at once, as a dying thread would.
pub fn ask() {
    ASKED.fetch_add(1, Ordering::AcqRel);
    // A wake can only fail for an address that is not there.
    let _ = futex::wake(&ASKED, Flags::PRIVATE, 1);
}

impl Listener {
    /// From now on whoever dies waits, even if the listening thread takes a while to begin.
    pub fn announce(&self) {
        LISTENER.store(SOON, Ordering::Release);
    }

    /// Waits until somebody asks, at most `timeout`.
    #[must_use]
    pub fn wait(&self, timeout: Duration) -> Option<Ask> {
        LISTENER.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
        let asked = ASKED.load(Ordering::Acquire);
        if asked == ANSWERED.load(Ordering::Acquire) {
            wait_while(&ASKED, asked, timeout);
        }
        let asked = ASKED.load(Ordering::Acquire);
        (asked != ANSWERED.load(Ordering::Acquire)).then_some(Ask(asked))
    }

    /// Lets those go who asked.
    pub fn answer(&self, ask: &Ask) {
        ANSWERED.store(ask.0, Ordering::Release);
        // As in `ask`.
        let _ = futex::wake(&ANSWERED, Flags::PRIVATE, u32::MAX >> 1);
    }
}

/// Waits until the log has been read once more, or patience ends.
fn speak() {
    let listener = LISTENER.load(Ordering::Acquire);
    if listener == 0 || listener == rustix::thread::gettid().as_raw_nonzero().get() {
        return;
    }
    let begin = Instant::now();
    let mine = ASKED.fetch_add(1, Ordering::AcqRel).wrapping_add(1);
    // As in `ask`.
    let _ = futex::wake(&ASKED, Flags::PRIVATE, 1);
    loop {
        let answered = ANSWERED.load(Ordering::Acquire);
        let ahead = answered.wrapping_sub(mine) < u32::MAX / 2;
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if ahead || left.is_zero() {
            return;
        }
        wait_while(&ANSWERED, answered, left);
    }
}

fn wait_while(word: &AtomicU32, value: u32, timeout: Duration) {
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Changed meanwhile, timed out, interrupted: the caller looks again in each case.
    let _ = futex::wait(word, Flags::PRIVATE, value, Some(&timeout));
}

extern "C" fn on_exit() {
    speak();
}

extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    speak();
    // SAFETY: restoring the default action is always allowed, in a handler too.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: the kernel passes a valid pointer to a handler with SA_SIGINFO.
    let code = unsafe { (*info).si_code };
    if code <= 0 {
        // Sent by somebody rather than caused by an instruction, so returning would not repeat it. It is
        // blocked in here and comes at the return.
        // SAFETY: a thread may send itself any signal.
        unsafe { libc::raise(signal) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, since the counters belong to the process.
    #[test]
    fn the_one_who_asks_waits_for_the_answer_but_not_for_ever() {
        let listener = Listener(());
        assert!(listener.wait(Duration::from_millis(1)).is_none());

        listener.announce();
        let asker = std::thread::spawn(speak);
        let ask = listener.wait(Duration::from_secs(60)).expect("to be asked");
        listener.answer(&ask);
        asker.join().unwrap();
        assert!(listener.wait(Duration::from_millis(1)).is_none());

        let begin = Instant::now();
        std::thread::spawn(speak).join().unwrap();
        assert!(begin.elapsed() >= PATIENCE, "it did not wait without an answer");
        assert!(listener.wait(Duration::from_millis(1)).is_some());
    }
}
