// SPDX-License-Identifier: MIT OR Apache-2.0
//! A reader that remembers the last bytes it has read, whatever they meant to whoever read them.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Remembers the last `BYTES` bytes or so.
#[derive(Debug)]
pub(crate) struct Tail<R, const BYTES: usize> {
    reader: R,
    last: Vec<u8>,
}

impl<R: AsyncRead + Unpin, const BYTES: usize> Tail<R, BYTES> {
    /// Remembers what is read through it from here on.
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, last: Vec::new() }
    }

    /// Reads to the end, or to an error, which is as good; the last bytes before that.
    ///
    /// # Cancel safety
    /// What was read is remembered.
    pub(crate) async fn read_out(&mut self) -> &[u8] {
        let mut buffer = [0; 512];
        while self.read(&mut buffer).await.is_ok_and(|bytes| bytes > 0) {}
        &self.last
    }
}

impl<R: AsyncRead + Unpin, const BYTES: usize> AsyncRead for Tail<R, BYTES> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.reader).poll_read(cx, buffer))?;
        let fresh = buffer.filled().get(before..).unwrap_or_default();
        self.last
            .extend_from_slice(fresh.get(fresh.len().saturating_sub(BYTES)..).unwrap_or(fresh));
        let surplus = self.last.len().saturating_sub(BYTES);
        self.last.drain(..surplus);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn the_last_bytes_are_remembered_however_they_were_read() {
        let bytes: Vec<u8> = (0..=255).cycle().take(2000).collect();
        let mut tail = Tail::<_, 100>::new(&bytes[..]);
        let mut first = [0; 7];
        tail.read_exact(&mut first).await.unwrap();
        assert_eq!(tail.last, first);
        assert_eq!(tail.read_out().await, &bytes[1900..]);
    }
}
