// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lock that belongs to the process itself, for as long as it lives and no longer.
//!
//! `flock` belongs to an open file, and whoever holds a descriptor of it holds the lock. That is too weak for a
//! process that runs foreign code: a program that closes all descriptors would release it, and a child that the
//! program forks would keep it when the process is long gone. So a thread holds it that shares no descriptors with
//! the others: no `close` of theirs reaches it, no child of theirs inherits it, and it ends with the process. (A
//! mapping of the file would do for most file systems, but one of overlayfs does not keep what is locked.)

use std::{
    convert::Infallible,
    fs::File,
    io,
    mem::{self, MaybeUninit},
    path::Path,
    ptr,
    sync::mpsc,
    thread::{self, JoinHandle},
};

use rustix::fs::{FlockOperation, flock};

/// It only waits, and with locked memory all of it costs.
const STACK_BYTES: usize = 64 * 1024;

#[expect(clippy::cast_possible_wrap, reason = "a flag, of another type where it is taken")]
const UNSHARE: libc::c_int = libc::CLOSE_RANGE_UNSHARE as libc::c_int;

/// An exclusive lock on a file, held until dropped or until the process ends.
#[derive(Debug)]
pub struct ProcessLock {
    holder: Option<JoinHandle<()>>,
    /// Its end is the order to release.
    order: Option<mpsc::Sender<Infallible>>,
}

impl ProcessLock {
    /// Takes the lock on an existing file without waiting. The file's content does not matter, and is neither
    /// read nor changed.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it, or whatever `open` and `flock` say; `Unsupported` by Linux before
    /// 5.9.
    pub fn take(path: &Path) -> io::Result<Self> {
        let path = path.to_owned();
        let (order, orders) = mpsc::channel();
        let (report, result) = mpsc::channel();
        let thread = thread::Builder::new().name("plc-lock".into()).stack_size(STACK_BYTES);
        let holder = thread.spawn(move || match lock_apart(&path) {
            Ok(_file) => {
                let _ = report.send(Ok(()));
                let Err(mpsc::RecvError) = orders.recv();
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        })?;
        // Dropped, it waits for the thread.
        let lock = Self { holder: Some(holder), order: Some(order) };
        result.recv().map_err(io::Error::other)??;
        Ok(lock)
    }

    /// Keeps the lock until the process ends.
    pub fn keep(self) {
        mem::forget(self);
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        drop(self.order.take());
        // The thread cannot have panicked: a panic ends the process.
        let _ = self.holder.take().map(JoinHandle::join);
    }
}

/// Gives this thread descriptors of its own, then opens and locks the file.
fn lock_apart(path: &Path) -> io::Result<File> {
    block_signals()?;
    // SAFETY: nothing on this thread refers to a descriptor, and the other threads keep theirs.
    if unsafe { libc::close_range(0, libc::c_uint::MAX, UNSHARE) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let file = File::open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// A handler of the program that ran on this thread would not find its descriptors.
fn block_signals() -> io::Result<()> {
    let mut all = MaybeUninit::uninit();
    // SAFETY: there is room for a set, all of which is written.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: the set was filled; the former mask is not asked for.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut()) };
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(result)) }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    fn is_busy(path: &Path) -> bool {
        match ProcessLock::take(path) {
            Ok(_) => false,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                true
            }
        }
    }

    #[test]
    fn it_is_exclusive_and_held_without_a_descriptor() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lock = ProcessLock::take(file.path()).unwrap();
        // The only descriptors of the file are the test's own, which hold no lock.
        let open = std::fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target == file.path())
            .count();
        assert_eq!(open, 1);
        assert!(is_busy(file.path()));
        drop(lock);
        assert!(!is_busy(file.path()));
    }

    #[test]
    fn a_forked_child_does_not_hold_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lock = ProcessLock::take(file.path()).unwrap();
        let (mut parent, mut in_child) = UnixStream::pair().unwrap();
        // SAFETY: the child only reads, writes and ends, which is allowed after a fork among threads.
        let child = unsafe { libc::fork() };
        assert!(child >= 0);
        if child == 0 {
            let _ = in_child.write_all(b"x");
            let _ = in_child.read(&mut [0]);
            crate::process_end::end_process(0);
        }
        parent.read_exact(&mut [0]).unwrap();
        assert!(is_busy(file.path()));
        drop(lock);
        assert!(!is_busy(file.path()), "the child holds the lock");
        parent.write_all(b"x").unwrap();
        let mut status = 0;
        // SAFETY: waits for the child made above; the status has room.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    }

    #[test]
    fn the_file_must_exist() {
        let error = ProcessLock::take(Path::new("/nonexistent/lock")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
