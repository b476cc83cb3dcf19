// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who may call what. The socket that a client came through decides: each connector has its own, and the file
//! permissions of the people's socket say who is one of them.

use plc_api::message::{ApiError, Request};

/// An API socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// `api.sock`: operators, `plcctl`.
    People,
    /// `connectors/NAME.sock`: what an IDE may do, and nothing that only an operator decides.
    Connector(&'static str),
}

/// The connectors that have a socket.
pub const CONNECTORS: [&str; 1] = ["pyro"];

impl Door {
    /// Its name in the log and in the list of connections.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::People => "api",
            Self::Connector(name) => name,
        }
    }

    /// Whether this request exists here.
    ///
    /// # Errors
    /// [`ApiError::NotAllowed`] with the way to do it.
    pub fn allows(self, request: &Request) -> Result<(), ApiError> {
        match (self, request) {
            (Self::Connector(name), Request::Rollback) => Err(ApiError::NotAllowed(format!(
                "going back to an earlier program is the operator's decision and not possible through {name}; \
                 use `plcctl rollback`"
            ))),
            (
                _,
                Request::Snapshot
                | Request::Stats
                | Request::Start
                | Request::Stop
                | Request::Repair
                | Request::Rollback
                | Request::PurgeBlobs
                | Request::SeedBlob { .. }
                | Request::AppendChunk { .. }
                | Request::Install(_)
                | Request::SetTrace(_)
                | Request::ReadTrace { .. }
                | Request::ReadLog { .. }
                | Request::ResetLog,
            ) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn going_back_is_for_people() {
        assert!(Door::People.allows(&Request::Rollback).is_ok());
        for name in CONNECTORS {
            assert!(matches!(
                Door::Connector(name).allows(&Request::Rollback),
                Err(ApiError::NotAllowed(_))
            ));
            assert!(Door::Connector(name).allows(&Request::Start).is_ok());
        }
    }
}
