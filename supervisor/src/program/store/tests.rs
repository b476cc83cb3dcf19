// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the store promises.

use std::os::unix::fs::symlink;

use plc_api::{
    message::{ExtraFile, WhenRunning},
    program::{BlobId, ProgramMd5},
};
use tempfile::TempDir;

use super::*;
use crate::program::blobs::TransferArea;

struct Bench {
    dir: TempDir,
    store: Store,
    blobs: Blobs,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let blobs = Blobs::new(TransferArea::open(&dir.path().join("transfer")).unwrap());
    Bench { dir, store, blobs }
}

impl Bench {
    fn stage(
        &mut self,
        library: &[u8],
        extra: &[(&str, &[u8])],
    ) -> Result<ProgramInfo, StageError> {
        let mut blob = |seed: &[u8], data: &[u8]| -> BlobId {
            let id = self.blobs.seed(seed).unwrap();
            if data.is_empty() { id } else { self.blobs.append(id, data).unwrap() }
        };
        let request = InstallRequest {
            md5: ProgramMd5::new("0123456789abcdef0123456789abcdef").unwrap(),
            library: blob(b"library", library),
            extra_files: extra
                .iter()
                .map(|(name, data)| ExtraFile {
                    name: FileName::new(name).unwrap(),
                    blob: blob(name.as_bytes(), data),
                })
                .collect(),
            when_running: WhenRunning::Refuse,
        };
        self.store.stage(&request, &mut self.blobs)
    }

    fn install(&mut self, library: &[u8]) -> ProgramInfo {
        let program = self.stage(library, &[]).unwrap();
        self.store.commit(&program).unwrap();
        self.blobs.purge();
        program
    }

    /// The supervisor is killed and comes again.
    fn reopen(self) -> Self {
        let Self { dir, store, blobs } = self;
        drop((store, blobs));
        let store = Store::open(dir.path()).unwrap();
        let blobs = Blobs::new(TransferArea::open(&dir.path().join("transfer")).unwrap());
        Self { dir, store, blobs }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("programs")).unwrap();
        let mut names: Vec<_> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn a_staged_program_is_whole_and_not_current() {
    let mut bench = bench();
    let program = bench.stage(b"ELF", &[("a.txt", b"A"), ("empty", b"")]).unwrap();
    let dir = bench.store.program_dir(&program);
    assert_eq!(fs::read(dir.join("program.so")).unwrap(), b"ELF");
    assert_eq!(fs::read(dir.join("extra/a.txt")).unwrap(), b"A");
    assert_eq!(fs::read(dir.join("extra/empty")).unwrap(), b"");
    assert_eq!(bench.store.current().unwrap(), None);
    bench.store.commit(&program).unwrap();
    assert_eq!(bench.store.current().unwrap(), Some(program));
}

#[test]
fn the_same_md5_with_another_library_or_extra_file_is_another_program() {
    let mut bench = bench();
    let first = bench.stage(b"ELF", &[("a", b"1")]).unwrap();
    let other_file = bench.stage(b"ELF", &[("a", b"2")]).unwrap();
    let other_name = bench.stage(b"ELF", &[("b", b"1")]).unwrap();
    let other_library = bench.stage(b"ELG", &[("a", b"1")]).unwrap();
    let mut hashes: Vec<String> = [first, other_file, other_name, other_library]
        .iter()
        .map(|program| program.id.split_once('-').unwrap().1.to_owned())
        .collect();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), 4);
}

#[test]
fn the_last_three_are_kept_and_lead_back_one_by_one() {
    let mut bench = bench();
    let programs: Vec<_> = (0..5_u8).map(|n| bench.install(&[n])).collect();
    assert_eq!(bench.names(), [&*programs[2].id, &*programs[3].id, &*programs[4].id]);
    for expected in [3, 2] {
        let former = bench.store.former().unwrap().unwrap();
        assert_eq!(former.id, programs[expected].id);
        bench.store.commit(&former).unwrap();
    }
    assert_eq!(bench.store.former().unwrap(), None);
    // The next one replaces what is current now, not what was given up.
    let next = bench.install(b"next");
    assert_eq!(bench.store.former().unwrap().unwrap().id, programs[2].id);
    assert_eq!(bench.names(), [&*programs[2].id, &*next.id]);
}

#[test]
fn a_forgotten_program_can_be_brought_back() {
    let mut bench = bench();
    let program = bench.install(b"1");
    bench.store.forget().unwrap();
    bench = bench.reopen();
    assert_eq!(bench.store.current().unwrap(), None);
    assert_eq!(bench.store.former().unwrap(), Some(program.clone()));
    let next = bench.install(b"2");
    assert_eq!(bench.store.current().unwrap(), Some(next));
    assert_eq!(bench.store.former().unwrap(), Some(program));
}

