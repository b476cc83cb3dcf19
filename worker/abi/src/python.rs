// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program's Python blocks, as seen by the one who answers them.

use std::{
    ffi::{CStr, CString, c_int, c_void},
    ptr,
};

use crate::symbols::Python;

/// Hands out what the program's Python blocks want to have evaluated. Belongs on a thread of its own.
#[derive(Debug)]
pub struct PythonCaller(pub(crate) Python);

/// What one block wants to have evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PythonExpression {
    /// Python source text in the program's own character set.
    pub text: CString,
    /// No other block waits: after this one the reference runtime runs what Python files have put into `OnIdle`.
    /// Always false with programs from before February 2025.
    pub is_last: bool,
}

impl PythonCaller {
    /// Gives the program the result of the last expression (`None` the first time, in Python's spelling) and
    /// waits for the next one; `None` once the program stops.
    pub fn answer(&mut self, result: &CStr) -> Option<PythonExpression> {
        let mut block: *mut c_void = ptr::null_mut();
        let mut is_last: c_int = 0;
        // SAFETY: the signature is the library's own (see `symbols::Python` for older ones); it copies the result,
        // stores a pointer in `block` and a number in `is_last`.
        let text = unsafe { (self.0.next)(result.as_ptr(), &raw mut block, &raw mut is_last) };
        if text.is_null() {
            return None;
        }
        // SAFETY: not null, and the library returns a text that ends with NUL and stays until the next call.
        let text = unsafe { CStr::from_ptr(text) };
        Some(PythonExpression { text: text.to_owned(), is_last: is_last != 0 })
    }
}
