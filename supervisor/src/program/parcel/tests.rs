// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is taken from a directory and from a tar, and above all what is not.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::{Path, PathBuf},
};

use plc_api::{limits, message::InstallRequest};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::{super::blobs::TransferArea, *};

const MD5: &str = "0123456789abcdef0123456789abcdef";
const SOMEBODY: u32 = 4711;

struct Place {
    dir: TempDir,
    blobs: Blobs,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("extra")).unwrap();
        fs::write(dir.path().join("program.so"), "the program").unwrap();
        let blobs = Blobs::new(TransferArea::open(&dir.path().join("transfer")).unwrap());
        Self { dir, blobs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn unpack_as(&mut self, uid: u32, extra: &Path) -> Result<InstallRequest, ParcelError> {
        let program = File::open(self.path("program.so")).unwrap().into();
        let extra_files = File::open(extra).unwrap().into();
        Parcel { program, md5: MD5.into(), extra_files, uid }.unpack(&mut self.blobs)
    }

    fn unpack(&mut self, extra: &Path) -> Result<InstallRequest, ParcelError> {
        self.unpack_as(0, extra)
    }

    /// The files of a parcel, by name and content.
    fn files(&mut self, extra: &Path) -> Vec<(String, Vec<u8>)> {
        let request = self.unpack(extra).unwrap();
        assert_eq!(fs::read(self.blobs.file(request.library).unwrap()).unwrap(), b"the program");
        let content = |file: ExtraFile| {
            let content = fs::read(self.blobs.file(file.blob).unwrap()).unwrap();
            (file.name.to_string(), content)
        };
        request.extra_files.into_iter().map(content).collect()
    }

    fn tar(&self, fill: impl FnOnce(&mut Builder<File>)) -> PathBuf {
        let path = self.path("extra.tar");
        let mut tar = Builder::new(File::create(&path).unwrap());
        fill(&mut tar);
        tar.finish().unwrap();
        path
    }

    /// A tar with one entry whose header says anything.
    fn tar_of(&self, name: &[u8], kind: EntryType, size: u64, content: &[u8]) -> PathBuf {
        self.tar(|tar| {
            tar.append(&header(name, kind, size), content).unwrap();
        })
    }

    fn assert_bad(&mut self, extra: &Path, words: &str) {
        match self.unpack(extra) {
            Err(ParcelError::Bad(text)) => assert!(text.contains(words), "{text}"),
            other => panic!("{words}: {other:?}"),
        }
    }
}

fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    // Not by the crate's own setter, which is more careful than an enemy.
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

#[test]
fn a_directory_a_tar_and_nothing_are_taken() {
    let mut place = Place::new();
    let extra = place.path("extra");
    fs::write(extra.join("b.txt"), "B").unwrap();
    fs::write(extra.join("a.txt"), "").unwrap();
    let expected = [("a.txt".to_owned(), Vec::new()), ("b.txt".to_owned(), b"B".to_vec())];
    assert_eq!(place.files(&extra), expected);
    let tar = place.tar(|tar| {
        tar.append_dir(".", &extra).unwrap();
        for name in ["b.txt", "a.txt"] {
            tar.append_path_with_name(extra.join(name), format!("./{name}")).unwrap();
        }
    });
    assert_eq!(place.files(&tar), expected);
    assert_eq!(place.files(Path::new("/dev/null")), []);
    let empty = place.path("empty.tar");
    fs::write(&empty, "").unwrap();
    assert_eq!(place.files(&empty), []);
}

#[test]
fn long_names_come_in_gnu_and_pax_headers() {
    let mut place = Place::new();
    let long = "ä".repeat(120);
    let gnu = place.tar(|tar| {
        tar.append_data(&mut header(b"", EntryType::Regular, 0), &long, &b""[..]).unwrap();
    });
    assert_eq!(place.files(&gnu), [(long.clone(), Vec::new())]);
    let record = format!("path={long}\n");
    let record = format!("{} {record}", record.len() + 4);
    let pax = place.tar(|tar| {
        let size = record.len().try_into().unwrap();
        tar.append(&header(b"x", EntryType::XHeader, size), record.as_bytes()).unwrap();
        tar.append(&header(b"short", EntryType::Regular, 1), &b"1"[..]).unwrap();
        tar.append(&header(b"next", EntryType::Regular, 1), &b"2"[..]).unwrap();
    });
    let expected = [("next".to_owned(), b"2".to_vec()), (long, b"1".to_vec())];
    assert_eq!(place.files(&pax), expected);
}

