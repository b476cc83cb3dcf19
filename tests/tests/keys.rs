// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keys: who is told one and when, what pairing opens, and that a key that is taken away lets nobody in and keeps
//! nobody in.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
};

use plc_api::{
    API_VERSION, RELEASE,
    client::CallError,
    frame,
    key::{ApiKey, KeyKind, SecretText},
    message::{ApiError, Hello, HelloReply, Reply, Request, ServerMessage},
};
use plc_tests::{
    api::Api,
    desk::Desk,
    ide::{Generation, Ide},
    tls::{Stunnel, TlsPort},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The device's key as it lies on the disk: ID and secret.
fn device_key(desk: &Desk) -> (String, String) {
    let [own, _] = desk.paths().key_dirs();
    let text = fs::read_to_string(own.join("device.psk")).unwrap();
    let (id, secret) = text.trim_end().split_once(':').unwrap();
    (id.to_owned(), secret.to_owned())
}

fn added(api: &Api, id: &str) -> ApiKey {
    match api.call(Request::AddKey { id: id.to_owned(), secret: None }) {
        Ok(Reply::Key(key)) => key,
        other => panic!("no key: {other:?}"),
    }
}

fn line(key: &ApiKey) -> String {
    format!("{}:{}", key.id, key.secret.reveal())
}

fn pair(api: &Api, seconds: u32) {
    let paired = api.call(Request::Pair { seconds });
    assert!(matches!(paired, Ok(Reply::Paired { .. })), "{paired:?}");
    assert!(api.snapshot().pairing_until_us.is_some());
}

/// Asks for the key as IDEs of that time do: `None` is the "nothing" that they survive.
fn asked(ide: &mut Ide) -> Option<Value> {
    let answer = match ide.generation {
        // It stumbles over every error, and takes none for a loss of the connection.
        Generation::Erpc11 | Generation::Erpc12 => ide.call("GetPLCID", json!([])).ok(),
        _ => Some(ide.must("GetPLCID", json!([]))).filter(|answer| !answer.is_null()),
    };
    // And it is still there.
    assert_eq!(ide.status(), "Empty", "{:?}", ide.generation);
    answer
}

/// Each generation outside of pairing and inside it.
fn is_told_while_pairing_is_open(generations: &[Generation]) {
    let desk = Desk::start();
    let (id, secret) = device_key(&desk);
    assert_eq!(secret.len(), 256);
    let mut ides: Vec<Ide> = generations.iter().map(|generation| desk.ide(*generation)).collect();
    for ide in &mut ides {
        assert_eq!(asked(ide), None, "{:?}", ide.generation);
    }
    let _ = desk.wait_log("asked through pyro for the device's key and got none");
    let api = desk.api();
    pair(&api, 600);
    for ide in &mut ides {
        let told = match ide.generation {
            // An IDE of that time fails over a key.
            Generation::Pyro5 | Generation::Pyro5Serpent => None,
            _ => Some(json!([id, secret])),
        };
        assert_eq!(asked(ide), told, "{:?}", ide.generation);
    }
    let _ = desk.wait_log(&format!("the key of {id} was told to 127.0.0.1:"));
    assert!(!desk.log().contains(&secret), "the secret is logged");
    pair(&api, 1);
    api.wait("the end of pairing", |snapshot| snapshot.pairing_until_us.is_none());
    for ide in &mut ides {
        assert_eq!(asked(ide), None, "{:?}", ide.generation);
    }
    let _ = desk.wait_log("pairing has ended");
}

#[test]
fn an_ide_is_told_the_device_s_key_while_pairing_is_open_and_falls_over_nothing() {
    is_told_while_pairing_is_open(&Generation::ALL);
}

#[test]
fn an_ide_of_python_2_is_told_the_device_s_key_while_pairing_is_open() {
    is_told_while_pairing_is_open(&Generation::PYTHON2);
}

/// What follows a line of a text, to its end.
fn below<'a>(text: &'a str, line: &str) -> &'a str {
    text.split_once(&format!("{line}\n")).unwrap_or_else(|| panic!("{line:?} in {text}")).1
}

