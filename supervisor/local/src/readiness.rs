// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hears the supervisor say `READY=1`, in the way it tells systemd.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tokio::{net::UnixDatagram, sync::watch, task::JoinHandle};

/// A socket for notifications. It is read to the end of its life, so that no sender ever waits.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) socket: PathBuf,
    ready: watch::Receiver<u64>,
    listener: JoinHandle<()>,
}

impl Drop for Readiness {
    fn drop(&mut self) {
        self.listener.abort();
        // A socket that stays behind is replaced next time.
        let _ = fs::remove_file(&self.socket);
    }
}

impl Readiness {
    /// Listens in `run_dir`.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub(crate) fn listen(run_dir: &Path) -> anyhow::Result<Self> {
        let socket = run_dir.join("notify.sock");
        let bound = match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => UnixDatagram::bind(&socket),
        };
        let bound = bound.with_context(|| format!("cannot listen on {}", socket.display()))?;
        let (heard, ready) = watch::channel(0);
        let listener = tokio::spawn(listen(bound, heard));
        Ok(Self { socket, ready, listener })
    }

    /// Counts how often it was said.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.ready.clone()
    }
}

async fn listen(socket: UnixDatagram, heard: watch::Sender<u64>) {
    let mut message = [0; 4096];
    while let Ok(length) = socket.recv(&mut message).await {
        let message = message.get(..length).unwrap_or_default();
        if message.split(|&byte| byte == b'\n').any(|line| line == b"READY=1") {
            heard.send_modify(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_ready_is_heard_as_ready() {
        let dir = tempfile::tempdir().unwrap();
        let readiness = Readiness::listen(dir.path()).unwrap();
        let mut ready = readiness.subscribe();
        let sender = UnixDatagram::unbound().unwrap();
        for text in ["STATUS=READY=1?", "READY=0", "STATUS=x\nREADY=1\n"] {
            sender.send_to(text.as_bytes(), &readiness.socket).await.unwrap();
        }
        ready.changed().await.unwrap();
        assert_eq!(*ready.borrow(), 1);
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let left_behind = std::os::unix::net::UnixDatagram::bind(dir.path().join("notify.sock"));
        drop(left_behind.unwrap());
        assert!(Readiness::listen(dir.path()).is_ok());
    }
}
