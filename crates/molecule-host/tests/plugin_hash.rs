//! An installed plugin is hashed over its files on the disk. Other entries are reported, and nothing avoids the hash.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use molecule_core::effect::plugin::{Hashed, PluginOp, PluginResult};
use molecule_core::plugin::Durability;
use plugin::{archive, commit, name, path, perform, stage, write};
use scene::Scene;

fn hash(scene: &Scene) -> Option<Hashed> {
    match perform(&scene.plugins(), PluginOp::Hash(name())).unwrap() {
        PluginResult::Hashed(hashed) => hashed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_installed_plugin_has_the_tree_that_was_unpacked() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    assert!(hash(&scene).is_none());
    let long = vec![b'x'; 300_000];
    let archive = archive(&[
        ("plugin.yaml", b"name: demo-plugin", 0o644),
        ("a-b.md", b"", 0o644),
        ("a/b.md", b"b", 0o644),
        ("a/run", &long, 0o755),
        ("empty/", b"", 0o755),
        ("za\u{17c}\u{f3}\u{142}\u{107}/\u{1f980}.md", b"crab", 0o644),
    ]);
    let (id, unpacked) = stage(&plugins, &archive).unwrap();
    assert!(hash(&scene).is_none(), "a stage is no plugin");
    commit(&plugins, id).unwrap();
    perform(&plugins, PluginOp::WriteReceipt(name(), b"receipt".to_vec(), Durability::None)).unwrap();
    let hashed = hash(&scene).unwrap();
    assert_eq!(hashed.tree, unpacked.tree);
    assert_eq!(hashed.tree.digest(), unpacked.tree.digest());
    assert!(hashed.others.is_empty());
    assert_eq!(hashed.receipt.as_deref(), Some(&b"receipt"[..]));
}

#[test]
fn every_change_shows() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let (id, unpacked) = stage(&plugins, &archive(&[("a", b"1", 0o644), ("b", b"2", 0o644)])).unwrap();
    commit(&plugins, id).unwrap();
    write(&path(&scene).join("a"), b"3", 0o644);
    fs::set_permissions(path(&scene).join("b"), PermissionsExt::from_mode(0o744)).unwrap();
    write(&path(&scene).join("c"), b"4", 0o644);
    let difference = unpacked.tree.diff(&hash(&scene).unwrap().tree);
    assert_eq!((difference.changed, difference.added), (vec!["a".to_owned(), "b".to_owned()], vec!["c".to_owned()]));
    fs::remove_file(path(&scene).join("a")).unwrap();
    assert_eq!(unpacked.tree.diff(&hash(&scene).unwrap().tree).missing, ["a"]);
}

#[test]
fn what_is_no_file_is_told_and_not_followed() {
    let scene = Scene::new();
    let outside = scene.home.join("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("secret"), b"secret", 0o644);
    let root = path(&scene);
    fs::create_dir_all(root.join("deep")).unwrap();
    write(&root.join("plugin.yaml"), b"", 0o644);
    symlink(&outside, root.join("deep/directory")).unwrap();
    symlink(outside.join("secret"), root.join("link")).unwrap();
    drop(UnixListener::bind(root.join("deep/socket")).unwrap());
    // A line of a tree cannot contain these names.
    write(&root.join("two\nlines"), b"", 0o644);
    write(&root.join(OsStr::from_bytes(b"no-text-\xff")), b"", 0o644);
    let hashed = hash(&scene).unwrap();
    assert_eq!(hashed.tree.len(), 1);
    assert_eq!(hashed.others, ["deep/directory", "deep/socket", "link", "no-text-\u{fffd}", "two\\nlines"]);
}

#[test]
fn a_pipe_in_place_of_a_file_is_not_waited_for() {
    let scene = Scene::new();
    fs::create_dir_all(path(&scene)).unwrap();
    let pipe = path(&scene).join("plugin.yaml");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(hash(&scene).unwrap().others, ["plugin.yaml"]);
}
