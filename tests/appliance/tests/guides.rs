// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guides tell a new user to type, typed, in the order of the index, on one machine.

use plc_appliance::Machine;
use plc_tests::guides::{self, Guide};

/// Files of somebody else, in directories that the guides use too.
const THEIRS: [&str; 3] = [
    "/etc/plc-runtime/plc-runtime.toml.d/theirs.toml",
    "/etc/systemd/system/plc-worker@.service.d/theirs.conf",
    "/etc/systemd/system/plc-connector-pyros.socket.d/theirs.conf",
];

#[test]
fn every_command_of_the_guides_works_and_undoes_only_what_a_guide_did() {
    let machine = Machine::installed();
    for file in THEIRS {
        machine.write(file, "# Theirs.\n");
    }
    // A client's key that looks as the device's.
    machine.sh("plcctl psk add plc-zone");
    let index = Guide::read("docs/README.md".as_ref());
    let guides = guides::all();
    let mut typed = 0;
    let of_index = index.links().into_iter().map(|link| format!("docs/{link}"));
    for name in std::iter::once("README.md".to_owned()).chain(of_index) {
        let guide = guides.iter().find(|guide| guide.path.as_os_str() == name.as_str());
        let guide = guide.unwrap_or_else(|| panic!("{name} is not there"));
        let commands = guide.machine_commands();
        if commands.is_empty() {
            continue;
        }
        typed += 1;
        machine.write("/root/guide.sh", &commands);
        let output = machine.run(&["bash", "-euo", "pipefail", "-x", "/root/guide.sh"]);
        assert!(output.code == 0, "{name}:\n{}\n{}", output.stdout, output.stderr);
    }
    assert!(typed >= 9, "{typed} guides");
    for file in THEIRS {
        assert!(machine.disk(file).exists(), "{file} is gone");
    }
    machine.sh("plcctl psk list | grep '^plc-zone '");
}
