// SPDX-License-Identifier: MIT OR Apache-2.0
//! The members on the bus, against the interface that is shipped (which others hold against the running supervisor),
//! the actions of polkit, and the errors of the code.

use std::{collections::BTreeSet, fs};

use plc_tests::{
    manual::{Page, items, subsections},
    root,
};

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The entries of a section.
fn heads<'a>(page: &'a Page, title: &str) -> Vec<&'a str> {
    items(page.section(title)).iter().map(|item| item.head).collect()
}

/// The value of an attribute in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

/// Methods, properties and signals as the page is to write them.
#[derive(Default)]
struct Members {
    methods: Vec<String>,
    properties: Vec<String>,
    signals: Vec<String>,
}

/// Reads the introspection, tag by tag.
fn members(xml: &str) -> Members {
    let mut members = Members::default();
    let mut answer = String::new();
    let mut in_method = false;
    for tag in xml.split('<').skip(1) {
        let name = || attribute(tag, "name").unwrap();
        let kind = || attribute(tag, "type").unwrap();
        let word = tag.split([' ', '>', '/']).next().unwrap_or_default();
        let list = if in_method { &mut members.methods } else { &mut members.signals };
        match (word, tag.starts_with("/method")) {
            ("method", _) => {
                members.methods.push(format!("Fn {}", name()));
                in_method = true;
            }
            ("signal", _) => {
                members.signals.push(format!("Fn {}", name()));
                in_method = false;
            }
            ("arg", _) if attribute(tag, "direction") == Some("out") => {
                answer = format!(" No -> {} {}", kind(), name());
            }
            ("arg", _) => list.last_mut().unwrap().push_str(&format!(" \"{} {}\"", kind(), name())),
            ("property", _) => members.properties.push(format!("Va {} No {}", name(), kind())),
            (_, true) => list.last_mut().unwrap().push_str(&std::mem::take(&mut answer)),
            _ => (),
        }
    }
    members
}

#[test]
fn every_method_property_and_signal_is_described_with_its_types_and_no_other() {
    let page = Page::of("org.plcruntime1");
    let members = members(&file("systemd/dbus/org.plcruntime1.Plc.xml"));
    assert!(members.methods.len() > 5 && members.properties.len() > 5, "{:?}", members.methods);
    assert_eq!(heads(&page, "METHODS"), members.methods);
    assert_eq!(heads(&page, "PROPERTIES"), members.properties);
    assert_eq!(heads(&page, "SIGNALS"), members.signals);
}

#[test]
fn every_error_is_described_and_no_other() {
    let page = Page::of("org.plcruntime1");
    let code = file("supervisor/src/dbus/error.rs");
    let variants =
        code.lines().filter_map(|line| line.strip_prefix("    ")?.strip_suffix("(String),"));
    let errors: Vec<String> =
        variants.map(|variant| format!("Sy org.plcruntime1.Error.{variant}")).collect();
    assert!(!errors.is_empty());
    assert_eq!(heads(&page, "BUS ERRORS"), errors);
}

#[test]
fn every_action_of_polkit_is_described_and_no_other() {
    let page = Page::of("org.plcruntime1");
    let policy = file("systemd/polkit/org.plcruntime1.policy");
    let actions: BTreeSet<&str> =
        policy.split("<action id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let access = subsections(page.section("DESCRIPTION"));
    let (_, text) = access.iter().find(|(title, _)| *title == "Who may call what").unwrap();
    let described = items(text);
    let described = described.iter().filter_map(|item| item.head.strip_prefix("Sy ")).collect();
    assert_eq!(actions, described);
}
