// SPDX-License-Identifier: MIT OR Apache-2.0
//! What those send who mean harm, for tests and for the benchmark: messages that are meant to run something or to take
//! memory, and peers that only take places.

use std::{
    collections::VecDeque,
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
};

use rustix::{
    net::{AddressFamily, SocketType, bind, connect, socket},
    process::Pid,
};

use crate::PATIENCE;

/// The bit of a Pyro3 header that says that the body is compressed.
pub const PYRO3_COMPRESSED: u8 = 1;

/// A pickle that wants a shell to run `order`.
#[must_use]
pub fn system_pickle(order: &str) -> Vec<u8> {
    format!("cos\nsystem\n(S'{order}'\ntR.").into_bytes()
}

/// A pickle of a million tuples, each in the next.
#[must_use]
pub fn nested_pickle() -> Vec<u8> {
    [b"\x80\x02N", &*b"\x85".repeat(1_000_000), b"."].concat()
}

/// The beginning of what zlib makes of a gigabyte of zeros, and a megabyte of the same.
#[must_use]
pub fn zip_bomb() -> Vec<u8> {
    [&b"\x78\x9c\xec\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a"[..], &[0; 1 << 20]].concat()
}

/// The header of a Pyro3 message with these flags and this length.
#[must_use]
pub fn pyro3_head(flags: u8, length: u32) -> Vec<u8> {
    let length = length.to_be_bytes();
    [&b"PYRO\0\x05\0\x12"[..], &length, &[0, flags, 0, 0, 0, 0]].concat()
}

/// A Pyro3 message.
///
/// # Panics
/// It is longer than such can be.
#[must_use]
pub fn pyro3(flags: u8, body: &[u8]) -> Vec<u8> {
    [pyro3_head(flags, u32::try_from(body.len()).expect("short")), body.to_vec()].concat()
}

/// A Pyro5 message of this kind, in this serializer.
///
/// # Panics
/// It is longer than such can be.
#[must_use]
pub fn pyro5(kind: u8, serializer: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    let head = [&b"PYRO\x01\xf6"[..], &[kind, serializer, 0, 0, 0, 0], &length, &[0; 22]].concat();
    [&head, &b"\x4d\xc5"[..], data].concat()
}

/// A call in Pyro5 that says of itself that it is compressed.
#[must_use]
pub fn pyro5_compressed(data: &[u8]) -> Vec<u8> {
    let mut message = pyro5(4, 4, data);
    message[9] = 2;
    message
}

/// A call in Pyro5 that says of itself that it is four gigabytes long.
#[must_use]
pub fn pyro5_too_long() -> Vec<u8> {
    let mut message = pyro5(4, 4, b"");
    message[12..16].fill(0xff);
    message
}

/// A connection to a port of this machine whose answers are waited for, but not for ever.
///
/// # Errors
/// Nobody listens there.
pub fn peer(port: u16) -> io::Result<TcpStream> {
    let peer = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    peer.set_read_timeout(Some(PATIENCE))?;
    Ok(peer)
}

/// A peer that has been granted Pyro3.
///
/// # Errors
/// It has not.
pub fn pyro3_peer(port: u16) -> io::Result<TcpStream> {
    let mut peer = peer(port)?;
    peer.read_exact(&mut [0; 18 + 16])?;
    peer.write_all(&pyro3(0, b"CONNECT0123456789abcdef"))?;
    peer.read_exact(&mut [0; 7])?;
    Ok(peer)
}

/// A peer that Pyro5 has accepted.
///
/// # Errors
/// It has not.
pub fn pyro5_peer(port: u16) -> io::Result<TcpStream> {
    let mut peer = peer(port)?;
    peer.write_all(&pyro5(1, 4, b"\x82\xa9handshake\xa5hello\xa6object\xa9PLCObject"))?;
    let mut head = [0; 40];
    peer.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
    peer.read_exact(&mut vec![0; length as usize])?;
    Ok(peer)
}

/// A connection from another address of this machine, as if from another host.
///
/// # Errors
/// Nobody listens there.
pub fn from_elsewhere(host: u8, port: u16) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, host), 0))?;
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    Ok(socket.into())
}

/// Peers from many hosts that say the same few bytes, or nothing, and then nothing more.
#[derive(Debug)]
pub struct Strangers {
    port: u16,
    says: Vec<u8>,
    came: usize,
    /// Those that have come last; whether they are still heard is not their concern.
    here: VecDeque<TcpStream>,
}

impl Strangers {
    /// As many hosts as they come from.
    pub const HOSTS: usize = 200;

    /// As many as stay.
    const HERE: usize = 500;

    /// Those who come to this port and say this.
    #[must_use]
    pub fn who_say(says: &[u8], port: u16) -> Self {
        Self { port, says: says.to_vec(), came: 0, here: VecDeque::new() }
    }

    /// One more comes.
    ///
    /// # Errors
    /// Nobody listens.
    ///
    /// # Panics
    /// Never: there are fewer hosts than such addresses.
    pub fn one_more(&mut self) -> io::Result<()> {
        let host = self.came % Self::HOSTS + 1;
        let mut peer = from_elsewhere(host.try_into().expect("a small number"), self.port)?;
        self.came += 1;
        // Whoever is refused cannot say it.
        let _ = peer.write_all(&self.says);
        self.here.push_back(peer);
        if self.here.len() > Self::HERE {
            self.here.pop_front();
        }
        Ok(())
    }
}

/// The most memory that a process has ever used, in kB.
///
/// # Errors
/// There is no such process.
pub fn peak_memory_kb(of: Pid) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{of}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
    peak.ok_or_else(|| io::ErrorKind::NotFound.into())
}
