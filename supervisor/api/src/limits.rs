// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every bound on what a peer may send or make us keep, in one place.

use std::{ops::RangeInclusive, time::Duration};

/// Bytes of one frame on an API socket or a worker channel, header excluded. Holds the largest blob chunk any
/// IDE sends (1 MiB, Pyro generations) and its envelope.
pub const FRAME_BYTES: usize = (1 << 20) + (64 << 10);

/// Bytes of one blob chunk. The IDEs send 4095, 16 KiB or 1 MiB.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Bytes of a blob's seed: a file name or an md5 text.
pub const SEED_BYTES: usize = 4096;

/// Bytes of all blobs that one API connection may have open; the largest projects are a few tens of MB.
pub const SESSION_BLOB_BYTES: u64 = 256 << 20;

/// Blobs that one API connection may have open: the library and the extra files of one project.
pub const SESSION_BLOBS: usize = 1024;

/// Bytes of all blobs of all connections together.
pub const ALL_BLOB_BYTES: u64 = 512 << 20;

/// Extra files of one program.
pub const EXTRA_FILES: usize = 1000;

/// Bytes of an extra file's name: Linux's own bound on one path component (`NAME_MAX`).
pub const FILE_NAME_BYTES: usize = 255;

/// Bytes of one trace sample; the PLC library's own buffer holds 4095.
pub const TRACE_SAMPLE_BYTES: usize = 4096;

/// Variables in one trace list. Libraries since 2021 accept 1024; older ones have no bound of their own.
pub const TRACE_VARIABLES: usize = 4096;

/// Bytes of one forced value: a whole IEC STRING (length byte and 126 characters).
pub const FORCE_BYTES: usize = 127;

/// Bytes of trace samples that the supervisor keeps for a client that polls late, oldest dropped first.
pub const TRACE_RING_BYTES: usize = 1 << 20;

/// What one sample costs in the ring besides its data.
pub const TRACE_SAMPLE_OVERHEAD: usize = 32;

/// Bytes of samples in one reply on an API socket; the rest comes with the next poll.
pub const TRACE_REPLY_BYTES: usize = 512 << 10;

/// PLC log messages kept for each level, oldest dropped first.
pub const LOG_MESSAGES: usize = 1024;

/// Bytes of one PLC log message; longer ones are cut. The reference runtime reads with a buffer of this size.
pub const LOG_MESSAGE_BYTES: usize = 16_383;

/// Bytes of one level's kept PLC log messages. The last [`LOG_TAIL`] stay whatever their size.
pub const LOG_LEVEL_BYTES: usize = 128 << 10;

/// Messages of each level that can always be delivered: an IDE that connects reads the last 10 and stops at
/// the first gap.
pub const LOG_TAIL: usize = 10;

/// PLC log messages in one reply on an API socket.
pub const LOG_REPLY_MESSAGES: u32 = 64;

/// Characters of a peer's name, an identity, a client's name.
pub const NAME_CHARS: usize = 128;

/// How long pairing may be open, seconds; what people get who name no time is [`PAIRING_STANDARD`].
pub const PAIRING_SECONDS: RangeInclusive<u32> = 1..=3600;

/// How long pairing is open if nobody says otherwise, seconds.
pub const PAIRING_STANDARD: u32 = 600;

/// Keys of clients that the supervisor keeps.
pub const CLIENT_KEYS: usize = 256;

/// Bytes of a WAMP router's address.
pub const URL_BYTES: usize = 1024;

/// Bytes of a file of certificate authorities.
pub const CA_BYTES: usize = 256 << 10;

/// Characters of a WAMP realm, and of a PLC's name in it.
pub const WAMP_NAME_CHARS: usize = 128;

/// API connections at once, over all API sockets.
pub const API_CONNECTIONS: usize = 256;

/// What the end of a PLC may take besides the program's own time to stop: the kill, and the kernel's time to clear up.
pub const STOPPING_BESIDES: Duration = Duration::from_secs(15);

/// How long the debug token's owner may be silent before tracing is switched off (as the reference runtime).
pub const TRACE_LEASE: Duration = Duration::from_secs(3);

/// How long a new API peer may take to say hello.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// How long one frame may take to arrive once its first byte is there, or to be taken by its reader.
pub const FRAME_DEADLINE: Duration = Duration::from_secs(30);
