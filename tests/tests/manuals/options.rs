// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options and commands, against `--help`.

use std::{collections::BTreeSet, process::Command};

use plc_tests::{
    binary,
    installed::programs,
    manual::{Item, Page, items, options, subsections},
};

/// What every command of a program takes besides its own.
const EVERYWHERE: [&str; 6] = ["-h", "--help", "-V", "--version", "--socket", "--json"];

/// An option as `--help` tells it.
struct Told {
    /// Its spellings.
    names: Vec<String>,
    /// What is said of it, on one line.
    text: String,
}

/// What the program says to `-h`, each option with one sentence, or to `--help`.
fn help(program: &str, command: &[&str], asked: &str) -> String {
    let output = Command::new(binary(program)).args(command).arg(asked).output().unwrap();
    assert!(output.status.success(), "{program} {command:?} {asked}");
    String::from_utf8(output.stdout).unwrap()
}

/// The options in the list that begins with `Options:`.
fn told(help: &str) -> Vec<Told> {
    let list = help.split("\nOptions:\n").nth(1).unwrap_or_default();
    let list = list.split("\n\n").next().unwrap_or_default();
    let mut all: Vec<Told> = Vec::new();
    for line in list.lines() {
        let text = line.trim_start();
        if text.starts_with('-') && line.len() - text.len() < 8 {
            let head = text.split("  ").next().unwrap_or(text);
            let names = head.split([' ', ',', '[', '=']).filter(|word| word.starts_with('-'));
            all.push(Told { names: names.map(str::to_owned).collect(), text: text.to_owned() });
        } else if let Some(last) = all.last_mut() {
            last.text.push(' ');
            last.text.push_str(text);
        }
    }
    all
}

/// Everything in a help that looks like an option, in prose too.
fn mentioned(help: &str) -> BTreeSet<String> {
    let words = help.split([' ', ',', ';', '.', '[', ']', '\n']);
    let is_option = |word: &&str| {
        let name = word.trim_start_matches('-');
        name.len() < word.len() && name.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    words.filter(is_option).map(str::to_owned).collect()
}

/// The commands below `command`, at the end of the way all that do something.
fn commands(program: &str, command: &[String]) -> Vec<Vec<String>> {
    let line: Vec<&str> = command.iter().map(String::as_str).collect();
    let help = help(program, &line, "-h");
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return vec![command.to_owned()];
    };
    let list = list.split("\n\n").next().unwrap_or_default();
    // A line that goes on with what is said of one has more room before it.
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names
        .filter(|name| !name.is_empty() && *name != "help")
        .flat_map(|name| commands(program, &[command, &[name.to_owned()]].concat()))
        .collect()
}

/// What stands in brackets behind `label`, if it is a word or words separated by commas.
fn bracketed<'a>(text: &'a str, label: &str) -> Vec<&'a str> {
    let inside =
        text.split_once(&format!("[{label}: ")).and_then(|(_, rest)| rest.split(']').next());
    let words: Vec<&str> = inside.map(|inside| inside.split(", ").collect()).unwrap_or_default();
    if words.iter().all(|word| !word.contains(' ')) { words } else { Vec::new() }
}

/// Demands that each option of a help has an entry, which gives its default and its choices.
fn are_described(help: &str, entries: &[Item<'_>], whose: &str) {
    for Told { names, text } in told(help) {
        if names.iter().all(|name| EVERYWHERE.contains(&name.as_str())) && whose != "plcctl" {
            continue;
        }
        let has_all = |item: &&Item<'_>| names.iter().all(|name| options(item.head).contains(name));
        let entry = entries.iter().find(has_all);
        let entry = entry.unwrap_or_else(|| panic!("{whose}: {names:?} is not in its manual page"));
        for word in [bracketed(&text, "default"), bracketed(&text, "possible values")].concat() {
            let there = entry
                .body
                .split([' ', '\n', ',', ';'])
                .any(|said| said.trim_end_matches('.') == word);
            assert!(there, "{whose}: {names:?}: {word} is not in its manual page");
        }
    }
}

/// Demands that the program takes each of these options.
fn are_taken(program: &str, command: &[&str], options: &BTreeSet<String>) {
    for option in options {
        // The last one keeps the program from beginning anything.
        let mut trial = Command::new(binary(program));
        let output = trial.args(command).args([option, "x", "--no-such-option"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let unknown = said.contains(&format!("unexpected argument '{option}'"));
        assert!(
            !unknown,
            "{program} {command:?} does not take {option}, which its manual page has"
        );
    }
}

#[test]
fn every_option_of_every_program_is_described_and_no_other() {
    for program in programs() {
        let page = Page::of(&program);
        let entries = items(page.section("DESCRIPTION"));
        let summary = help(&program, &[], "-h");
        are_described(&summary, &entries, &program);
        if program == "plcctl" {
            continue;
        }
        let synopsis = options(page.section("SYNOPSIS"));
        for Told { names, .. } in told(&summary) {
            let has =
                |name: &String| synopsis.contains(name) || EVERYWHERE.contains(&name.as_str());
            assert!(names.iter().any(has), "{program}: {names:?} is not in its synopsis");
        }
        let described = options(page.text());
        for option in mentioned(&help(&program, &[], "--help")) {
            assert!(described.contains(&option), "{program}: {option} is not in its manual page");
        }
        for option in ["-h", "--help", "-V", "--version"] {
            assert!(described.contains(option), "{program}: {option}");
        }
        are_taken(&program, &[], &described);
    }
}

#[test]
fn every_command_of_plcctl_is_described_with_its_options_and_no_other() {
    let page = Page::of("plcctl");
    let described = subsections(page.section("COMMANDS"));
    let mut titles: BTreeSet<&str> = described.iter().map(|(title, _)| *title).collect();
    for command in commands("plcctl", &[]) {
        let line: Vec<&str> = command.iter().map(String::as_str).collect();
        let title = line.join(" ");
        let found = described.iter().find(|(there, _)| *there == title);
        let (_, text) = found.unwrap_or_else(|| panic!("plcctl {title} is not in its manual page"));
        titles.remove(title.as_str());
        let help = help("plcctl", &line, "-h");
        are_described(&help, &items(text), &title);
        are_taken("plcctl", &line, &options(text));
        let synopsis = text.lines().filter(|line| line.starts_with(".D1 ")).collect::<Vec<_>>();
        let entries: String = items(text).iter().map(|item| format!("{}\n", item.head)).collect();
        assert_eq!(options(&synopsis.join("\n")), options(&entries), "plcctl {title}");
    }
    assert_eq!(titles, BTreeSet::from(["help"]), "these are no commands");
}
