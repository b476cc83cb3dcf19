// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a release is made with: the versions that have to agree, and the bill of materials. That its packages have the
//! same bytes wherever they are built is told by `make reproducible`.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use plc_tests::{installed::programs, root};
use serde_json::Value;
use tempfile::TempDir;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// What `scripts/sbom` prints, as bytes.
fn printed() -> Vec<u8> {
    let output = Command::new(root().join("scripts/sbom"))
        .arg(env!("CARGO_PKG_VERSION"))
        .args(programs())
        .env("SOURCE_DATE_EPOCH", "1795248000")
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    output.stdout
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key}: {value}"))
}

/// Holds a bill against the schema.
fn validated(bill: &[u8]) -> Output {
    let python = root().join("target/clients/release/bin/python");
    assert!(python.exists(), "{} is missing; run `scripts/need test`", python.display());
    let mut python = Command::new(python)
        .arg(root().join("tests/tests/release/validate.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(bill).unwrap();
    python.wait_with_output().unwrap()
}

#[test]
fn the_bill_of_materials_is_cyclonedx_and_the_same_each_time() {
    let bill = printed();
    assert_eq!(bill, printed());
    let output = validated(&bill);
    assert!(output.status.success(), "{}", said(&output));
    let mut wrong: Value = serde_json::from_slice(&bill).unwrap();
    wrong["components"][0]["type"] = "no such type".into();
    let output = validated(&serde_json::to_vec(&wrong).unwrap());
    assert!(
        !output.status.success() && said(&output).contains("no such type"),
        "{}",
        said(&output)
    );
}

#[test]
fn the_bill_of_materials_has_all_that_is_shipped_as_cargo_lock_has_it_and_nothing_of_the_tests() {
    let bill: Value = serde_json::from_slice(&printed()).unwrap();
    let lock: toml::Table =
        toml::from_str(&fs::read_to_string(root().join("Cargo.lock")).unwrap()).unwrap();
    let locked: BTreeMap<(&str, &str), Option<&str>> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let text = |key: &str| package.get(key).and_then(toml::Value::as_str);
            ((text("name").unwrap(), text("version").unwrap()), text("checksum"))
        })
        .collect();
    let components = bill["components"].as_array().unwrap();
    let mut names = BTreeSet::new();
    for component in components {
        let (name, version) = (text(component, "name"), text(component, "version"));
        let checksum = component["hashes"][0]["content"].as_str();
        assert_eq!(locked.get(&(name, version)), Some(&checksum), "{name} {version}");
        assert!(!text(&component["licenses"][0], "expression").contains('/'), "{name}");
        let registry = if checksum.is_some() { "pkg:cargo/" } else { "pkg:generic/plc-runtime@" };
        assert!(text(component, "purl").starts_with(registry), "{component}");
        assert_eq!(
            text(component, "type") == "application",
            programs().iter().any(|program| program == name),
            "{name}"
        );
        names.insert(name);
    }
    for program in programs() {
        assert!(names.contains(&*program), "{program} is missing");
    }
    for shipped in ["tokio", "zbus", "openssl", "ring", "plc-abi", "plc-worker-link"] {
        assert!(names.contains(shipped), "{shipped} is missing");
    }
    for other in ["proptest", "plc-tests", "clap_complete", "clap_derive", "cc", "windows-sys"] {
        assert!(!names.contains(other), "{other} is not shipped");
    }
    whole(&bill, components);
}

/// Whatever is named as a dependency is there, and everything is reached from the product.
fn whole(bill: &Value, components: &[Value]) {
    let takes: BTreeMap<&str, Vec<&str>> = bill["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let on = entry["dependsOn"].as_array().unwrap().iter();
            (text(entry, "ref"), on.map(|on| on.as_str().unwrap()).collect())
        })
        .collect();
    let mut left = vec![text(&bill["metadata"]["component"], "bom-ref")];
    let mut reached = BTreeSet::new();
    while let Some(next) = left.pop() {
        if reached.insert(next) {
            left.extend(takes.get(next).unwrap_or_else(|| panic!("{next} has no entry")));
        }
    }
    assert_eq!(reached.len(), components.len() + 1);
}