#[test]
fn the_lines_that_plcctl_prints_let_an_ide_and_a_stunnel_in_as_they_are() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    for verb in ["add", "show"] {
        let (code, text, trouble) = desk.plcctl(&["psk", verb, "made-here"]);
        assert_eq!((code, trouble.as_str()), (0, ""), "{text}");
        let printed =
            below(&text, "For an IDE, the file psk/made-here.secret in the project's directory:");
        let line = printed.lines().next().unwrap();
        // As the IDE reads its file (Beremiz, connectors/ERPC/__init__.py): the text behind the first colon, and the ID
        // from the URI.
        let secret = line.split_once(':').unwrap().1;
        let key = format!("made-here:{secret}");
        assert_eq!(Ide::with_key(Generation::Erpc12, &key, tls.port()).status(), "Empty");

        let configuration =
            below(&text, "psk.txt and this in stunnel.conf; they connect to port 3000 there:");
        let stunnel = Stunnel::as_told(&format!("{line}\n"), configuration, tls.port());
        for generation in Generation::ALL {
            assert_eq!(stunnel.ide(generation).status(), "Empty");
        }
    }
    let log = tls.log();
    assert!(!log.contains("refused"), "{log}");
    assert!(log.contains("connected with the key of made-here, TLSv1.3"), "{log}");
}

/// A secret of this many characters, as Base64 has them.
fn secret_of(length: usize) -> String {
    "Ab+/9z0=".chars().cycle().take(length).collect()
}

/// The manual's configuration for this ID.
fn stunnel_of(id: &str, version: &str) -> String {
    format!(
        "[plc]\nclient = yes\naccept = 127.0.0.1:3000\nconnect = HOST:4000\nPSKidentity = {id}\nPSKsecrets = \
         psk.txt\nsslVersion = {version}\n"
    )
}

#[test]
fn a_file_of_an_ide_is_imported_and_lets_that_ide_in() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let dir = tempfile::tempdir().unwrap();
    // As the IDE writes its own; as an editor on Windows leaves it; as the reference runtime writes it; and longer ones.
    for (id, secret, mark, end) in [
        ("00ff11ee22dd33cc", secret_of(256), "", "\n"),
        ("0f1e2d3c4b5a6978", secret_of(256), "\u{feff}", "\r\n"),
        ("plc15", secret_of(256), "", ""),
        ("base64-of-256-bytes", secret_of(344), "", "\n"),
        ("longest", secret_of(512), "", "\n"),
    ] {
        let file = dir.path().join("default.psk");
        fs::write(&file, format!("{mark}{id}:{secret}{end}")).unwrap();
        let (code, out, err) = desk.plcctl(&["psk", "import", file.to_str().unwrap()]);
        assert_eq!(code, 0, "{out}{err}");
        assert_eq!(err.contains("before 3.0"), secret.len() > 256, "{err}");
        let key = format!("{id}:{secret}");
        assert_eq!(Ide::with_key(Generation::Erpc12, &key, tls.port()).status(), "Empty", "{id}");
        for version in ["TLSv1.2", "TLSv1.3"] {
            let configuration = stunnel_of(id, version);
            let stunnel = Stunnel::as_told(&format!("{key}\n"), &configuration, tls.port());
            assert_eq!(stunnel.ide(Generation::Erpc12).status(), "Empty", "{id} {version}");
        }
    }
    assert!(!tls.log().contains("refused"), "{}", tls.log());
}

