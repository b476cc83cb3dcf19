// SPDX-License-Identifier: MIT OR Apache-2.0
//! The port for the network: who gets in, through which TLS, and what everybody else sees.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use plc_api::plc::ConnectionInfo;
use plc_tests::{
    PATIENCE,
    api::MD5,
    desk::Desk,
    ide::{Generation, Ide},
    marks::Marks,
    programs,
    tls::{ANNA, Stunnel, TlsPort, hexadecimal},
};
use serde_json::json;

/// What a desk's configuration has to say for the oldest.
const LEGACY: &str = "[pyros]\nlegacy_tls = true\n";

/// OpenSSL's client with TLS 1.0; its own security level would forbid it.
const TLS_1_0: [&str; 3] = ["-tls1", "-cipher", "PSK-AES256-CBC-SHA:@SECLEVEL=0"];

/// A hello of TLS 1.2 that says nothing.
const HELLO: &[u8] = &{
    let mut hello = [0; 50];
    *hello.first_chunk_mut().unwrap() = *b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03";
    hello
};

/// Transfers a program, runs it, stops it.
fn work(mut ide: Ide) {
    assert_eq!(ide.transfer(MD5, &programs::bytes("stopmark"), &[]), Ok(true));
    ide.must("StartPLC", json!([]));
    assert_eq!(ide.status(), "Started");
    assert_eq!(ide.must("StopPLC", json!([])), json!(true));
}

/// Who is connected to the supervisor through the TLS port.
fn connections(desk: &Desk) -> Vec<ConnectionInfo> {
    let mut connections = desk.api().stats().connections;
    connections.retain(|connection| connection.connector == "pyros");
    connections
}

fn through_stunnel(version: &str, generations: &[Generation]) {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let stunnel = Stunnel::before(&tls, &format!("sslVersion = {version}"));
    for generation in generations {
        work(stunnel.ide(*generation));
        let _ = tls.wait_log(&format!("the key of {}, {version}, ", ANNA.0));
    }
    let marks = Marks::read(&desk.paths().work_dir);
    marks.assert_each_was_stopped_before_the_next();
}

#[test]
fn every_ide_gets_through_a_stunnel_with_tls_1_3() {
    through_stunnel("TLSv1.3", &Generation::ALL);
}

#[test]
fn every_ide_gets_through_a_stunnel_with_tls_1_2() {
    through_stunnel("TLSv1.2", &Generation::ALL);
}

#[test]
fn ides_of_python_2_get_through_a_stunnel_too() {
    through_stunnel("TLSv1.3", &Generation::PYTHON2);
}

#[test]
fn a_stunnel_of_the_manual_whose_version_nobody_chose_comes_as_often_as_it_likes() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let stunnel = Stunnel::before(&tls, "");
    // Were it given tickets, it would come back with one in place of its identity.
    for _ in 0..3 {
        assert_eq!(stunnel.ide(Generation::Erpc12).status(), "Empty");
    }
    assert!(!tls.log().contains("refused"), "{}", tls.log());
}

#[test]
fn an_ide_whose_first_bytes_take_a_second_is_not_taken_for_one_that_waits() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let stunnel = Stunnel::before(&tls, "");
    let mut ide = TcpStream::connect((Ipv4Addr::LOCALHOST, stunnel.port())).unwrap();
    let _ = tls.wait_log("connected with the key of anna, ");
    // So slow a line, of which this machine has none.
    thread::sleep(Duration::from_secs(1));
    // GetPLCstatus of an eRPC client, and the head of what it is answered with.
    ide.write_all(b"\x8f\xac\x08\x00\x06\x44\x00\x04\x01\x01\x02\x00\x00\x00").unwrap();
    ide.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut answer = [0; 10];
    ide.read_exact(&mut answer).unwrap();
    assert_eq!(answer[6..], [2, 4, 1, 1], "{answer:x?}");
}

#[test]
fn an_ide_of_today_gets_in_with_forward_secrecy_and_is_known_by_its_key() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let mut ide = tls.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Empty");
    let line = tls.wait_log("connected with the key of anna, ");
    assert!(line.starts_with("TLSv1.2, ECDHE-PSK-CHACHA20-POLY1305"), "{line}");
    let [connection] = &connections(&desk)[..] else { panic!("one is connected") };
    assert_eq!(connection.identity, "anna");
    assert!(connection.peer.starts_with("127.0.0.1:"), "{connection:?}");
    work(ide);
}

