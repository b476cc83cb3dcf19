// SPDX-License-Identifier: MIT OR Apache-2.0
//! From an outcome to the pickle that the method returns or raises.

use plc_connector::api::trace::TraceSample;

use crate::{answer::Outcome, pickle::Writer};

/// The body of the answer.
#[must_use]
pub(super) fn body(outcome: &Outcome) -> Vec<u8> {
    Writer::pickle(|out| match outcome {
        Outcome::Done | Outcome::Missing | Outcome::Blob(None) => out.none(),
        Outcome::Identity(key) => out.pair(|out| {
            out.str(&key.id);
            out.str(key.secret.reveal());
        }),
        Outcome::Flag(yes) => out.bool(*yes),
        Outcome::Blob(Some(id)) => out.str(id.0),
        Outcome::Status(status, counts) => out.pair(|out| {
            out.str(status.as_str());
            out.list(|out| counts.iter().for_each(|count| out.int((*count).into())));
        }),
        Outcome::Log(message) => log(&message.text, message.tick, message.time_us, out),
        Outcome::Cycle(statistics) => log(&statistics.text, 0, statistics.time_us, out),
        Outcome::Extended(answer) => out.str(answer.as_deref().unwrap_or_default()),
        Outcome::Token(token) => out.int((*token).into()),
        Outcome::Trace(status, samples) => out.pair(|out| {
            out.str(status.as_str());
            out.list(|out| samples.iter().for_each(|one| sample(one, out)));
        }),
        Outcome::Executed(code, text) => out.pair(|out| {
            out.int((*code).into());
            out.str(text);
        }),
        Outcome::Soft(reason) => out.protocol_error(reason),
    })
}

fn log(text: &str, tick: u32, time_us: u64, out: &mut Writer) {
    out.tuple(|out| {
        // Microseconds since the epoch fit for the next 290 000 years.
        let time_us = i64::try_from(time_us).unwrap_or(i64::MAX);
        out.str(text);
        out.int(tick.into());
        out.int(time_us / 1_000_000);
        out.int(time_us % 1_000_000 * 1000);
    });
}

fn sample(sample: &TraceSample, out: &mut Writer) {
    out.pair(|out| {
        out.int(sample.tick.into());
        out.str(&sample.data);
    });
}
