// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that the kernel and the system show, below a root that is `/` but for tests.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Numbers of processors.
pub(crate) type Processors = BTreeSet<u16>;

/// A view of the machine's files.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    root: PathBuf,
}

impl Tree {
    /// Everything below `root`.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn place(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file without blanks at its ends; none if it is not there or may not be read.
    pub(crate) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.place(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The number in a file.
    pub(crate) fn number<T: FromStr>(&self, path: impl AsRef<Path>) -> Option<T> {
        self.text(path)?.parse().ok()
    }

    /// The processors that a file lists.
    pub(crate) fn processors(&self, path: impl AsRef<Path>) -> Option<Processors> {
        self.text(path).map(|list| processors(&list))
    }

    /// The names in a directory, in their order.
    pub(crate) fn names(&self, dir: impl AsRef<Path>) -> Vec<String> {
        let entries = fs::read_dir(self.place(dir)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.place(path).exists()
    }

    pub(crate) fn is_dir(&self, path: impl AsRef<Path>) -> bool {
        self.place(path).is_dir()
    }

    /// Whether a file is there that this user may not read.
    pub(crate) fn is_closed(&self, path: impl AsRef<Path>) -> bool {
        let opened = fs::File::open(self.place(path));
        opened.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
    }
}

/// A list as the kernel writes it, `0-3,6`, or systemd, `0-3 6`.
pub(crate) fn processors(list: &str) -> Processors {
    let ranges = list.split([',', ' ']).filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.trim().parse().ok()?..=last.trim().parse().ok()?)
    });
    ranges.flatten().collect()
}

/// A mask as the kernel writes it: hexadecimal words of 32 processors, the highest first.
pub(crate) fn mask(text: &str) -> Processors {
    let mut found = Processors::new();
    for (word, base) in text.trim().rsplit(',').zip((0_u16..).step_by(32)) {
        let bits = u32::from_str_radix(word, 16).unwrap_or(0);
        found.extend((0..32).filter(|bit| (bits >> bit) & 1 == 1).map(|bit| base + bit));
    }
    found
}

/// A list as the kernel writes it.
pub(crate) fn list(processors: &Processors) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for &number in processors {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let ranges = ranges.iter().map(|(first, last)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    ranges.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_masks_of_processors_are_those_of_the_kernel() {
        assert_eq!(processors("0-2,5\n"), [0, 1, 2, 5].into());
        assert_eq!(processors("0-2 5"), [0, 1, 2, 5].into());
        assert_eq!(processors(""), Processors::new());
        assert_eq!(list(&[0, 1, 2, 5].into()), "0-2,5");
        assert_eq!(mask("5"), [0, 2].into());
        assert_eq!(mask("00000001,80000000"), [31, 32].into());
    }

    #[test]
    fn nothing_is_read_outside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("proc")).unwrap();
        fs::write(dir.path().join("proc/version"), " x 7 \n").unwrap();
        let tree = Tree::at(dir.path());
        assert_eq!(tree.text("/proc/version").as_deref(), Some("x 7"));
        assert_eq!(tree.text("/proc/meminfo"), None);
        assert_eq!(tree.names("/proc"), ["version"]);
    }
}