#[test]
fn names_and_contents_that_are_the_same_in_a_row_stay_apart() {
    let mut place = Place::new();
    let same = [("a", "bc"), ("ab", "c"), ("program", "s"), ("pro", "grams"), ("programs", "")];
    let mut expected = same.map(|(name, content)| (name.to_owned(), content.as_bytes().to_vec()));
    expected.sort();
    let extra = place.path("extra");
    let tar = place.tar(|tar| {
        for (name, content) in same {
            fs::write(extra.join(name), content).unwrap();
            tar.append_path_with_name(extra.join(name), name).unwrap();
        }
    });
    assert_eq!(place.files(&tar), expected);
    assert_eq!(place.files(&extra), expected);
}

#[test]
fn no_entry_leads_anywhere_else() {
    let mut place = Place::new();
    let no_names: [&[u8]; 7] =
        [b"../x", b"/etc/x", b"a/b", b"./../x", b"..", b"retain_buffer_file", b".plc-extra-files"];
    for name in no_names {
        let tar = place.tar_of(name, EntryType::Regular, 0, b"");
        place.assert_bad(&tar, "extra file name");
    }
    let tar = place.tar_of(b"\xff", EntryType::Regular, 0, b"");
    place.assert_bad(&tar, "not UTF-8");
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Block,
        EntryType::Fifo,
        EntryType::Directory,
        EntryType::GNUSparse,
        EntryType::GNULongLink,
        EntryType::Continuous,
        EntryType::new(b'?'),
    ] {
        let tar = place.tar_of(b"x", kind, 0, b"");
        place.assert_bad(&tar, "not a regular file");
    }
}

#[test]
fn no_archive_costs_more_than_it_holds() {
    let mut place = Place::new();
    let huge = place.tar_of(b"x", EntryType::Regular, 1 << 40, b"");
    place.assert_bad(&huge, "cut short");
    let overflow = place.tar_of(b"x", EntryType::Regular, u64::MAX, b"");
    place.assert_bad(&overflow, "");
    for kind in [EntryType::GNULongName, EntryType::XHeader] {
        let long = place.tar_of(b"x", kind, 200 << 20, b"");
        place.assert_bad(&long, "header that is too long");
    }
    for record in ["22 GNU.sparse.major=1\n", "14 size=12345\n"] {
        let size = record.len().try_into().unwrap();
        let tar = place.tar_of(b"x", EntryType::XHeader, size, record.as_bytes());
        place.assert_bad(&tar, "");
    }
    let many = place.tar(|tar| {
        for n in 0..=limits::EXTRA_FILES {
            let name = n.to_string();
            tar.append(&header(name.as_bytes(), EntryType::Regular, 0), &b""[..]).unwrap();
        }
    });
    place.assert_bad(&many, "more than 1000");
    let headers = place.tar(|tar| {
        for _ in 0..9000 {
            tar.append(&header(b"x", EntryType::XGlobalHeader, 0), &b""[..]).unwrap();
        }
    });
    place.assert_bad(&headers, "too many entries");
    // A hole of a terabyte.
    let sparse = place.path("sparse.tar");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    place.assert_bad(&sparse, "larger than 256 MiB");
}

#[test]
fn what_is_no_whole_tar_is_said_to_be_none() {
    let mut place = Place::new();
    let tar = place.tar_of(b"x", EntryType::Regular, 600, &[7; 600]);
    let whole = fs::read(&tar).unwrap();
    // In the header, in the content; at the edges of blocks and within.
    for length in [1, 511, 513, 1000, 1111] {
        fs::write(&tar, &whole[..length]).unwrap();
        assert!(matches!(place.unpack(&tar), Err(ParcelError::Bad(_))), "{length} bytes");
    }
    for kind in [EntryType::XHeader, EntryType::GNULongName] {
        let nothing_follows = place.tar_of(b"x", kind, 12, b"12 path=abc\n");
        place.assert_bad(&nothing_follows, "cut short");
    }
    let gzip = place.path("gzip");
    fs::write(&gzip, [&[0x1f, 0x8b][..], &[9; 2000]].concat()).unwrap();
    place.assert_bad(&gzip, "not compressed");
}

