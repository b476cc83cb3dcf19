// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a peer's frames: never more memory than was received, and never for ever.
//!
//! The codec says from the bytes at hand how long a frame is ([`Measure`]) and refuses one that is too long before
//! anything is set aside for it; this side only does the waiting.

use std::{io, time::Duration};

use plc_api::limits;
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, timeout, timeout_at},
};

/// How long a new peer may be silent where it has to speak first.
pub const FIRST_BYTES_DEADLINE: Duration = Duration::from_secs(10);

/// What a long frame may take in addition to [`limits::FRAME_DEADLINE`]: its bytes at this rate, that of a bad line.
const SLOWEST_BYTES_PER_SECOND: usize = 32 << 10;

/// Most bytes set aside ahead of what has arrived.
const READ_AHEAD: usize = 64 << 10;

/// What a codec can say about the length of a frame from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// It takes this many bytes, from the frame's first on, to say more.
    Need(usize),
    /// The frame is this many bytes long.
    Frame(usize),
}

/// Why there is no frame.
#[derive(Debug, Error)]
pub enum IntakeError<E: std::error::Error + 'static> {
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] io::Error),
    /// The peer began a frame, or should have, and did not end it in time.
    #[error("the peer stopped in the middle of a message")]
    TimedOut,
    /// The peer closed the connection in the middle of a frame.
    #[error("the peer left in the middle of a message")]
    Truncated,
    /// The codec does not accept it.
    #[error(transparent)]
    Malformed(E),
}

/// The receiving half of a connection.
#[derive(Debug)]
pub struct Intake<R> {
    reader: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Intake<R> {
    /// Reads from `reader`.
    pub const fn new(reader: R) -> Self {
        Self { reader, buffer: Vec::new() }
    }

    /// What has arrived and was not taken.
    #[must_use]
    pub fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Waits for at least one more byte; `false` at the end of the stream.
    ///
    /// # Errors
    /// When the connection broke.
    ///
    /// # Cancel safety
    /// Cancel safe: what has arrived stays in [`Self::buffered`].
    pub async fn more(&mut self) -> io::Result<bool> {
        self.receive(READ_AHEAD).await
    }

    /// Takes the next frame; `None` when the peer has closed the connection between two frames.
    ///
    /// Waits for the first byte as long as it takes, then for the rest at most [`limits::FRAME_DEADLINE`], and for a
    /// long frame as much longer as a slow line needs.
    ///
    /// # Errors
    /// Every [`IntakeError`].
    ///
    /// # Cancel safety
    /// Cancel safe: what has arrived stays in [`Self::buffered`].
    pub async fn frame<E: std::error::Error + 'static>(
        &mut self,
        mut measure: impl FnMut(&[u8]) -> Result<Measure, E>,
    ) -> Result<Option<Vec<u8>>, IntakeError<E>> {
        let mut begun = None;
        loop {
            let total = match measure(&self.buffer).map_err(IntakeError::Malformed)? {
                Measure::Frame(length) if length <= self.buffer.len() => {
                    let rest = self.buffer.split_off(length);
                    return Ok(Some(std::mem::replace(&mut self.buffer, rest)));
                }
                Measure::Frame(total) | Measure::Need(total) => total,
            };
            if !self.buffer.is_empty() && begun.is_none() {
                begun = Some(Instant::now());
            }
            let receive = self.receive(total.saturating_sub(self.buffer.len()).max(1));
            let alive = match begun {
                None => receive.await?,
                Some(begun) => timeout_at(begun + time_for(total), receive)
                    .await
                    .map_err(|_| IntakeError::TimedOut)??,
            };
            if !alive {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(IntakeError::Truncated),
                };
            }
        }
    }

    async fn receive(&mut self, wanted: usize) -> io::Result<bool> {
        self.buffer.reserve(wanted.min(READ_AHEAD));
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }
}

/// How long a frame of this length may take.
fn time_for(bytes: usize) -> Duration {
    let seconds = u64::try_from(bytes / SLOWEST_BYTES_PER_SECOND).unwrap_or(u64::MAX);
    limits::FRAME_DEADLINE.saturating_add(Duration::from_secs(seconds))
}

/// Sends `bytes`; a peer that does not take them within [`limits::FRAME_DEADLINE`] counts as gone.
///
/// # Errors
/// When the connection broke, or the time is over.
pub async fn send(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let sending = async {
        writer.write_all(bytes).await?;
        writer.flush().await
    };
    timeout(limits::FRAME_DEADLINE, sending).await?
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[derive(Debug, Error)]
    #[error("too long")]
    struct TooLong;

    /// One length byte, at most 100, and that many bytes.
    fn measure(bytes: &[u8]) -> Result<Measure, TooLong> {
        match bytes.first() {
            None => Ok(Measure::Need(1)),
            Some(&length) if length > 100 => Err(TooLong),
            Some(&length) => Ok(Measure::Frame(1 + usize::from(length))),
        }
    }

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_however_they_were_cut() {
        let (ours, mut theirs) = duplex(3);
        let mut intake = Intake::new(ours);
        let write = async move { theirs.write_all(b"\x03abc\x00\x02de").await.unwrap() };
        let read = async {
            let mut frames = Vec::new();
            while let Some(frame) = intake.frame(measure).await.unwrap() {
                frames.push(frame);
            }
            frames
        };
        let ((), frames) = tokio::join!(write, read);
        assert_eq!(frames, [&b"\x03abc"[..], b"\x00", b"\x02de"]);
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_an_error_and_so_is_a_frame_that_is_too_long() {
        let mut cut = Intake::new(&b"\x03ab"[..]);
        assert!(matches!(cut.frame(measure).await, Err(IntakeError::Truncated)));
        let mut long = Intake::new(&[101][..]);
        assert!(matches!(long.frame(measure).await, Err(IntakeError::Malformed(TooLong))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_frame_once_begun_has_a_deadline_and_silence_between_frames_has_none() {
        let (ours, mut theirs) = duplex(64);
        let mut intake = Intake::new(ours);
        let patience = limits::FRAME_DEADLINE * 100;
        assert!(timeout(patience, intake.frame(measure)).await.is_err());
        theirs.write_all(b"\x03a").await.unwrap();
        let frame = timeout(patience, intake.frame(measure)).await.unwrap();
        assert!(matches!(frame, Err(IntakeError::TimedOut)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_frame_has_the_time_that_a_slow_line_needs_and_no_more() {
        let (ours, mut theirs) = duplex(64);
        let mut intake = Intake::new(ours);
        let long = |_: &[u8]| Ok::<_, TooLong>(Measure::Frame(60 * SLOWEST_BYTES_PER_SECOND));
        theirs.write_all(b"a").await.unwrap();
        let patience = limits::FRAME_DEADLINE + Duration::from_secs(59);
        assert!(timeout(patience, intake.frame(long)).await.is_err(), "given up too early");
        let frame = timeout(patience * 2, intake.frame(long)).await.unwrap();
        assert!(matches!(frame, Err(IntakeError::TimedOut)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut ours, _theirs) = duplex(1);
        let error = send(&mut ours, b"xyz").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
