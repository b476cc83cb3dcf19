// SPDX-License-Identifier: MIT OR Apache-2.0
//! The guides hold together: links lead somewhere, every command is run or says why not, the index is whole.
#![forbid(unsafe_code)]

use std::{collections::BTreeSet, fs, path::Path};

use plc_tests::{
    guides::{self, Guide, Kind, REASONS},
    installed::below,
    root,
};

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    for guide in guides::all() {
        let here = guide.path.parent().unwrap_or(Path::new(""));
        for link in guide.links() {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { guide.path.clone() } else { here.join(file) };
            let found = root().join(&target).exists();
            let leads = found && (anchor.is_empty() || has_anchor(&target, anchor));
            if !leads {
                broken.push(format!("{}: {link}", guide.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

fn has_anchor(target: &Path, anchor: &str) -> bool {
    Guide::read(target).anchors().iter().any(|known| known == anchor)
}

/// README, its neighbours and the guides; what lies deeper is for who changes the code there.
fn for_users(guide: &Guide) -> bool {
    guide.path.components().count() == 1 || guide.path.starts_with("docs")
}

#[test]
fn every_command_is_run_or_says_why_not() {
    let (mut wrong, mut untried) = (Vec::new(), Vec::new());
    for guide in guides::all().into_iter().filter(for_users) {
        let place = |line: usize| format!("{}:{line}", guide.path.display());
        for block in &guide.blocks {
            match block.kind() {
                Kind::Text | Kind::Machine => {}
                Kind::Unmarked => wrong.push(format!("{}: {:?}", place(block.line), block.tag)),
                Kind::Untried(reasons) => {
                    for reason in reasons {
                        match REASONS.iter().find(|(known, _)| *known == reason) {
                            Some((_, instead)) => {
                                untried
                                    .push(format!("{}: {reason} ({instead})", place(block.line)));
                            }
                            None => {
                                wrong.push(format!("{}: no reason: {reason}", place(block.line)))
                            }
                        }
                    }
                }
            }
        }
        // A block that is only indented would escape the rule.
        if guide.text.contains("\n\n    ") {
            wrong.push(format!("{}: a block that is not fenced", guide.path.display()));
        }
    }
    println!("command blocks that nothing runs:\n  {}", untried.join("\n  "));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The code of what lies in one directory, without comments.
fn code(dir: &str) -> String {
    let files = below(&root().join(dir));
    let files = files.iter().filter(|file| file.extension().is_some_and(|kind| kind == "rs"));
    let text: String = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect()
}

#[test]
fn the_words_by_which_a_symptom_is_found_are_those_that_people_see() {
    // The dynamic loader's own.
    const LOADER: &str = "cannot open shared object file, undefined symbol";
    let said = ["supervisor", "worker", "connectors"].map(code).concat() + LOADER;
    let guide = Guide::read(Path::new("docs/troubleshooting.md"));
    let symptoms =
        guide.text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let quoted: Vec<&str> = symptoms.flat_map(|text| text.split('"').skip(1).step_by(2)).collect();
    assert!(quoted.len() >= 5, "{quoted:?}");
    for words in quoted {
        assert!(said.contains(words), "nothing says: {words}");
    }
}

#[test]
fn the_index_names_every_guide() {
    let index = Guide::read(Path::new("docs/README.md"));
    let named: BTreeSet<&str> = index.links().into_iter().collect();
    let there: Vec<Guide> = guides::all();
    let there = there.iter().filter(|guide| guide.path.starts_with("docs"));
    let there = there.filter_map(|guide| guide.path.file_name()?.to_str());
    let there: BTreeSet<&str> = there.filter(|name| *name != "README.md").collect();
    assert_eq!(named, there);
}
