// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extra files in a tar: regular files side by side, in the ustar, GNU and pax formats.
//!
//! The archive is read header by header: `tar` would collect long names of any length in memory, and unfold sparse
//! files.

use std::io::Read as _;

use plc_api::message::ExtraFile;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{
    blobs::Blobs,
    parcel::{FromBeginning, ParcelError, Regular, check_count, file_name, not_utf8, seed},
};

/// Bytes of a header's extension: a name and some times.
const EXTENSION_BYTES: u64 = 64 << 10;

/// Headers in one archive; each file may have a few.
const HEADERS: usize = 8192;

/// Reads the files into blobs.
///
/// # Errors
/// [`ParcelError`].
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds that nobody knows yet are not taken")]
pub(super) fn unpack(file: &Regular, blobs: &mut Blobs) -> Result<Vec<ExtraFile>, ParcelError> {
    let mut archive = Archive::new(FromBeginning::new(file));
    let mut found = Vec::new();
    // From headers that speak of the next one, which must be there.
    let mut long_name = None;
    let mut speaks_of_next = false;
    for (count, entry) in archive.entries().map_err(|e| no_tar(&e))?.raw(true).enumerate() {
        if count >= HEADERS {
            return Err(bad("has too many entries"));
        }
        let mut entry = entry.map_err(|error| no_tar(&error))?;
        let kind = entry.header().entry_type();
        if kind != EntryType::XGlobalHeader {
            let spoke_of_this = speaks_of_next;
            speaks_of_next = matches!(kind, EntryType::XHeader | EntryType::GNULongName);
            if spoke_of_this && speaks_of_next {
                return Err(ambiguous());
            }
        }
        match kind {
            // A word about the whole archive, such as the commit it was made of.
            EntryType::XGlobalHeader => {}
            EntryType::XHeader => {
                if let Some(name) = pax_name(&extension(&mut entry)?)? {
                    long_name = Some(name);
                }
            }
            EntryType::GNULongName => {
                let mut name = extension(&mut entry)?;
                name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or(name.len()));
                long_name = Some(name);
            }
            EntryType::Directory => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                if !matches!(name.as_slice(), b"." | b"./") {
                    return Err(not_taken(&name));
                }
            }
            EntryType::Regular => {
                check_count(found.len())?;
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                found.push(take(file, &entry, &name, blobs)?);
            }
            _ => {
                let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                return Err(not_taken(&name));
            }
        }
    }
    if speaks_of_next { Err(cut_short()) } else { Ok(found) }
}

fn take<R: std::io::Read>(
    file: &Regular,
    entry: &Entry<'_, R>,
    name: &[u8],
    blobs: &mut Blobs,
) -> Result<ExtraFile, ParcelError> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    let name = std::str::from_utf8(name).map_err(|_| not_utf8(&String::from_utf8_lossy(name)))?;
    let name = file_name(name)?;
    let (begin, size) = (entry.raw_file_position(), entry.size());
    if begin.checked_add(size).is_none_or(|end| end > file.length()) {
        return Err(cut_short());
    }
    let blob = file.copy_part(begin, size, &seed(&name), blobs, |_| ())?;
    Ok(ExtraFile { name, blob })
}

/// The content of a header that speaks of the next one.
fn extension<R: std::io::Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, ParcelError> {
    if entry.size() > EXTENSION_BYTES {
        return Err(bad("has a header that is too long"));
    }
    let mut content = Vec::new();
    entry.take(EXTENSION_BYTES).read_to_end(&mut content).map_err(|error| no_tar(&error))?;
    Ok(content)
}

/// The name in a pax header, if there is one (POSIX.1-2017, pax, "pax Extended Header").
fn pax_name(content: &[u8]) -> Result<Option<Vec<u8>>, ParcelError> {
    let mut name = None;
    for record in PaxExtensions::new(content) {
        let record = record.map_err(|error| no_tar(&error))?;
        match record.key_bytes() {
            b"path" if name.is_some() => return Err(ambiguous()),
            b"path" => name = Some(record.value_bytes().to_owned()),
            // Only what does not fit the bounds needs its size here.
            b"size" => return Err(bad("has a file that is too large")),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(bad("has a sparse file; make it without --sparse"));
            }
            _ => {}
        }
    }
    Ok(name)
}

fn not_taken(name: &[u8]) -> ParcelError {
    let shown = String::from_utf8_lossy(name);
    ParcelError::Bad(format!(
        "{shown:?} in the tar file of extra files is not a regular file; links, subdirectories, devices and sparse \
         files are not taken"
    ))
}

/// What one reader takes for the name, another may not.
fn ambiguous() -> ParcelError {
    bad("names an entry twice; make it again")
}

fn cut_short() -> ParcelError {
    bad("is cut short; make it again")
}

fn no_tar(error: &std::io::Error) -> ParcelError {
    bad(&format!("cannot be understood: {error}; it must be a tar file, not compressed"))
}

fn bad(how: &str) -> ParcelError {
    ParcelError::Bad(format!("the tar file of extra files {how}"))
}
