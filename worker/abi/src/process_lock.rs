// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lock that belongs to the process itself, for as long as it lives and no longer.
//!
//! `flock` belongs to an open file, and whoever holds a descriptor of it holds the lock. That is too weak for a
//! process that runs foreign code: a program that closes all descriptors would release it, and a child that
//! the program forks would keep it when the process is long gone. So the open file is held by a mapping
//! instead: `close` does not reach it, `MADV_DONTFORK` keeps it out of children, and the kernel removes it with
//! the process (`fs/locks.c`: the lock goes with the last reference to the open file, and a mapping is one).

use std::{
    ffi::c_void,
    fs::File,
    io,
    os::fd::AsRawFd,
    path::Path,
    ptr::{self, NonNull},
};

use rustix::fs::{FlockOperation, flock};

/// One page: the smallest mapping there is. The length is rounded up, so the page size does not matter.
const MAPPED_BYTES: usize = 4096;

/// An exclusive lock on a file, held until dropped or until the process ends.
#[derive(Debug)]
pub struct ProcessLock {
    page: NonNull<c_void>,
}

impl ProcessLock {
    /// Takes the lock on an existing file without waiting. The file's content does not matter, and is neither
    /// read nor changed.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it, or whatever `open`, `flock` and `mmap` say.
    pub fn take(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // SAFETY: a new mapping at an address of the kernel's choice, not accessible, so nothing refers to it.
        let page = unsafe {
            libc::mmap(
                ptr::null_mut(),
                MAPPED_BYTES,
                libc::PROT_NONE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        let page = NonNull::new(page)
            .filter(|page| page.as_ptr() != libc::MAP_FAILED)
            .ok_or_else(io::Error::last_os_error)?;
        let lock = Self { page };
        // SAFETY: the range is the mapping just made; it is only marked.
        let result =
            unsafe { libc::madvise(lock.page.as_ptr(), MAPPED_BYTES, libc::MADV_DONTFORK) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(lock)
    }

    /// Keeps the lock until the process ends.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        // SAFETY: the range is this value's own mapping, to which nothing refers.
        unsafe { libc::munmap(self.page.as_ptr(), MAPPED_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
        sync::{Mutex, MutexGuard, PoisonError},
    };

    use super::*;

    // The child of one test would inherit the descriptor that another one is just about to close.
    fn alone() -> MutexGuard<'static, ()> {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let _alone = alone();
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
        let _alone = alone();
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
