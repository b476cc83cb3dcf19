// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which runtime is examined: the instance of an appliance or a desk, told by its API socket.

use std::path::{Path, PathBuf};

use plc_api::paths::{DEFAULT_INSTANCE, Paths};

/// A runtime and its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) paths: Paths,
    pub(crate) kind: Kind,
}

/// What keeps it running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The service of this name.
    Appliance(String),
    /// `plc-local` in this directory.
    Desk(PathBuf),
}

impl Place {
    /// The runtime that serves `socket`: `/run/NAME/api.sock` or `DIR/run/api.sock`.
    pub(crate) fn of_socket(socket: &Path) -> Self {
        let dir = socket.parent().unwrap_or(socket);
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or(DEFAULT_INSTANCE);
        match dir.parent() {
            Some(desk) if name == "run" && desk != Path::new("/") => {
                Self { paths: Paths::of_desk(desk), kind: Kind::Desk(desk.to_owned()) }
            }
            Some(run) if run == Path::new("/run") => Self::instance(name),
            Some(_) | None => Self::instance(DEFAULT_INSTANCE),
        }
    }

    fn instance(name: &str) -> Self {
        Self { paths: Paths::of_instance(name), kind: Kind::Appliance(name.to_owned()) }
    }

    /// The name of the service; none for a desk.
    pub(crate) fn service(&self) -> Option<&str> {
        match &self.kind {
            Kind::Appliance(name) => Some(name),
            Kind::Desk(_) => None,
        }
    }

    /// The unit `what` that belongs to the service, as `worker.socket`; none for a desk.
    pub(crate) fn unit(&self, what: &str) -> Option<String> {
        let name = self.service()?;
        Some(format!("{}-{what}", name.strip_suffix("-runtime").unwrap_or(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_tells_whose_it_is() {
        let usual = Place::of_socket(Path::new("/run/plc-runtime/api.sock"));
        assert_eq!(usual.service(), Some("plc-runtime"));
        assert_eq!(usual.unit("worker.socket").as_deref(), Some("plc-worker.socket"));
        let second = Place::of_socket(Path::new("/run/press/api.sock"));
        assert_eq!(second.paths, Paths::of_instance("press"));
        let desk = Place::of_socket(Path::new("/home/a/run/api.sock"));
        assert_eq!(desk.paths.config_file, Path::new("/home/a/plc-runtime.toml"));
        assert_eq!((desk.service(), desk.unit("worker.socket")), (None, None));
    }
}
