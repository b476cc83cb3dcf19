// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the programs lie that we start: beside us, or where packages put them.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use plc_api::paths::LIBEXEC;

use crate::args::Args;

/// It lies with the programs, for it is made for one processor.
const SAMPLE: &str = "sample.so";

/// The programs of one process tree.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) supervisor: PathBuf,
    pub(crate) worker: PathBuf,
    pub(crate) pyro: PathBuf,
    /// There is one, or nobody has asked for WAMP at the command line.
    pub(crate) wamp: Option<PathBuf>,
}

impl Programs {
    /// Finds all that are needed.
    ///
    /// # Errors
    /// Names the one that is missing and where it was looked for.
    pub(crate) fn find(args: &Args) -> anyhow::Result<Self> {
        let places = places(LIBEXEC)?;
        let find = |name: &str, given: &Option<PathBuf>| match given {
            Some(path) if path.is_file() => std::path::absolute(path)
                .with_context(|| format!("{} cannot be used", path.display())),
            Some(path) => bail!("{} is not there", path.display()),
            None => find(name, &places),
        };
        Ok(Self {
            supervisor: find("plc-supervisor", &args.supervisor)?,
            worker: find("plc-worker", &args.worker)?,
            pyro: find("plc-connector-pyro", &args.pyro)?,
            wamp: match find("plc-connector-wamp", &args.wamp_connector) {
                Err(error) if args.wamp.is_some() => return Err(error),
                found => found.ok(),
            },
        })
    }
}

/// The sample program, if it is there.
pub(crate) fn sample() -> Option<PathBuf> {
    find(SAMPLE, &places(LIBEXEC).ok()?).ok()
}

/// The directory of our own executable, the one above it in a build's `deps`, and the installed place.
fn places(installed: &str) -> anyhow::Result<Vec<PathBuf>> {
    let executable = env::current_exe().context("cannot tell where this program lies")?;
    Ok(beside(&executable).chain([PathBuf::from(installed)]).collect())
}

fn beside(executable: &Path) -> impl Iterator<Item = PathBuf> {
    let dir = executable.parent();
    let above = dir.filter(|dir| dir.ends_with("deps")).and_then(Path::parent);
    [dir, above].into_iter().flatten().map(Path::to_owned).collect::<Vec<_>>().into_iter()
}

fn find(name: &str, places: &[PathBuf]) -> anyhow::Result<PathBuf> {
    match places.iter().map(|dir| dir.join(name)).find(|p| p.is_file()) {
        Some(path) => Ok(path),
        None => {
            let looked: Vec<String> = places.iter().map(|dir| dir.display().to_string()).collect();
            bail!(
                "{name} is not to be found in {}; install plc-runtime or build the whole workspace",
                looked.join(" or ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_lie_beside_ours_and_beside_a_test_s_directory() {
        let places = |path| beside(Path::new(path)).collect::<Vec<_>>();
        assert_eq!(places("/usr/bin/plc-local"), [Path::new("/usr/bin")]);
        assert_eq!(
            places("/w/target/debug/deps/plc_local-1"),
            [Path::new("/w/target/debug/deps"), Path::new("/w/target/debug")]
        );
    }

    #[test]
    fn the_first_place_that_has_it_counts_and_a_missing_one_is_named() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(b.path().join("x"), "").unwrap();
        let places = [a.path().to_owned(), b.path().to_owned()];
        assert_eq!(find("x", &places).unwrap(), b.path().join("x"));
        std::fs::write(a.path().join("x"), "").unwrap();
        assert_eq!(find("x", &places).unwrap(), a.path().join("x"));
        let missing = find("y", &places).unwrap_err().to_string();
        assert!(missing.contains(&a.path().display().to_string()), "{missing}");
    }
}
