// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's Python blocks, as seen by the one who answers them.

use std::{
    ffi::{CStr, CString, c_void},
    ptr,
};

use crate::symbols::Python;

/// Hands out what the program's Python blocks want to have evaluated. Belongs on a thread of its own.
#[derive(Debug)]
pub struct PythonCaller(pub(crate) Python);

impl PythonCaller {
    /// Gives the program the result of the last expression (`None` the first time, in Python's spelling) and
    /// waits for the next one; `None` once the program stops.
    pub fn answer(&mut self, result: &CStr) -> Option<CString> {
        let mut block: *mut c_void = ptr::null_mut();
        // SAFETY: the signature is the library's own; it copies the result and stores a pointer in `block`.
        let expression = unsafe { (self.0.next)(result.as_ptr(), &raw mut block) };
        if expression.is_null() {
            return None;
        }
        // SAFETY: not null, and the library returns a text that ends with NUL and stays until the next call.
        let expression = unsafe { CStr::from_ptr(expression) };
        Some(expression.to_owned())
    }
}