#[test]
fn an_ide_of_today_offers_what_the_reference_says() {
    // Those that matter of the more than 40 suites that IDEs offer; how many more depends on their OpenSSL.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let ide = thread::spawn(move || {
        Ide::with_key(Generation::Erpc12, "anna:sixteen-or-more.", port)
            .call("GetPLCstatus", json!([]))
    });
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 44];
    stream.read_exact(&mut head).unwrap();
    let mut session = vec![0; usize::from(head[43])];
    stream.read_exact(&mut session).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut suites = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut suites).unwrap();
    drop(stream);
    assert!(ide.join().unwrap().is_err());
    assert_eq!(head[9..11], [3, 3], "TLS 1.2");
    let suites: Vec<u16> =
        suites.chunks(2).map(|suite| u16::from_be_bytes([suite[0], suite[1]])).collect();
    for suite in [0x00a9, 0x00a8, 0xccac, 0xccab, 0xc036, 0x00ab, 0x008d] {
        assert!(suites.contains(&suite), "{suite:04x}: {suites:04x?}");
    }
}

#[test]
fn an_ide_of_2019_gets_in_where_legacy_tls_is_allowed() {
    let desk = Desk::configured(LEGACY);
    let tls = TlsPort::beside(&desk);
    work(tls.ide(Generation::Pyro3));
    let _ = tls.wait_log("connected with the key of anna, TLSv1, PSK-AES256-CBC-SHA");
    let _ = tls.wait_log("comes with TLS 1.0, whose protection is weak");
}

#[test]
fn an_ide_of_2019_is_refused_otherwise_and_the_log_says_what_would_let_it_in() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    assert!(tls.ide(Generation::Pyro3).call("GetPLCstatus", json!([])).is_err());
    let line = tls.wait_log("refused: it speaks no TLS newer than 1.1");
    assert!(line.contains("set legacy_tls = true in section [pyros]"), "{line}");
    assert_eq!(connections(&desk), []);
}

#[test]
fn what_is_allowed_for_the_oldest_lowers_nothing_for_others() {
    let desk = Desk::configured(LEGACY);
    let tls = TlsPort::beside(&desk);
    let secret = hexadecimal(ANNA.1);
    let key = ["-psk_identity", ANNA.0, "-psk", &secret];
    // It would speak anything from 1.0 to 1.2 in any suite.
    let any = [&key[..], &["-no_tls1_3", "-cipher", "PSK:@SECLEVEL=0"]].concat();
    let said = tls.openssl(&any);
    assert!(said.contains("New, TLSv1.2, Cipher is ECDHE-PSK-CHACHA20-POLY1305"), "{said}");
    // The suite of the oldest is theirs alone, with RSA, without authentication, or without encryption is nobody's.
    for suites in ["kRSAPSK:@SECLEVEL=0", "aNULL:@SECLEVEL=0", "PSK-NULL-SHA256:@SECLEVEL=0"] {
        let said = tls.openssl(&[&key[..], &["-tls1_2", "-cipher", suites]].concat());
        assert!(said.contains("alert handshake failure"), "{suites}: {said}");
    }
    let said = tls.openssl(&[&key[..], &TLS_1_0].concat());
    assert!(said.contains("Cipher is PSK-AES256-CBC-SHA"), "{said}");
}

/// The messages of a handshake in their order, each with its direction, kind and length, as OpenSSL's client saw them.
fn messages(said: &str) -> Vec<&str> {
    said.lines().filter(|line| line.starts_with("<<<") || line.starts_with(">>>")).collect()
}

#[test]
fn an_unknown_identity_and_a_wrong_secret_look_the_same_to_the_peer() {
    let desk = Desk::configured(LEGACY);
    let tls = TlsPort::beside(&desk);
    let wrong = hexadecimal("this-is-not-the-secret-of-anna");
    let bad_record = &["alert bad record mac"][..];
    for (version, alerts) in [
        (&TLS_1_0[..], bad_record),
        (&["-tls1_2"], bad_record),
        (&["-tls1_2", "-cipher", "PSK-AES256-GCM-SHA384"], bad_record),
        (&["-tls1_2", "-cipher", "DHE-PSK-AES256-GCM-SHA384"], bad_record),
        // The latter since OpenSSL 3.5.
        (&["-tls1_3"], &["alert illegal parameter", "alert decrypt error"]),
    ] {
        let shown = |identity| {
            tls.openssl(&[&["-psk_identity", identity, "-psk", &wrong], version].concat())
        };
        let (known, unknown) = (shown("anna"), shown("otto"));
        let same = |alert: &&str| known.contains(alert) && unknown.contains(alert);
        assert!(alerts.iter().any(same), "{known}\n{unknown}");
        assert!(messages(&known).len() >= 3, "{known}");
        assert_eq!(messages(&known), messages(&unknown), "{version:?}");
    }
    let _ = tls.wait_log("it does not have the secret of the ID anna");
    let _ = tls.wait_log("there is no key of the ID \"otto\"");
    assert_eq!(connections(&desk), []);
}

