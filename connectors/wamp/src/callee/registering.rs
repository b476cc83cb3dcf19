// SPDX-License-Identifier: MIT OR Apache-2.0
//! Registering: in which order, how, and what is done about a refusal.

use plc_connector::ide::{method::Method, value::Value};

use super::{Callee, Over, Sharing, Step, probe, refusal};
use crate::{
    message::{Dict, Message},
    procedure::{Procedure, uri},
};

/// Who has these has them all. The second is the one that a probe calls.
const FIRST: [Procedure; 2] = [Procedure::Plc(Method::GetPlcStatus), Procedure::Plc(probe::METHOD)];

impl Callee {
    /// Why not all procedures are registered, unless they are, or are asked for.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        if self.name_is_taken.is_some() {
            return self.name_is_taken.clone();
        }
        let (procedure, error) = self.refused.first()?;
        let count = self.refused.len();
        Some(refusal::of_registration(&self.settings, *procedure, error, count))
    }

    /// Whether registrations are on their way that the router has not answered.
    #[must_use]
    pub(crate) fn is_asking(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Tries again what was refused. Before a session has any procedure it finds out anew who is alive.
    pub fn retry(&mut self) -> Vec<Message> {
        self.name_is_taken = None;
        let refused = std::mem::take(&mut self.refused);
        if self.registered.is_empty() {
            self.sharing = Sharing::Last;
            return vec![self.probe()];
        }
        refused.into_iter().map(|(procedure, _)| self.register(procedure)).collect()
    }

    pub(super) fn register(&mut self, procedure: Procedure) -> Message {
        let request = self.request();
        self.asked.insert(request, procedure);
        let name = format!("{}.{}", self.settings.id, procedure.name());
        let options = match self.sharing {
            Sharing::Last => Dict::of([("invoke", Value::text("last"))]),
            Sharing::Alone => Dict::default(),
        };
        Message::Register { request, options, procedure: name }
    }

    /// Which procedure this answer of the router is about.
    pub(super) fn answered(&mut self, request: u64) -> Result<Procedure, Over> {
        let unasked =
            || Over::violated(&format!("an answer to request {request}, which was not made"));
        self.asked.remove(&request).ok_or_else(unasked)
    }

    /// The router refuses a registration.
    pub(super) fn refused(&mut self, procedure: Procedure, error: String) -> Vec<Step> {
        let is_held = is_held(&error);
        if self.sharing == Sharing::Last && !is_held && error != uri::NOT_AUTHORIZED {
            // Perhaps it does not know the option.
            self.sharing = Sharing::Alone;
            return vec![Step::Send(self.register(procedure))];
        }
        self.refused.push((procedure, error));
        if is_held && FIRST.contains(&procedure) {
            return vec![Step::Registrations];
        }
        self.registering()
    }

    /// Asks for what is to be asked for next: one of the first procedures, then all others.
    pub(super) fn registering(&mut self) -> Vec<Step> {
        let mut steps = vec![Step::Registrations];
        let missing = |callee: &Self, procedure: &Procedure| {
            !callee.registered.values().any(|known| known == procedure)
                && !callee.asked.values().any(|known| known == procedure)
                && !callee.refused.iter().any(|(known, _)| known == procedure)
        };
        let first = FIRST.into_iter().find(|procedure| missing(self, procedure));
        let is_asking_for_first = self.asked.values().any(|procedure| FIRST.contains(procedure));
        let next: Vec<_> = match first {
            _ if is_asking_for_first => Vec::new(),
            Some(procedure) => vec![procedure],
            None => Procedure::all().filter(|procedure| missing(self, procedure)).collect(),
        };
        steps.extend(next.into_iter().map(|procedure| Step::Send(self.register(procedure))));
        steps
    }
}

/// Whether a router says by this error that another session has the procedure.
pub(super) fn is_held(error: &str) -> bool {
    [uri::PROCEDURE_ALREADY_EXISTS, uri::PROCEDURE_EXISTS_WITH_OTHER_POLICY].contains(&error)
}
