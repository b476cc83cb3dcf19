// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who has no key takes nothing from those who have one: whatever strangers do at the port for the network, an IDE that
//! is there is served, one that comes gets in, the connector's memory stays bounded, and the log says what it was.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
};

use plc_tests::{
    desk::Desk,
    evil::{self, Strangers},
    ide::{Generation, Ide},
    tls::{ANNA, TlsPort, hexadecimal},
};

/// Most memory that the connector may ever have used: what systemd allows it
/// (`systemd/system/plc-connector-pyros.service`, `MemoryMax=`) is more.
const MAX_MEMORY_KB: u64 = 128 << 10;

/// The hello of a client that offers the suites of pre-shared keys, and then nothing more. The rest of its handshake is
/// waited for.
const HELLO: &[u8] = b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03\
    0123456789abcdef0123456789abcdef\0\0\x04\x00\xa9\x00\xa8\x01\0";

struct Attack {
    _desk: Desk,
    tls: TlsPort,
    witness: Ide,
}

impl Attack {
    fn begin() -> Self {
        let desk = Desk::start();
        let tls = TlsPort::beside(&desk);
        let mut witness = tls.ide(Generation::Erpc12);
        assert_eq!(witness.status(), "Empty");
        Self { _desk: desk, tls, witness }
    }

    fn assert_bounded(&mut self, what: &str) {
        assert_eq!(self.witness.status(), "Empty", "{what}: the other IDE is not served");
        let peak = evil::peak_memory_kb(self.tls.pid()).unwrap();
        assert!(peak < MAX_MEMORY_KB, "{what}: {peak} kB");
    }

    /// So many come from many hosts and stay. Whoever has a key does not mind.
    fn flood(&mut self, what: &str, says: &[u8], count: usize) -> Strangers {
        let mut strangers = Strangers::who_say(says, self.tls.port());
        for round in 0..count {
            strangers.one_more().unwrap();
            if round % 50 == 0 {
                self.assert_bounded(what);
            }
        }
        let mut comes = self.tls.ide(Generation::Erpc12);
        assert_eq!(comes.status(), "Empty", "{what}: an IDE that comes is not served");
        strangers
    }
}

#[test]
fn handshakes_that_never_end_keep_nobody_out_who_has_a_key() {
    let mut attack = Attack::begin();
    let here = [
        attack.flood("silence", b"", 2000),
        attack.flood("the beginning of a hello", &HELLO[..5], 200),
        attack.flood("a hello and no more", HELLO, 200),
    ];
    let _ = attack.tls.wait_log("closed: it has shown neither key nor call");
    let log = attack.tls.log();
    let lines = log.lines().filter(|line| line.contains("neither key nor call")).count();
    assert!(lines < 200, "{lines} lines about closed connections");
    drop(here);
    attack.assert_bounded("the end of all that");
}

#[test]
fn a_handshake_under_way_is_ended_however_many_silent_ones_come_meanwhile() {
    let attack = Attack::begin();
    let port = attack.tls.port();
    let slow_line = TcpListener::bind("127.0.0.1:0").unwrap();
    let behind_it = slow_line.local_addr().unwrap().port();
    let line = thread::spawn(move || {
        let (mut ide, _) = slow_line.accept().unwrap();
        let mut plc = evil::peer(port).unwrap();
        let mut strangers = Strangers::who_say(b"", port);
        // The hello goes through; the answer to it takes until all of these are there.
        plc.write_all(&one_read(&mut ide)).unwrap();
        let answer = one_read(&mut plc);
        (0..300).for_each(|_| strangers.one_more().unwrap());
        ide.write_all(&answer).unwrap();
        let (mut to_plc, mut from_ide) = (plc.try_clone().unwrap(), ide.try_clone().unwrap());
        thread::spawn(move || io::copy(&mut from_ide, &mut to_plc));
        let _ = io::copy(&mut plc, &mut ide);
        let _ = ide.shutdown(Shutdown::Both);
    });
    let mut ide = Ide::with_key(Generation::Erpc12, &attack.tls.key(), behind_it);
    assert_eq!(ide.status(), "Empty");
    let _ = attack.tls.wait_log("closed: it has shown neither key nor call");
    drop((ide, attack));
    line.join().unwrap();
}

fn one_read(from: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 12];
    let length = from.read(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn one_reason_that_floods_the_log_hides_no_other() {
    let attack = Attack::begin();
    for _ in 0..50 {
        let mut stranger = evil::peer(attack.tls.port()).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let _ = stranger.read(&mut [0; 1]);
    }
    let log = attack.tls.log();
    assert_eq!(log.lines().filter(|line| line.contains("it speaks no TLS, ")).count(), 10);
    let secret = hexadecimal("this-is-not-the-secret-of-anna");
    for identity in [ANNA.0, "otto"] {
        let _ = attack.tls.openssl(&["-psk_identity", identity, "-psk", &secret]);
    }
    let _ = attack.tls.wait_log("it does not have the secret of the ID anna");
    let _ = attack.tls.wait_log("there is no key of the ID \"otto\"");
}
