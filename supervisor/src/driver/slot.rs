// SPDX-License-Identifier: MIT OR Apache-2.0
//! The driver's one place for a worker: how it is filled, emptied, and spoken to.

use std::collections::HashMap;

use plc_api::{program::ProgramInfo, trace::TraceRefusal};
use plc_worker_link::{LoadOrder, Loaded, Order};
use tokio::{sync::oneshot, task::JoinHandle, time::Instant};

use super::Driver;
use crate::{
    state::Input,
    worker_link::{self, Worker},
};

/// The one place for a worker.
#[derive(Debug)]
pub(super) enum Slot {
    Free,
    Launching(JoinHandle<()>),
    Up { worker: Worker, loaded: Loaded, pending: HashMap<u64, Pending> },
}

/// What an order's outcome answers.
#[derive(Debug)]
pub(super) enum Pending {
    Load,
    Start,
    Stop,
    Trace(u32, oneshot::Sender<Result<u32, TraceRefusal>>),
}

impl Driver {
    pub(super) fn launch(&mut self, program: &ProgramInfo) {
        let config = &self.means.config;
        let load = LoadOrder {
            program_dir: self.store.program_dir(program),
            program_id: program.id.clone(),
            md5: program.md5.clone(),
            logic_md5: None,
            stop_timeout_ms: u64::try_from(config.policy.stop_timeout.as_millis())
                .unwrap_or(u64::MAX),
            memory_max_bytes: config.memory_max_bytes,
            realtime: config.realtime.clone(),
        };
        self.sinks.journal.begin_program(program);
        self.witness.launched(program);
        let deadline = Instant::now() + config.policy.launch_timeout();
        let launch = self.means.launch.clone();
        let task =
            worker_link::start(launch, load, deadline, self.sinks.clone(), self.news.clone());
        self.slot = Slot::Launching(task);
    }

    /// Tells the worker to stop. One that has not greeted yet has loaded nothing and is simply let go.
    pub(super) fn stop_worker(&mut self) -> Option<Input> {
        if let Slot::Launching(task) = &self.slot {
            task.abort();
            // It may have reported in the meantime; that report is about a worker we no longer have.
            while self.incoming_news.try_recv().is_ok() {}
            self.free_slot();
            // It never had a program: as good as one that has stopped, and no crash.
            self.machine.handle(self.begin.elapsed(), Input::StopDone);
            return Some(Input::Gone("was given up".into()));
        }
        self.order_pending(Order::Stop, Pending::Stop);
        None
    }

    pub(super) fn order(&mut self, order: Order) -> Option<u64> {
        if let Slot::Up { worker, .. } = &mut self.slot { Some(worker.order(order)) } else { None }
    }

    pub(super) fn order_pending(&mut self, order: Order, answer: Pending) {
        if let Slot::Up { worker, pending, .. } = &mut self.slot {
            let id = worker.order(order);
            pending.insert(id, answer);
        }
    }

    pub(super) fn free_slot(&mut self) {
        // Clients that wait for a trace list are told by the drop of their answer's sender.
        self.slot = Slot::Free;
        self.sinks.published.update(|snapshot| snapshot.worker_pid = None);
    }
}
