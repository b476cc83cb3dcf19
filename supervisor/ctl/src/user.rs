// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has started this program.

use std::{env, fs};

use rustix::process::getuid;

/// The user's name, for texts alone: nothing is decided by it.
pub(crate) fn name() -> String {
    let uid = getuid().as_raw();
    let named = ["USER", "LOGNAME"].into_iter().find_map(|variable| env::var(variable).ok());
    named
        .or_else(|| in_passwd(&fs::read_to_string("/etc/passwd").ok()?, uid))
        .unwrap_or_else(|| format!("uid {uid}"))
}

/// The name in the lines `NAME:PASSWORD:UID:...`.
fn in_passwd(text: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    let line = text.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number() {
        let text = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(in_passwd(text, 1000).as_deref(), Some("ann"));
        assert_eq!(in_passwd(text, 100), None);
    }
}
