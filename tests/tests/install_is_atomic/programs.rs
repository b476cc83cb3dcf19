// SPDX-License-Identifier: MIT OR Apache-2.0
//! Four programs that run alike and carry one md5 text, and differ in every file.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use crate::place::files;

/// The text that the IDE gave to all of them: it does not tell them apart.
pub(crate) const MD5: &str = "00112233445566778899aabbccddeeff";

/// A program as it was sent.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) library: Vec<u8>,
    pub(crate) extra: Vec<(&'static str, Vec<u8>)>,
}

static ALL: LazyLock<[Program; 4]> =
    LazyLock::new(|| ["the oldest", "the older", "A", "B"].map(Program::new));

impl Program {
    /// The program of this name.
    pub(crate) fn named(name: &str) -> &'static Self {
        ALL.iter().find(|program| program.name == name).expect("one of the four")
    }

    /// The program whose files, all and unchanged, are in this directory.
    pub(crate) fn at(dir: &Path) -> &'static Self {
        let names = std::fs::read_dir(dir).unwrap().count();
        assert_eq!(names, 3, "library, extra files, manifest: {}", dir.display());
        let library = std::fs::read(dir.join("program.so")).unwrap_or_default();
        let extra = files(&dir.join("extra"));
        let is = |program: &&Self| {
            let sent: BTreeMap<String, Vec<u8>> = program
                .extra
                .iter()
                .map(|(name, data)| ((*name).to_owned(), data.clone()))
                .collect();
            program.library == library && sent == extra
        };
        ALL.iter().find(is).unwrap_or_else(|| {
            let lengths: Vec<_> = extra.iter().map(|(name, data)| (name, data.len())).collect();
            panic!("{} is none of ours: library {}, {lengths:?}", dir.display(), library.len())
        })
    }

    fn new(name: &'static str) -> Self {
        // What follows the sections of a library is of no concern to the loader.
        let mut library = plc_tests::programs::bytes("stopmark");
        library.extend_from_slice(name.as_bytes());
        // More than the supervisor collects before it writes, so that the file grows in several steps.
        let table = name.bytes().cycle().take(150_000).collect();
        let extra = vec![
            ("recipe.csv", format!("recipe of {name}").into_bytes()),
            ("empty", Vec::new()),
            ("table.bin", table),
        ];
        Self { name, library, extra }
    }
}