#[test]
fn an_archive_that_can_be_read_in_two_ways_is_refused() {
    let mut place = Place::new();
    let twice = b"9 path=a\n9 path=b\n";
    let twice = place.tar_of(b"x", EntryType::XHeader, 18, twice);
    place.assert_bad(&twice, "names an entry twice");
    let headers = place.tar(|tar| {
        for (kind, content) in
            [(EntryType::GNULongName, &b"a"[..]), (EntryType::XHeader, b"9 path=b\n")]
        {
            let size = content.len().try_into().unwrap();
            tar.append(&header(b"x", kind, size), content).unwrap();
        }
        tar.append(&header(b"c", EntryType::Regular, 0), &b""[..]).unwrap();
    });
    place.assert_bad(&headers, "names an entry twice");
}

#[test]
fn a_directory_holds_regular_files_only() {
    let mut place = Place::new();
    let extra = place.path("extra");
    let inside = extra.join("x");
    symlink("/etc/passwd", &inside).unwrap();
    place.assert_bad(&extra, "not a regular file");
    fs::remove_file(&inside).unwrap();
    fs::create_dir(&inside).unwrap();
    place.assert_bad(&extra, "not a regular file");
    fs::remove_dir(&inside).unwrap();
    let fifo = nix::sys::stat::Mode::from_bits_truncate(0o600);
    nix::unistd::mkfifo(&inside, fifo).unwrap();
    place.assert_bad(&extra, "not a regular file");
    fs::remove_file(&inside).unwrap();
    fs::write(extra.join("retain_buffer_file"), "").unwrap();
    place.assert_bad(&extra, "retained");
    place.assert_bad(Path::new("/dev/zero"), "extra_files must be");
}

#[test]
fn a_directory_holds_no_more_than_is_allowed() {
    let mut place = Place::new();
    let extra = place.path("extra");
    let mut file = OpenOptions::new().append(true).create(true).open(extra.join("x")).unwrap();
    file.write_all(b"x").unwrap();
    file.set_len(limits::SESSION_BLOB_BYTES + 1).unwrap();
    place.assert_bad(&extra, "larger than 256 MiB");
    fs::remove_file(extra.join("x")).unwrap();
    for n in 0..=limits::EXTRA_FILES {
        fs::write(extra.join(n.to_string()), "").unwrap();
    }
    place.assert_bad(&extra, "more than 1000");
}

#[test]
fn a_file_that_is_there_twice_is_refused_whatever_it_holds() {
    let mut place = Place::new();
    for [first, second] in [["1", "2"], ["", "2"], ["1", ""], ["1", "1"], ["", ""]] {
        let tar = place.tar(|tar| {
            for content in [first, second] {
                let size = content.len().try_into().unwrap();
                tar.append(&header(b"x", EntryType::Regular, size), content.as_bytes()).unwrap();
            }
        });
        place.assert_bad(&tar, "the extra file x is there twice");
    }
}

#[test]
fn a_directory_lends_nothing_that_its_sender_could_not_read() {
    let mut place = Place::new();
    let extra = place.path("extra");
    let secret = extra.join("x");
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).unwrap();
    let refused = place.unpack_as(SOMEBODY, &extra).unwrap_err();
    assert!(refused.to_string().contains("neither yours"), "{refused}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    place.unpack_as(SOMEBODY, &extra).unwrap();
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&secret, Some(SOMEBODY), None).unwrap();
        place.unpack_as(SOMEBODY, &extra).unwrap();
    }
}

#[test]
fn the_program_is_a_regular_file_read_from_its_beginning() {
    let mut place = Place::new();
    let mut program = File::open(place.path("program.so")).unwrap();
    std::io::Read::read(&mut program, &mut [0; 4]).unwrap();
    let nothing = || File::open("/dev/null").unwrap().into();
    let parcel = |program: OwnedFd, md5: &str| Parcel {
        program,
        md5: md5.to_owned(),
        extra_files: nothing(),
        uid: 0,
    };
    let request = parcel(program.into(), "").unpack(&mut place.blobs).unwrap();
    assert_eq!(fs::read(place.blobs.file(request.library).unwrap()).unwrap(), b"the program");
    // md5sum's.
    assert_eq!(request.md5.as_str(), "e9221b876bf1e70aa3b06fbd6914f57b");
    let refused = parcel(nothing(), MD5).unpack(&mut place.blobs).unwrap_err();
    assert!(refused.to_string().contains("the program must be an open regular file"));
    let write_only = OpenOptions::new().write(true).open(place.path("program.so")).unwrap();
    let refused = parcel(write_only.into(), MD5).unpack(&mut place.blobs).unwrap_err();
    assert!(matches!(refused, ParcelError::Read(..)), "{refused}");
}
