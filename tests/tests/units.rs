// SPDX-License-Identifier: MIT OR Apache-2.0
//! The units as `make install` lays them down: understood by systemd, closed, patient enough, and about the same
//! places, users and programs as the code. What they do is for the tests in booted systems.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use plc_api::{
    limits::STOPPING_BESIDES,
    paths::{DEFAULT_INSTANCE, LIBEXEC, Paths},
};
use plc_supervisor::{access::CONNECTORS, config::Config};
use plc_tests::{
    installed::{below, installed},
    root,
};

const SYSTEM: &str = "usr/lib/systemd/system";

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// A unit, or another file that is made of assignments.
struct Unit(String);

impl Unit {
    fn read(path: &str) -> Self {
        Self(fs::read_to_string(root().join("systemd").join(path)).unwrap())
    }

    /// The values of all assignments to `key`, split at blanks.
    fn words(&self, key: &str) -> Vec<&str> {
        let values = self.0.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        values.flat_map(str::split_whitespace).collect()
    }

    fn word(&self, key: &str) -> &str {
        let words = self.words(key);
        assert_eq!(words.len(), 1, "{key}: {words:?}");
        words[0]
    }

    fn seconds(&self, key: &str) -> Duration {
        Duration::from_secs(self.word(key).parse().unwrap())
    }
}

#[test]
fn systemd_understands_every_unit_and_every_drop_in() {
    let dir = installed();
    let system = dir.path().join(SYSTEM);
    let ours: Vec<String> = files(&system).iter().map(|unit| name(unit).to_owned()).collect();
    // What ours stand on: the units that every unit refers to.
    for unit in files(Path::new("/").join(SYSTEM).as_path()) {
        if unit.extension().is_some_and(|kind| kind == "target" || kind == "slice") {
            fs::copy(&unit, system.join(name(&unit))).unwrap();
        }
    }
    // The one command that units run and no package of ours brings; newer systemd looks for it in the root.
    fs::create_dir_all(dir.path().join("bin")).unwrap();
    fs::copy("/bin/sh", dir.path().join("bin/sh")).unwrap();
    let drop_ins = dir.path().join("etc/systemd/system/plc-worker@.service.d");
    fs::create_dir_all(&drop_ins).unwrap();
    for drop_in in files(&dir.path().join("usr/share/plc-runtime/drop-ins")) {
        fs::copy(&drop_in, drop_ins.join(name(&drop_in))).unwrap();
    }
    assert!(ours.contains(&"plc-worker@.service".to_owned()), "{ours:?}");
    let output = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(format!("--root={}", dir.path().display()))
        .args(ours.iter().map(|unit| unit.replace('@', "@instance")))
        .output()
        .unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}

#[test]
fn no_unit_is_more_exposed_than_its_ceiling() {
    let output = Command::new(root().join("scripts/security")).output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    print!("{report}");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}{complaints}");
    for file in files(&root().join("systemd/drop-ins")) {
        assert!(report.contains(name(&file)), "{} is missing in:\n{report}", name(&file));
    }
}

#[test]
fn whoever_ends_the_supervisor_or_puts_the_machine_to_sleep_waits_for_the_plc_to_stop() {
    let stop = Config::default().policy.stop_timeout;
    let longest = stop + STOPPING_BESIDES;
    assert!(Unit::read("system/plc-runtime.service").seconds("TimeoutStopSec") > longest);
    assert!(Unit::read("logind.conf").seconds("InhibitDelayMaxSec") > longest);
    // The worker's own deadline, after which it ends itself.
    assert!(Unit::read("system/plc-worker@.service").seconds("TimeoutStopSec") > stop);
}

