// SPDX-License-Identifier: MIT OR Apache-2.0
//! What shells complete, generated from the definition of the command line that `--help` is printed from. The files
//! below `completions/` are shipped; a test of each program that has some holds them against what comes out now.

use std::{env, fs, path::Path};

use clap::Command;
use clap_complete::{Generator as _, Shell, generate};

const LICENCE: &str = "# SPDX-License-Identifier: MIT OR Apache-2.0\n";

/// With this in the environment the shipped files are written anew instead of being held against anything.
const REFRESH: &str = "REFRESH_COMPLETIONS";

/// Demands that the shipped files of this program are those of its command line.
pub(crate) fn are_current(mut command: Command) {
    let name = command.get_name().to_owned();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let mut made = Vec::new();
        generate(shell, &mut command, &name, &mut made);
        let text = licensed(&String::from_utf8(made).unwrap());
        let file = shipped.join(shell.file_name(&name));
        if env::var_os(REFRESH).is_some() {
            fs::create_dir_all(&shipped).unwrap();
            fs::write(&file, text).unwrap();
        } else {
            assert!(
                fs::read_to_string(&file).is_ok_and(|there| there == text),
                "{} is not what the command line takes now; refresh it with: {REFRESH}=1 cargo test -p {name} shells",
                file.display()
            );
        }
    }
}

/// The text with its licence, behind the line that zsh wants to be the first.
fn licensed(text: &str) -> String {
    match text.split_once('\n') {
        Some((first, rest)) if first.starts_with("#compdef ") => {
            format!("{first}\n{LICENCE}{rest}")
        }
        Some(_) | None => format!("{LICENCE}{text}"),
    }
}
