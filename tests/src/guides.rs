// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guides as people read them: their links, headings and command blocks.
//!
//! A command block is fenced and tagged ` ```sh machine `: it runs on a machine that has the package. One that cannot
//! run here is tagged ` ```sh untried: REASON `, with a reason from [`REASONS`].

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Why a command block may be untried, and what tries it instead, if anything does.
pub const REASONS: [(&str, &str); 8] = [
    ("another computer", "the engineer's; tests/tests/tls.rs runs the stunnel of the guide"),
    ("a machine with Beremiz_service", "nobody has one here"),
    ("a Raspberry Pi", "hardware"),
    ("hardware", "interrupts of a real machine"),
    ("reboot", "another kernel; tests/vm boots one with PREEMPT_RT"),
    ("it is what runs everything else", "continuous integration is these words"),
    ("a release", "the versions and the bill of materials: tests/tests/release.rs"),
    ("a router", "tests/tests/wamp.rs runs Crossbar"),
];

/// A file of text for people.
#[derive(Debug)]
pub struct Guide {
    /// Relative to the checkout.
    pub path: PathBuf,
    /// Its fenced blocks, in order.
    pub blocks: Vec<Block>,
    /// Its text without the blocks.
    pub text: String,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// What follows the fence: language and tag.
    pub tag: String,
    /// The line of the fence, from 1.
    pub line: usize,
    /// What is in it.
    pub body: String,
}

/// What is to be done with a block.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// No commands.
    Text,
    /// To be run on a machine.
    Machine,
    /// Not run, for these reasons.
    Untried(Vec<&'a str>),
    /// Commands of which nobody said what to do with them.
    Unmarked,
}

impl Block {
    /// What its tag says.
    #[must_use]
    pub fn kind(&self) -> Kind<'_> {
        let (language, tag) = self.tag.split_once(' ').unwrap_or((&self.tag, ""));
        match (language, tag.strip_prefix("untried: ")) {
            ("sh", Some(reasons)) => Kind::Untried(reasons.split(", ").collect()),
            ("sh", None) if tag == "machine" => Kind::Machine,
            ("text" | "toml" | "ini" | "json" | "c" | "bitbake", None) if tag.is_empty() => {
                Kind::Text
            }
            _ => Kind::Unmarked,
        }
    }
}

impl Guide {
    /// Reads one file, relative to the checkout.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read_to_string(crate::root().join(path));
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut guide = Self { path: path.to_owned(), blocks: Vec::new(), text: String::new() };
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), &mut open) {
                (Some(tag), None) => {
                    let tag = tag.to_owned();
                    open = Some(Block { tag, line: index + 1, body: String::new() });
                }
                (Some(_), Some(_)) => guide.blocks.extend(open.take()),
                (None, Some(block)) => {
                    block.body.push_str(line);
                    block.body.push('\n');
                }
                (None, None) => {
                    guide.text.push_str(line);
                    guide.text.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{}: a block has no end", path.display());
        guide
    }

    /// The targets of its links.
    #[must_use]
    pub fn links(&self) -> Vec<&str> {
        let after = self.text.split("](").skip(1);
        after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
    }

    /// What a link may name of it after `#`, as the usual web pages make it of headings.
    #[must_use]
    pub fn anchors(&self) -> Vec<String> {
        let headings = self.text.lines().filter_map(|line| line.strip_prefix('#'));
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        headings
            .map(|heading| heading.trim_start_matches('#').trim().to_lowercase())
            .map(|heading| heading.chars().filter(kept).collect::<String>().replace(' ', "-"))
            .collect()
    }

    /// The commands that run on a machine, one after the other.
    #[must_use]
    pub fn machine_commands(&self) -> String {
        let blocks = self.blocks.iter().filter(|block| block.kind() == Kind::Machine);
        blocks.map(|block| block.body.as_str()).collect()
    }
}

/// All files of text for people, as the version control has them or would take them.
///
/// # Panics
/// There is no version control.
#[must_use]
pub fn all() -> Vec<Guide> {
    let files = std::process::Command::new("git")
        .args(["-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"])
        .args(["-z", "--deduplicate", "*.md"])
        .current_dir(crate::root())
        .output()
        .expect("git is there");
    assert!(files.status.success(), "{}", String::from_utf8_lossy(&files.stderr));
    let names = String::from_utf8(files.stdout).expect("names are texts");
    let names = names.split_terminator('\0').map(Path::new);
    names.filter(|name| crate::root().join(name).exists()).map(Guide::read).collect()
}