#[test]
fn a_key_that_is_exported_revoked_and_imported_is_the_same() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let anna = added(&desk.api(), "anna-3");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anna-3.secret");
    let name = file.to_str().unwrap();
    assert_eq!(desk.plcctl(&["psk", "export", "anna-3", name]).0, 0);
    let (code, out, err) = desk.plcctl(&["psk", "export", "anna-3", "-"]);
    assert_eq!((code, out, err), (0, format!("{}\n", line(&anna)), String::new()));
    // As the IDE reads it (Beremiz, PSKManagement.py), and as stunnel does.
    let text = fs::read_to_string(&file).unwrap();
    let secret = text.split_once(':').unwrap().1.trim_end_matches(['\r', '\n']);
    let key = format!("anna-3:{secret}");
    assert_eq!(Ide::with_key(Generation::Erpc12, &key, tls.port()).status(), "Empty");
    let stunnel = Stunnel::as_told(&text, &stunnel_of("anna-3", "TLSv1.3"), tls.port());
    assert_eq!(stunnel.ide(Generation::Erpc12).status(), "Empty");

    let (code, _, err) = desk.plcctl(&["psk", "import", name]);
    assert!(code == 3 && err.contains("plcctl psk revoke anna-3"), "{code} {err}");
    assert_eq!(desk.plcctl(&["psk", "revoke", "anna-3"]).0, 0);
    assert!(
        Ide::with_key(Generation::Erpc12, &key, tls.port()).call("GetPLCID", json!([])).is_err()
    );
    assert_eq!(desk.plcctl(&["psk", "import", name]).0, 0);
    assert_eq!(Ide::with_key(Generation::Erpc12, &key, tls.port()).status(), "Empty");
}

#[test]
fn of_a_file_with_an_id_that_is_taken_nothing_is_imported() {
    let desk = Desk::start();
    let anna = added(&desk.api(), "anna-4");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("psk.txt");
    let secret = secret_of(32);
    fs::write(&file, format!("first:{secret}\nanna-4:{secret}\n")).unwrap();
    let (code, _, err) = desk.plcctl(&["psk", "import", file.to_str().unwrap()]);
    assert!(code == 3 && err.contains("there is a key of anna-4 already"), "{code} {err}");
    let Ok(Reply::Keys(list)) = desk.api().call(Request::ListKeys) else { panic!("no list") };
    assert!(list.keys.iter().all(|key| key.id != "first"), "{list:?}");
    let (_, out, _) = desk.plcctl(&["psk", "export", "anna-4", "-"]);
    assert_eq!(out, format!("{}\n", line(&anna)));
}

#[test]
fn who_has_a_key_is_told_that_one_at_any_time() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let api = desk.api();
    let anna = added(&api, "anna-2");
    let (id, secret) = device_key(&desk);
    let device = format!("{id}:{secret}");
    for pairing in [false, true] {
        if pairing {
            pair(&api, 600);
        }
        for key in [&line(&anna), &device] {
            let mut ide = Ide::with_key(Generation::Erpc12, key, tls.port());
            let (id, secret) = key.split_once(':').unwrap();
            assert_eq!(ide.must("GetPLCID", json!([])), json!([id, secret]));
        }
    }
    let _ = tls.wait_log("the key of anna-2 is told to 127.0.0.1:");
    assert!(!tls.log().contains(anna.secret.reveal()));
}

