// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker's own threads, known by their ids so that the program's can be told from them.

use std::{
    collections::BTreeSet,
    fs, io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread::{Builder, JoinHandle},
};

/// Enough for everything done on these threads; small, because locked memory counts all of it.
const STACK_BYTES: usize = 256 << 10;

static OURS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Starts a thread of the worker. The name shows up in `ps -L`.
///
/// # Errors
/// The system has no room for another thread.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new().name(name.to_owned()).stack_size(STACK_BYTES).spawn(move || {
        register_this_one();
        work();
    })
}

/// Counts all threads that there are among the worker's own. No program may have been loaded.
pub(crate) fn register_all() {
    // Where the system does not list them, nobody can find the program's there either.
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let id = task.file_name().to_str().and_then(|id| id.parse::<i32>().ok());
        lock(&OURS).extend(id);
    }
}

fn register_this_one() {
    lock(&OURS).insert(rustix::thread::gettid().as_raw_nonzero().get());
}

/// Whether a thread id is one of the worker's own.
pub(crate) fn is_ours(id: i32) -> bool {
    lock(&OURS).contains(&id)
}

/// Locks a mutex whose holders do not leave half-done work behind.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
