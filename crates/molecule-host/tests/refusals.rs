//! Every act refuses files that are not private, with the path and the remedy, and leaves them unchanged.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use molecule_core::effect::{Durability, HostOp, HostResult, Outcome};
use molecule_host::{Host, Slot, Store, StoreError};
use rustix::process::geteuid;
use scene::{Scene, assert_says, text};

type Make = fn(&Path);

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A scene with a token and a lock file.
fn with_token() -> Scene {
    let scene = Scene::new();
    scene.store().replace(Slot::Token, b"old").unwrap();
    drop(scene.store().lock().unwrap());
    scene
}

/// The errors of all acts that use the token's file.
fn acts_on_token(store: &dyn Store) -> [(&'static str, StoreError); 5] {
    [
        ("prepare", store.prepare().unwrap_err()),
        ("load", store.load(Slot::Token).map(|_| ()).unwrap_err()),
        ("replace", store.replace(Slot::Token, b"new").unwrap_err()),
        ("append", store.append(Slot::Token, b"new", Durability::None).unwrap_err()),
        ("set aside", store.set_aside(Slot::Token).map(|_| ()).unwrap_err()),
    ]
}

fn assert_refused(act: &str, error: &StoreError, path: &Path, parts: &[&str]) {
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{act}: {error}");
    assert!(!error.is_locked());
    assert_says(error, path, parts);
    assert!(error.to_string().contains("is refused"), "{act}: {error}");
    assert!(!error.to_string().contains("old"), "{act}: {error}");
}

/// Returns whether the test may change a file's owner; prints a note if not.
#[allow(clippy::print_stdout)]
fn may_chown() -> bool {
    let root = geteuid().is_root();
    if !root {
        println!("skipped: only root can give a file to another user");
    }
    root
}

#[test]
fn a_link_in_the_tokens_place_is_neither_read_nor_replaced() {
    for dangling in [false, true] {
        let scene = with_token();
        let target = scene.home.join("elsewhere");
        if !dangling {
            fs::write(&target, "planted").unwrap();
        }
        let token = scene.file(".auth_token");
        fs::remove_file(&token).unwrap();
        symlink(&target, &token).unwrap();
        for (act, error) in acts_on_token(&*scene.store()) {
            assert_refused(act, &error, &token, &["a link", "remove it"]);
        }
        assert!(fs::symlink_metadata(&token).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).ok().as_deref(), (!dangling).then_some("planted"));
    }
}

#[test]
fn a_link_in_the_directorys_place_is_not_entered() {
    let scene = with_token();
    let real = scene.home.join("real");
    fs::rename(scene.directory(), &real).unwrap();
    symlink(&real, scene.directory()).unwrap();
    let store = scene.store();
    for (act, error) in acts_on_token(&*store) {
        assert_refused(act, &error, &scene.directory(), &["a link", "remove it"]);
    }
    assert_refused("lock", &store.lock().map(drop).unwrap_err(), &scene.directory(), &["a link"]);
    assert_eq!(fs::read_to_string(real.join(".auth_token")).unwrap(), "old");
}

#[test]
fn a_file_that_others_may_write_to_is_refused() {
    for mode in [0o620, 0o602, 0o666] {
        let scene = with_token();
        let token = scene.file(".auth_token");
        set_mode(&token, mode);
        for (act, error) in acts_on_token(&*scene.store()) {
            let remedy = format!("`chmod 600 {}`", token.display());
            assert_refused(act, &error, &token, &["others may write", &format!("{mode:04o}"), &remedy]);
        }
        // The remedy in the error helps.
        set_mode(&token, 0o600);
        assert_eq!(text(&*scene.store(), Slot::Token).as_deref(), Some("old"));
    }
}

#[test]
fn a_directory_that_others_may_write_to_is_refused() {
    for mode in [0o720, 0o702, 0o777, 0o1777] {
        let scene = with_token();
        set_mode(&scene.directory(), mode);
        let store = scene.store();
        let remedy = format!("`chmod 700 {}`", scene.directory().display());
        for (act, error) in acts_on_token(&*store) {
            assert_refused(act, &error, &scene.directory(), &["others may write", &remedy]);
        }
        assert_refused("lock", &store.lock().map(drop).unwrap_err(), &scene.directory(), &[&remedy]);
        assert_eq!(fs::metadata(scene.directory()).unwrap().permissions().mode() & 0o7777, mode);
        set_mode(&scene.directory(), 0o700);
        store.prepare().unwrap();
    }
}

#[test]
fn what_others_may_merely_read_is_set_right_and_told() {
    let scene = with_token();
    let (directory, token, lock) = (scene.directory(), scene.file(".auth_token"), scene.file(".lock"));
    let modes = || [&directory, &token, &lock].map(|path| fs::metadata(path).unwrap().permissions().mode() & 0o7777);
    set_mode(&directory, 0o2755);
    set_mode(&token, 0o644);
    let store = scene.store();
    let said = store.make_private();
    assert_eq!(said.len(), 2, "{said:?}");
    for (said, path, mode) in [(&said[0], &directory, "2755"), (&said[1], &token, "0644")] {
        assert!(said.contains(path.to_str().unwrap()) && said.contains(mode), "{said}");
    }
    assert_eq!(modes(), [0o2700, 0o600, 0o600]);
    assert_eq!(store.make_private(), [""; 0], "it is told once");
    store.prepare().unwrap();
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("old"));

    // The host reports it with the store's preparation.
    set_mode(&lock, 0o604);
    let Outcome::Host(HostResult::SetRight(said)) = Host::new(scene.store()).perform(HostOp::Prepare) else { panic!() };
    assert!(said.len() == 1 && said[0].contains(".lock"), "{said:?}");

    // A file that others can write to may have their content, and a link leads elsewhere: neither is changed.
    set_mode(&token, 0o666);
    fs::remove_file(&lock).unwrap();
    let elsewhere = scene.home.join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    set_mode(&elsewhere, 0o644);
    symlink(&elsewhere, &lock).unwrap();
    assert_eq!(store.make_private(), [""; 0]);
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o7777, 0o666);
    assert_eq!(fs::metadata(&elsewhere).unwrap().permissions().mode() & 0o7777, 0o644);
}