#[test]
fn a_client_whose_key_is_revoked_is_out_at_once_and_cannot_come_back() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let (api, other) = (desk.api(), desk.ide(Generation::Erpc12));
    let otto = added(&api, "otto");
    let mut busy = Ide::with_key(Generation::Erpc12, &line(&otto), tls.port());
    let own = busy.must("GetPLCID", json!([]));
    assert_eq!(own, json!([otto.id, otto.secret.reveal()]));
    let connected = || {
        let connections = api.stats().connections;
        connections.iter().filter(|connection| connection.identity == "otto").count()
    };
    api.wait("the connection", |_| connected() == 1);

    let revoked = api.call(Request::RevokeKey { id: "otto".into() });
    assert!(matches!(revoked, Ok(Reply::Done)), "{revoked:?}");
    // Without a call of the client's.
    let _ = tls.wait_log("the runtime does not let it in: the key of ");
    api.wait("the end of the connection", |_| connected() == 0);
    assert!(busy.call("GetPLCstatus", json!([])).is_err());
    let mut again = Ide::with_key(Generation::Erpc12, &line(&otto), tls.port());
    assert!(again.call("GetPLCstatus", json!([])).is_err());
    let _ = tls.wait_log("there is no key of the ID \"otto\"");
    let gone = api.call(Request::RevokeKey { id: "otto".into() });
    assert!(matches!(gone, Err(CallError::Api(ApiError::Refused(_)))), "{gone:?}");

    // Of the same ID, but another key.
    let new = added(&api, "otto");
    assert!(busy.call("GetPLCstatus", json!([])).is_err());
    assert_eq!(Ide::with_key(Generation::Erpc12, &line(&new), tls.port()).status(), "Empty");
    // Others have noticed nothing.
    let mut other = other;
    assert_eq!(other.status(), "Empty");
    assert_eq!(tls.ide(Generation::Erpc12).status(), "Empty");
}

#[test]
fn the_device_s_key_is_replaced_and_all_who_had_it_are_out() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let api = desk.api();
    let (id, before) = device_key(&desk);
    let mut ide = Ide::with_key(Generation::Erpc12, &format!("{id}:{before}"), tls.port());
    assert_eq!(ide.status(), "Empty");
    let revoked = api.call(Request::RevokeKey { id: id.clone() });
    assert!(matches!(revoked, Ok(Reply::Done)), "{revoked:?}");
    let (same, after) = device_key(&desk);
    assert!(same == id && after != before);
    let _ = tls.wait_log("the runtime does not let it in: the key of ");
    assert!(ide.call("GetPLCstatus", json!([])).is_err());
    let mut ide = Ide::with_key(Generation::Erpc12, &format!("{id}:{after}"), tls.port());
    assert_eq!(ide.status(), "Empty");
}

#[test]
fn a_key_whose_file_is_removed_lets_nobody_stay_after_a_reload() {
    let desk = Desk::start();
    let tls = TlsPort::beside(&desk);
    let mut ide = tls.ide(Generation::Erpc12);
    assert_eq!(ide.status(), "Empty");
    let [_, brought] = desk.paths().key_dirs();
    let refused = desk.api().call(Request::RevokeKey { id: "anna".into() }).unwrap_err();
    assert!(refused.to_string().contains(brought.to_str().unwrap()), "{refused}");
    fs::remove_file(brought.join("clients.psk")).unwrap();
    desk.api().call(Request::Reload).unwrap();
    let _ = tls.wait_log("the runtime does not let it in: the key of ");
    assert!(ide.call("GetPLCstatus", json!([])).is_err());
}

