// SPDX-License-Identifier: MIT OR Apache-2.0
//! The worker's first byte: it carries the worker's own pidfd and the read end of its data channel.
//!
//! The pidfd tells of the worker's death even if a child it forked still holds the control channel.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

const BYTE: u8 = b'W';

/// The descriptors that come with a greeting.
#[derive(Debug)]
pub struct Greeting {
    /// Refers to the worker process.
    pub pidfd: OwnedFd,
    /// Where [`crate::Data`] can be read.
    pub data: OwnedFd,
}

/// Sends the greeting; the caller keeps its own copies of the descriptors.
///
/// # Errors
/// Whatever `sendmsg` says, for example that the supervisor is gone.
pub fn send(channel: impl AsFd, pidfd: BorrowedFd<'_>, data: BorrowedFd<'_>) -> io::Result<()> {
    let fds = [pidfd, data];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("no room for two descriptors"));
    }
    sendmsg(channel, &[IoSlice::new(&[BYTE])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives the greeting. On a non-blocking channel `WouldBlock` means: not yet.
///
/// # Errors
/// `UnexpectedEof` when the worker ended before it (another one still holds the lock), `InvalidData` when
/// something else came, or whatever `recvmsg` says.
pub fn receive(channel: impl AsFd) -> io::Result<Greeting> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut buffers = [IoSliceMut::new(&mut byte)];
    let got = recvmsg(channel, &mut buffers, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    if got.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut fds = control.drain().filter_map(|message| {
        if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None }
    });
    let mut fds = fds.next().into_iter().flatten();
    match (fds.next(), fds.next(), byte) {
        (Some(pidfd), Some(data), [BYTE]) => Ok(Greeting { pidfd, data }),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a worker's greeting")),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, os::unix::net::UnixStream};

    use super::*;

    #[test]
    fn a_greeting_carries_two_descriptors() {
        let (worker, supervisor) = UnixStream::pair().unwrap();
        let (data_read, mut data_write) = UnixStream::pair().unwrap();
        let pidfd = rustix::process::pidfd_open(
            rustix::process::getpid(),
            rustix::process::PidfdFlags::empty(),
        )
        .unwrap();
        send(&worker, pidfd.as_fd(), data_read.as_fd()).unwrap();
        drop(data_read);
        let greeting = receive(&supervisor).unwrap();
        data_write.write_all(b"x").unwrap();
        let mut byte = [0];
        std::io::Read::read_exact(&mut UnixStream::from(greeting.data), &mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }

    #[test]
    fn an_end_before_the_greeting_is_told_apart_from_a_wrong_one() {
        let (worker, supervisor) = UnixStream::pair().unwrap();
        drop(worker);
        assert_eq!(receive(&supervisor).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let (mut worker, supervisor) = UnixStream::pair().unwrap();
        worker.write_all(b"GET / HTTP/1.0\r\n").unwrap();
        assert_eq!(receive(&supervisor).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