#[test]
fn who_offers_no_key_or_no_tls_is_refused_and_the_log_says_what_to_do() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    for version in ["-tls1_2", "-tls1_3"] {
        let said = tls.openssl(&[version]);
        assert!(said.contains("alert handshake failure"), "{said}");
        let line = tls.wait_log("refused: it offers no pre-shared key");
        assert!(line.contains("when they are given ID and secret"), "{line}");
    }
    for bytes in
        [&b"PYRO\x01\xf6\x01\x04"[..], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x02"]
    {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, tls.port())).unwrap();
        stream.write_all(bytes).unwrap();
        assert_closed_without_a_word(&mut stream);
    }
    let line = tls.wait_log("refused: it speaks no TLS, ");
    assert!(line.contains("write PYROS:// or ERPCS://"), "{line}");
    assert_eq!(connections(&desk), []);
    // All that has cost nobody else anything.
    assert_eq!(tls.ide(Generation::Erpc12).status(), "Empty");
}

fn assert_closed_without_a_word(stream: &mut TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(0) => (),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => (),
        other => panic!("not closed, or with a word: {other:?}"),
    }
}

#[test]
fn a_silent_peer_is_given_up() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let mut silent = TcpStream::connect((Ipv4Addr::LOCALHOST, tls.port())).unwrap();
    let mut slow = TcpStream::connect((Ipv4Addr::LOCALHOST, tls.port())).unwrap();
    slow.write_all(b"\x16\x03\x01").unwrap();
    for stream in [&mut silent, &mut slow] {
        assert_closed_without_a_word(stream);
    }
    let _ = tls.wait_log("refused: it did not end its handshake within 10 s");
}

#[test]
fn a_key_counts_from_the_next_handshake_on_and_as_long_as_it_is_there() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let mut early = tls.ide(Generation::Erpc12);
    assert_eq!(early.status(), "Empty");
    tls.set_keys("otto:another-secret-of-somebody-else\n");
    assert!(tls.ide(Generation::Erpc12).call("GetPLCstatus", json!([])).is_err());
    let otto = "otto:another-secret-of-somebody-else";
    assert_eq!(Ide::with_key(Generation::Erpc12, otto, tls.port()).status(), "Empty");
    tls.set_keys(&format!("{}\n", tls.key()));
    assert_eq!(tls.ide(Generation::Erpc12).status(), "Empty");
}

#[test]
fn what_is_wrong_with_the_keys_is_said() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    // The device's own key, which the supervisor has made, would be one.
    let [made, _] = desk.paths().key_dirs();
    fs::remove_dir_all(made).unwrap();
    let try_it = || drop(tls.ide(Generation::Erpc12).call("GetPLCstatus", json!([])));
    tls.set_keys("anna:short\n");
    try_it();
    let line = tls.wait_log("clients.psk, line 1: ");
    assert!(line.contains("a secret has 16 to 512"), "{line}");
    let _ = tls.wait_log("there are no keys, so nobody can connect; 'plcctl psk add ID' makes one");
    tls.set_keys(&format!("anna:{}\n", "0123456789abcdef".repeat(4)));
    try_it();
    let _ = tls.wait_log("looks like a number in hexadecimal");
}

#[test]
fn a_source_that_fails_too_often_is_told_to_wait_and_a_key_brings_it_in_at_any_pace() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let secret = hexadecimal(ANNA.1);
    for _ in 0..30 {
        let said = tls.openssl(&["-psk_identity", ANNA.0, "-psk", &secret]);
        assert!(said.contains("TLS_AES_128_GCM_SHA256"), "{said}");
    }
    assert!(!tls.log().contains("refused"));
    assert_is_told_to_wait(&tls, HELLO);
}

#[test]
fn who_speaks_an_old_tls_is_told_to_wait_like_others_and_the_supervisor_is_left_alone() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let mut old = HELLO.to_vec();
    old[10] = 1;
    assert_is_told_to_wait(&tls, &old);
}

fn assert_is_told_to_wait(tls: &TlsPort, hello: &[u8]) {
    for _ in 0..200 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, tls.port())).unwrap();
        stream.write_all(hello).unwrap();
        let _ = stream.read(&mut [0; 64]);
        if tls.log().contains("it failed too many handshakes") {
            return;
        }
    }
    let _ = tls.wait_log("it failed too many handshakes");
}
