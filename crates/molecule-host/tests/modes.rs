//! Directories and files are private from their creation on, whatever the umask is.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use molecule_host::{Durability, Slot};
use rustix::fs::Mode;
use rustix::process::umask;
use scene::{ID, Scene, store_in};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// This is the only test of its file, because the umask belongs to the whole process.
#[test]
fn modes_do_not_depend_on_the_umask() {
    for mask in [0o000, 0o022, 0o277, 0o777] {
        let scene = Scene::new();
        fs::set_permissions(&scene.home, PermissionsExt::from_mode(0o755)).unwrap();
        let home = scene.home.join("made/below");
        let before = umask(Mode::from_raw_mode(mask));
        let store = store_in(&home);
        let prepared = store.prepare();
        let replaced =
            store.replace(Slot::Token, b"token").and_then(|()| store.replace(Slot::InboundSecret, b"secret"));
        let appended = store
            .append(Slot::Inbox, b"one", Durability::None)
            .and_then(|()| store.append(Slot::Inbox, b"two", Durability::Sync));
        let lock = store.lock();
        umask(before);
        prepared.unwrap();
        replaced.unwrap();
        appended.unwrap();
        lock.map(drop).unwrap();
        for directory in [scene.home.join("made"), home.clone(), home.join(ID)] {
            assert_eq!(mode(&directory), 0o700, "{} under umask {mask:o}", directory.display());
        }
        for file in [".auth_token", ".platform_inbound_secret", ".inbox", ".lock"] {
            assert_eq!(mode(&home.join(ID).join(file)), 0o600, "{file} under umask {mask:o}");
        }
        // A directory that existed before keeps its mode.
        assert_eq!(mode(&scene.home), 0o755);
    }
}
