// SPDX-License-Identifier: MIT OR Apache-2.0
//! Maps a shared object for the rest of the process's life.

use std::{
    ffi::{CStr, c_void},
    fs::File,
    io::{self, Read},
    mem::{ManuallyDrop, MaybeUninit},
    path::{Path, PathBuf},
    ptr,
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
    /// It is the first library of a program of two, `loadPLCLogic` among its symbols.
    #[error(
        "the program consists of two libraries, one for inputs and outputs and one for the logic, as Beremiz 1.6 \
         builds it; this release runs programs of one library: build the project with Beremiz 1.5 or earlier"
    )]
    TwoLibraries,
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

/// An entry of the dynamic symbol table.
#[cfg(target_pointer_width = "64")]
type Symbol = libc::Elf64_Sym;
/// An entry of the dynamic symbol table.
#[cfg(target_pointer_width = "32")]
type Symbol = libc::Elf32_Sym;

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

    /// The size of the variable of this name in bytes, as the library's dynamic symbol table says; `None` if it
    /// exports none, or says nothing of its size.
    pub(crate) fn variable_bytes(&self, name: &CStr) -> Option<u64> {
        let address: *mut u8 = self.variable(name.to_str().ok()?)?;
        let mut info = MaybeUninit::<libc::Dl_info>::uninit();
        let mut entry: *mut c_void = ptr::null_mut();
        /// Asks `dladdr1` for the entry of the symbol table (`dlfcn.h` of the GNU C library).
        const RTLD_DL_SYMENT: libc::c_int = 1;
        // SAFETY: both results are written to variables of the right type; `address` is only compared.
        let found = unsafe {
            libc::dladdr1(
                address.cast_const().cast(),
                info.as_mut_ptr(),
                &raw mut entry,
                RTLD_DL_SYMENT,
            )
        };
        if found == 0 || entry.is_null() {
            return None;
        }
        // SAFETY: `dladdr1` has found something, so it has filled `info`.
        let info = unsafe { info.assume_init() };
        if info.dli_sname.is_null() {
            return None;
        }
        // SAFETY: not null, and it points into the string table of a library that stays mapped.
        let found = unsafe { CStr::from_ptr(info.dli_sname) };
        if found != name {
            return None;
        }
        // SAFETY: with RTLD_DL_SYMENT it is the symbol's entry in the table of a library that stays mapped.
        let bytes = unsafe { (*entry.cast::<Symbol>()).st_size };
        #[allow(clippy::useless_conversion, reason = "the field has 32 or 64 bits, as the machine")]
        Some(u64::from(bytes)).filter(|bytes| *bytes > 0)
    }
}
