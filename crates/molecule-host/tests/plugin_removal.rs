//! Every directory tree can be removed: deep ones, large ones, and those whose modes exclude their owner.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::{env, fs, io};

use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::plugin::Durability;
use molecule_host::StoreError;
use plugin::{USER, as_user, name, path, perform, place, write};
use rustix::process::{Resource, Rlimit, geteuid, setrlimit};
use scene::{Scene, assert_passes, names_in};

fn remove(scene: &Scene) -> Result<bool, StoreError> {
    match perform(&scene.plugins(), PluginOp::Remove(name()))? {
        PluginResult::Removed { existed } => Ok(existed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_plugin_goes_with_its_receipt_and_is_told_to_have_existed() {
    let scene = Scene::new();
    assert!(!remove(&scene).unwrap());
    fs::create_dir(path(&scene)).unwrap();
    write(&path(&scene).join("plugin.yaml"), b"name: demo-plugin", 0o644);
    perform(&scene.plugins(), PluginOp::WriteReceipt(name(), b"{}".to_vec(), Durability::None)).unwrap();
    assert!(remove(&scene).unwrap());
    assert_eq!(names_in(&place(&scene)), [".receipts"]);
    assert!(names_in(&place(&scene).join(".receipts")).is_empty());
    assert!(!remove(&scene).unwrap());
}

#[test]
fn other_plugins_stay() {
    let scene = Scene::new();
    for name in ["demo-plugin", "demo", "demo-plugin-2"] {
        fs::create_dir(place(&scene).join(name)).unwrap();
    }
    assert!(remove(&scene).unwrap());
    assert_eq!(names_in(&place(&scene)), ["demo", "demo-plugin-2"]);
}

#[test]
fn links_go_and_what_they_lead_to_stays() {
    let scene = Scene::new();
    let outside = scene.home.join("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("file"), b"kept", 0o644);
    fs::create_dir(path(&scene)).unwrap();
    symlink(&outside, path(&scene).join("directory")).unwrap();
    symlink(outside.join("file"), path(&scene).join("file")).unwrap();
    symlink("nowhere", path(&scene).join("dangling")).unwrap();
    assert!(remove(&scene).unwrap());
    assert_eq!(names_in(&outside), ["file"]);
}

/// The tree is deeper than the number of descriptors; the test runs in a separate process.
#[test]
fn depth_costs_neither_descriptors_nor_stack() {
    let scene = Scene::new();
    fs::create_dir(path(&scene)).unwrap();
    assert_passes(scene.rerun("", &[], "child_removes_a_deep_tree"));
    assert!(names_in(&place(&scene)).is_empty());
}

#[test]
#[ignore = "started by depth_costs_neither_descriptors_nor_stack"]
fn child_removes_a_deep_tree() {
    const DEPTH: usize = 1000;
    let scene = Scene::inherited();
    env::set_current_dir(path(&scene)).unwrap();
    for _ in 0..DEPTH {
        fs::create_dir("d").unwrap();
        write(Path::new("file"), b"content", 0o644);
        env::set_current_dir("d").unwrap();
    }
    env::set_current_dir(&scene.home).unwrap();
    setrlimit(Resource::Nofile, Rlimit { current: Some(32), maximum: Some(32) }).unwrap();
    // The stack is too small for a frame with a name for each level.
    let removed = std::thread::Builder::new().stack_size(64 * 1024).spawn(move || remove(&scene).unwrap());
    assert!(removed.unwrap().join().unwrap());
}

#[test]
fn twenty_thousand_files_and_sixty_four_levels_are_removed() {
    let scene = Scene::new();
    let mut level = path(&scene);
    fs::create_dir(&level).unwrap();
    // All names are links to one file, because some file systems create files slowly.
    let file = scene.home.join("file");
    write(&file, b"content", 0o644);
    for depth in 0..64 {
        for number in 0..160 {
            fs::hard_link(&file, level.join(format!("file-{number}"))).unwrap();
        }
        level.push(format!("level-{depth}"));
        fs::create_dir(&level).unwrap();
    }
    for number in 0..10_000 {
        fs::hard_link(&file, path(&scene).join(format!("more-{number}"))).unwrap();
    }
    assert!(remove(&scene).unwrap());
    assert!(names_in(&place(&scene)).is_empty());
    assert!(file.exists());
}

/// The test runs as a user who is not root, because modes do not restrict root.
#[test]
fn modes_that_keep_the_owner_out_keep_nothing_from_going() {
    as_user("child_removes_what_is_closed", |_| {});
}

#[test]
#[ignore = "started by modes_that_keep_the_owner_out_keep_nothing_from_going"]
fn child_removes_what_is_closed() {
    let scene = Scene::inherited();
    for mode in [0o000, 0o555, 0o300, 0o600] {
        let closed = path(&scene).join("a/b");
        fs::create_dir_all(&closed).unwrap();
        write(&closed.join("file"), b"content", 0o400);
        for directory in [closed, path(&scene).join("a"), path(&scene)] {
            fs::set_permissions(directory, PermissionsExt::from_mode(mode)).unwrap();
        }
        assert!(remove(&scene).unwrap(), "{mode:o}");
        assert!(names_in(&place(&scene)).is_empty(), "{mode:o}");
    }
}

/// The content of another user's directory cannot be removed. The plugin is removed all the same, and the error names
/// the rest.
#[test]
fn what_cannot_be_removed_is_named_and_the_rest_goes() {
    if !geteuid().is_root() {
        return;
    }
    as_user("child_removes_what_is_anothers", |scene| {
        let foreign = path(scene).join("foreign");
        fs::create_dir_all(&foreign).unwrap();
        write(&foreign.join("file"), b"root's", 0o644);
        write(&path(scene).join("plugin.yaml"), b"name: demo-plugin", 0o644);
        chown(path(scene), Some(USER), Some(USER)).unwrap();
    });
}

#[test]
#[ignore = "started by what_cannot_be_removed_is_named_and_the_rest_goes"]
fn child_removes_what_is_anothers() {
    let scene = Scene::inherited();
    let error = remove(&scene).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let left = names_in(&place(&scene));
    assert_eq!(left.len(), 1);
    assert!(left[0].starts_with(".staging-demo-plugin-"), "{left:?}");
    scene::assert_says(&error, &place(&scene).join(&left[0]), &["cannot be removed"]);
    assert_eq!(names_in(&place(&scene).join(&left[0])), ["foreign"]);
    // The rest does no harm, and a sweep cannot remove it either.
    perform(&scene.plugins(), PluginOp::Sweep(name())).unwrap();
    assert!(!remove(&scene).unwrap());
}
