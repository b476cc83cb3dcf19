// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guides tell a new user to type, typed, in the order of the index, on one machine.

use plc_appliance::Machine;
use plc_tests::guides::{self, Guide};

#[test]
fn every_command_of_the_guides_works_on_a_fresh_machine() {
    let machine = Machine::installed();
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
}
