// SPDX-License-Identifier: MIT OR Apache-2.0
//! The keys of the configuration, with defaults and ranges, against the file that is shipped and the code that reads
//! it.

use std::fs;

use plc_supervisor::config::Config;
use plc_tests::{
    manual::{Page, items, subsections},
    root,
};

/// A key as the shipped file or the page has it.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    section: String,
    name: String,
    /// As it is written.
    default: Option<String>,
}

/// A key of the shipped file, and what is said before it.
struct Shipped {
    key: Key,
    said: String,
}

/// Prose begins with "# ", a key with "#"; a key without a default is prose, too.
fn shipped() -> Vec<Shipped> {
    let file = fs::read_to_string(root().join("etc/plc-runtime/plc-runtime.toml")).unwrap();
    let (mut section, mut said, mut all) = (String::new(), String::new(), Vec::new());
    for line in file.lines() {
        let key = |line: &str| {
            let (name, value) = line.split_once(" = ")?;
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            is_name.then(|| (name.to_owned(), value.to_owned()))
        };
        if let Some(title) = line.strip_prefix('[') {
            title.trim_end_matches(']').clone_into(&mut section);
        } else if let Some(text) = line.strip_prefix("# ") {
            match key(text) {
                Some((name, _)) => {
                    let key = Key { section: section.clone(), name, default: None };
                    all.push(Shipped { key, said: std::mem::take(&mut said) });
                }
                None => said.push_str(text),
            }
        } else if let Some((name, value)) = line.strip_prefix('#').and_then(key) {
            let key = Key { section: section.clone(), name, default: Some(value) };
            all.push(Shipped { key, said: std::mem::take(&mut said) });
        } else {
            said.clear();
        }
    }
    all
}

/// The keys of the page, each with the line that says what it may be.
fn described(page: &Page) -> Vec<(Key, String)> {
    let mut all = Vec::new();
    for (title, text) in subsections(page.section("DESCRIPTION")) {
        let section = title.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap();
        for item in items(text) {
            let words = item.head.strip_prefix("Ic ").unwrap();
            let (name, default) = match words.split_once(" No = ") {
                Some((name, default)) => (name, Some(default.replace("\\(dq", "\""))),
                None => (words, None),
            };
            let key = Key { section: section.to_owned(), name: name.to_owned(), default };
            all.push((key, item.body.lines().next().unwrap_or_default().to_owned()));
        }
    }
    all
}

/// What a key may be, as the first words about it say.
enum Range<'a> {
    Integer(i64, i64),
    Choice(Vec<&'a str>),
    Switch,
    /// Of these only the kind is told.
    Other,
}

impl<'a> Range<'a> {
    fn of(line: &'a str) -> Self {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [least, "to", most, ..] if least.parse::<i64>().is_ok() => {
                Self::Integer(least.parse().unwrap(), most.trim_end_matches('.').parse().unwrap())
            }
            ["One", "of", ..] => Self::Choice(line.split('"').skip(1).step_by(2).collect()),
            ["true", "or", "false."] => Self::Switch,
            ["A" | "An", ..] => Self::Other,
            _ => panic!("this does not say what a key may be: {line}"),
        }
    }
}

/// Without it the key, or its range, means nothing.
fn companion(key: &Key) -> &'static str {
    match (key.section.as_str(), key.name.as_str()) {
        ("realtime", "priority") => "policy = \"fifo\"\n",
        ("wamp", "active") => "url = \"ws://router\"\n",
        ("wamp", "initial_delay_ms") => "max_delay_s = 86400\n",
        _ => "",
    }
}

