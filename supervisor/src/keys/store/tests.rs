// SPDX-License-Identifier: MIT OR Apache-2.0
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;

const SECRET: &str = "0123456789abcdefg";

struct Place {
    dir: TempDir,
    store: KeyStore,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = KeyStore::new(dir.path().join("keys"), [dir.path().join("psk.d")]);
        Self { dir, store }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn ids(&self) -> Vec<String> {
        self.store.list().keys.into_iter().map(|key| key.id).collect()
    }
}

#[test]
fn the_device_has_one_key_that_stays_and_that_others_cannot_read() {
    let place = Place::new();
    let key = place.store.device().unwrap();
    assert!(key.id.as_str().starts_with("plc-"), "{}", key.id);
    assert_eq!(place.store.device().unwrap(), key);
    let file = place.dir.path().join("keys/device.psk");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_to_string(file).unwrap(), line(&key));
    let list = place.store.list();
    assert_eq!(list.keys.first().unwrap().kind, KeyKind::Device);
    assert!(list.keys.first().unwrap().since_us > 0);
}

#[test]
fn a_file_of_the_device_s_key_that_somebody_spoiled_is_not_overwritten() {
    let place = Place::new();
    let file = place.write("keys/device.psk", "nonsense\n");
    let error = place.store.device().unwrap_err();
    assert!(matches!(error, KeysError::NoDeviceKey(_)), "{error}");
    assert_eq!(fs::read_to_string(file).unwrap(), "nonsense\n");
    assert_eq!(place.store.list().problems.len(), 1);
}

#[test]
fn a_client_s_key_is_added_once_and_revoked_for_good() {
    let place = Place::new();
    place.store.device().unwrap();
    let key = place.store.add("anna", None).unwrap();
    assert_eq!(place.store.current().secret("anna"), Some(&key.secret));
    assert!(matches!(place.store.add("anna", None), Err(KeysError::Taken(..))));
    assert_eq!(place.store.add("device", Some(SECRET)).unwrap().secret.reveal(), SECRET);
    assert_eq!(place.store.revoke("anna").unwrap(), Revoked::Gone);
    assert!(place.store.current().secret("anna").is_none());
    assert!(matches!(place.store.revoke("anna"), Err(KeysError::Unknown(_))));
    // A new one is another one.
    assert_ne!(place.store.add("anna", None).unwrap(), key);
}

#[test]
fn what_is_no_id_or_no_secret_is_refused() {
    let place = Place::new();
    for bad in ["", "../anna", "a b", "a:b"] {
        assert!(matches!(place.store.add(bad, None), Err(KeysError::Id(..))), "{bad:?}");
    }
    for bad in ["short", "sixteen or more with blanks"] {
        let error = place.store.add("anna", Some(bad)).unwrap_err();
        assert!(matches!(error, KeysError::Secret(_)) && !error.to_string().contains(bad));
    }
}

#[test]
fn the_device_s_key_is_replaced_by_a_new_one() {
    let place = Place::new();
    let before = place.store.device().unwrap();
    assert_eq!(place.store.revoke(before.id.as_str()).unwrap(), Revoked::Replaced);
    let after = place.store.device().unwrap();
    assert_eq!(after.id, before.id);
    assert_ne!(after.secret, before.secret);
}

#[test]
fn a_key_among_others_is_revoked_alone() {
    let place = Place::new();
    let text = format!("# ours\nann:{SECRET}\nanna:{SECRET}\r\nanna-2:{SECRET}");
    let file = place.write("keys/all.psk", &text);
    assert_eq!(place.store.revoke("anna").unwrap(), Revoked::Gone);
    let left = format!("# ours\nann:{SECRET}\nanna-2:{SECRET}");
    assert_eq!(fs::read_to_string(&file).unwrap(), left);
    place.store.revoke("ann").unwrap();
    place.store.revoke("anna-2").unwrap();
    assert!(!file.exists());
}

#[test]
fn what_the_integrator_brought_is_theirs_to_take_away() {
    let place = Place::new();
    let file = place.write("psk.d/anna.psk", &format!("anna:{SECRET}\n"));
    assert_eq!(place.store.list().keys.first().unwrap().kind, KeyKind::Brought);
    let error = place.store.revoke("anna").unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()) && error.contains("reload"), "{error}");
    // One of ours in front of it goes, and it is said that this is not enough.
    place.write("keys/more.psk", &format!("anna:{SECRET}x\n"));
    assert!(matches!(place.store.revoke("anna"), Err(KeysError::Brought(..))));
    assert!(!place.dir.path().join("keys/more.psk").exists());
    assert_eq!(place.ids(), ["anna"]);
}

#[test]
fn the_number_of_clients_is_bounded() {
    let place = Place::new();
    let many: String = (0..limits::CLIENT_KEYS).map(|n| format!("n{n}:{SECRET}\n")).collect();
    place.write("keys/many.psk", &many);
    assert!(matches!(place.store.add("anna", None), Err(KeysError::TooMany)));
}
