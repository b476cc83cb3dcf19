// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes from outside are data: whatever comes in at the IDE port, the connector's memory stays bounded, the log says
//! what it was, and an IDE that is connected is served all the while.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use plc_tests::{
    desk::Desk,
    evil::{self, Strangers, pyro3, pyro3_head, pyro5},
    ide::{Generation, Ide},
};
use rustix::process::Pid;

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

    fn pyro3_peer(&self) -> TcpStream {
        evil::pyro3_peer(self.desk.port()).unwrap()
    }

    fn pyro5_peer(&self) -> TcpStream {
        evil::pyro5_peer(self.desk.port()).unwrap()
    }

    fn assert_bounded(&mut self, what: &str) {
        assert_eq!(self.witness.status(), "Empty", "{what}: the other IDE is not served");
        let connectors = self.desk.children("plc-connector-pyro");
        assert_eq!(connectors, [self.connector], "{what}: the connector did not survive it");
        let peak = evil::peak_memory_kb(self.connector).unwrap();
        assert!(peak < MAX_MEMORY_KB, "{what}: {peak} kB");
    }
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
        ("os.system", evil::system_pickle(&order), "none is looked up"),
        ("eval", b"\x80\x02c__builtin__\neval\nU\x011\x85R.".to_vec(), "none is looked up"),
        ("nested tuples", evil::nested_pickle(), "too many values"),
        ("nested lists", million(b"]q\x01"), "too many values"),
        ("marks", million(b"("), "too many values"),
        ("laughs", [b"\x80\x02U\x01x", &laughs[..], b"."].concat(), "too many values"),
        ("shared text", [b"(", &*text, &b"h\x01".repeat(10_000), b"t."].concat(), "multiplies"),
        ("a long text", b"\x80\x02T\xff\xff\xff\xff.".to_vec(), "too short"),
        ("a loop", b"\x80\x02]q\x01h\x01a.".to_vec(), "too deeply"),
        ("30 MiB of marks", vec![b'('; 30 << 20], "too many values"),
    ] {
        let answer = attack.send(what, attack.pyro3_peer(), &pyro3(0, &pickle));
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
        let answer = attack.send("a Pyro3 length", attack.pyro3_peer(), &pyro3_head(0, length));
        assert_eq!(answer, b"");
    }
    let bomb = evil::pyro3(evil::PYRO3_COMPRESSED, &evil::zip_bomb());
    let answer = attack.send("a Pyro3 bomb", attack.pyro3_peer(), &bomb);
    assert!(String::from_utf8_lossy(&answer).contains("PYRO_COMPRESSION"));
    let bomb = evil::pyro5_compressed(&evil::zip_bomb());
    let answer = attack.send("a Pyro5 bomb", attack.pyro5_peer(), &bomb);
    assert!(String::from_utf8_lossy(&answer).contains("COMPRESSION"));
    attack.send("a Pyro5 length", attack.pyro5_peer(), &evil::pyro5_too_long());
    for (what, serializer, data) in [
        ("nested msgpack", 4, vec![0x91; 1_000_000]),
        ("a msgpack count", 4, b"\xdd\xff\xff\xff\xff".to_vec()),
        ("nested serpent", 1, vec![b'['; 1_000_000]),
    ] {
        let answer = attack.send(what, attack.pyro5_peer(), &pyro5(4, serializer, &data));
        assert!(String::from_utf8_lossy(&answer).contains("ProtocolError"), "{what}");
    }
}

#[test]
fn connections_that_say_nothing_take_no_place_from_an_ide_that_is_there_or_comes() {
    let mut attack = Attack::begin();
    let mut silent = Strangers::who_say(b"", attack.desk.port());
    for round in 0..2000 {
        silent.one_more().unwrap();
        if round % 50 == 0 {
            attack.assert_bounded("silence");
        }
    }
    for generation in Generation::ALL {
        assert_eq!(attack.desk.ide(generation).status(), "Empty");
    }
    let _ = attack.desk.wait_log("closed: it has shown neither key nor call");
    let log = attack.desk.log();
    let lines = log.lines().filter(|line| line.contains("neither key nor call")).count();
    assert!(lines < 200, "{lines} lines about closed connections");
    drop(silent);
    attack.assert_bounded("the end of silence");
}

#[test]
fn who_begins_a_message_and_does_not_end_it_is_given_up() {
    let mut attack = Attack::begin();
    let port = attack.desk.port();
    let mut begin = |what, peer: io::Result<TcpStream>, begun: &[u8]| {
        let mut peer = peer.unwrap();
        peer.write_all(begun).unwrap();
        attack.assert_bounded(what);
        (what, peer)
    };
    let slow = [
        begin("one byte", evil::peer(port), b"P"),
        begin("a Pyro3 message", evil::pyro3_peer(port), &pyro3_head(0, 1 << 10)),
        begin("a Pyro5 message", evil::pyro5_peer(port), b"PYRO"),
        begin("an eRPC message", evil::peer(port), b"\x17\xcc\x08\0\x9e\xc6\0"),
    ];
    for (what, mut peer) in slow {
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(answer, b"", "{what}");
        attack.assert_bounded(what);
    }
    let _ = attack.desk.wait_log("closed: the peer is silent");
    let _ = attack.desk.wait_log("closed: the peer stopped in the middle of a message");
}
