// SPDX-License-Identifier: MIT OR Apache-2.0
//! What processes write to their standard error, for the test that fails and for nobody else.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    process::Stdio,
    thread,
};

/// A file that processes write to. If the test that holds it fails, what is in it is printed: let go of it last.
#[derive(Debug)]
pub struct Errors(File);

impl Errors {
    /// An empty one.
    ///
    /// # Panics
    /// There is no room for it.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempfile().expect("a file"))
    }

    /// The standard error of one process more. All of them have one offset, so nobody writes over another's words.
    ///
    /// # Panics
    /// There is no descriptor left.
    #[must_use]
    pub fn stdio(&self) -> Stdio {
        self.0.try_clone().expect("a descriptor").into()
    }
}

impl Default for Errors {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut written = Vec::new();
            let read = self.0.rewind().and_then(|()| self.0.read_to_end(&mut written));
            let written = String::from_utf8_lossy(&written);
            eprintln!("--- what the processes wrote ({read:?}) ---\n{written}---");
        }
    }
}
