// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes from outside are data: whatever comes in at the IDE port, the connector's memory stays bounded, the log says
//! what it was, and an IDE that is connected is served all the while.

use std::{
    collections::VecDeque,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpStream},
    time::Duration,
};

use plc_tests::{
    desk::Desk,
    ide::{Generation, Ide},
};
use rustix::{
    net::{AddressFamily, SocketType, bind, connect, socket},
    process::Pid,
};

/// Most memory that the connector may ever have used, its code included: what systemd allows it
/// (`systemd/system/plc-connector-pyro.service`, `MemoryMax=`) is more.
const MAX_MEMORY_KB: u64 = 128 << 10;

struct Attack {
    desk: Desk,
    witness: Ide,
    connector: Pid,
}

impl Attack {
    fn begin() -> Self {
        let desk = Desk::start();
        let mut witness = desk.ide(Generation::Erpc12);
        assert_eq!(witness.status(), "Empty");
        let connector = desk.children("plc-connector-pyro")[0];
        Self { desk, witness, connector }
    }

    /// Sends a message to a peer that is through with the greeting of its protocol; then the end, by which is meant that
    /// the connector has answered and closed, or goes on as if nothing had been.
    fn send(&mut self, what: &str, mut peer: TcpStream, message: &[u8]) -> Vec<u8> {
        // A peer that is dismissed from the head of its message does not take the rest.
        let _ = peer.write_all(message);
        let _ = peer.shutdown(std::net::Shutdown::Write);
        assert_eq!(self.witness.status(), "Empty", "{what}: the other IDE is not served");
        let mut answer = Vec::new();
        let _ = peer.read_to_end(&mut answer);
        self.assert_bounded(what);
        answer
    }

    fn assert_bounded(&mut self, what: &str) {
        assert_eq!(self.witness.status(), "Empty", "{what}: the other IDE is not served");
        let connectors = self.desk.children("plc-connector-pyro");
        assert_eq!(connectors, [self.connector], "{what}: the connector did not survive it");
        let status = fs::read_to_string(format!("/proc/{}/status", self.connector)).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < MAX_MEMORY_KB, "{what}: {peak} kB");
    }

    fn peer(&self) -> TcpStream {
        let peer = TcpStream::connect((Ipv4Addr::LOCALHOST, self.desk.port())).unwrap();
        peer.set_read_timeout(Some(plc_tests::PATIENCE)).unwrap();
        peer
    }

    /// A peer that has been granted Pyro3.
    fn pyro3(&self) -> TcpStream {
        let mut peer = self.peer();
        peer.read_exact(&mut [0; 18 + 16]).unwrap();
        peer.write_all(&pyro3(0, b"CONNECT0123456789abcdef")).unwrap();
        peer.read_exact(&mut [0; 7]).unwrap();
        peer
    }

    /// A peer that Pyro5 has accepted.
    fn pyro5(&self) -> TcpStream {
        let mut peer = self.peer();
        peer.write_all(&pyro5(1, 4, b"\x82\xa9handshake\xa5hello\xa6object\xa9PLCObject")).unwrap();
        let mut head = [0; 40];
        peer.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[12..16].try_into().unwrap());
        peer.read_exact(&mut vec![0; length.try_into().unwrap()]).unwrap();
        peer
    }
}

fn pyro3_head(flags: u8, length: u32) -> Vec<u8> {
    let length = length.to_be_bytes();
    [&b"PYRO\0\x05\0\x12"[..], &length, &[0, flags, 0, 0, 0, 0]].concat()
}

fn pyro3(flags: u8, body: &[u8]) -> Vec<u8> {
    [pyro3_head(flags, u32::try_from(body.len()).unwrap()), body.to_vec()].concat()
}

fn pyro5(kind: u8, serializer: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap().to_be_bytes();
    let head = [&b"PYRO\x01\xf6"[..], &[kind, serializer, 0, 0, 0, 0], &length, &[0; 22]].concat();
    [&head, &b"\x4d\xc5"[..], data].concat()
}

