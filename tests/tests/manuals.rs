// SPDX-License-Identifier: MIT OR Apache-2.0
//! The manual pages, held against what they describe: nothing is missing in them, and they describe nothing that is
//! not there.
#![forbid(unsafe_code)]

#[path = "manuals/bus.rs"]
mod bus;
#[path = "manuals/configuration.rs"]
mod configuration;
#[path = "manuals/exit_codes.rs"]
mod exit_codes;
#[path = "manuals/json.rs"]
mod json;
#[path = "manuals/options.rs"]
mod options;

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

use plc_tests::{
    installed::{below, installed, programs},
    manual::{Page, items, marked},
    root,
};

/// What `mandoc -T lint` says of the machine it runs on, or of systems that this is not made for.
const NOT_OURS: [&str; 3] =
    ["referenced manual not found", "operating system explicitly specified", "outdated mandoc.db"];

fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_string_lossy().into_owned();
    command.output().unwrap_or_else(|error| {
        panic!("{} cannot be run ({error}); install it with: scripts/need test", program)
    })
}

#[test]
fn every_page_is_well_formed() {
    for Page { path, .. } in Page::all() {
        let output = run(Command::new("mandoc").args(["-T", "lint"]).arg(&path));
        let said = String::from_utf8(output.stdout).unwrap();
        let faults: Vec<&str> = said
            .lines()
            .filter(|line| !NOT_OURS.iter().any(|not_ours| line.contains(not_ours)))
            .collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        // The other formatter that people have.
        let output = run(Command::new("man").args(["--warnings", "-l"]).arg(&path));
        let said = String::from_utf8_lossy(&output.stderr);
        // Newer groff tells of each line that one long word fills.
        let mut faults =
            said.lines().filter(|line| !line.is_empty() && !line.ends_with("cannot adjust line"));
        assert!(output.status.success() && faults.next().is_none(), "{}: {said}", path.display());
    }
}

#[test]
fn every_program_has_a_page_and_every_page_is_shipped_once() {
    let pages = Page::all();
    for program in programs() {
        assert!(pages.iter().any(|page| page.name == program), "{program} has no manual page");
    }
    let dir = installed();
    let shipped: Vec<_> = below(&dir.path().join("usr/share/man"));
    assert_eq!(shipped.len(), pages.len(), "{shipped:?}");
    for Page { path, name, section, .. } in pages {
        let place = dir.path().join(format!("usr/share/man/man{section}/{name}.{section}"));
        assert_eq!(fs::read(place).unwrap(), fs::read(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn what_is_referred_to_is_there() {
    let pages = Page::all();
    let is_there = |name: &str, section: &str| {
        pages.iter().any(|page| (&*page.name, &*page.section) == (name, section))
    };
    let is_ours = |name: &str| name.starts_with("plc") || name.starts_with("org.plc");
    for page in &pages {
        for (name, section) in page.references() {
            assert!(!is_ours(name) || is_there(name, section), "{}: {name}({section})", page.name);
        }
    }
    for file in below(&root().join("systemd")) {
        let text = fs::read_to_string(&file).unwrap();
        for reference in text.split("man:").skip(1) {
            let (name, rest) = reference.split_once('(').unwrap();
            let section = rest.split(')').next().unwrap();
            let found = !is_ours(name) || is_there(name, section);
            assert!(found, "{}: man:{name}({section})", file.display());
        }
    }
}

#[test]
fn every_kind_of_journal_entry_is_described() {
    let catalog = fs::read_to_string(root().join("systemd/plc-runtime.catalog")).unwrap();
    let kinds: BTreeSet<&str> =
        catalog.lines().filter_map(|line| line.strip_prefix("-- ")).collect();
    let page = Page::of("plc-runtime");
    let described: BTreeSet<&str> = items(page.text())
        .iter()
        .filter_map(|item| item.head.strip_prefix("Li "))
        .filter(|id| id.len() == 32)
        .collect();
    assert_eq!(described, kinds);
}

#[test]
fn the_files_and_units_that_are_named_are_shipped() {
    let dir = installed();
    let shipped = below(&dir.path().join("usr"));
    let is_named = |name: &str| shipped.iter().any(|file| file.ends_with(name));
    for page in Page::all() {
        for path in marked(page.text(), "Pa") {
            let is_unit = path.ends_with(".service") || path.ends_with(".socket");
            let there = match path.strip_prefix("/usr/") {
                Some(below) => dir.path().join("usr").join(below).exists(),
                None => path.starts_with('/') || !is_unit || is_named(path),
            };
            assert!(there, "{}: {path}", page.name);
        }
    }
}

#[test]
fn shells_find_what_completes_the_programs_of_people() {
    let dir = installed();
    for program in below(&dir.path().join("usr/bin")) {
        let name = program.file_name().unwrap().to_str().unwrap();
        for place in [
            format!("bash-completion/completions/{name}.bash"),
            format!("fish/vendor_completions.d/{name}.fish"),
            format!("zsh/vendor-completions/_{name}"),
        ] {
            assert!(dir.path().join("usr/share").join(&place).is_file(), "{place}");
        }
    }
}
