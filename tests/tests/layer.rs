// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Yocto layer as `make layer` makes it: read by bitbake's own library and by the linter of recipes, and held
//! against `Cargo.lock`, `systemd/` and what `make install` lays down. What only OpenEmbedded itself can tell is told
//! by `scripts/layer-check`.
#![forbid(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use plc_tests::{
    installed::{below, installed, side_by_side},
    root,
};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

/// What the linter may not say, and why it has no point here.
const SUPPRESSED: &[(&str, &str)] = &[
    ("oelint.var.mandatoryvar.HOMEPAGE", "the project has no public address yet"),
    ("oelint.var.suggestedvar.BUGTRACKER", "the same"),
    ("oelint.var.suggestedvar.CVE_PRODUCT", "no vulnerability was ever filed under another name"),
    ("oelint.var.bbclassextend", "a service for a device: of no use on the machine that builds"),
    ("oelint.vars.srcurifile", "the sources come with the layer"),
];

/// The releases of the layer.
const RELEASES: [&str; 2] = ["whinlatter", "wrynose"];

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    texts.concat()
}

/// The layer, made once for all tests here, which run in processes beside each other.
fn layer() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (layer, stamp) = (place.join("meta-plc-runtime"), place.join("meta-plc-runtime.run"));
    let run = env::var("NEXTEST_RUN_ID").unwrap_or_else(|_| std::process::id().to_string());
    let lock = File::create(place.join("meta-plc-runtime.lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if fs::read_to_string(&stamp).is_ok_and(|text| text == run) {
        return layer;
    }
    let output = Command::new(root().join("scripts/layer")).arg(&layer).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::write(stamp, run).unwrap();
    layer
}

fn recipe() -> PathBuf {
    let file = concat!("recipes-plc/plc-runtime/plc-runtime_", env!("CARGO_PKG_VERSION"), ".bb");
    layer().join(file)
}

/// A program of the Python environment with bitbake's library and the linter.
fn tool(name: &str) -> Command {
    let tool = root().join("target/clients/layer/bin").join(name);
    assert!(tool.exists(), "{} is missing; run `scripts/need test`", tool.display());
    Command::new(tool)
}

/// What bitbake's library understands of a recipe.
fn read<'a>(recipe: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Value {
    let output = tool("python")
        .arg(root().join("tests/tests/layer/recipe.py"))
        .arg(recipe)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn words(value: &Value) -> BTreeSet<&str> {
    value.as_str().unwrap().split_whitespace().collect()
}

/// The names in a file of sysusers.d, by the letter of their kind.
fn sysusers(kind: &str) -> BTreeSet<String> {
    let file = fs::read_to_string(root().join("systemd/sysusers.conf")).unwrap();
    let lines = file.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter(|line| line.first() == Some(&kind)).map(|line| line[1].to_owned()).collect()
}

#[test]
fn bitbake_fetches_the_crates_of_cargo_lock_with_its_checksums_and_no_others() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let lock: toml::Table = toml::from_str(&lock).unwrap();
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    let locked: BTreeMap<String, String> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| package.get("source").is_some())
        .map(|package| {
            assert_eq!(
                text(package, "source"),
                "registry+https://github.com/rust-lang/crates.io-index"
            );
            let name = format!("{}-{}", text(package, "name"), text(package, "version"));
            (name, text(package, "checksum"))
        })
        .collect();
    let told = read(&recipe(), ["SRC_URI"]);
    let crates: BTreeMap<String, String> = told["fetched"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|source| source["type"] == "crate")
        .map(|source| {
            let text = |key: &str| source[key].as_str().expect("a checksum").to_owned();
            (text("name"), text("sha256"))
        })
        .collect();
    assert!(locked.len() > 100, "{}", locked.len());
    assert_eq!(crates, locked);
    let uris = words(&told["SRC_URI"]);
    assert_eq!(
        uris.iter().filter(|uri| uri.starts_with("crate://crates.io/")).count(),
        locked.len()
    );
    // All else lies in the layer.
    for uri in uris.iter().filter_map(|uri| uri.strip_prefix("file://")) {
        assert!(recipe().with_file_name("files").join(uri).is_file(), "{uri}");
    }
    assert!(uris.iter().all(|uri| uri.starts_with("crate://") || uri.starts_with("file://")));
}