/// What tells the version, apart from the rest of the sources.
fn versioned() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest: toml::Table =
        toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    let mut files: Vec<String> =
        members.iter().map(|member| format!("{}/Cargo.toml", member.as_str().unwrap())).collect();
    let others =
        ["Cargo.toml", "Cargo.lock", "CHANGELOG.md", "debian/changelog", "scripts/version"];
    files.extend(others.map(str::to_owned));
    files.push("scripts/release".into());
    for file in files {
        let copy = dir.path().join(&file);
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(root().join(&file), copy).unwrap();
    }
    // So that the tests hold while something unreleased is in the changelog, too.
    let changelog = dir.path().join("CHANGELOG.md");
    let entries = fs::read_to_string(&changelog).unwrap().replace("## [Unreleased]\n", "");
    fs::write(changelog, entries).unwrap();
    dir
}

fn run(dir: &Path, program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).current_dir(dir).output().unwrap()
}

#[test]
fn versions_that_disagree_are_told_with_the_file() {
    let version = env!("CARGO_PKG_VERSION");
    let dir = versioned();
    let asked = |release: &[&str]| run(dir.path(), "scripts/version", release);
    assert_eq!(said(&asked(&["--release"])), format!("{version}\n"));
    for (file, from, to, words) in [
        ("Cargo.toml", format!("version = \"{version}\""), "version = \"7.7.7\"", "says 7.7.7"),
        (
            "Cargo.lock",
            format!("\"plcctl\"\nversion = \"{version}\""),
            "\"plcctl\"\nversion = \"7\"",
            "Cargo.lock says plcctl 7;",
        ),
        (
            "worker/Cargo.toml",
            "version.workspace = true".into(),
            "version = \"1.0.0\"",
            "worker/Cargo.toml",
        ),
        (
            "debian/changelog",
            format!("({version}-"),
            "(0.0.9-",
            "debian/changelog begins with 0.0.9",
        ),
        (
            "CHANGELOG.md",
            format!("## [{version}]"),
            "## [3.3.3]",
            "CHANGELOG.md begins with '[3.3.3]",
        ),
        ("CHANGELOG.md", format!("## [{version}] - 2"), "## [0] - 1", "CHANGELOG.md"),
    ] {
        let path = dir.path().join(file);
        let right = fs::read_to_string(&path).unwrap();
        assert!(right.contains(&from), "{file} has no {from}");
        fs::write(&path, right.replacen(&from, to, 1)).unwrap();
        let output = asked(&[]);
        assert!(
            !output.status.success() && said(&output).contains(words),
            "{file}: {}",
            said(&output)
        );
        fs::write(&path, right).unwrap();
    }
}

#[test]
fn what_is_not_released_yet_stops_a_release_and_nothing_else() {
    let dir = versioned();
    let changelog = dir.path().join("CHANGELOG.md");
    let released = fs::read_to_string(&changelog).unwrap();
    fs::write(&changelog, released.replacen("## [", "## [Unreleased]\n\n## [", 1)).unwrap();
    assert!(run(dir.path(), "scripts/version", &[]).status.success());
    let output = run(dir.path(), "scripts/version", &["--release"]);
    assert!(
        !output.status.success() && said(&output).contains("[Unreleased]"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_release_is_what_is_committed_under_its_own_tag() {
    let dir = versioned();
    let git = |arguments: &[&str]| {
        let names = ["-c", "user.name=tests", "-c", "user.email=tests@example.invalid"];
        let output = run(dir.path(), "git", &[&names[..], arguments].concat());
        assert!(output.status.success(), "{}", said(&output));
    };
    let released = || said(&run(dir.path(), "scripts/release", &["--trial"]));
    assert!(released().contains("no git checkout"), "{}", released());
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "all"]);
    fs::write(dir.path().join("forgotten"), "").unwrap();
    assert!(released().contains("commit or remove first:\n?? forgotten"), "{}", released());
    fs::remove_file(dir.path().join("forgotten")).unwrap();
    git(&["tag", "v99.0.0"]);
    assert!(released().contains("the commit has the tag v99.0.0"), "{}", released());
}
