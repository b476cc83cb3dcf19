// SPDX-License-Identifier: MIT OR Apache-2.0
//! A stream that knows when bytes last moved. Frames alone do not tell: a large one may be on its way for minutes over
//! a slow line, which is a living one.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// When bytes last moved.
#[derive(Debug)]
pub(super) struct Traffic {
    began: Instant,
    read_ms: AtomicU64,
    written_ms: AtomicU64,
}

impl Traffic {
    fn new() -> Self {
        let (read_ms, written_ms) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { began: Instant::now(), read_ms, written_ms }
    }

    /// When something last came.
    pub(super) fn read(&self) -> Instant {
        self.began + Duration::from_millis(self.read_ms.load(Ordering::Relaxed))
    }

    /// When something was last taken.
    pub(super) fn written(&self) -> Instant {
        self.began + Duration::from_millis(self.written_ms.load(Ordering::Relaxed))
    }

    fn note(&self, what: &AtomicU64) {
        let elapsed = self.began.elapsed().as_millis();
        what.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Any stream, watched.
pub(super) struct Watched {
    inner: Box<dyn Duplex>,
    traffic: Arc<Traffic>,
}

/// What a connection is made of: TCP, or TLS over it.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

impl Watched {
    pub(super) fn new(inner: impl Duplex + 'static) -> Self {
        Self { inner: Box::new(inner), traffic: Arc::new(Traffic::new()) }
    }

    pub(super) fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.traffic.note(&self.traffic.read_ms);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, buffer))?;
        self.traffic.note(&self.traffic.written_ms);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
