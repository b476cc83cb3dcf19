// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real-time settings, in force on the calling thread while it starts the program.
//!
//! Rights come from the unit (`LimitRTPRIO=`, `LimitMEMLOCK=`). What is denied is left out, and said once.

use std::{num::NonZeroU64, thread};

use nix::sys::{
    mman::{MlockAllFlags, mlockall},
    resource::{RLIM_INFINITY, Resource, getrlimit},
};
use plc_abi::realtime::{Scheduling, set_default_stack_size};
use plc_worker_link::{Realtime, SchedulingPolicy};
use rustix::thread::{
    CpuSet, current_timer_slack, sched_getaffinity, sched_setaffinity, set_current_timer_slack,
};

/// Stack of the program's threads with locked memory, where the usual 8 MiB would all be taken.
const LOCKED_STACK_BYTES: u64 = 1 << 20;

/// What the calling thread had before; dropping it brings that back.
#[derive(Debug, Default)]
pub(crate) struct ForTheStart {
    scheduling: Option<Scheduling>,
    cpus: Option<CpuSet>,
    timer_slack_ns: Option<u64>,
    /// One clause for each setting that is not in force, with the remedy.
    denied: Vec<String>,
}

/// Applies the settings as far as they are allowed.
pub(crate) fn apply(settings: &Realtime) -> ForTheStart {
    let mut before = ForTheStart::default();
    before.lock_memory(settings);
    before.bind(&settings.cpus);
    before.set_timer_slack(settings.timer_slack_ns);
    // Last, so that the rest of the preparation does not compete with others' real time.
    before.set_priority(settings);
    before
}

/// The scheduling of the program's cycle, or of something `below` it; `None` without real time.
fn scheduling(settings: &Realtime, below: u8) -> Option<Scheduling> {
    let priority = settings.priority.saturating_sub(below).max(1);
    match settings.policy {
        SchedulingPolicy::Other => None,
        SchedulingPolicy::Fifo => Some(Scheduling::fifo(priority)),
        SchedulingPolicy::Rr => Some(Scheduling::round_robin(priority)),
    }
}

/// Puts the calling thread just below the program's cycle, if that is allowed. That it is not was already said
/// of the cycle itself.
pub(crate) fn just_below(settings: &Realtime) {
    if let Some(scheduling) = scheduling(settings, 1) {
        if let Err(error) = scheduling.apply() {
            tracing::debug!(
                error = error.to_string(),
                thread = thread::current().name().unwrap_or_default(),
                "no priority"
            );
        }
    }
}

impl ForTheStart {
    /// What was denied, in one sentence with the remedies.
    pub(crate) fn denied(&self) -> Option<String> {
        (!self.denied.is_empty()).then(|| {
            format!("Not all real-time settings are in force: {}.", self.denied.join("; "))
        })
    }

    fn lock_memory(&mut self, settings: &Realtime) {
        let default = settings.lock_memory.then_some(LOCKED_STACK_BYTES);
        if let Some(bytes) = settings.stack_size_bytes.or(default) {
            let size = usize::try_from(bytes).unwrap_or(usize::MAX);
            if let Err(error) = set_default_stack_size(size) {
                self.denied.push(format!("a stack of {bytes} bytes is not possible ({error})"));
            }
        }
        if !settings.lock_memory {
            return;
        }
        if let Err(error) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
            self.denied.push(format!(
                "its memory is not locked ({error}), raise LimitMEMLOCK= of the worker's unit"
            ));
        }
    }

    fn bind(&mut self, cpus: &[u16]) {
        if cpus.is_empty() {
            return;
        }
        let mut set = CpuSet::new();
        for &cpu in cpus {
            if usize::from(cpu) < CpuSet::MAX_CPU {
                set.set(cpu.into());
            }
        }
        let before = sched_getaffinity(None);
        match sched_setaffinity(None, &set) {
            Ok(()) => self.cpus = before.ok(),
            Err(error) => self.denied.push(format!(
                "it is not bound to the processors {cpus:?} ({error}), see which ones there are with nproc"
            )),
        }
    }

    fn set_timer_slack(&mut self, slack_ns: Option<u64>) {
        let Some(slack_ns) = slack_ns else { return };
        let before = current_timer_slack();
        // The kernel reads 0 as "the default", so the smallest is 1.
        let slack = NonZeroU64::new(slack_ns).unwrap_or(NonZeroU64::MIN);
        match set_current_timer_slack(Some(slack)) {
            Ok(()) => self.timer_slack_ns = before.ok(),
            Err(error) => self.denied.push(format!("its timer slack is not set ({error})")),
        }
    }

    fn set_priority(&mut self, settings: &Realtime) {
        let Some(wanted) = scheduling(settings, 0) else {
            return;
        };
        let before = Scheduling::current();
        match wanted.apply() {
            Ok(()) => self.scheduling = before.ok(),
            Err(error) => self.denied.push(format!(
                "its priority {0} is denied ({error}), raise LimitRTPRIO= of the worker's unit to {0} or more",
                settings.priority
            )),
        }
    }
}

impl Drop for ForTheStart {
    fn drop(&mut self) {
        // Going back to what was allowed before cannot be denied.
        if let Some(scheduling) = self.scheduling {
            let _ = scheduling.apply();
        }
        if let Some(slack_ns) = self.timer_slack_ns {
            let _ = set_current_timer_slack(NonZeroU64::new(slack_ns));
        }
        if let Some(cpus) = &self.cpus {
            let _ = sched_setaffinity(None, cpus);
        }
    }
}

/// What the code of a failed `startPLC` may mean. Libraries return an error number, -1, or, before 2023, 1 for
/// everything; one that asks for real time itself fails when that is denied.
pub(crate) fn explain_start_failure(code: i32) -> String {
    let limit = |resource| getrlimit(resource).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let mut reason = format!("startPLC returned {code}");
    if code > 0 {
        reason.push_str(&format!(" ({})", nix::errno::Errno::from_raw(code).desc()));
    }
    if code == nix::libc::EPERM && limit(Resource::RLIMIT_RTPRIO) == 0 {
        reason.push_str(
            "; if the program asks for real time itself, raise LimitRTPRIO= of the worker's unit, which is 0",
        );
    } else if code == -1 && limit(Resource::RLIMIT_MEMLOCK) != RLIM_INFINITY {
        reason.push_str(
            "; if the program locks its memory itself, set LimitMEMLOCK=infinity in the worker's unit",
        );
    } else {
        reason.push_str("; the PLC log may say more");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_gets_back_what_it_had() {
        let slack = current_timer_slack().unwrap();
        let before =
            apply(&Realtime { cpus: vec![0], timer_slack_ns: Some(1), ..Realtime::default() });
        assert_eq!(before.denied(), None);
        assert_eq!(current_timer_slack().unwrap(), 1);
        assert_eq!(sched_getaffinity(None).unwrap().count(), 1);
        drop(before);
        assert_eq!(current_timer_slack().unwrap(), slack);
    }

    #[test]
    fn what_is_denied_is_said_with_the_remedy() {
        let before = apply(&Realtime {
            policy: SchedulingPolicy::Fifo,
            priority: 200,
            cpus: vec![1000],
            ..Realtime::default()
        });
        let said = before.denied().unwrap();
        assert!(said.contains("LimitRTPRIO="), "{said}");
        assert!(said.contains("[1000]"), "{said}");
    }

    #[test]
    fn a_start_failure_is_explained_by_its_code() {
        assert!(explain_start_failure(11).contains("(Try again)"), "{}", explain_start_failure(11));
        assert!(explain_start_failure(-7).contains("PLC log"));
    }
}
