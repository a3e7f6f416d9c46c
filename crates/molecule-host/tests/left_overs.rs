//! Old temporary files of crashed writes are removed, and no other files.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use molecule_host::Slot;
use scene::{Scene, text};

#[test]
fn preparing_removes_old_halves_of_writes_and_nothing_else() {
    let scene = Scene::new();
    let store = scene.store();
    store.replace(Slot::Token, b"token").unwrap();
    let place = |name: &str, age_secs: u64| {
        let file = File::create(scene.file(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_secs)).unwrap();
    };
    let day = 24 * 60 * 60;
    for name in [
        ".auth_token.0123456789abcdef.tmp",
        ".platform_inbound_secret.0123456789abcdef.tmp",
        ".probe.0123456789abcdef.tmp",
    ] {
        place(name, day);
    }
    let kept = [
        ".auth_token.fedcba9876543210.tmp",
        ".auth_token.damaged-1795383587",
        ".auth_token.old.tmp",
        "notes.0123456789abcdef.tmp",
    ];
    place(kept[0], 60);
    for name in &kept[1..] {
        place(name, day);
    }
    let outside = scene.home.join("outside");
    File::create(&outside).unwrap().set_modified(SystemTime::now() - Duration::from_secs(day)).unwrap();
    symlink(&outside, scene.file(".auth_token.00000000000000aa.tmp")).unwrap();
    fs::create_dir(scene.file(".auth_token.00000000000000bb.tmp")).unwrap();
    store.prepare().unwrap();
    let mut left = vec![".auth_token", ".auth_token.00000000000000aa.tmp", ".auth_token.00000000000000bb.tmp"];
    left.extend(kept);
    left.sort_unstable();
    assert_eq!(scene.names(), left);
    assert!(outside.exists());
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("token"));
}
