// SPDX-License-Identifier: MIT OR Apache-2.0
//! What machines boot from; made by the script `image` and kept outside of the tree.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::Kernel;

/// The files of the package under test, installed.
#[derive(Debug)]
pub(crate) struct Image(PathBuf);

impl Image {
    /// Makes it if it is not there.
    pub(crate) fn installed() -> Self {
        let script = plc_tests::root().join("tests/vm/image");
        let output = Command::new(&script)
            .arg(plc_appliance::deb())
            .stderr(Stdio::piped())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no image for virtual machines:\n{words}");
        Self(String::from_utf8_lossy(&output.stdout).trim().into())
    }

    /// The root file system; no machine writes to it.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.join("root.img")
    }

    /// The disk of the PLC's state, empty.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data.img")
    }

    /// Kernel and initial RAM disk.
    pub(crate) fn kernel(&self, kernel: Kernel) -> (PathBuf, PathBuf) {
        let name = kernel.name();
        (self.0.join(format!("vmlinuz-{name}")), self.0.join(format!("initrd-{name}")))
    }
}