#[test]
fn an_operator_pairs_makes_keys_and_lists_them() {
    let desk = Desk::start();
    let (id, secret) = device_key(&desk);
    let (code, out, err) = desk.plcctl(&["pair", "--seconds", "60"]);
    assert!(code == 0 && out.contains(&id) && !out.contains(&secret), "{out}{err}");
    let (_, out, _) = desk.plcctl(&["status"]);
    assert!(out.contains("pairing  open until "), "{out}");
    let (code, out, err) = desk.plcctl(&["psk", "add", "anna", "--json"]);
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    let (code, out, err) = desk.plcctl(&["psk", "show", "anna", "--json"]);
    assert_eq!(code, 0, "the desk is ours: {err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), made);
    let Ok(Reply::Keys(list)) = desk.api().call(Request::ListKeys) else { panic!("no list") };
    let kinds: Vec<_> = list.keys.iter().map(|key| (key.id.as_str(), key.kind)).collect();
    assert_eq!(kinds, [("anna", KeyKind::Client), (&id, KeyKind::Device)]);
    let (code, _, err) = desk.plcctl(&["psk", "add", "anna"]);
    assert!(code == 3 && err.contains("plcctl psk revoke anna"), "{code} {err}");
    let (code, _, err) = desk.plcctl(&["psk", "add", "a/b"]);
    assert!(code == 1 && err.contains("letter"), "{code} {err}");
    assert_eq!(desk.plcctl(&["psk", "revoke", "anna"]).0, 0);
}

/// A connection that says what it likes.
struct Raw(UnixStream);

impl Raw {
    fn hello(socket: &Path, identity: &str, secret: Option<&str>) -> (Self, HelloReply) {
        let mut raw = Self(UnixStream::connect(socket).unwrap());
        raw.send(&Hello {
            api_version: API_VERSION,
            release: RELEASE.into(),
            client: "test".into(),
            peer: "test".into(),
            identity: identity.into(),
            secret: secret.map(SecretText::new),
            local_user: None,
        });
        let reply = raw.receive();
        (raw, reply)
    }

    fn send<T: Serialize>(&mut self, message: &T) {
        self.0.write_all(&frame::encode(message).unwrap()).unwrap();
    }

    fn receive<T: DeserializeOwned>(&mut self) -> T {
        let mut header = [0; frame::HEADER_BYTES];
        self.0.read_exact(&mut header).unwrap();
        let mut body = vec![0; frame::body_length(header).unwrap()];
        self.0.read_exact(&mut body).unwrap();
        frame::decode(&body).unwrap()
    }

    /// The next answer; snapshots before it are passed over.
    fn answer(&mut self) -> (u64, Result<Reply, ApiError>) {
        loop {
            if let ServerMessage::Reply { id, result } = self.receive() {
                return (id, result);
            }
        }
    }
}

#[test]
fn who_names_an_identity_without_its_secret_is_refused() {
    let desk = Desk::start();
    let key = added(&desk.api(), "anna");
    let socket = desk.paths().connector_socket("pyros");
    let welcome = |secret| matches!(Raw::hello(&socket, "anna", secret).1, HelloReply::Welcome(_));
    assert!(!welcome(None));
    assert!(!welcome(Some("another secret")));
    assert!(welcome(Some(key.secret.reveal())));
}

#[test]
fn who_comes_again_and_again_without_a_key_does_not_fill_the_log() {
    const TIMES: usize = 150;
    let desk = Desk::start();
    let socket = desk.paths().connector_socket("pyros");
    for _ in 0..TIMES {
        let (_, reply) = Raw::hello(&socket, "anna", None);
        assert!(matches!(reply, HelloReply::Refused(_)), "{reply:?}");
    }
    // What comes after all of them.
    desk.api().call(Request::Pair { seconds: 60 }).unwrap();
    let _ = desk.wait_log("pairing is open for 60 s");
    let told = desk.log().matches("an API peer was not let in").count();
    assert!((1..TIMES).contains(&told), "{told}");
}

#[test]
fn a_request_of_a_newer_release_is_answered_and_the_connection_goes_on() {
    #[derive(Serialize)]
    enum Newer {
        Stats,
        PaintTheCabinet { colour: &'static str },
    }
    #[derive(Serialize)]
    struct Message {
        id: u64,
        request: Newer,
    }
    let desk = Desk::start();
    let (mut raw, welcome) = Raw::hello(&desk.paths().api_socket(), "", None);
    assert!(matches!(welcome, HelloReply::Welcome(_)));
    raw.send(&Message { id: 1, request: Newer::PaintTheCabinet { colour: "grey" } });
    let (id, refused) = raw.answer();
    let Err(ApiError::BadRequest(reason)) = refused else { panic!("{refused:?}") };
    assert_eq!(id, 1);
    assert!(reason.contains(RELEASE) && reason.contains("systemctl restart"), "{reason}");
    raw.send(&Message { id: 2, request: Newer::Stats });
    assert!(matches!(raw.answer(), (2, Ok(Reply::Stats(_)))));
}
