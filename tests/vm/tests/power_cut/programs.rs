// SPDX-License-Identifier: MIT OR Apache-2.0
//! Three programs that run alike and differ in every file, and what is found of them after a cut.

use std::fmt;

use plc_vm::{Status, Vm};

/// Where they lie in the machine, laid out as the supervisor keeps them.
const PLACE: &str = "/root/programs";

/// The files of the program in the working directory, in one digest; a program has two besides those that were sent.
const DIGEST: &str =
    "find . -type f ! -name manifest.toml | LC_ALL=C sort | xargs -r sha256sum | sha256sum";

/// What there is when a supervisor has come up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// `A`, `B` or `C` if all its files are there as they were sent.
    pub(crate) program: Option<String>,
    /// The PLC's status.
    pub(crate) status: String,
    /// The starts that the retain file counts.
    pub(crate) starts: Option<u32>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts =
            self.starts.map_or_else(|| "no retain file".to_owned(), |n| format!("retain {n}"));
        write!(f, "{} {}, {starts}", self.program.as_deref().unwrap_or("TORN"), self.status)
    }
}

impl Found {
    /// Whether this program is there, whole, and runs, and nothing was lost.
    pub(crate) fn is_well(&self, program: &str) -> bool {
        let starts = self.starts.is_some_and(|starts| starts > 0);
        self.program.as_deref() == Some(program) && self.status == "Started" && starts
    }
}

/// Makes the three programs in the machine.
pub(crate) fn bring(vm: &mut Vm) {
    vm.put("/root/stopmark.so", &plc_tests::programs::bytes("stopmark"));
    // What follows the sections of a library is of no concern to the loader.
    vm.ok(&format!(
        "for name in A B C; do
             mkdir -p {PLACE}/$name/extra; cd {PLACE}/$name
             (cat /root/stopmark.so; echo $name) > program.so
             echo recipe of $name > extra/recipe.csv
             : > extra/empty
             seq 20000 | sed s/^/$name/ > extra/table.bin
         done"
    ));
}

/// The command that installs one of them, whatever runs.
pub(crate) fn install(name: &str) -> String {
    format!("plcctl install {PLACE}/{name}/program.so --extra {PLACE}/{name}/extra --restart")
}

/// Looks at what there is, once the PLC has settled.
pub(crate) fn survey(vm: &mut Vm) -> Found {
    let status = vm.wait_status("the PLC has settled", Status::is_settled);
    let digest = |vm: &mut Vm, dir: &str| vm.run(&format!("cd {dir} && {DIGEST}")).text;
    let found = digest(vm, "/var/lib/plc-runtime/current");
    let program =
        ["A", "B", "C"].into_iter().find(|name| digest(vm, &format!("{PLACE}/{name}")) == found);
    let starts = vm.run("cat /var/lib/plc-work/retain_buffer_file").text.trim().parse().ok();
    Found { program: program.map(str::to_owned), status: status.status().to_owned(), starts }
}
