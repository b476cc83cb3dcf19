// SPDX-License-Identifier: MIT OR Apache-2.0
//! The errors on the bus: what a caller can tell apart, each with a sentence that names the next step.

use plc_api::message::ApiError;

/// A method's error; its name on the bus is `org.plcruntime1.Error.` and the variant.
#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.plcruntime1.Error")]
pub(super) enum Error {
    /// The connection's own.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// Not in this state.
    Refused(String),
    /// Not for this caller.
    NotAllowed(String),
    /// Tried, and did not succeed.
    Failed(String),
    /// The arguments are wrong.
    BadRequest(String),
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        let reason = error.to_string();
        match error {
            ApiError::Refused(_) => Self::Refused(reason),
            ApiError::NotAllowed(_) => Self::NotAllowed(reason),
            ApiError::BadRequest(_) => Self::BadRequest(reason),
            // The last three are answers to requests that the bus does not have.
            ApiError::Failed(_)
            | ApiError::UnknownBlob(_)
            | ApiError::Trace(_)
            | ApiError::TokenLost => Self::Failed(reason),
        }
    }
}
