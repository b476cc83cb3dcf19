// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extra files in a tar file, as the bus call Install reads them: refused, or taken as `tar` itself reads them, under
//! bare names, each with its own content and no more bytes than the file has.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read as _, Write as _},
    sync::{Arc, LazyLock},
};

use plc_api::{limits, program::FileName};
use plc_supervisor::program::{
    blobs::{Blobs, TransferArea},
    parcel::Parcel,
};
use rustix::fs::{MemfdFlags, memfd_create};
use tar::{Archive, Builder, EntryType, Header};
use tempfile::TempDir;

use crate::place;

/// Bytes of a header, and what contents are filled up to.
const BLOCK_BYTES: usize = 512;

struct Place {
    _dir: TempDir,
    area: Arc<TransferArea>,
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let dir = place::directory();
    let area = TransferArea::open(&dir.path().join("transfer")).expect("a directory in it");
    Place { _dir: dir, area }
});

/// The input is the tar file; where an even first byte says so, headers get the check sum that they should have.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let mut archive = rest.to_vec();
    if mode % 2 == 0 {
        mend(&mut archive);
    }
    let mut blobs = Blobs::new(PLACE.area.clone());
    let extra_files = file(&archive).into();
    let parcel =
        Parcel { program: file(b"the program").into(), md5: String::new(), extra_files, uid: 0 };
    let Ok(request) = parcel.unpack(&mut blobs) else { return };
    let mut content = |id| fs::read(blobs.file(id).expect("its file")).expect("its content");
    assert_eq!(content(request.library), b"the program");
    let found: Vec<(String, Vec<u8>)> = request
        .extra_files
        .iter()
        .map(|file| (file.name.to_string(), content(file.blob)))
        .collect();
    assert!(found.len() <= limits::EXTRA_FILES, "{} files", found.len());
    assert!(found.is_sorted_by_key(|(name, _)| name), "{found:?}");
    assert!(found.iter().all(|(name, _)| FileName::new(name).is_ok()), "{found:?}");
    let bytes: usize = found.iter().map(|(_, content)| content.len()).sum();
    assert!(bytes <= archive.len(), "{bytes} bytes out of {}", archive.len());
    assert_as_tar_reads(&archive, found);
}

fn file(content: &[u8]) -> File {
    let mut file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("memory"));
    file.write_all(content).expect("memory");
    file
}

/// Corrects the check sums, which a mutation does not hit, from header to header.
fn mend(archive: &mut [u8]) {
    let mut rest = archive;
    while let Some((block, after)) = rest.split_first_chunk_mut::<BLOCK_BYTES>() {
        if block.iter().all(|byte| *byte == 0) {
            return;
        }
        let mut header = Header::from_byte_slice(block).clone();
        header.set_cksum();
        *block = *header.as_bytes();
        let size = header.entry_size().ok().and_then(|size| usize::try_from(size).ok());
        let Some(size) = size.and_then(|size| size.checked_next_multiple_of(BLOCK_BYTES)) else {
            return;
        };
        let Some((_, after)) = after.split_at_mut_checked(size) else { return };
        rest = after;
    }
}

/// What we have taken is what `tar` makes of it.
fn assert_as_tar_reads(archive: &[u8], found: Vec<(String, Vec<u8>)>) {
    let mut expected = Vec::new();
    for entry in Archive::new(archive).entries().expect("a tar file") {
        let mut entry = entry.expect("an entry");
        match entry.header().entry_type() {
            EntryType::Regular => {}
            // Without the magic bytes of a format, `tar` does not take these for what they are, and we do.
            EntryType::GNULongName | EntryType::XHeader => return,
            _ => continue,
        }
        let name = entry.path_bytes().into_owned();
        // A long name of GNU ends at its first NUL, of which there may be many.
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = name.strip_prefix(b"./").unwrap_or(name);
        let name = String::from_utf8(name.to_vec()).expect("a name that was taken");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its content");
        expected.push((name, content));
    }
    let count = |files: Vec<(String, Vec<u8>)>| {
        let mut counts = BTreeMap::new();
        files.into_iter().for_each(|file| *counts.entry(file).or_insert(0) += 1);
        counts
    };
    assert_eq!(count(found), count(expected));
}

/// Archives with each kind of entry, and with long names in both ways.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    let kinds = [
        EntryType::Regular,
        EntryType::Directory,
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::GNUSparse,
        EntryType::GNULongName,
        EntryType::XHeader,
        EntryType::XGlobalHeader,
        EntryType::Continuous,
    ];
    let mut seeds: Vec<Vec<u8>> = kinds.map(|kind| seed(&[("a.txt", kind, b"content")])).into();
    let regular = EntryType::Regular;
    let long = "x".repeat(200);
    let pax = format!("{} path={long}\n", long.len() + 10);
    seeds.push(seed(&[
        ("./", EntryType::Directory, b""),
        ("./a", regular, b"A"),
        ("b", regular, b""),
    ]));
    seeds.push(seed(&[("", EntryType::XHeader, pax.as_bytes()), ("short", regular, b"content")]));
    seeds.push(seed(&[
        ("././@LongLink", EntryType::GNULongName, long.as_bytes()),
        ("short", regular, b"content"),
    ]));
    seeds.push(seed(&[("a", regular, &[7; 2000]), ("../b", regular, b"B")]));
    seeds.push(seed(&[("a", regular, b"bc"), ("ab", regular, b"c")]));
    seeds
}

fn seed(entries: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = Builder::new(vec![0]);
    for (name, kind, content) in entries {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        archive.append(&header, *content).expect("memory");
    }
    archive.into_inner().expect("memory")
}
