// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs in C of `tests/programs`, compiled once for each test run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

static COMPILER: Mutex<()> = Mutex::new(());

/// The shared object of `tests/programs/NAME.c`.
///
/// # Panics
/// The compiler says no; its words are shown.
#[must_use]
pub fn built(name: &str) -> PathBuf {
    compiled(&crate::root().join("tests/programs").join(format!("{name}.c")))
}

/// The shared object of a program in C.
///
/// # Panics
/// As [`built`].
#[must_use]
pub fn compiled(source: &Path) -> PathBuf {
    let _one_at_a_time = COMPILER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let place = crate::root().join("target/programs");
    let object = place.join(format!("{name}.so"));
    if is_newer(&object, &newest_source(source)) {
        return object;
    }
    fs::create_dir_all(&place).expect("target/ can be written");
    // Test processes run beside each other: each compiles under a name of its own and renames.
    let mine = place.join(format!("{name}.{}.so", std::process::id()));
    let output = Command::new(std::env::var_os("CC").unwrap_or_else(|| "cc".into()))
        .args(["-shared", "-fPIC", "-O1", "-g", "-Wall", "-Wextra", "-o"])
        .arg(&mine)
        .arg(source)
        // As the IDE links: without the mathematics library.
        .arg("-lpthread")
        .output()
        .expect("a C compiler is there");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} does not compile:\n{words}", source.display());
    fs::rename(&mine, &object).expect("the object can be renamed");
    object
}

/// The bytes of a program.
///
/// # Panics
/// As [`built`].
#[must_use]
pub fn bytes(name: &str) -> Vec<u8> {
    fs::read(built(name)).expect("what was built can be read")
}

/// The bytes of a good program that claims to be for another processor.
///
/// # Panics
/// As [`built`].
#[must_use]
pub fn for_another_processor() -> Vec<u8> {
    let mut bytes = bytes("good");
    // e_machine, 16 bits at offset 18: 0xf3 is RISC-V (ELF specification, figure 4).
    if let Some(machine) = bytes.get_mut(18..20) {
        machine.copy_from_slice(&[0xf3, 0]);
    }
    bytes
}

/// The newest of a source and of the headers that it may include.
fn newest_source(source: &Path) -> PathBuf {
    let mut newest = source.to_owned();
    for dir in ["tests/programs", "supervisor/local/sample"] {
        for entry in fs::read_dir(crate::root().join(dir)).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "h")
                && is_newer(&path, &newest)
            {
                newest = path;
            }
        }
    }
    newest
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    match (time(file), time(than)) {
        (Some(file), Some(than)) => file >= than,
        _ => false,
    }
}