#[test]
fn what_was_staged_and_never_committed_is_swept_up() {
    let mut bench = bench();
    bench.stage(b"0", &[]).unwrap();
    bench = bench.reopen();
    assert_eq!(bench.names(), [""; 0]);
    let program = bench.install(b"1");
    bench.stage(b"2", &[]).unwrap();
    fs::create_dir(bench.dir.path().join("programs/.new-7")).unwrap();
    fs::create_dir(bench.dir.path().join("programs/.trash-000009-0123456789abcdef")).unwrap();
    symlink("programs/x", bench.dir.path().join("current.new")).unwrap();
    fs::write(bench.dir.path().join("wish.new"), "ru").unwrap();
    bench = bench.reopen();
    assert_eq!(bench.names(), [&*program.id]);
    assert_eq!(bench.store.current().unwrap(), Some(program));
    assert!(!bench.dir.path().join("current.new").exists());
}

#[test]
fn a_link_that_cannot_be_read_removes_nothing() {
    let mut bench = bench();
    let program = bench.install(b"1");
    let Bench { dir, store, blobs } = bench;
    drop((store, blobs));
    fs::remove_file(dir.path().join("current")).unwrap();
    symlink("/etc", dir.path().join("current")).unwrap();
    assert!(Store::open(dir.path()).is_err());
    assert!(dir.path().join("programs").join(&program.id).exists());
}

#[test]
fn what_cannot_be_tidied_up_makes_no_installation_fail() {
    let mut bench = bench();
    let programs: Vec<_> = (0..3_u8).map(|n| bench.install(&[n])).collect();
    let trash = format!("programs/.trash-{}", programs[0].id);
    for in_the_way in ["forgotten", &trash] {
        fs::create_dir_all(bench.dir.path().join(in_the_way).join("full")).unwrap();
    }
    let next = bench.install(b"next");
    assert_eq!(bench.store.current().unwrap(), Some(next));
}

#[test]
fn what_a_link_leads_to_is_not_discarded() {
    let mut bench = bench();
    let program = bench.install(b"1");
    assert!(bench.store.discard(&program).is_err());
    bench.store.forget().unwrap();
    assert!(bench.store.discard(&program).is_err());
    assert_eq!(bench.names(), [&*program.id]);
}

#[test]
fn a_damaged_manifest_costs_no_other_program_and_leaves_a_way_back() {
    for damage in [
        |dir: &Path| fs::write(dir.join("manifest.toml"), "").unwrap(),
        |dir: &Path| {
            fs::remove_dir_all(dir).unwrap();
        },
    ] {
        let mut bench = bench();
        let programs: Vec<_> = (0..3_u8).map(|n| bench.install(&[n])).collect();
        damage(&bench.store.program_dir(&programs[2]));
        bench = bench.reopen();
        assert!(bench.store.current().is_err());
        assert!(bench.names().starts_with(&[programs[0].id.clone(), programs[1].id.clone()]));
        let former = bench.store.former().unwrap().unwrap();
        assert_eq!(former, programs[1]);
        bench.store.commit(&former).unwrap();
        assert_eq!(bench.store.current().unwrap(), Some(former));
    }
}

#[test]
fn a_missing_blob_leaves_nothing_behind() {
    let mut bench = bench();
    let request = InstallRequest {
        md5: ProgramMd5::new("0123456789abcdef0123456789abcdef").unwrap(),
        library: bench.blobs.seed(b"library").unwrap(),
        extra_files: vec![ExtraFile { name: FileName::new("a").unwrap(), blob: BlobId([7; 16]) }],
        when_running: WhenRunning::Refuse,
    };
    let error = bench.store.stage(&request, &mut bench.blobs).unwrap_err();
    assert!(matches!(error, StageError::Blob(BlobError::Unknown(_))), "{error}");
    assert_eq!(bench.names(), [""; 0]);
}

#[test]
fn two_extra_files_of_one_name_are_refused() {
    let mut bench = bench();
    assert!(matches!(
        bench.stage(b"1", &[("a", b"1"), ("a", b"2")]),
        Err(StageError::BadRequest(_))
    ));
}

#[test]
fn the_wish_survives() {
    let bench = bench();
    assert_eq!(bench.store.wish(), Wish::Stop);
    bench.store.write_wish(Wish::Run).unwrap();
    let bench = bench.reopen();
    assert_eq!(bench.store.wish(), Wish::Run);
    bench.store.write_wish(Wish::Stop).unwrap();
    assert_eq!(bench.reopen().store.wish(), Wish::Stop);
}

#[test]
fn one_store_has_one_supervisor() {
    let bench = bench();
    assert!(Store::open(bench.dir.path()).unwrap_err().to_string().contains("another supervisor"));
}
