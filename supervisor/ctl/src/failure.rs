// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, and the exit code each has.

use std::{io, path::Path, process::ExitCode};

use plc_api::{client::CallError, message::ApiError, trace::TraceRefusal};
use thiserror::Error;

use crate::{terminal, user};

/// Why a command ends without having done its work. Each text is a sentence that names the next step.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// It was tried and could not be done.
    #[error("{0}")]
    Failed(String),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// Not possible in the PLC's present state.
    #[error("{0}")]
    Refused(String),
    /// The runtime does not run, or this user may not reach it.
    #[error("{0}")]
    Unreachable(String),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Says it on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let code = match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Unreachable(_) => 4,
            // A reader that has read enough, as in `plcctl log | head`, is nothing to talk about.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                return ExitCode::SUCCESS;
            }
            Self::Output(_) => 1,
        };
        terminal::note(&self.to_string());
        ExitCode::from(code)
    }

    /// What an unsuccessful call over `socket` means.
    pub(crate) fn of_call(error: CallError, socket: &Path) -> Self {
        match error {
            CallError::Api(error) => Self::of_answer(&error),
            CallError::Refused(refusal) => Self::Unreachable(refusal.reason),
            CallError::Lost(error) => Self::of_loss(&error, socket),
            CallError::Malformed(error) => Self::Failed(format!(
                "what answers on {} is no runtime of this kind ({error}); is it another release?",
                socket.display()
            )),
        }
    }

    fn of_answer(error: &ApiError) -> Self {
        let text = error.to_string();
        match error {
            ApiError::Refused(_) => Self::Refused(text),
            ApiError::Trace(TraceRefusal::NotPossible) => {
                Self::Refused(format!("{text}; start the PLC first: plcctl start"))
            }
            ApiError::NotAllowed(_)
            | ApiError::Failed(_)
            | ApiError::BadRequest(_)
            | ApiError::UnknownBlob(_)
            | ApiError::Trace(_)
            | ApiError::TokenLost => Self::Failed(text),
        }
    }

    fn of_loss(error: &io::Error, socket: &Path) -> Self {
        let at = socket.display();
        let kind = error.kind();
        let absent = matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        Self::Unreachable(if absent {
            format!(
                "no runtime serves {at}; start it with: systemctl start plc-runtime \
                 (or, on a desk: plc-local DIR, then plcctl --socket DIR/run/api.sock)"
            )
        } else if kind == io::ErrorKind::PermissionDenied {
            denied(socket, &user::name())
        } else if kind == io::ErrorKind::TimedOut {
            format!("the runtime at {at} does not answer; look at: systemctl status plc-runtime")
        } else {
            format!("the connection to {at} ended ({error}); look at: systemctl status plc-runtime")
        })
    }
}

/// Who is not let in on an appliance is not in its group; a desk belongs to who began it.
fn denied(socket: &Path, user: &str) -> String {
    let at = socket.display();
    if !socket.starts_with("/run") {
        return format!("you may not use {at}; it belongs to the user who started the runtime");
    }
    format!(
        "you may not use {at}; add yourself to the group plc: sudo adduser {user} plc, then log in \
         again; or ask over the bus: {BUS_STATUS}"
    )
}

/// Reading the state over the bus is everybody's right.
const BUS_STATUS: &str =
    "busctl get-property org.plcruntime1 /org/plcruntime1 org.plcruntime1.Plc Status";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_runtime_is_named_with_the_next_step() {
        let socket = Path::new("/run/x/api.sock");
        let lost = CallError::Lost(io::ErrorKind::NotFound.into());
        let text = Failure::of_call(lost, socket).to_string();
        assert!(text.contains("/run/x/api.sock"), "{text}");
        assert!(text.contains("systemctl start plc-runtime"), "{text}");
    }

    #[test]
    fn who_may_not_is_told_how_to_be_let_in() {
        let text = denied(Path::new("/run/plc-runtime/api.sock"), "ann");
        assert!(text.contains("sudo adduser ann plc, then log in again"), "{text}");
        assert!(text.contains("busctl get-property org.plcruntime1"), "{text}");
        let desk = denied(Path::new("/home/bob/plc/run/api.sock"), "ann");
        assert!(desk.contains("who started") && !desk.contains("group"), "{desk}");
    }

    #[test]
    fn a_state_that_forbids_it_is_refused_and_not_failed() {
        let socket = Path::new("/x");
        let refused = CallError::Api(ApiError::Refused("no".into()));
        assert!(matches!(Failure::of_call(refused, socket), Failure::Refused(_)));
        let idle = CallError::Api(ApiError::Trace(TraceRefusal::NotPossible));
        assert!(matches!(Failure::of_call(idle, socket), Failure::Refused(_)));
        let other = CallError::Api(ApiError::Trace(TraceRefusal::ForceSize));
        assert!(matches!(Failure::of_call(other, socket), Failure::Failed(_)));
    }
}
