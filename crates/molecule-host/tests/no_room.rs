//! A full or read-only disk is detected when the store is prepared, before a token is minted.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use molecule_core::effect::LockId;
use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::proto::PluginName;
use molecule_host::{Cancel, Durability, Slot};
use scene::{Scene, assert_passes, assert_says, text};

/// More than a limited process can write, so that its write succeeds in part and then fails.
const LONG: [u8; 4000] = [b'n'; 4000];

#[test]
fn a_write_that_fails_half_way_leaves_the_old_token() {
    let scene = Scene::new();
    scene.store().replace(Slot::Token, b"old").unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$@""#;
    assert_passes(scene.rerun("sh", &["-c", limited, "sh"], "child_writes_too_much"));
    assert_eq!(text(&*scene.store(), Slot::Token).as_deref(), Some("old"));
    assert_eq!(scene.names(), [".auth_token"]);
}

#[test]
#[ignore = "started by a_write_that_fails_half_way_leaves_the_old_token"]
fn child_writes_too_much() {
    let scene = Scene::inherited();
    let store = scene.store();
    let error = store.replace(Slot::Token, &LONG).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    assert_says(&error, &scene.file(".auth_token"), &["cannot be written", "make room", "MOLECULE_HOME"]);
    assert!(!error.to_string().contains("nnn"));
    let error = store.prepare().unwrap_err();
    assert_says(&error, &scene.directory(), &["cannot be written", "make room", "MOLECULE_HOME"]);
    // Content that fits can still be stored.
    store.replace(Slot::Token, b"old").unwrap();
}

#[test]
fn an_append_that_fails_half_way_leaves_what_was_there() {
    let scene = Scene::new();
    scene.store().append(Slot::Inbox, b"old", Durability::None).unwrap();
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$@""#;
    assert_passes(scene.rerun("sh", &["-c", limited, "sh"], "child_appends_too_much"));
    assert_eq!(text(&*scene.store(), Slot::Inbox).as_deref(), Some("old and new"));
    assert_eq!(scene.names(), [".inbox"]);
}

#[test]
#[ignore = "started by an_append_that_fails_half_way_leaves_what_was_there"]
fn child_appends_too_much() {
    let scene = Scene::inherited();
    let store = scene.store();
    for (slot, left) in [(Slot::Inbox, Some("old")), (Slot::ReplyKey, None)] {
        for durability in [Durability::None, Durability::Sync] {
            let error = store.append(slot, &LONG, durability).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
            assert_says(
                &error,
                &scene.file(slot.file_name()),
                &["cannot be appended to", "make room", "MOLECULE_HOME"],
            );
            assert!(!error.to_string().contains("nnn"));
            assert_eq!(text(&*store, slot).as_deref(), left);
        }
    }
    // A record that fits can still be appended.
    store.append(Slot::Inbox, b" and new", Durability::Sync).unwrap();
}

/// Runs a test on a small file system in a separate mount namespace. Prints a note if the system does not allow that.
#[allow(clippy::print_stdout)]
fn on_a_small_disk(scene: &Scene, script: &str, test: &str) {
    let allowed = |namespace: &str| {
        let mut probe = Command::new("unshare");
        probe.args([namespace, "sh", "-c", r#"mount -t tmpfs none "$1""#, "sh"]).arg(&scene.home);
        probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    let Some(namespace) = ["-m", "-rm"].into_iter().find(|namespace| allowed(namespace)) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let script = format!(r#"mount -t tmpfs -o size=64k,mode=700 none "$0" && {script}"#);
    assert_passes(scene.rerun("unshare", &[namespace, "sh", "-c", &script, scene.home.to_str().unwrap()], test));
}

#[test]
fn a_full_disk_leaves_the_old_token() {
    on_a_small_disk(&Scene::new(), r#"exec "$@""#, "child_fills_the_disk");
}

#[test]
#[ignore = "started by a_full_disk_leaves_the_old_token"]
fn child_fills_the_disk() {
    let scene = Scene::inherited();
    let store = scene.store();
    store.prepare().unwrap();
    store.replace(Slot::Token, b"old").unwrap();
    let mut filler = fs::File::create(scene.home.join("filler")).unwrap();
    while filler.write_all(&[0; 1024]).is_ok() {}
    let error = store.prepare().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    assert_says(&error, &scene.directory(), &["make room", "MOLECULE_HOME"]);
    let error = store.replace(Slot::Token, b"new").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    assert_says(&error, &scene.file(".auth_token"), &["make room", "MOLECULE_HOME"]);
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("old"));
    assert_eq!(scene.names(), [".auth_token"]);
    // The remedy in the error helps.
    drop(filler);
    fs::remove_file(scene.home.join("filler")).unwrap();
    store.prepare().unwrap();
    store.replace(Slot::Token, b"new").unwrap();
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("new"));
}

#[test]
fn a_read_only_disk_can_be_read_and_not_prepared() {
    let id = scene::ID;
    let script = format!(
        r#"mkdir -m 700 "$0/{id}" && printf old > "$0/{id}/.auth_token" && chmod 600 "$0/{id}/.auth_token" &&
        mkdir -m 700 "$0/{id}/plugins" "$0/{id}/plugins/demo" && printf 1 > "$0/{id}/plugins/demo/a.md" &&
        mount -o remount,bind,ro "$0" && exec "$@""#
    );
    on_a_small_disk(&Scene::new(), &script, "child_reads_only");
}

#[test]
#[ignore = "started by a_read_only_disk_can_be_read_and_not_prepared"]
fn child_reads_only() {
    let scene = Scene::inherited();
    let store = scene.store();
    for error in [store.prepare().unwrap_err(), store.replace(Slot::Token, b"new").unwrap_err()] {
        assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem, "{error}");
        assert_says(&error, &scene.directory(), &["MOLECULE_HOME", "in memory"]);
    }
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("old"));
    let error = store.lock().map(drop).unwrap_err();
    assert_eq!((error.kind(), error.is_locked()), (io::ErrorKind::ReadOnlyFilesystem, false), "{error}");

    // A plugin's lock cannot be taken either; a verification does not need it.
    let act = |op: fn(PluginName) -> PluginOp| {
        scene.plugins().perform(op("demo".parse().unwrap()), &Cancel::new(), |_| LockId(0))
    };
    assert_eq!(act(PluginOp::Lock).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(act(PluginOp::Look).unwrap(), PluginResult::Looked { exists: true });
    let PluginResult::Hashed(Some(hashed)) = act(PluginOp::Hash).unwrap() else { panic!("it is not there") };
    assert!(hashed.tree.get("a.md").is_some());
}
