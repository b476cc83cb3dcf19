// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk of the PLC's state.
//!
//! Between machine and file is nbdkit with a write cache in its memory, which reaches the file only when the machine
//! flushes, as the cache of a real disk may. So the file is at any moment what a power cut would leave.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Command,
};

use plc_tests::scratch::scratch;
use tempfile::TempDir;

use crate::{PATIENCE, image::Image, process::Process};

/// A disk that lies in no machine.
#[derive(Debug)]
pub struct Disk {
    dir: TempDir,
}

impl Disk {
    /// As a factory installs it: a file system with nothing of the PLC in it.
    ///
    /// # Panics
    /// There is no image, or no room.
    #[must_use]
    pub fn empty() -> Self {
        Self::copy_of(&Image::installed().data())
    }

    /// The same again.
    ///
    /// # Panics
    /// There is no room.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::copy_of(&self.file())
    }

    /// Disks one behind the other, as one that a machine can have beside its own. The first begins at
    /// [`Self::bytes`], the second at twice that: what is at the beginning of a disk gives the disk its label, and
    /// the machine must not take this one for its own.
    ///
    /// # Panics
    /// There is no room.
    #[must_use]
    pub fn row(disks: &[&Self]) -> Self {
        let row = Self { dir: scratch("vm") };
        let mut file = File::create(row.file()).expect("the scratch directory can be written");
        for (index, disk) in (1..).zip(disks) {
            sparse_copy(&disk.file(), &mut file, index * disk.bytes()).expect("room for a disk");
        }
        row
    }

    /// Its size.
    ///
    /// # Panics
    /// It is not there any more.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        fs::metadata(self.file()).expect("the disk is there").len()
    }

    /// Whether both hold the same.
    ///
    /// # Panics
    /// One cannot be read.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        let content = |disk: &Self| fs::read(disk.file()).expect("the disk is there");
        content(self) == content(other)
    }

    pub(crate) fn copy_of(file: &Path) -> Self {
        let disk = Self { dir: scratch("vm") };
        let mut copy = File::create(disk.file()).expect("the scratch directory can be written");
        sparse_copy(file, &mut copy, 0).expect("room for a disk");
        disk
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("disk.img")
    }

    /// Serves it with a cache that dies with the server.
    pub(crate) fn serve(&self) -> (Process, String) {
        let socket = self.dir.path().join("nbd.sock");
        let _ = fs::remove_file(&socket);
        let mut command = Command::new("nbdkit");
        command.args(["--foreground", "--unix"]).arg(&socket).args(["--filter=cache", "file"]);
        command.arg(format!("file={}", self.file().display())).arg("cache=writeback");
        let mut process = Process::start(&command, &self.dir.path().join("nbdkit.log"));
        let begin = std::time::Instant::now();
        while !socket.exists() {
            if let Some(end) = process.ended() {
                panic!("nbdkit: {end}; `scripts/need vm` installs what is missing");
            }
            assert!(begin.elapsed() < PATIENCE, "nbdkit does not serve");
            std::thread::sleep(crate::LOOK_AGAIN / 10);
        }
        (process, format!("nbd+unix:///?socket={}", socket.display()))
    }
}

/// Copies a disk to a place in a file, and leaves out the blocks in which there is nothing.
fn sparse_copy(from: &Path, to: &mut File, offset: u64) -> io::Result<()> {
    let content = fs::read(from)?;
    let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
    to.set_len(offset + length)?;
    for (number, block) in (0..).zip(content.chunks(4096)) {
        if block.iter().any(|byte| *byte != 0) {
            to.seek(SeekFrom::Start(offset + number * 4096))?;
            io::Write::write_all(to, block)?;
        }
    }
    Ok(())
}
