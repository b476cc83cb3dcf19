// SPDX-License-Identifier: MIT OR Apache-2.0
//! Scheduling of the calling thread, and the stack of threads to come.
//!
//! A thread that a program creates without saying more inherits the scheduling of the thread that calls
//! `startPLC`, so that is where real time is switched on, and off again afterwards.

use std::{ffi::c_int, io, mem::MaybeUninit};

/// How one thread is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheduling {
    policy: c_int,
    priority: c_int,
}

impl Scheduling {
    /// `SCHED_OTHER`: no real time.
    pub const NORMAL: Self = Self { policy: libc::SCHED_OTHER, priority: 0 };

    /// `SCHED_FIFO` with a priority from 1 to 99.
    #[must_use]
    pub fn fifo(priority: u8) -> Self {
        Self { policy: libc::SCHED_FIFO, priority: priority.into() }
    }

    /// `SCHED_RR` with a priority from 1 to 99.
    #[must_use]
    pub fn round_robin(priority: u8) -> Self {
        Self { policy: libc::SCHED_RR, priority: priority.into() }
    }

    /// The calling thread's.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn current() -> io::Result<Self> {
        // SAFETY: asks about the calling thread.
        let policy = unsafe { libc::sched_getscheduler(0) };
        if policy < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut param = MaybeUninit::<libc::sched_param>::zeroed();
        // SAFETY: asks about the calling thread; there is room for the answer.
        if unsafe { libc::sched_getparam(0, param.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel's answer was written, and all zeros are valid besides.
        let priority = unsafe { param.assume_init() }.sched_priority;
        Ok(Self { policy, priority })
    }

    /// Schedules the calling thread so.
    ///
    /// # Errors
    /// `PermissionDenied` above `RLIMIT_RTPRIO` without `CAP_SYS_NICE`; `InvalidInput` for a priority that does
    /// not exist.
    pub fn apply(self) -> io::Result<()> {
        let mut param = {
            // SAFETY: all zeros are a valid `sched_param`, which has more fields on some systems.
            unsafe { MaybeUninit::<libc::sched_param>::zeroed().assume_init() }
        };
        param.sched_priority = self.priority;
        // SAFETY: concerns the calling thread; the parameter is initialised.
        if unsafe { libc::sched_setscheduler(0, self.policy, &raw const param) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}

unsafe extern "C" {
    /// Sets the attributes of threads that are created without any; in glibc since 2.18 and in musl.
    fn pthread_setattr_default_np(attributes: *const libc::pthread_attr_t) -> c_int;
}

/// Sets the stack size of threads that a program creates without saying more.
///
/// # Errors
/// `InvalidInput` below the system's minimum, or whatever the C library says.
pub fn set_default_stack_size(bytes: usize) -> io::Result<()> {
    let checked = |code| match code {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    };
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let attributes = attributes.as_mut_ptr();
    // SAFETY: initialises the attributes in place.
    checked(unsafe { libc::pthread_attr_init(attributes) })?;
    // SAFETY: the attributes are initialised.
    let result = checked(unsafe { libc::pthread_attr_setstacksize(attributes, bytes) })
        // SAFETY: the attributes are initialised.
        .and_then(|()| checked(unsafe { pthread_setattr_default_np(attributes) }));
    // SAFETY: initialised, and used no more; the C library has made its own copy.
    unsafe { libc::pthread_attr_destroy(attributes) };
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_reads_back_its_own_scheduling() {
        let before = Scheduling::current().unwrap();
        assert_eq!(before, Scheduling::NORMAL);
        before.apply().unwrap();
        assert_eq!(Scheduling::current().unwrap(), before);
    }

    #[test]
    fn a_priority_out_of_range_is_an_error() {
        assert!(Scheduling::fifo(100).apply().is_err());
        assert!(Scheduling::round_robin(0).apply().is_err());
    }

    #[test]
    fn a_stack_too_small_for_any_thread_is_an_error() {
        assert!(set_default_stack_size(1).is_err());
        set_default_stack_size(1 << 20).unwrap();
    }
}
