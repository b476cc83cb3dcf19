// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps a shared object for the rest of the process's life.

use std::{
    fs::File,
    io::{self, Read},
    mem::ManuallyDrop,
    path::{Path, PathBuf},
};

use libloading::os::unix::{Library as Mapping, RTLD_GLOBAL, RTLD_LOCAL, RTLD_NOW};
use thiserror::Error;

use crate::elf;

/// Why a program could not be loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is not there or may not be read.
    #[error("the program {} cannot be read: {error}", path.display())]
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's words.
        #[source]
        error: io::Error,
    },
    /// The file is something else than a shared object for this machine.
    #[error("the program {0}")]
    NotALibrary(String),
    /// The dynamic loader refused it; its own words.
    #[error("the loader refuses the program: {0}")]
    Refused(String),
    /// It was mapped, but it is not a PLC program.
    #[error("the program has no {0}, so it is not a PLC program that Beremiz built")]
    MissingSymbol(&'static str),
}

/// Makes visible what programs use without being linked to it: the IDE links them to the C library alone, and in the
/// reference runtime the Python interpreter has these in the process. From glibc 2.34 on all but the first are empty.
fn lend_system_libraries() {
    for name in ["libm.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"] {
        // SAFETY: the constructors of the system's own libraries may run at any time.
        let lent = unsafe { Mapping::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
        // One that is not there is not needed, or the program's load says which symbol is missing.
        let _ = lent.map(ManuallyDrop::new);
    }
}

/// A mapped shared object. It is never unmapped, whatever happens to this value.
#[derive(Debug)]
pub(crate) struct Library(ManuallyDrop<Mapping>);

impl Library {
    /// Maps the file and runs its constructors; all symbols are bound now, so that a missing one is an error
    /// of the load and not a crash in the first cycle.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        let unreadable = |error| LoadError::Unreadable { path: path.to_owned(), error };
        let mut header = Vec::with_capacity(elf::HEADER_BYTES);
        File::open(path)
            .and_then(|file| file.take(elf::HEADER_BYTES as u64).read_to_end(&mut header))
            .map_err(unreadable)?;
        elf::check(&header).map_err(LoadError::NotALibrary)?;
        lend_system_libraries();
        // SAFETY: running a foreign library's constructors is the purpose of this process; what they do wrong
        // ends this process and no other (the supervisor never maps a program).
        let mapping = unsafe { Mapping::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        mapping
            .map(|mapping| Self(ManuallyDrop::new(mapping)))
            .map_err(|error| LoadError::Refused(error.to_string()))
    }

    /// The function of this name, if the library exports it.
    ///
    /// # Safety
    /// `T` must be a function pointer type whose signature fits the library's function.
    pub(crate) unsafe fn function<T: Copy>(&self, name: &str) -> Option<T> {
        // SAFETY: the caller vouches for T; in `Option<T>` a symbol whose value is null is `None`.
        let symbol = unsafe { self.0.get::<Option<T>>(name.as_bytes()) };
        symbol.ok().and_then(|symbol| *symbol)
    }

    /// The address of the variable of this name, if the library exports it where a `T` may lie.
    pub(crate) fn variable<T>(&self, name: &str) -> Option<*mut T> {
        // SAFETY: an address is taken, nothing is read.
        let symbol = unsafe { self.0.get::<*mut T>(name.as_bytes()) };
        let address = *symbol.ok()?;
        (!address.is_null() && address.is_aligned()).then_some(address)
    }
}
