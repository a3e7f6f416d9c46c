//! A place that cannot be written to causes an error with the path and the remedy, and never counts as empty.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod scene;

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use molecule_host::Slot;
use rustix::process::geteuid;
use scene::{ID, Scene, assert_passes, assert_says, store_in, text};

/// A user who is not root, because modes do not restrict root.
const USER: u32 = 12345;

#[test]
fn below_a_file_there_is_no_directory() {
    let scene = Scene::new();
    let home = scene.home.join("file");
    fs::write(&home, "in the way").unwrap();
    let store = store_in(&home);
    let errors = [
        store.prepare().unwrap_err(),
        store.load(Slot::Token).map(|_| ()).unwrap_err(),
        store.replace(Slot::Token, b"token").unwrap_err(),
        store.lock().map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{error}");
        assert_says(&error, &home.join(ID), &["no directory", "move it away", "MOLECULE_HOME"]);
    }
    assert_eq!(fs::read_to_string(&home).unwrap(), "in the way");
}

#[test]
fn a_directory_without_the_right_to_write_is_refused() {
    let scene = Scene::new();
    let (directory, token) = (scene.directory(), scene.file(".auth_token"));
    scene.store().replace(Slot::Token, b"old").unwrap();
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o500)).unwrap();
    if !geteuid().is_root() {
        assert_passes(scene.rerun("", &[], "child_may_not_write"));
    } else {
        // Modes do not restrict root. Another user therefore runs the test, with a copy of this program in an
        // accessible place.
        fs::set_permissions(&scene.home, PermissionsExt::from_mode(0o755)).unwrap();
        let program = scene.home.join("program");
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        for path in [&directory, &token] {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
        let as_root = scene.rerun("", &[], "child_may_not_write");
        let mut as_user = Command::new(program);
        as_user.args(as_root.get_args()).uid(USER).gid(USER).current_dir(&scene.home);
        as_user.envs(as_root.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert_passes(as_user);
    }
    fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
#[ignore = "started by a_directory_without_the_right_to_write_is_refused"]
fn child_may_not_write() {
    assert!(!geteuid().is_root());
    let scene = Scene::inherited();
    let store = scene.store();
    let errors = [
        store.prepare().unwrap_err(),
        store.replace(Slot::Token, b"new").unwrap_err(),
        store.lock().map(drop).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        assert_says(&error, &scene.directory(), &["let this user write", "MOLECULE_HOME", "in memory"]);
    }
    assert_eq!(text(&*store, Slot::Token).as_deref(), Some("old"));
    // An unreadable file is an error, not an empty slot.
    fs::set_permissions(scene.file(".auth_token"), PermissionsExt::from_mode(0o200)).unwrap();
    let error = store.load(Slot::Token).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    assert_says(&error, &scene.file(".auth_token"), &["cannot be opened"]);
}
