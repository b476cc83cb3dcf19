// SPDX-License-Identifier: MIT OR Apache-2.0
//! Load on the machine, made by threads of the benchmark itself at normal priority.

use std::{
    io::{Seek as _, SeekFrom, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The file that is written over and over.
const FILE_BLOCKS: usize = 64;
const BLOCK_BYTES: usize = 1 << 20;

/// What is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Idle,
    /// A busy thread for each processor.
    Cpu,
    /// The same, and a thread that writes a file and has it written through to the disk.
    CpuAndDisk,
}

/// Goes on until it is dropped.
#[derive(Debug)]
pub(crate) struct Load {
    enough: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn begin(kind: Kind) -> anyhow::Result<Self> {
        let mut load = Self { enough: Arc::default(), threads: Vec::new() };
        if kind != Kind::Idle {
            for _ in 0..thread::available_parallelism()?.get() {
                load.spawn(|enough| while !enough.load(Ordering::Relaxed) {});
            }
        }
        if kind == Kind::CpuAndDisk {
            // Below target/, which is on a disk where /tmp may not be.
            let mut file = tempfile::tempfile_in(plc_tests::root().join("target"))?;
            let block = vec![0x5a; BLOCK_BYTES];
            load.spawn(move |enough| {
                for position in (0..FILE_BLOCKS).cycle() {
                    let begin = if position == 0 { file.seek(SeekFrom::Start(0)) } else { Ok(0) };
                    let written = begin.and_then(|_| file.write_all(&block));
                    if let Err(error) = written.and_then(|()| file.sync_all()) {
                        eprintln!("bench: no load on the disk: {error}");
                        return;
                    }
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        Ok(load)
    }

    fn spawn(&mut self, work: impl FnOnce(&AtomicBool) + Send + 'static) {
        let enough = Arc::clone(&self.enough);
        self.threads.push(thread::spawn(move || work(&enough)));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
