// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every path, derived from one instance name or one desk directory, and nowhere else.

use std::path::{Path, PathBuf};

/// The instance that a package installs.
pub const DEFAULT_INSTANCE: &str = "plc-runtime";

/// Where the installed programs lie that one process of ours starts another from.
pub const LIBEXEC: &str = "/usr/libexec/plc-runtime";

/// Beside the API socket: what one supervisor leaves to the next while they change; short-lived.
pub const HANDOVER_FILE: &str = "handover.toml";

/// The name on the system bus of the instance `name`.
///
/// What D-Bus does not allow in a name becomes `_` (D-Bus specification, "Bus names").
///
/// ```
/// use plc_api::paths::{DEFAULT_INSTANCE, bus_name};
///
/// assert_eq!(bus_name(DEFAULT_INSTANCE), "org.plcruntime1");
/// assert_eq!(bus_name("press 2"), "org.plcruntime1.i_press_2");
/// ```
#[must_use]
pub fn bus_name(name: &str) -> String {
    if name == DEFAULT_INSTANCE {
        return "org.plcruntime1".to_owned();
    }
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    // An element must not begin with a digit.
    format!("org.plcruntime1.i_{}", name.chars().map(allowed).collect::<String>())
}

/// The places of one PLC on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// Configuration: `NAME.toml` and `NAME.toml.d/`.
    pub config_dir: PathBuf,
    /// What the supervisor keeps: programs, wish, keys.
    pub state_dir: PathBuf,
    /// The program's working directory, the worker's own.
    pub work_dir: PathBuf,
    /// Sockets.
    pub run_dir: PathBuf,
    /// The socket on which a worker is to be had.
    pub worker_socket: PathBuf,
    /// The lock that only one worker holds.
    pub worker_lock: PathBuf,
    /// The configuration file.
    pub config_file: PathBuf,
}

impl Paths {
    /// The places of the instance `name` on an appliance; for `plc-runtime` those of the packages.
    #[must_use]
    pub fn of_instance(name: &str) -> Self {
        // The worker runs as another user, so its two places are beside ours and not below them.
        let stem = name.strip_suffix("-runtime").unwrap_or(name);
        let config_dir = Path::new("/etc").join(name);
        Self {
            config_file: config_dir.join(format!("{name}.toml")),
            config_dir,
            state_dir: Path::new("/var/lib").join(name),
            work_dir: Path::new("/var/lib").join(format!("{stem}-work")),
            run_dir: Path::new("/run").join(name),
            worker_socket: Path::new("/run").join(format!("{stem}-worker")).join("worker.sock"),
            worker_lock: Path::new("/run").join(format!("{stem}-worker")).join("lock"),
        }
    }

    /// The places of a PLC that lives wholly in one directory.
    #[must_use]
    pub fn of_desk(dir: &Path) -> Self {
        Self {
            config_file: dir.join("plc-runtime.toml"),
            config_dir: dir.to_owned(),
            state_dir: dir.join("state"),
            work_dir: dir.join("work"),
            run_dir: dir.join("run"),
            worker_socket: dir.join("run/worker.sock"),
            worker_lock: dir.join("run/worker.lock"),
        }
    }

    /// Drop-ins of the configuration, read in the order of their names.
    #[must_use]
    pub fn config_drop_ins(&self) -> PathBuf {
        let mut path = self.config_file.clone().into_os_string();
        path.push(".d");
        path.into()
    }

    /// Where key files lie: those made here, and those that the integrator brings.
    #[must_use]
    pub fn key_dirs(&self) -> [PathBuf; 2] {
        [self.state_dir.join("keys"), self.config_dir.join("psk.d")]
    }

    /// The socket for people and `plcctl`.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.run_dir.join("api.sock")
    }

    /// The socket of one connector, such as `pyro`.
    #[must_use]
    pub fn connector_socket(&self, connector: &str) -> PathBuf {
        self.run_dir.join("connectors").join(format!("{connector}.sock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_instance_has_the_documented_places() {
        let paths = Paths::of_instance(DEFAULT_INSTANCE);
        assert_eq!(paths.config_file, Path::new("/etc/plc-runtime/plc-runtime.toml"));
        assert_eq!(paths.config_drop_ins(), Path::new("/etc/plc-runtime/plc-runtime.toml.d"));
        assert_eq!(paths.state_dir, Path::new("/var/lib/plc-runtime"));
        assert_eq!(paths.work_dir, Path::new("/var/lib/plc-work"));
        assert_eq!(paths.worker_socket, Path::new("/run/plc-worker/worker.sock"));
        assert_eq!(paths.api_socket(), Path::new("/run/plc-runtime/api.sock"));
        assert_eq!(
            paths.connector_socket("pyro"),
            Path::new("/run/plc-runtime/connectors/pyro.sock")
        );
    }

    #[test]
    fn two_instances_share_nothing() {
        let (a, b) = (Paths::of_instance("press"), Paths::of_instance("pump"));
        assert_ne!(a.state_dir, b.state_dir);
        assert_ne!(a.work_dir, b.work_dir);
        assert_ne!(a.worker_socket, b.worker_socket);
        assert_ne!(bus_name("press"), bus_name("pump"));
    }

    #[test]
    fn an_instance_has_a_name_that_the_bus_allows() {
        assert_eq!(bus_name(DEFAULT_INSTANCE), "org.plcruntime1");
        assert_eq!(bus_name("2nd press.a"), "org.plcruntime1.i_2nd_press_a");
    }
}