#[test]
fn units_and_code_mean_the_same_places() {
    let paths = Paths::of_instance(DEFAULT_INSTANCE);
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let socket = Unit::read("system/plc-worker.socket");
    assert_eq!(socket.word("ListenStream"), text(&paths.worker_socket));

    let worker = Unit::read("system/plc-worker@.service");
    let command = [
        format!("{LIBEXEC}/plc-worker"),
        "--work-dir".into(),
        text(&paths.work_dir),
        "--lock".into(),
        text(&paths.worker_lock),
    ];
    assert_eq!(worker.words("ExecStart"), command);
    let state = |unit: &Unit| format!("/var/lib/{}", unit.word("StateDirectory"));
    assert_eq!(state(&worker), text(&paths.work_dir));
    let programs = text(&paths.state_dir.join("programs"));
    assert_eq!(worker.word("BindReadOnlyPaths"), programs);
    for closed in [&paths.run_dir, &paths.config_dir] {
        let words = worker.words("InaccessiblePaths");
        assert!(words.iter().any(|word| word.trim_start_matches('-') == text(closed)), "{words:?}");
    }

    let supervisor = Unit::read("system/plc-runtime.service");
    assert_eq!(supervisor.words("ExecStart"), [format!("{LIBEXEC}/plc-supervisor")]);
    assert_eq!(state(&supervisor), text(&paths.state_dir));
    assert_eq!(supervisor.word("ReadWritePaths"), text(&paths.run_dir));

    let folders = Unit::read("tmpfiles.conf").0;
    let socket_dir = |socket: &Path| text(socket.parent().unwrap());
    for place in [
        text(&paths.run_dir),
        socket_dir(&paths.connector_socket("any")),
        socket_dir(&paths.worker_socket),
        text(&paths.worker_lock),
        text(&paths.state_dir),
        programs,
        text(&paths.key_dirs()[0]),
        text(&paths.key_dirs()[1]),
    ] {
        assert!(
            folders.lines().any(|line| line.split_whitespace().nth(1) == Some(&place)),
            "{place}"
        );
    }
}

#[test]
fn each_connector_has_its_group_and_sees_the_sockets_of_connectors_alone() {
    let paths = Paths::of_instance(DEFAULT_INSTANCE);
    let supervisor = Unit::read("system/plc-runtime.service");
    // The one for WAMP comes in two ways.
    let ways = CONNECTORS.map(|connector| (connector, "")).into_iter().chain([("wamp", "-direct")]);
    for (connector, way) in ways {
        let unit = Unit::read(&format!("system/plc-connector-{connector}{way}.service"));
        let group = format!("plc-{connector}");
        assert!(unit.words("SupplementaryGroups").contains(&group.as_str()), "{group}");
        assert!(supervisor.words("SupplementaryGroups").contains(&group.as_str()), "{group}");
        let hidden = format!("{}:ro", paths.run_dir.display());
        assert!(unit.words("TemporaryFileSystem").contains(&&*hidden), "{hidden}");
        let sockets = paths.connector_socket(connector);
        let mut seen = vec![sockets.parent().unwrap().to_owned()];
        // Keys are for those to whom IDEs show them.
        let keyed = connector == "pyros" || way == "-direct";
        if keyed {
            seen.extend(paths.key_dirs());
        }
        assert_eq!(unit.words("SupplementaryGroups").contains(&"plc-keys"), keyed);
        let shown = unit.words("BindReadOnlyPaths");
        let shown: Vec<_> =
            shown.iter().map(|path| PathBuf::from(path.trim_start_matches('-'))).collect();
        assert_eq!(shown, seen);
        assert_eq!(unit.words("ExecStart")[0], format!("{LIBEXEC}/plc-connector-{connector}"));
    }
}

#[test]
fn users_and_groups_of_the_units_are_made() {
    let made = Unit::read("sysusers.conf").0;
    let mut made: BTreeSet<&str> = made
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    // Every system has it for its serial ports.
    made.insert("dialout");
    for file in
        ["system", "drop-ins"].iter().flat_map(|dir| files(&root().join("systemd").join(dir)))
    {
        let unit = Unit(fs::read_to_string(&file).unwrap());
        for key in ["User", "Group", "SupplementaryGroups", "SocketUser", "SocketGroup"] {
            for user in unit.words(key) {
                assert!(made.contains(user), "{user} of {}", file.display());
            }
        }
    }
}