#[test]
fn what_is_installed_is_in_one_package_each_and_debian_has_no_other_file() {
    let dir = installed();
    fs::remove_dir_all(dir.path().join("built")).unwrap();
    let told = read(&recipe(), ["--package", dir.path().to_str().unwrap(), "PACKAGES"]);
    let packages = told["packages"].as_object().unwrap();
    let files = |package: &str| packages[package].as_array().unwrap();
    assert!(files("").is_empty(), "in no package: {:?}", files(""));
    let packed: BTreeSet<PathBuf> = packages
        .values()
        .flat_map(|files| files.as_array().unwrap())
        .map(|file| dir.path().join(file.as_str().unwrap().trim_start_matches('/')))
        .collect();
    let laid_down: BTreeSet<PathBuf> = below(dir.path()).into_iter().collect();
    assert_eq!(packed, laid_down);
    let is_connector = |file: &Value| {
        let path = Path::new(file.as_str().unwrap());
        let dir = path.parent().unwrap().file_name().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("plc-connector-") && (dir == "system" || dir == "plc-runtime")
    };
    assert!(files("plc-runtime-connectors").iter().all(is_connector));
    assert!(!files("plc-runtime").iter().any(is_connector));
    assert!(files("plc-runtime").contains(&"/usr/libexec/plc-runtime/plc-supervisor".into()));

    // The package for Debian takes the same list, and nothing in debian/ adds to it but to the documentation.
    for file in below(&root().join("debian")) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let known = [
            "docs",
            "README.Debian",
            "lintian-overrides",
            "preinst",
            "postinst",
            "prerm",
            "postrm",
        ];
        let kind = name.strip_prefix("plc-runtime.");
        assert!(kind.is_none_or(|kind| known.contains(&kind)), "{name} brings files of its own");
        assert!(!["install", "links", "manpages"].contains(&name), "{name}");
    }
}

#[test]
fn a_program_that_is_left_out_takes_its_units_and_its_manual_along() {
    let (dir, whole) = (tempfile::tempdir().unwrap(), installed());
    let without = "plc-connector-pyros";
    let output = Command::new("make")
        .args(["install", "PREFIX=/usr", &format!("WITHOUT={without}")])
        .arg(format!("BUILT={}", whole.path().join("built").display()))
        .arg(format!("DESTDIR={}", dir.path().display()))
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    fs::remove_dir_all(whole.path().join("built")).unwrap();
    let relative = |dir: &Path| -> BTreeSet<String> {
        let files = below(dir);
        let names = files.iter().map(|file| file.strip_prefix(dir).unwrap().to_str().unwrap());
        names.map(str::to_owned).collect()
    };
    let missing: Vec<String> =
        relative(whole.path()).difference(&relative(dir.path())).cloned().collect();
    let expected = [
        "lib/systemd/system/NAME.service",
        "lib/systemd/system/NAME.socket",
        "libexec/plc-runtime/NAME",
        "share/man/man8/NAME.8",
    ];
    assert_eq!(missing, expected.map(|file| format!("usr/{}", file.replace("NAME", without))));
}

#[test]
fn users_groups_and_their_fixed_numbers_are_those_of_sysusers() {
    let told = read(&recipe(), ["USERADD_PARAM:plc-runtime", "GROUPADD_PARAM:plc-runtime"]);
    // The name is the last word of each command.
    let names = |name: &str| -> BTreeSet<String> {
        let commands = told[name].as_str().unwrap().split(';');
        commands.map(|command| command.split_whitespace().last().unwrap().to_owned()).collect()
    };
    let (users, mut groups) = (sysusers("u"), sysusers("g"));
    assert_eq!(names("USERADD_PARAM:plc-runtime"), users);
    assert_eq!(names("GROUPADD_PARAM:plc-runtime"), groups);
    // Each user has a group of the same name.
    groups.extend(users.iter().cloned());
    for (table, names) in [("plc-runtime-passwd", &users), ("plc-runtime-group", &groups)] {
        let text = fs::read_to_string(layer().join("files").join(table)).unwrap();
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        let numbers: BTreeMap<&str, &str> = rows
            .map(|row| row.split(':').collect::<Vec<_>>())
            .map(|fields| (fields[0], fields[2]))
            .collect();
        assert_eq!(&numbers.keys().map(|&name| name.to_owned()).collect::<BTreeSet<_>>(), names);
        assert_eq!(numbers.values().collect::<BTreeSet<_>>().len(), numbers.len(), "{table}");
    }
}

