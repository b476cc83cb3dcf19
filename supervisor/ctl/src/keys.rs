// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl pair` and `plcctl psk`: keys, and how IDEs come by them.
//!
//! # JSON
//! `pair` gives `id` and `until_us`; `psk add` and `psk show` give `id` and `secret`; `psk list` gives `keys`, each with
//! `id`, `kind` (`device`, `client`, `brought`), `source` (a file), `since_us`, `hex_looking`, and `problems`, each a
//! sentence; `psk revoke` gives `id` and `replaced`: whether the device has got a new key.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use plc_api::{
    key::{ApiKey, KeyInfo, KeyKind, KeyList, SecretText},
    message::{Reply, Request},
};
use serde::Serialize;

use crate::{
    answer::Answer,
    cli::{AddKeyArgs, PairArgs, PskVerb},
    failure::Failure,
    render,
    session::{Session, unexpected},
    terminal,
};

/// No secret is longer, and no line of a file with one.
const SECRET_FILE_BYTES: u64 = 4096;

/// `plcctl pair` in JSON.
#[derive(Serialize)]
struct Paired {
    id: String,
    until_us: Option<u64>,
}

/// A revocation in JSON.
#[derive(Serialize)]
struct Revoked {
    id: String,
    replaced: bool,
}

pub(crate) async fn pair(
    session: &Session,
    answer: &mut Answer,
    args: &PairArgs,
) -> Result<(), Failure> {
    let request = Request::Pair { seconds: args.seconds };
    let Reply::Paired { id } = session.call(request).await? else {
        return Err(unexpected());
    };
    let paired = Paired { id, until_us: session.snapshot().pairing_until_us };
    answer.give(&paired, |paired| pairing_text(&paired.id, args.seconds))
}

pub(crate) async fn psk(
    session: &Session,
    answer: &mut Answer,
    verb: PskVerb,
) -> Result<(), Failure> {
    match verb {
        PskVerb::Add(args) => add(session, answer, args).await,
        PskVerb::List => answer.give(&list(session).await?, table),
        PskVerb::Revoke(args) => revoke(session, answer, args.id).await,
        PskVerb::Show(args) => {
            let key = key(session, Request::ShowKey { id: args.id }).await?;
            answer.give(&key, how_to_use)
        }
    }
}

async fn add(session: &Session, answer: &mut Answer, args: AddKeyArgs) -> Result<(), Failure> {
    let secret = args.secret_file.as_deref().map(read_secret).transpose()?;
    let key = key(session, Request::AddKey { id: args.id, secret }).await?;
    let keys = list(session).await?.keys;
    if keys.iter().any(|info| info.id == key.id && info.hex_looking) {
        terminal::note(&format!("the secret of {}: {HEX_LOOKING}", key.id));
    }
    answer.give(&key, |key| format!("The key of {} is made.\n\n{}", key.id, how_to_use(key)))
}

async fn revoke(session: &Session, answer: &mut Answer, id: String) -> Result<(), Failure> {
    let keys = list(session).await?.keys;
    let replaced = keys.iter().any(|key| key.id == id && key.kind == KeyKind::Device);
    let Reply::Done = session.call(Request::RevokeKey { id: id.clone() }).await? else {
        return Err(unexpected());
    };
    answer.give(&Revoked { id, replaced }, |Revoked { id, replaced }| {
        let new = match replaced {
            true => {
                "It was the device's, which has a new one: pair the IDEs again with: plcctl pair\n"
            }
            false => "",
        };
        format!("The key of {id} is revoked; connections that were made with it are ended.\n{new}")
    })
}

async fn key(session: &Session, request: Request) -> Result<ApiKey, Failure> {
    let Reply::Key(key) = session.call(request).await? else {
        return Err(unexpected());
    };
    Ok(key)
}

async fn list(session: &Session) -> Result<KeyList, Failure> {
    let Reply::Keys(list) = session.call(Request::ListKeys).await? else {
        return Err(unexpected());
    };
    Ok(list)
}

/// What is wrong with a secret that looks so.
const HEX_LOOKING: &str = "it looks like a number in hexadecimal, which stunnel decodes and IDEs do not; better use another \
                           one";

/// The text of a file, or of standard input, without its line's end. Not an argument, which all users could see.
fn read_secret(file: &Path) -> Result<SecretText, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().take(SECRET_FILE_BYTES).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|open| open.take(SECRET_FILE_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    Ok(SecretText::new(text.trim_end_matches(['\n', '\r'])))
}

