// SPDX-License-Identifier: MIT OR Apache-2.0
//! The members on the bus, against the interface that is shipped (which others hold against the running supervisor),
//! the actions of polkit, and the errors of the code.

use std::{collections::BTreeSet, fs};

use plc_tests::{
    manual::{Item, Page, items, marked, subsections},
    root,
};

const INTERFACE: &str = "systemd/dbus/org.plcruntime1.Plc.xml";

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

/// A member as the interface has it, and what its comment says.
struct Member<'a> {
    /// `method`, `signal` or `property`.
    kind: &'a str,
    name: &'a str,
    /// Of a property.
    type_: &'a str,
    comment: &'a str,
    arguments: Vec<&'a str>,
    /// `EmitsChangedSignal`; without an annotation it is `true` (D-Bus Specification, "Introspection Data Format").
    told: &'a str,
}

/// Reads the introspection with its comments, which stand before what they are about.
fn commented(xml: &str) -> Vec<Member<'_>> {
    let (mut all, mut comment): (Vec<Member<'_>>, &str) = (Vec::new(), "");
    for tag in xml.split('<').skip(1) {
        let name = || attribute(tag, "name").unwrap();
        match tag.split([' ', '\n', '>', '/']).next().unwrap_or_default() {
            "!--" => comment = tag.split("-->").next().unwrap_or_default(),
            kind @ ("method" | "signal" | "property") => all.push(Member {
                kind,
                name: name(),
                type_: attribute(tag, "type").unwrap_or_default(),
                comment: std::mem::take(&mut comment),
                arguments: Vec::new(),
                told: "true",
            }),
            "arg" => all.last_mut().unwrap().arguments.push(name()),
            "annotation" => all.last_mut().unwrap().told = attribute(tag, "value").unwrap(),
            _ => (),
        }
    }
    assert!(all.len() > 20 && all.iter().all(|member| !member.comment.is_empty()));
    all
}

/// The entry of a member in the page.
fn entry<'a>(page: &'a Page, member: &Member<'_>) -> Item<'a> {
    let (section, head) = match member.kind {
        "method" => ("METHODS", format!("Fn {}", member.name)),
        "signal" => ("SIGNALS", format!("Fn {}", member.name)),
        _ => ("PROPERTIES", format!("Va {}", member.name)),
    };
    let found = items(page.section(section)).into_iter().find(|item| {
        item.head.strip_prefix(&head).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    found.unwrap_or_else(|| panic!("{head} is not in the manual page"))
}

/// The errors that an explanation names behind `Errors:`.
fn errors(text: &str) -> Option<BTreeSet<&str>> {
    let words = text.split("Errors:").nth(1)?.split(|c: char| !c.is_ascii_alphabetic());
    Some(words.filter(|word| ERRORS.contains(word)).collect())
}

/// What a method may have besides `NotAllowed`.
const ERRORS: [&str; 3] = ["Refused", "Failed", "BadRequest"];

#[test]
fn every_argument_is_explained_in_the_interface_and_in_the_page() {
    let (page, xml) = (Page::of("org.plcruntime1"), file(INTERFACE));
    for member in commented(&xml) {
        let body = entry(&page, &member).body;
        for argument in &member.arguments {
            let name = member.name;
            assert!(
                member.comment.contains(&format!("\n      {argument}: ")),
                "{name}: {argument}"
            );
            assert!(marked(body, "Fa").contains(argument), "{name}: {argument}: {body}");
        }
    }
}

#[test]
fn the_errors_of_each_method_are_the_same_in_the_interface_and_in_the_page() {
    let (page, xml) = (Page::of("org.plcruntime1"), file(INTERFACE));
    for member in commented(&xml).iter().filter(|member| member.kind == "method") {
        let name = member.name;
        let said = errors(member.comment);
        let said = said.unwrap_or_else(|| panic!("{name} does not say what errors it has"));
        assert_eq!(errors(entry(&page, member).body), Some(said), "{name}");
    }
}

#[test]
fn of_each_property_it_is_said_whether_its_changes_are_told_and_what_its_number_counts() {
    let (page, xml) = (Page::of("org.plcruntime1"), file(INTERFACE));
    for member in commented(&xml).iter().filter(|member| member.kind == "property") {
        let name = member.name;
        for said in [member.comment, entry(&page, member).body] {
            assert_eq!(said.contains("Changes are not told."), member.told == "false", "{name}");
            assert_eq!(said.contains("does not change"), member.told == "const", "{name}");
            let units: &[&str] = match member.type_ {
                "t" => &["microseconds since the epoch", "Cycles"],
                "(ddd)" => &["microseconds"],
                "u" => &["How often", "The id"],
                _ => &[""],
            };
            assert!(units.iter().any(|unit| said.contains(unit)), "{name} has no unit: {said}");
        }
    }
}

#[test]
fn every_method_property_and_signal_is_described_with_its_types_and_no_other() {
    let page = Page::of("org.plcruntime1");
    let members = members(&file(INTERFACE));
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