/// Kubernetes leaves a volume with `fsGroup` in this state. One message names all the files, and the command that
/// corrects them.
#[test]
fn everything_that_is_refused_is_named_at_once() {
    let scene = with_token();
    scene.store().replace(Slot::InboundSecret, b"secret").unwrap();
    let files = [".auth_token", ".platform_inbound_secret", ".lock"].map(|name| scene.file(name));
    set_mode(&scene.directory(), 0o2770);
    files.iter().for_each(|file| set_mode(file, 0o660));
    let store = scene.store();
    let errors = acts_on_token(&*store).into_iter().chain([("lock", store.lock().map(drop).unwrap_err())]);
    for (act, error) in errors {
        assert_refused(act, &error, &scene.directory(), &["2770", "0660", "fsGroup", "OnRootMismatch"]);
        let command = files.iter().fold(format!("`chmod 700 {}", scene.directory().display()), |command, file| {
            format!("{command} && chmod 600 {}", file.display())
        });
        assert!(error.to_string().contains(&format!("{command}`")), "{act}: {error}");
    }
    // The remedy in the error helps.
    set_mode(&scene.directory(), 0o2700);
    files.iter().for_each(|file| set_mode(file, 0o600));
    scene.store().prepare().unwrap();
}

#[test]
fn another_users_file_is_refused() {
    if !may_chown() {
        return;
    }
    let scene = with_token();
    let token = scene.file(".auth_token");
    chown(&token, Some(12345), None).unwrap();
    for (act, error) in acts_on_token(&*scene.store()) {
        let remedy = format!("`chown 0 {}`", token.display());
        assert_refused(act, &error, &token, &["user 12345", "user 0", &remedy]);
    }
    chown(&token, Some(0), None).unwrap();
    assert_eq!(text(&*scene.store(), Slot::Token).as_deref(), Some("old"));
}

#[test]
fn another_users_directory_is_refused() {
    if !may_chown() {
        return;
    }
    let scene = with_token();
    chown(scene.directory(), Some(12345), None).unwrap();
    let store = scene.store();
    let remedy = format!("`chown 0 {}`", scene.directory().display());
    for (act, error) in acts_on_token(&*store) {
        assert_refused(act, &error, &scene.directory(), &["user 12345", &remedy]);
    }
    assert_refused("lock", &store.lock().map(drop).unwrap_err(), &scene.directory(), &[&remedy]);
}

#[test]
fn a_lock_file_that_is_not_ours_alone_is_refused() {
    let scene = with_token();
    let lock = scene.file(".lock");
    set_mode(&lock, 0o666);
    let error = scene.store().lock().map(drop).unwrap_err();
    assert_refused("lock", &error, &lock, &[&format!("`chmod 600 {}`", lock.display())]);
    fs::remove_file(&lock).unwrap();
    symlink(scene.home.join("elsewhere"), &lock).unwrap();
    let error = scene.store().lock().map(drop).unwrap_err();
    assert_refused("lock", &error, &lock, &["a link", "remove it"]);
    assert!(!scene.home.join("elsewhere").exists());
}

#[test]
fn what_is_no_file_in_the_tokens_place_is_refused_without_waiting_for_it() {
    let make: [(&str, Make); 3] = [
        ("pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("socket", |path| drop(UnixListener::bind(path).unwrap())),
        ("directory", |path| fs::create_dir(path).unwrap()),
    ];
    for (what, make) in make {
        let scene = with_token();
        let token = scene.file(".auth_token");
        fs::remove_file(&token).unwrap();
        make(&token);
        set_mode(&token, 0o700);
        // The act runs on a separate thread, because a wait for a pipe never ends.
        let (done, waits) = mpsc::channel();
        let store = scene.store();
        thread::spawn(move || done.send(acts_on_token(&*store)));
        let errors = waits.recv_timeout(Duration::from_secs(20)).unwrap_or_else(|_| panic!("waits for a {what}"));
        for (act, error) in errors {
            assert_refused(act, &error, &token, &["no regular file", "move it away"]);
        }
    }
}

#[test]
fn a_file_in_the_directorys_place_is_refused() {
    let scene = Scene::new();
    fs::write(scene.directory(), "in the way").unwrap();
    set_mode(&scene.directory(), 0o600);
    let store = scene.store();
    for (act, error) in acts_on_token(&*store) {
        assert_refused(act, &error, &scene.directory(), &["no directory", "move it away"]);
    }
    assert_eq!(fs::read_to_string(scene.directory()).unwrap(), "in the way");
}