#[test]
fn evil_pickles_are_answered_and_nothing_else_happens() {
    let mut attack = Attack::begin();
    let mark = attack.desk.path().join("owned");
    let order = format!("touch {}", mark.display());
    let million = |code: &[u8]| [b"\x80\x02N", &*code.repeat(1_000_000), b"."].concat();
    let laughs: Vec<u8> = (0..28_u8).flat_map(|level| [b'q', level, b'h', level, 0x86]).collect();
    let text = [&b"T\0\0\x10\0"[..], &[7; 1 << 20], b"q\x01"].concat();
    for (what, pickle, reason) in [
        ("os.system", format!("cos\nsystem\n(S'{order}'\ntR.").into_bytes(), "none is looked up"),
        ("eval", b"\x80\x02c__builtin__\neval\nU\x011\x85R.".to_vec(), "none is looked up"),
        ("nested tuples", million(b"\x85"), "too many values"),
        ("nested lists", million(b"]q\x01"), "too many values"),
        ("marks", million(b"("), "too many values"),
        ("laughs", [b"\x80\x02U\x01x", &laughs[..], b"."].concat(), "too many values"),
        ("shared text", [b"(", &*text, &b"h\x01".repeat(10_000), b"t."].concat(), "multiplies"),
        ("a long text", b"\x80\x02T\xff\xff\xff\xff.".to_vec(), "too short"),
        ("a loop", b"\x80\x02]q\x01h\x01a.".to_vec(), "too deeply"),
        ("30 MiB of marks", vec![b'('; 30 << 20], "too many values"),
    ] {
        let answer = attack.send(what, attack.pyro3(), &pyro3(0, &pickle));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("ProtocolError") && answer.contains(reason), "{what}: {answer:?}");
        let _ = attack.desk.wait_log(reason);
    }
    assert!(!mark.exists(), "the order was carried out");
}

#[test]
fn lengths_and_compressed_bombs_take_no_memory() {
    let mut attack = Attack::begin();
    for length in [u32::MAX, 0x7fff_ffff, 33 << 20] {
        let answer = attack.send("a Pyro3 length", attack.pyro3(), &pyro3_head(0, length));
        assert_eq!(answer, b"");
    }
    // What zlib makes of a gigabyte of zeros begins like this.
    let bomb = [&b"\x78\x9c\xec\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a"[..], &[0; 1 << 20]]
        .concat();
    let answer = attack.send("a Pyro3 bomb", attack.pyro3(), &pyro3(1, &bomb));
    assert!(String::from_utf8_lossy(&answer).contains("PYRO_COMPRESSION"));

    let mut compressed = pyro5(4, 4, &bomb);
    compressed[9] = 2;
    let answer = attack.send("a Pyro5 bomb", attack.pyro5(), &compressed);
    assert!(String::from_utf8_lossy(&answer).contains("COMPRESSION"));
    let mut long = pyro5(4, 4, b"");
    long[12..16].fill(0xff);
    attack.send("a Pyro5 length", attack.pyro5(), &long);
    for (what, serializer, data) in [
        ("nested msgpack", 4, vec![0x91; 1_000_000]),
        ("a msgpack count", 4, b"\xdd\xff\xff\xff\xff".to_vec()),
        ("nested serpent", 1, vec![b'['; 1_000_000]),
    ] {
        let answer = attack.send(what, attack.pyro5(), &pyro5(4, serializer, &data));
        assert!(String::from_utf8_lossy(&answer).contains("ProtocolError"), "{what}");
    }
}

/// A connection from another address of this machine, as if from another host.
fn from_elsewhere(host: u8, port: u16) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::new(127, 0, 1, host), 0)).unwrap();
    connect(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).unwrap();
    socket.into()
}

#[test]
fn connections_that_say_nothing_take_no_place_from_an_ide_that_is_there() {
    let mut attack = Attack::begin();
    let port = attack.desk.port();
    // Those that the connector has refused are let go, the rest stay and are silent.
    let mut silent = VecDeque::new();
    for round in 0..2000_u16 {
        let peer = from_elsewhere((round % 200) as u8 + 1, port);
        peer.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        silent.push_back(peer);
        if silent.len() > 500 {
            silent.pop_front();
        }
        if round % 50 == 0 {
            attack.assert_bounded("silence");
        }
    }
    let _ = attack.desk.wait_log("connections are served already");
    let log = attack.desk.log();
    let lines = log.lines().filter(|line| line.contains("connection refused")).count();
    assert!(lines < 200, "{lines} lines about refused connections");
    drop(silent);
    attack.assert_bounded("the end of silence");
}
