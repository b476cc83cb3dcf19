// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which files of a project are Python that would run beside the program.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use plc_api::program::FileName;
use sha2::{Digest as _, Sha256};

/// Longest file that may be one of [`IN_EVERY_PROJECT`], in bytes: twice as long as the longest of them.
const COMPARED_BYTES: u64 = 16 << 10;

/// SHA-256 of `runtime_00_pyext.py`, which IDEs since 2022-12 put into every project, whether it uses Python or not: the
/// functions behind the CSV blocks, and no hooks. One for each text that an IDE has ever had there, with the first
/// revision that had it, and with LF at the ends of lines; on Windows an IDE writes CR LF. Of a new text take:
/// `tr -d '\r' < build/runtime_00_pyext.py | sha256sum`. Without it the project is warned about, which is harmless.
const IN_EVERY_PROJECT: [&str; 8] = [
    // 2022-12-16, 50f36368.
    "4f645502c42f142c71816177f7a090478fb7ec28efcda0592d1579b49a664d0d",
    // 2024-12-02, 2cac99f9.
    "7958dcc414d931f3800f582659ce7443820ce699dc13f416ecc13a9ea5b2d5c6",
    // 2024-12-05, 01574872.
    "93ade1c1e5c696f5fae53efd7d6acaef791a6ea36cbc659e05d028f71e1da945",
    // 2025-02-07, 1c7eab97.
    "9fef5eb932861819f4db4b71ef002120ac43748e5adf65183cdd38ef1cd56e4a",
    // 2025-02-07, 6cf5f82b.
    "15f4e432efed9ae5ce7d590cf0f9bfac300072295343e2bb3af925a1ba42c4a1",
    // 2025-02-11, 81a2461f.
    "c0fec2bf84dd18ea9e0ec161fdc0553c656429e7ea2789aa237284677290552d",
    // 2025-07-30, 4c7f6c7c; 1.5 has this one.
    "50020926c77ad42173009332e103d77f7afe2f867a0ed8ab8456275b14d25503",
    // 2026-03-29, 9d8b0692 of a fork, which corrected one line.
    "f2429977761c48cf77df18d60d333c6fe2b2448f6c246ac88cebc5cbda636b60",
];

/// Names the files that the reference runtime would run: `runtime*.py`, in any spelling, but for those that are in every
/// project. `dir` is where they are.
pub(crate) fn warning(files: &BTreeSet<FileName>, dir: &Path) -> Option<String> {
    let python: Vec<&str> = files
        .iter()
        .map(FileName::as_str)
        .filter(|name| would_run(name) && !is_in_every_project(&dir.join(name)))
        .collect();
    (!python.is_empty()).then(|| {
        format!(
            "The project brings Python files that would run beside the program: {}. This runtime has no Python: they are stored and do not run.",
            python.join(", ")
        )
    })
}

fn would_run(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("runtime") && Path::new(&name).extension().is_some_and(|e| e == "py")
}

/// Known by its content, so that a file of that name with something else in it is warned about. One that cannot be read
/// is not known.
fn is_in_every_project(path: &Path) -> bool {
    content(path).is_ok_and(|content| is_known(&content, &IN_EVERY_PROJECT))
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(COMPARED_BYTES + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn is_known(content: &[u8], digests: &[&str]) -> bool {
    let mut lines: Vec<u8> = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(line) => lines.extend([line, b"\n"].concat()),
            None => lines.extend(line),
        }
    }
    let digest: String = Sha256::digest(&lines).iter().map(|byte| format!("{byte:02x}")).collect();
    content.len() as u64 <= COMPARED_BYTES && digests.contains(&digest.as_str())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn said(files: &[(&str, &str)]) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let mut names = BTreeSet::new();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).unwrap();
            names.insert(FileName::new(name).unwrap());
        }
        warning(&names, dir.path())
    }

    #[test]
    fn python_files_are_named_once() {
        let text = "print('hello')\n";
        let names = ["Runtime_hmi.PY", "runtime_2.py", "runtime.txt", "my_runtime.py"];
        let said_of_them = said(&names.map(|name| (name, text))).unwrap();
        assert!(said_of_them.contains(": Runtime_hmi.PY, runtime_2.py."), "{said_of_them}");
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn the_name_of_what_is_in_every_project_does_not_hide_something_else() {
        let said = said(&[("runtime_00_pyext.py", "import os\n")]).unwrap();
        assert!(said.contains(": runtime_00_pyext.py."), "{said}");
        let missing = BTreeSet::from([FileName::new("runtime_00_pyext.py").unwrap()]);
        assert!(warning(&missing, Path::new("/nowhere")).is_some());
    }

    #[test]
    fn a_content_is_known_whatever_ends_its_lines() {
        let digest: String =
            Sha256::digest(b"one\ntwo\n").iter().map(|byte| format!("{byte:02x}")).collect();
        let known_here = [digest.as_str()];
        assert!(is_known(b"one\ntwo\n", &known_here) && is_known(b"one\r\ntwo\r\n", &known_here));
        for other in [&b"one\ntwo"[..], b"one\rtwo\n", b"one\n\ntwo\n", b""] {
            assert!(!is_known(other, &known_here), "{other:?}");
        }
        assert!(!is_known(b"one\ntwo\n", &IN_EVERY_PROJECT));
        let long = vec![b'#'; 20 << 10];
        let of_long: String =
            Sha256::digest(&long).iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!is_known(&long, &[&of_long]));
    }

    #[test]
    fn every_digest_is_one() {
        let all: BTreeSet<&str> = IN_EVERY_PROJECT.into_iter().collect();
        assert_eq!(all.len(), IN_EVERY_PROJECT.len());
        assert!(all.iter().all(|digest| digest.len() == 64
            && digest.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))));
    }
}