fn pairing_text(id: &str, seconds: u32) -> String {
    let time = render::elapsed(u64::from(seconds) * 1_000_000);
    format!(
        "\
Pairing is open for {time}. An IDE that connects without TLS now is told the key
of {id} and keeps it:
  ERPC://127.0.0.1:3000   IDEs since 2024
  PYRO://127.0.0.1:3000   IDEs of 2018 to 2022
That port is open on this machine alone; from another one it is reached through
  ssh -L 3000:127.0.0.1:3000 HOST
From then on the IDE connects with that key, over the network:
{}",
        uris(id)
    )
}

fn uris(id: &str) -> String {
    format!(
        "  ERPCS://HOST:4000#{id}   IDEs since 2024\n  PYROS://HOST:4000#{id}   IDEs of 2018 to 2022, if legacy_tls \
         = true\nHOST is the name or address of this device.\n"
    )
}

/// What goes into the IDE's project, and what a stunnel client needs: Beremiz, `connectors/ERPC/__init__.py` and
/// `doc/programming/connect.rst`; stunnel(8), `PSKsecrets`.
fn how_to_use(key: &ApiKey) -> String {
    let (id, secret) = (&key.id, key.secret.reveal());
    format!(
        "\
For an IDE, the file psk/{id}.secret in the project's directory:
{id}:{secret}

The IDE then connects to:
{uris}
For IDEs without TLS, stunnel on their machine, with the same line in the file
psk.txt and this in stunnel.conf; they connect to port 3000 there:
[plc]
client = yes
accept = 127.0.0.1:3000
connect = HOST:4000
PSKidentity = {id}
PSKsecrets = psk.txt
",
        uris = uris(id)
    )
}

fn table(list: &KeyList) -> String {
    let mut text = String::new();
    if list.keys.is_empty() {
        text.push_str("There are no keys; make one with: plcctl psk add ID\n");
    }
    let width = list.keys.iter().map(|key| key.id.len()).max().unwrap_or(0);
    for KeyInfo { id, kind, source, since_us, hex_looking } in &list.keys {
        let kind = match kind {
            KeyKind::Device => "device ",
            KeyKind::Client => "client ",
            KeyKind::Brought => "brought",
        };
        let since = render::utc(*since_us);
        let source = terminal::printable(source, 0);
        text.push_str(&format!("{id:width$}  {kind}  {since}  {source}\n"));
        if *hex_looking {
            text.push_str(&format!("{:width$}  {HEX_LOOKING}\n", ""));
        }
    }
    for problem in &list.problems {
        text.push_str(&format!("problem: {}\n", terminal::printable(problem, 9)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ApiKey {
        ApiKey { id: "anna".into(), secret: SecretText::new("0123456789abcdef:=") }
    }

    #[test]
    fn a_key_is_told_as_the_ide_and_stunnel_read_it() {
        let text = how_to_use(&key());
        assert!(text.contains("psk/anna.secret") && text.contains("\nanna:0123456789abcdef:=\n"));
        assert!(text.contains("ERPCS://HOST:4000#anna"), "{text}");
        let stunnel = "client = yes\naccept = 127.0.0.1:3000\nconnect = HOST:4000\nPSKidentity = anna\nPSKsecrets = psk.txt\n";
        assert!(text.contains(stunnel), "{text}");
    }

    #[test]
    fn a_list_shows_whose_keys_there_are_and_what_is_wrong_with_them() {
        let info = |id: &str, kind, hex_looking| KeyInfo {
            id: id.into(),
            kind,
            source: format!("/k/{id}.psk"),
            since_us: 0,
            hex_looking,
        };
        let keys = vec![info("ann", KeyKind::Brought, true), info("plc-x", KeyKind::Device, false)];
        let list = KeyList { keys, problems: vec!["/k/bad.psk, line 2".into()] };
        assert_eq!(
            table(&list),
            format!(
                "\
ann    brought  1970-01-01 00:00:00 UTC  /k/ann.psk
       {HEX_LOOKING}
plc-x  device   1970-01-01 00:00:00 UTC  /k/plc-x.psk
problem: /k/bad.psk, line 2
"
            )
        );
        assert!(table(&KeyList::default()).contains("plcctl psk add"));
    }

    #[test]
    fn a_secret_comes_from_a_file_without_its_line_s_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0123456789abcdef\r\n").unwrap();
        assert_eq!(read_secret(file.path()).unwrap().reveal(), "0123456789abcdef");
        assert!(read_secret(Path::new("/nowhere")).is_err());
    }
}
