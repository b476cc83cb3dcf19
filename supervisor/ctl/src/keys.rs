// SPDX-License-Identifier: MIT OR Apache-2.0
//! `plcctl pair` and `plcctl psk`: keys, and how IDEs come by them.
//!
//! # JSON
//! `pair` gives `id` and `until_us`; `psk add` and `psk show` give `id` and `secret`; `psk import` gives `ids`; `psk
//! export` gives `id` and `file`; `psk list` gives `keys`, each with `id`, `kind` (`device`, `client`, `brought`),
//! `source` (a file), `since_us`, `hex_looking`, and `problems`, each a sentence; `psk revoke` gives `id` and `replaced`:
//! whether the device has got a new key.

use std::path::PathBuf;

use plc_api::{
    key::{ApiKey, KeyInfo, KeyKind, KeyList, SecretText},
    message::{Reply, Request},
};
use plc_keys::{Key, Secret};
use serde::Serialize;

use crate::{
    answer::Answer,
    cli::{PairArgs, PskVerb},
    failure::Failure,
    key_files, render,
    session::{Session, unexpected},
    terminal, user,
};

/// What is to be done about keys, with what files had to say about it.
pub(crate) enum Order {
    Add { id: String, secret: Option<SecretText> },
    Import { file: PathBuf, keys: Vec<Key> },
    Export { id: String, file: PathBuf },
    List,
    Revoke { id: String },
    Show { id: String },
}

impl Order {
    /// Reads the files that the command line names.
    ///
    /// # Errors
    /// [`Failure::Failed`], [`Failure::Usage`].
    pub(crate) fn new(verb: PskVerb, json: bool) -> Result<Self, Failure> {
        Ok(match verb {
            PskVerb::Add(args) => {
                let file = args.secret_file.as_deref();
                let secret = file.map(|file| key_files::read_secret(&args.id, file)).transpose()?;
                Self::Add { id: args.id, secret }
            }
            PskVerb::Import(args) => {
                Self::Import { keys: key_files::read_keys(&args.file)?, file: args.file }
            }
            PskVerb::Export(args) if json && key_files::is_standard(&args.file) => {
                let instead =
                    format!("with --json name a file, or use: plcctl psk show {}", args.id);
                return Err(Failure::Usage(instead));
            }
            PskVerb::Export(args) => Self::Export { id: args.id, file: args.file },
            PskVerb::List => Self::List,
            PskVerb::Revoke(args) => Self::Revoke { id: args.id },
            PskVerb::Show(args) => Self::Show { id: args.id },
        })
    }
}

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

/// An import in JSON.
#[derive(Serialize)]
struct Imported {
    ids: Vec<String>,
}

/// An export in JSON.
#[derive(Serialize)]
struct Exported {
    id: String,
    file: String,
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
    order: Order,
) -> Result<(), Failure> {
    match order {
        Order::Add { id, secret } => {
            let key = key(session, Request::AddKey { id, secret }).await?;
            warn_about(&key);
            let made =
                |key: &ApiKey| format!("The key of {} is made.\n\n{}", key.id, how_to_use(key));
            answer.give(&key, made)
        }
        Order::Import { file, keys } => {
            import(session, answer, &file.display().to_string(), keys).await
        }
        Order::Export { id, file } => export(session, answer, id, file).await,
        Order::List => answer.give(&list(session).await?, table),
        Order::Revoke { id } => revoke(session, answer, id).await,
        Order::Show { id } => {
            let key = key(session, Request::ShowKey { id }).await?;
            answer.give(&key, how_to_use)
        }
    }
}

/// All keys of a file, or none if one of their IDs is taken.
async fn import(
    session: &Session,
    answer: &mut Answer,
    file: &str,
    keys: Vec<Key>,
) -> Result<(), Failure> {
    let there = list(session).await?.keys;
    let is_taken = |info: &&KeyInfo| keys.iter().any(|key| key.id.as_str() == info.id);
    if let Some(KeyInfo { id, source, .. }) = there.iter().find(is_taken) {
        return Err(Failure::Refused(format!(
            "there is a key of {id} already, in {source}; nothing of {file} is imported. To replace it: plcctl psk \
             revoke {id}, then import again"
        )));
    }
    let mut ids = Vec::new();
    for Key { id, secret } in keys {
        let secret = Some(SecretText::new(secret.reveal()));
        match key(session, Request::AddKey { id: id.to_string(), secret }).await {
            Ok(key) => warn_about(&key),
            Err(failure) if ids.is_empty() => return Err(failure),
            Err(failure) => {
                terminal::note(&format!("imported before the next one failed: {}", ids.join(", ")));
                return Err(failure);
            }
        }
        ids.push(id.to_string());
    }
    answer.give(&Imported { ids }, |Imported { ids }| {
        let which = if ids.len() == 1 { "key" } else { "keys" };
        format!(
            "Imported the {which} of {}. An IDE or a stunnel with that file gets in now.\n",
            ids.join(", ")
        )
    })
}

async fn export(
    session: &Session,
    answer: &mut Answer,
    id: String,
    file: PathBuf,
) -> Result<(), Failure> {
    let key = key(session, Request::ShowKey { id }).await?;
    if key_files::is_standard(&file) {
        return answer.text(&key_files::line(&key));
    }
    key_files::write_key(&key, &file)?;
    let exported = Exported { id: key.id, file: file.display().to_string() };
    answer.give(&exported, |Exported { id, file }| {
        format!("The key of {id} is in {file}, readable for {} alone.\n", user::name())
    })
}

/// What clients make of a secret that other clients do not.
fn warn_about(key: &ApiKey) {
    let Ok(secret) = Secret::new(key.secret.reveal()) else { return };
    if secret.looks_hex() {
        terminal::note(&format!("the secret of {}: {HEX_LOOKING}", key.id));
    }
    if secret.is_too_long_for_old_openssl() {
        let most = Secret::BYTES_OF_OLD_OPENSSL;
        terminal::note(&format!(
            "the secret of {} has more than {most} characters, which clients with an OpenSSL before 3.0 cannot use",
            key.id
        ));
    }
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
From then on it connects with that key, over the network:
{}",
        uris(id)
    )
}

fn uris(id: &str) -> String {
    format!(
        "  ERPCS://HOST:4000#{id}   IDEs of 2024, until 2024-11-17
  PYROS://HOST:4000#{id}   IDEs of 2018 to 2022, if legacy_tls = true
  ERPC://127.0.0.1:3000    later IDEs, 1.5 and 1.6 too, whose ERPCS:// is broken:
                           through stunnel, or: ssh -L 3000:127.0.0.1:3000 HOST
HOST is the name or address of this device.
"
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
For all other IDEs, stunnel on their machine, with the same line in the file
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
        assert!(text.contains("\n  ERPCS://HOST:4000#anna"), "{text}");
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
}
