// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who answers to this PLC's name at the router: nobody, this process, or another PLC.
//!
//! A session calls `ID.ExtendedCall("GetVersions", N)`, which every runtime of the last years answers and which changes
//! nothing. `N` is a number that this process alone knows; its own sessions answer with it, so that a session of this
//! process is never taken for another PLC. A router passes the call on to whichever session registered last, dead ones
//! included: the answer tells a living PLC from a dead session, and the silence of [`PATIENCE`] tells the other way.
//!
//! The same call is made now and then after everything is registered. A PLC that does not probe, such as the reference
//! runtime, may have taken the name meanwhile; then IDEs reach that one, and this session has to end and say so.

use std::{sync::OnceLock, time::Duration};

use plc_connector::{
    call::GET_VERSIONS,
    ide::{arguments, method::Method, value::Value},
};

use super::{Callee, Over, Sharing, Step, refusal};
use crate::{
    message::{Dict, Message, Payload},
    procedure::uri,
};

/// How long a living PLC may take to answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What is called.
pub(super) const METHOD: Method = Method::ExtendedCall;

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A session of this process answers.
    Own,
    /// Nobody has that name, or whoever has it is dead.
    Nobody,
    /// Another PLC answers, with these words.
    Another(String),
    /// The router does not let us call.
    NotAllowed,
}

impl Answer {
    pub(super) fn of_result(payload: &Payload) -> Self {
        let value = payload.arguments.first();
        if value == Some(&this_process()) {
            return Self::Own;
        }
        let words = value.and_then(|value| arguments::text(value.clone()));
        Self::Another(words.unwrap_or_else(|| "no text".to_owned()))
    }

    pub(super) fn of_error(error: &str) -> Self {
        match error {
            uri::NO_SUCH_PROCEDURE | uri::NO_ELIGIBLE_CALLEE => Self::Nobody,
            // The session that was called has ended without an answer, or the router waits for it no longer.
            uri::CANCELED | uri::TIMEOUT => Self::Nobody,
            uri::NOT_AUTHORIZED => Self::NotAllowed,
            other => Self::Another(other.to_owned()),
        }
    }
}

/// The answer of this process, and of no other.
pub(super) fn this_process() -> Value {
    static NUMBER: OnceLock<[u8; 16]> = OnceLock::new();
    let number = NUMBER.get_or_init(|| {
        let mut number = [0; 16];
        // Without randomness all sessions are strangers to each other, which is the careful side.
        let _ = getrandom::fill(&mut number);
        number
    });
    Value::Bytes(number.to_vec())
}

/// Whether this call is a probe of this process.
pub(super) fn is_from_this_process(method: Method, arguments: &[Value]) -> bool {
    method == METHOD && matches!(arguments, [_, argument] if *argument == this_process())
}

impl Callee {
    /// Calls its own name; to be followed by an answer, or by [`Self::nobody_answers`] after [`PATIENCE`].
    pub(crate) fn probe(&mut self) -> Message {
        let request = self.request();
        self.probe = Some(request);
        Message::Call {
            request,
            options: Dict::default(),
            procedure: format!("{}.{}", self.settings.id, METHOD.name()),
            payload: vec![Value::text(GET_VERSIONS), this_process()].into(),
        }
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub(crate) const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// The time for an answer is over.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub(crate) fn nobody_answers(&mut self) -> Result<Vec<Step>, Over> {
        match self.probe {
            Some(request) => self.probe_answered(request, Answer::Nobody),
            None => Ok(Vec::new()),
        }
    }

    /// What an answer leads to. One that comes late is of no use.
    pub(super) fn probe_answered(
        &mut self,
        request: u64,
        answer: Answer,
    ) -> Result<Vec<Step>, Over> {
        if self.probe.take_if(|probe| *probe == request).is_none() {
            return Ok(Vec::new());
        }
        let is_here = !self.registered.is_empty();
        match answer {
            Answer::Another(words) if is_here => Err(Over {
                reason: refusal::of_displacement(&self.settings, &words),
                last: Some(Box::new(super::goodbye())),
            }),
            Answer::Another(words) => {
                self.name_is_taken = Some(refusal::of_living(&self.settings, &words));
                Ok(vec![Step::Registrations])
            }
            // Of what was registered nothing can be wrong that asking again would mend.
            Answer::Own | Answer::Nobody | Answer::NotAllowed if is_here => Ok(Vec::new()),
            Answer::Own | Answer::Nobody => Ok(self.registering()),
            Answer::NotAllowed => {
                self.sharing = Sharing::Alone;
                Ok(self.registering())
            }
        }
    }
}
