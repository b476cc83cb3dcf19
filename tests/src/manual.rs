// SPDX-License-Identifier: MIT OR Apache-2.0
//! Manual pages as their source has them, in the macros of mdoc(7).

use std::{
    collections::BTreeSet,
    fs, iter,
    path::{Path, PathBuf},
};

use crate::{installed::below, root};

/// One page.
#[derive(Clone, Debug)]
pub struct Page {
    /// Where it lies in the checkout.
    pub path: PathBuf,
    /// As its readers ask for it, such as `plcctl`.
    pub name: String,
    /// Such as `1`.
    pub section: String,
    text: String,
}

/// An entry of a list: `.It` and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// The line, macros included.
    pub head: &'a str,
    /// The lines until the next entry, or the end of the list.
    pub body: &'a str,
}

impl Page {
    /// All pages of the checkout.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let parts = ["supervisor", "worker", "connectors"];
        let files = parts.iter().flat_map(|part| below(&root().join(part)));
        files.filter_map(|path| Self::read(&path)).collect()
    }

    /// The page of this name.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let found = Self::all().into_iter().find(|page| page.name == name);
        found.unwrap_or_else(|| panic!("there is no manual page {name}"))
    }

    fn read(path: &Path) -> Option<Self> {
        let section = path.extension()?.to_str().filter(|text| text.parse::<u8>().is_ok())?;
        Some(Self {
            name: path.file_stem()?.to_str()?.to_owned(),
            section: section.to_owned(),
            text: fs::read_to_string(path).ok()?,
            path: path.to_owned(),
        })
    }

    /// The text of the section with this title.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn section(&self, title: &str) -> &str {
        let found = parts(&self.text, ".Sh ").into_iter().find(|(there, _)| *there == title);
        found.unwrap_or_else(|| panic!("{} has no section {title}", self.name)).1
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The pages that it refers to: name and section.
    #[must_use]
    pub fn references(&self) -> Vec<(&str, &str)> {
        let words = marked(&self.text, "Xr");
        words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    }
}

/// The parts of a text that begin with a line of this macro: the rest of that line, and what follows.
fn parts<'a>(text: &'a str, begin: &str) -> Vec<(&'a str, &'a str)> {
    let lines = iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1));
    let starts: Vec<usize> = lines.filter(|start| text[*start..].starts_with(begin)).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let parts = starts.iter().zip(ends).map(|(start, end)| &text[start + begin.len()..end]);
    parts.map(|part| part.split_once('\n').unwrap_or((part, ""))).collect()
}

/// The subsections of a section: title and text.
#[must_use]
pub fn subsections(text: &str) -> Vec<(&str, &str)> {
    parts(text, ".Ss ")
}

/// The entries of all lists in a text.
#[must_use]
pub fn items(text: &str) -> Vec<Item<'_>> {
    let items = parts(text, ".It ");
    items
        .into_iter()
        .map(|(head, body)| Item { head, body: body.split("\n.El").next().unwrap_or(body) })
        .collect()
}

/// The options that a text names by `Fl`, as they are typed.
#[must_use]
pub fn options(text: &str) -> BTreeSet<String> {
    marked(text, "Fl").into_iter().map(|name| format!("-{name}")).collect()
}

/// The words that a text marks with this macro.
#[must_use]
pub fn marked<'a>(text: &'a str, wanted: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for line in text.lines().map(|line| line.trim_start_matches('.')) {
        let mut within = false;
        for word in line.split_whitespace() {
            if is_macro(word) {
                within = word == wanted;
            } else if within && !matches!(word, "," | ";" | ":" | "." | "|") {
                found.push(word);
            }
        }
    }
    found
}

/// As `It`, `Fl` and all the others are.
fn is_macro(word: &str) -> bool {
    matches!(word.as_bytes(), [first, second] if first.is_ascii_uppercase() && second.is_ascii_lowercase())
}