#[test]
fn every_unit_that_can_be_enabled_is_known_to_the_recipe_with_its_packageconfig() {
    let units = below(&root().join("systemd/system"));
    let can_be_enabled: BTreeSet<String> = units
        .iter()
        .filter(|unit| fs::read_to_string(unit).unwrap().contains("\n[Install]\n"))
        .map(|unit| unit.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let services = ["SYSTEMD_SERVICE:plc-runtime", "SYSTEMD_SERVICE:plc-runtime-connectors"];
    for config in ["dbus polkit wamp", "dbus"] {
        let setting = format!("PACKAGECONFIG={config}");
        let told = read(&recipe(), ["--set", &setting].into_iter().chain(services));
        let known: BTreeSet<String> =
            services.iter().flat_map(|name| words(&told[*name])).map(str::to_owned).collect();
        let expected = can_be_enabled
            .iter()
            .filter(|unit| config.contains("wamp") || !unit.starts_with("plc-connector-wamp"));
        assert_eq!(known, expected.cloned().collect(), "{config}");
    }
}

#[test]
fn an_upgrade_in_the_running_system_never_comes_to_what_stops_the_plc() {
    for package in ["plc-runtime", "plc-runtime-connectors"] {
        let name = format!("pkg_prerm:{package}");
        let told = read(&recipe(), [name.as_str()]);
        // OpenEmbedded's class for systemd adds what stops the units.
        let script = format!("{}\necho stops", told[&name].as_str().unwrap());
        let run = |cause: &str| {
            let output = Command::new("sh").args(["-euc", &script, "prerm", cause]).output();
            said(&output.unwrap())
        };
        assert_eq!((run("upgrade").as_str(), run("remove").as_str()), ("", "stops\n"), "{package}");
    }
}

#[test]
fn an_upgrade_in_the_running_system_enables_what_is_new_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    for name in ["bin", "run", "units"] {
        fs::create_dir(path(name)).unwrap();
    }
    // Says what it is asked for; the PLC runs.
    fs::write(path("bin/systemctl"), "#!/bin/sh\n[ $# = 0 ] || echo \"$@\"\n").unwrap();
    let output = Command::new("chmod").args(["755", &path("bin/systemctl")]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let run = |script: &str, root: &str| {
        let script = script
            .replace("/run/", &format!("{}/", path("run")))
            .replace("/usr/lib/systemd/system", &path("units"));
        // OpenEmbedded's class for systemd adds what sets every unit as at first.
        let output = Command::new("sh")
            .args(["-euc", &format!("{script}\necho class"), "script"])
            .env("D", root)
            .env("PATH", format!("{}:{}", path("bin"), env::var("PATH").unwrap()))
            .output();
        said(&output.unwrap())
    };
    for (package, old, new) in [
        ("plc-runtime", "plc-runtime.service", "plc-worker.socket"),
        ("plc-runtime-connectors", "plc-connector-wamp.service", "plc-connector-pyros.socket"),
    ] {
        let [before, after] = ["preinst", "postinst"].map(|when| format!("pkg_{when}:{package}"));
        let told = read(&recipe(), [before.as_str(), after.as_str()]);
        let script = |name: &String| told[name].as_str().unwrap().to_owned();
        let (before, after) = (script(&before), script(&after));
        fs::write(path("units/") + old, "").unwrap();
        assert_eq!(run(&before, ""), "class\n", "{package}");
        let upgraded = run(&after, "");
        let presets = |unit: &str| upgraded.lines().any(|line| line == format!("preset {unit}"));
        assert!(presets(new) && !presets(old), "{upgraded}");
        assert!(!upgraded.contains("class"), "{upgraded}");
        // Not of the upgrade before: who installs anew gets all.
        assert!(run(&after, "").contains(&format!("preset {old}\n")), "{package}");
        // When an image is made, nothing of this is for us to do.
        assert_eq!(run(&before, "/image") + &run(&after, "/image"), "class\nclass\n");
    }
}

#[test]
fn the_integrators_append_the_image_and_the_group_of_packages_are_understood() {
    let append = layer().join("examples/integrator/plc-runtime_%.bbappend");
    let told = read(&recipe(), ["--append", append.to_str().unwrap(), "SRC_URI", "do_install"]);
    assert!(words(&told["SRC_URI"]).contains("file://line.psk"), "{told}");
    let install = told["do_install"].as_str().unwrap();
    // Ours comes first; the drop-in that the example links to exists.
    assert!(install.find("oe_runmake").unwrap() < install.find("line.psk").unwrap(), "{install}");
    let drop_in = install.split("/drop-ins/").nth(1).unwrap().split(' ').next().unwrap();
    assert!(root().join("systemd/drop-ins").join(drop_in).is_file(), "{drop_in}");

    let packages = layer().join("recipes-plc/packagegroups/packagegroup-plc-runtime.bb");
    let told = read(&packages, ["RDEPENDS:packagegroup-plc-runtime"]);
    let named = words(&told["RDEPENDS:packagegroup-plc-runtime"]);
    assert_eq!(named, ["plc-runtime", "plc-runtime-connectors"].into());
    let image = layer().join("recipes-plc/images/plc-runtime-image.bb");
    let told = read(&image, ["IMAGE_INSTALL", "WKS_FILE:qemux86-64"]);
    assert!(words(&told["IMAGE_INSTALL"]).contains("packagegroup-plc-runtime"), "{told}");
    assert!(
        image.with_file_name(told["WKS_FILE:qemux86-64"].as_str().unwrap()).is_file(),
        "{told}"
    );
}

#[test]
fn the_linter_of_recipes_has_nothing_to_say() {
    let files = below(&layer());
    let recipes = files.iter().filter(|file| {
        file.extension().is_some_and(|kind| kind == "bb" || kind == "bbappend" || kind == "conf")
    });
    for release in RELEASES {
        let mut linter = tool("oelint-adv");
        linter.args(["--quiet", &format!("--release={release}")]).args(recipes.clone());
        for (rule, _) in SUPPRESSED {
            linter.args(["--suppress", rule]);
        }
        let output = linter.output().unwrap();
        assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
    }
}

#[test]
fn the_readme_names_the_releases_and_the_oldest_compiler() {
    let readme = fs::read_to_string(layer().join("README.md")).unwrap();
    let conf = fs::read_to_string(layer().join("conf/layer.conf")).unwrap();
    let compatible = format!("LAYERSERIES_COMPAT_plc-runtime = \"{}\"", RELEASES.join(" "));
    assert!(conf.contains(&compatible), "{conf}");
    for release in RELEASES {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {release}"))).unwrap();
        assert!(row.ends_with("| yes |"), "{row}");
    }
    // OpenEmbedded asks every layer for a word on security.
    assert!(layer().join("SECURITY.md").is_file());
    assert!(readme.contains(&format!("Rust {} was", env!("CARGO_PKG_RUST_VERSION"))), "{readme}");
}

#[test]
fn the_ptest_tells_each_step_of_the_self_test_in_the_words_of_its_runner() {
    let installed = side_by_side();
    let path = format!("{}:{}", installed.path().display(), env::var("PATH").unwrap());
    let run = || {
        let script = layer().join("recipes-plc/plc-runtime/files/run-ptest");
        Command::new(script).env("PATH", &path).output().unwrap()
    };
    let output = run();
    let told = said(&output);
    assert!(output.status.success(), "{told}");
    assert_eq!(
        told.lines().filter(|line| line.starts_with("PASS: selftest ")).count(),
        10,
        "{told}"
    );

    fs::copy("/bin/false", installed.path().join("plc-worker")).unwrap();
    let output = run();
    let told = said(&output);
    assert!(!output.status.success(), "{told}");
    for line in ["PASS: selftest begin", "FAIL: selftest install", "SKIP: selftest start"] {
        assert!(told.lines().any(|told| told == line), "{line} is missing in:\n{told}");
    }

    fs::copy("/bin/false", installed.path().join("plcctl")).unwrap();
    let output = run();
    assert!(!output.status.success() && said(&output) == "FAIL: selftest\n", "{}", said(&output));
}