/// Whether the configuration takes this value; if not, why.
fn read(key: &Key, value: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("plc-runtime.toml");
    let text = format!("[{}]\n{}{} = {value}\n", key.section, companion(key), key.name);
    fs::write(&file, text).unwrap();
    let read = Config::read(&file, &dir.path().join("none"));
    read.map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_key_is_described_with_its_default_in_the_order_of_the_shipped_file_and_no_other() {
    let shipped: Vec<Key> = shipped().into_iter().map(|shipped| shipped.key).collect();
    let page = Page::of("plc-runtime.toml");
    let described: Vec<Key> = described(&page).into_iter().map(|(key, _)| key).collect();
    assert!(shipped.len() > 10, "{shipped:?}");
    for (described, shipped) in described.iter().zip(&shipped) {
        assert_eq!(described, shipped);
    }
    assert_eq!(described.len(), shipped.len());
}

#[test]
fn the_ranges_that_are_described_are_those_that_hold() {
    let page = Page::of("plc-runtime.toml");
    for (key, line) in described(&page) {
        let takes = |value: &str| assert_eq!(read(&key, value), Ok(()), "{key:?}");
        let refuses =
            |value: &str| read(&key, value).expect_err(&format!("{key:?} = {value} is taken"));
        match Range::of(&line) {
            Range::Integer(least, most) => {
                takes(&least.to_string());
                takes(&most.to_string());
                for beyond in [least - 1, most + 1] {
                    let said = refuses(&beyond.to_string());
                    let named = [least, most].iter().all(|bound| said.contains(&bound.to_string()));
                    assert!(named, "{key:?}: {said}");
                }
            }
            Range::Choice(words) => {
                words.iter().for_each(|word| takes(&format!("\"{word}\"")));
                let said = refuses("\"no-such-word\"");
                assert!(words.iter().all(|word| said.contains(word)), "{key:?}: {said}");
            }
            Range::Switch => {
                takes("true");
                takes("false");
                refuses("1");
            }
            Range::Other => (),
        }
    }
}

/// The unit of a number, as its name says.
fn unit(key: &Key) -> Option<&'static str> {
    let units = [
        ("_ms", "milliseconds"),
        ("_us", "microseconds"),
        ("_s", "seconds"),
        ("_kib", "KiB"),
        ("_mib", "MiB"),
    ];
    units.iter().find(|(ending, _)| key.name.ends_with(ending)).map(|(_, unit)| *unit)
}

#[test]
fn every_number_has_its_unit_where_it_is_described_and_where_it_is_shipped() {
    let page = Page::of("plc-runtime.toml");
    for ((key, line), Shipped { said, .. }) in described(&page).into_iter().zip(shipped()) {
        let is_number = matches!(Range::of(&line), Range::Integer(..));
        if let Some(unit) = unit(&key) {
            assert!(is_number && line.ends_with(&format!(" {unit}.")), "{key:?}: {line}");
            assert!(said.contains(unit), "{key:?}: {said}");
        } else if is_number && key.name != "priority" {
            // What is counted: three words are the range.
            assert!(line.split_whitespace().count() > 3, "{key:?}: {line}");
        }
    }
}

#[test]
fn of_every_key_without_a_default_it_is_said_what_holds_without_it() {
    let page = Page::of("plc-runtime.toml");
    let described = subsections(page.section("DESCRIPTION"));
    let bodies = described.iter().flat_map(|(_, text)| items(text));
    for item in bodies.filter(|item| !item.head.contains(" No = ")) {
        let body = item.body.replace('\n', " ");
        assert!(body.contains("left out"), "{}: {body}", item.head);
    }
}

#[test]
fn the_shipped_file_gives_the_same_ranges() {
    let page = Page::of("plc-runtime.toml");
    for ((key, line), Shipped { said, .. }) in described(&page).into_iter().zip(shipped()) {
        let words = match Range::of(&line) {
            Range::Integer(least, most) => vec![least.to_string(), most.to_string()],
            Range::Choice(words) => words.into_iter().map(|word| format!("\"{word}\"")).collect(),
            Range::Switch | Range::Other => Vec::new(),
        };
        for word in words {
            assert!(said.contains(&word), "{key:?}: {word} is not in {said:?}");
        }
    }
}
