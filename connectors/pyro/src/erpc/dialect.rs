// SPDX-License-Identifier: MIT OR Apache-2.0
//! What differs between the IDEs that speak eRPC: one row for each kind that a connection tells apart.
//!
//! Requests, replies and the numbers of the methods are the same for all of them; older ones make fewer calls. An
//! IDE's kind is its frame header. Behind one header the layout of the log changed twice without anything on the wire
//! saying so, which is why [`LogSeconds::Long`] depends on what the connection has asked so far:
//!
//! | IDEs | frame header | asks `ExtendedCall` | asks the statistics | reads log seconds as |
//! | --- | --- | --- | --- | --- |
//! | 2024-01 to 2024-05 | 4 bytes | no | no | 32 bits |
//! | 2024-05 to 2024-10 | 6 bytes | no | no | 32 bits |
//! | 2024-11 | 6 bytes | yes | no | 32 bits |
//! | 2024-11 to 2025-12 | 2 bytes | yes | no | 32 bits |
//! | 2025-12 to 2026-02, "1.5" | 2 bytes | yes | no | 64 bits |
//! | from 2026-02 on | 2 bytes | yes | after its first messages | 64 bits |

use super::frame::Framing;

/// How IDEs of one kind are spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// How their messages are framed.
    pub framing: Framing,
    /// How they read the time of a log message.
    pub log_seconds: LogSeconds,
    /// What they are told of a log message that is gone.
    pub gone_message: GoneMessage,
    /// Version of the codec in a reply that says "the call is not there".
    pub refusal_version: u8,
}

/// How the seconds of a log message are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSeconds {
    /// 32 bits, and nanoseconds.
    Short,
    /// 64 bits. Nanoseconds are 0 until this connection has asked for the statistics of the cycle, which shows that it
    /// reads 64 bits: one that reads 32 takes the upper half for the nanoseconds, the nanoseconds for the result code,
    /// and does not look at the rest. So whole seconds are right for both.
    Long,
}

/// The answer to a log message that is gone or never was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneMessage {
    /// "The call is not there": these IDEs make of it the `None` with which their log view stops asking.
    Refused,
    /// The text `<empty>` at the time 0, as their runtime answers. They would show a refusal as a warning.
    Placeholder,
}

impl Dialect {
    /// The row of the IDEs with this frame header.
    #[must_use]
    pub const fn of(framing: Framing) -> Self {
        match framing {
            Framing::FourBytes => Self {
                framing,
                log_seconds: LogSeconds::Short,
                gone_message: GoneMessage::Refused,
                // They stumble over the result code of a refusal and drop the connection. A version that does not exist
                // is one warning to them.
                refusal_version: 2,
            },
            Framing::SixBytes => Self {
                framing,
                log_seconds: LogSeconds::Short,
                gone_message: GoneMessage::Refused,
                refusal_version: 1,
            },
            Framing::TwoBytes => Self {
                framing,
                log_seconds: LogSeconds::Long,
                gone_message: GoneMessage::Placeholder,
                refusal_version: 1,
            },
        }
    }
}
