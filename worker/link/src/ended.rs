// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a worker ended, told by the service manager's side of it: the last message of the control channel.
//!
//! The service manager alone learns how a worker of its own ended, and still holds the connection then. The unit's
//! `ExecStopPost=` sends what systemd.exec(5) gives it, "Environment Variables Set or Propagated by the Service
//! Manager". It is the last frame, but not always at the place of one: a worker that is killed may leave half a
//! frame before it. So it is looked for in the last bytes before the end of the channel.

use plc_api::frame;
use serde::{Deserialize, Serialize};

use crate::message::FromWorker;

/// Bytes before the end of the channel among which the report is.
pub const TAIL_BYTES: usize = 512;

/// How many characters of each word are kept; the longest known ones have 20.
const WORD_CHARACTERS: usize = 32;

/// How a beginning of the report's frame looks, after its header: a map of one, and the name of the variant.
const BEGIN: &[u8] = b"\x81\xa5Ended";

/// How a worker's process ended, in the service manager's words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ended {
    /// `$SERVICE_RESULT`: `success`, `exit-code`, `signal`, `core-dump`, `watchdog`, `oom-kill`, `timeout`, ...
    pub result: String,
    /// `$EXIT_CODE`: `exited`, `killed`, `dumped`; empty if there was no process.
    pub code: String,
    /// `$EXIT_STATUS`: the exit code, or the signal's name without SIG.
    pub status: String,
}

impl Ended {
    /// A report of these words, each cut to what a report has room for.
    #[must_use]
    pub fn new(result: &str, code: &str, status: &str) -> Self {
        let cut = |word: &str| word.chars().take(WORD_CHARACTERS).collect();
        Self { result: cut(result), code: cut(code), status: cut(status) }
    }

    /// The report in the last bytes of a control channel, if one was sent.
    #[must_use]
    pub fn find(tail: &[u8]) -> Option<Self> {
        let begin = tail.windows(BEGIN.len()).rposition(|window| window == BEGIN)?;
        match frame::decode(tail.get(begin..)?) {
            Ok(FromWorker::Ended(ended)) => Some(ended),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Beat;

    fn report() -> Vec<u8> {
        frame::encode(&FromWorker::Ended(Ended::new("core-dump", "dumped", "SEGV"))).unwrap()
    }

    #[test]
    fn a_report_is_found_after_whole_and_after_half_frames() {
        let beat = frame::encode(&FromWorker::Beat(Beat::default())).unwrap();
        for before in [&[], &beat[..], &beat[..beat.len() - 1], &beat[..3], &beat[..5]] {
            let channel = [before, &report()[..]].concat();
            let found = Ended::find(&channel).unwrap();
            assert_eq!((found.result.as_str(), found.status.as_str()), ("core-dump", "SEGV"));
        }
    }

    #[test]
    fn the_last_report_counts_and_half_a_report_is_none() {
        let forged =
            frame::encode(&FromWorker::Ended(Ended::new("success", "exited", "0"))).unwrap();
        let found = Ended::find(&[forged, report()].concat()).unwrap();
        assert_eq!(found.result, "core-dump");
        let whole = report();
        assert_eq!(Ended::find(&whole[..whole.len() - 1]), None);
        assert_eq!(Ended::find(b""), None);
    }

    #[test]
    fn the_longest_report_fits_into_the_tail() {
        let long = "\u{20ac}".repeat(100);
        let frame = frame::encode(&FromWorker::Ended(Ended::new(&long, &long, &long))).unwrap();
        assert!(frame.len() <= TAIL_BYTES, "{} bytes", frame.len());
    }
}
