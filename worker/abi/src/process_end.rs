// SPDX-License-Identifier: MIT OR Apache-2.0
//! The end of the process that had a program: the only way of unloading.

/// Ends the process at once. What the program left to be done at exit, its destructors and handlers, is not
/// run: after `stopPLC` it could only hang or crash there.
pub fn end_process(code: u8) -> ! {
    // SAFETY: `_exit` takes any code and does not return.
    unsafe { libc::_exit(i32::from(code)) }
}
