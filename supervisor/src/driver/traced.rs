// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of traced variables on its way to the program.

use plc_api::trace::{TraceRefusal, TraceVariable};
use plc_worker_link::Order;
use tokio::{sync::oneshot, time::Instant};

use super::{Driver, Pending, Slot, lock};
use crate::gauge::Gauge;

impl Driver {
    /// A program runs: its figures begin anew, and a client that traces it still goes on tracing.
    pub(super) fn begin_run(&mut self) {
        let Slot::Up { loaded, .. } = &self.slot else {
            return;
        };
        *lock(&self.gauge) = Gauge::new(loaded.period_ns);
        let list = {
            let mut trace = lock(&self.sinks.trace);
            trace.begin();
            // Held here too, where it would do harm: a list that names another program's variables forces them.
            trace.program_is(self.machine.program().map(|program| program.id.as_str()));
            trace.live_list()
        };
        if let Some(list) = list {
            self.give_list(list);
        }
    }

    pub(super) fn set_trace(
        &mut self,
        list: Vec<TraceVariable>,
        owner: u64,
        reply: oneshot::Sender<Result<u32, TraceRefusal>>,
    ) {
        let installed = self.machine.program().is_some() && self.machine.reason().is_none();
        if !installed && !list.is_empty() {
            let _ = reply.send(Err(TraceRefusal::NotPossible));
            return;
        }
        let token =
            lock(&self.sinks.trace).take_over(list.clone(), owner, Instant::now().into_std());
        if !self.machine.is_started() {
            // The list is kept and given to the program when it starts.
            let _ = reply.send(Ok(token));
            return;
        }
        let id = self.give_list(list);
        match (&mut self.slot, id) {
            (Slot::Up { pending, .. }, Some(id)) => {
                pending.insert(id, Pending::Trace(token, reply));
            }
            _ => {
                let _ = reply.send(Err(TraceRefusal::NotPossible));
            }
        }
    }

    pub(super) fn release_trace(&mut self, owner: u64) {
        if lock(&self.sinks.trace).is_owned_by(owner) {
            // Nobody is there to be answered.
            let (reply, _) = oneshot::channel();
            self.set_trace(Vec::new(), owner, reply);
        }
    }

    fn give_list(&mut self, list: Vec<TraceVariable>) -> Option<u64> {
        lock(&self.sinks.trace).list_given();
        self.order(Order::SetTrace(list))
    }
}
