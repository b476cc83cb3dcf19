// SPDX-License-Identifier: MIT OR Apache-2.0
//! Log counts that never go down for an IDE that did not reset them.
//!
//! The PLC's log begins at 0 again when another client resets it, and with a supervisor that was restarted. An IDE that
//! sees a count go down takes the new one and has missed the messages up to it. So what it has seen is added from then
//! on to the counts, and subtracted from the ids that it asks for.

use plc_connector::{api::log::LogCounts, call::PlcCall};

use crate::answer::Outcome;

/// One connection's view of the counts.
#[derive(Debug, Default)]
pub(crate) struct LogIds {
    /// Messages that were there before the log began at 0 again.
    before: LogCounts,
    /// The supervisor's counts as they were told last.
    told: LogCounts,
}

impl LogIds {
    /// Makes of the IDE's call the supervisor's.
    pub(crate) fn ask(&mut self, call: &mut PlcCall) {
        if let PlcCall::LogMessage { level, id } = call {
            if let Some(before) = self.before.get(usize::from(*level)) {
                // An id from before wraps to one that never was.
                *id = id.wrapping_sub(*before);
            }
        } else if *call == PlcCall::ResetLog {
            // This IDE knows.
            *self = Self::default();
        }
    }

    /// Makes of the supervisor's answer the IDE's.
    pub(crate) fn tell(&mut self, outcome: &mut Outcome) {
        let Outcome::Status(_, counts) = outcome else { return };
        let levels = self.before.iter_mut().zip(&mut self.told).zip(counts);
        for ((before, told), count) in levels {
            if *count < *told {
                *before = before.wrapping_add(*told);
            }
            *told = *count;
            *count = count.wrapping_add(*before);
        }
    }
}

#[cfg(test)]
mod tests {
    use plc_connector::api::plc::PlcStatus;

    use super::*;

    fn told(ids: &mut LogIds, counts: LogCounts) -> LogCounts {
        let mut outcome = Outcome::Status(PlcStatus::Started, counts);
        ids.tell(&mut outcome);
        let Outcome::Status(_, counts) = outcome else { panic!("{outcome:?}") };
        counts
    }

    fn asked(ids: &mut LogIds, level: u8, id: u32) -> u32 {
        let mut call = PlcCall::LogMessage { level, id };
        ids.ask(&mut call);
        let PlcCall::LogMessage { id, .. } = call else { panic!("{call:?}") };
        id
    }

    #[test]
    fn counts_go_on_where_the_log_began_anew() {
        let mut ids = LogIds::default();
        assert_eq!(told(&mut ids, [1, 2, 3, 57]), [1, 2, 3, 57]);
        assert_eq!(asked(&mut ids, 3, 56), 56);
        assert_eq!(told(&mut ids, [0, 0, 3, 2]), [1, 2, 3, 59]);
        assert_eq!(asked(&mut ids, 3, 58), 1);
        assert_eq!(asked(&mut ids, 2, 2), 2);
        assert!(asked(&mut ids, 3, 56) > 59, "gone");
        assert_eq!(told(&mut ids, [0, 1, 3, 4]), [1, 3, 3, 61]);
        assert_eq!(told(&mut ids, [0, 0, 0, 0]), [1, 3, 3, 61]);
    }

    #[test]
    fn who_resets_the_log_sees_it_begin_anew() {
        let mut ids = LogIds::default();
        told(&mut ids, [9; 4]);
        ids.ask(&mut PlcCall::ResetLog);
        assert_eq!(told(&mut ids, [0, 0, 0, 1]), [0, 0, 0, 1]);
        assert_eq!(asked(&mut ids, 3, 0), 0);
    }

    #[test]
    fn a_level_that_does_not_exist_is_asked_for_as_it_is() {
        assert_eq!(asked(&mut LogIds::default(), 4, 7), 7);
    }
}