#[test]
fn the_preset_enables_what_can_be_enabled_but_for_what_goes_out_by_itself() {
    let preset = Unit::read("preset.conf").0;
    let named = |verb: &str| -> BTreeSet<&str> {
        preset.lines().filter_map(|line| line.strip_prefix(verb)).collect()
    };
    let (enabled, disabled) = (named("enable "), named("disable "));
    assert_eq!(disabled, ["plc-connector-wamp.service"].into());
    let units = files(&root().join("systemd/system"));
    let can_be: BTreeSet<&str> = units
        .iter()
        .filter(|unit| fs::read_to_string(unit).unwrap().contains("\n[Install]\n"))
        .map(|unit| name(unit))
        .collect();
    assert_eq!(&enabled | &disabled, can_be);
}

#[test]
fn each_drop_in_tells_the_command_that_switches_it_on_what_it_opens_and_what_it_costs() {
    for file in files(&root().join("systemd/drop-ins")) {
        let text = fs::read_to_string(&file).unwrap();
        let name = name(&file);
        let place = format!("/usr/share/plc-runtime/drop-ins/{name}");
        assert!(text.contains(&place), "{name} does not tell how to switch it on");
        for word in ["\n#   On", "\n#   Off:", "\n#   Opens:", "\n#   Costs:"] {
            assert!(text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn each_announcement_tells_how_to_turn_it_on_and_names_a_port_that_is_served() {
    let sockets = ["pyro", "pyros"]
        .map(|connector| Unit::read(&format!("system/plc-connector-{connector}.socket")).0);
    for file in files(&root().join("systemd/discovery")) {
        let text = fs::read_to_string(&file).unwrap();
        let name = name(&file);
        assert!(text.contains(&format!("/usr/share/plc-runtime/discovery/{name}")), "{name}");
        let secure = text.contains("protocol=ERPCS");
        let [plain, tls] = &sockets;
        let (port, listens) = if secure { ("4000", tls) } else { ("3000", plain) };
        let told = [format!("<port>{port}</port>"), format!("\nPort={port}\n")];
        assert!(told.iter().any(|told| text.contains(told)), "{name}");
        assert!(listens.contains(&format!("{port}\n")), "{name}");
        // Where a key is wanted the name is its ID.
        let named = ["<name replace-wildcards=\"yes\">plc-%h</name>", "\nName=plc-%H\n"];
        assert_eq!(named.iter().any(|named| text.contains(named)), secure, "{name}");
        let kind = if name.contains("-pyro.") { "_PYRO._tcp" } else { "_Beremiz._tcp" };
        assert!(text.contains(kind), "{name}");
    }
}

#[test]
fn everything_of_the_vendor_and_for_the_administrator_is_installed() {
    let dir = installed();
    let shipped: Vec<Vec<u8>> = ["usr/lib", "usr/share", "etc"]
        .iter()
        .flat_map(|part| below(&dir.path().join(part)))
        .map(|file| fs::read(file).unwrap())
        .collect();
    for file in ["systemd", "etc"].iter().flat_map(|part| below(&root().join(part))) {
        assert!(shipped.contains(&fs::read(&file).unwrap()), "{} is not", file.display());
    }
}

#[test]
fn nothing_but_boot_and_systemctl_starts_the_runtime() {
    for file in files(&root().join("systemd/system")) {
        let unit = Unit(fs::read_to_string(&file).unwrap());
        for key in [
            "Wants",
            "Requires",
            "Requisite",
            "BindsTo",
            "Upholds",
            "OnFailure",
            "OnSuccess",
            "Sockets",
        ] {
            let words = unit.words(key);
            assert!(!words.contains(&"plc-runtime.service"), "{key} of {}", file.display());
        }
    }
    let dir = installed();
    let activated = dir.path().join("usr/share/dbus-1/system-services");
    assert!(!activated.exists(), "a call on the bus would start it");
}
