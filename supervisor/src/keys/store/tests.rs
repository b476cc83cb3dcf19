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
    place.store.device().unwrap();
    for bad in ["", "../anna", "a b", "a:b"] {
        assert!(matches!(place.store.add(bad, None), Err(KeysError::Id(..))), "{bad:?}");
    }
    for good in [16, 256, 344, 512] {
        let id = format!("n{good}");
        assert!(place.store.add(&id, Some(&"s".repeat(good))).is_ok(), "{good}");
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
fn a_key_in_a_file_from_windows_is_revoked_too() {
    let place = Place::new();
    let file = place.write("keys/ide.psk", &format!("\u{feff}anna:{SECRET}\r\nberta:{SECRET}\r\n"));
    assert_eq!(place.store.revoke("anna").unwrap(), Revoked::Gone);
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("berta:{SECRET}\r\n"));
}

#[test]
fn a_line_that_is_not_found_is_an_error_and_not_looked_for_for_ever() {
    let place = Place::new();
    let text = format!("berta:{SECRET}\n");
    let file = place.write("keys/ide.psk", &text);
    let error = rewrite(&file, &Id::new("anna").unwrap(), None).unwrap_err().to_string();
    assert!(error.contains("no key of anna any more"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn a_pipe_in_place_of_a_file_holds_nothing_up_and_is_named() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let place = Place::new();
    let file = place.write("keys/ide.psk", "");
    fs::remove_file(&file).unwrap();
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    place.store.device().unwrap();
    let problems = place.store.list().problems;
    assert!(problems.iter().any(|problem| problem.contains("ide.psk is neither")), "{problems:?}");
}

#[test]
fn a_device_s_key_that_cannot_be_reached_is_not_replaced() {
    let place = Place::new();
    let file = place.dir.path().join("keys/device.psk");
    // Such as a disk that is not mounted, and a link that leads to itself.
    fs::create_dir(place.dir.path().join("keys")).unwrap();
    for target in ["/nowhere/device.psk", "device.psk"] {
        let _ = fs::remove_file(&file);
        std::os::unix::fs::symlink(target, &file).unwrap();
        let error = place.store.device().unwrap_err();
        assert!(matches!(error, KeysError::NoDeviceKey(_)), "{error}");
        assert_eq!(fs::read_link(&file).unwrap(), Path::new(target));
        assert!(!place.store.list().problems.is_empty());
    }
}

#[test]
fn a_file_in_place_of_the_directory_is_named() {
    let place = Place::new();
    let _ = place.write("keys", "");
    let error = place.store.device().unwrap_err().to_string();
    assert!(error.contains(&place.dir.path().join("keys").display().to_string()), "{error}");
    let error = place.store.add("anna", None).unwrap_err().to_string();
    assert!(error.contains("/keys cannot be written: "), "{error}");
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
