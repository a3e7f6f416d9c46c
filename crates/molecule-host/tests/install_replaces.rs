//! A new version replaces the old one as a whole, or not at all.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::plugin::Durability;
use plugin::{commit, install, name, path, perform, place, read_tree, stage, sweep, version, whole_version, write};
use scene::{Scene, assert_says, names_in};

#[test]
fn the_new_version_is_there_and_nothing_of_the_old_one() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    assert!(!install(&plugins, &version("one", 50)).replaced);
    write(&path(&scene).join("made-by-setup"), b"one", 0o644);
    assert!(install(&plugins, &version("two", 20)).replaced);
    assert_eq!(whole_version(&path(&scene), 20).as_deref(), Some("two"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

#[test]
fn the_old_version_stays_until_the_sweep_that_follows() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    install(&plugins, &version("one", 5));
    let (id, _) = stage(&plugins, &version("two", 5)).unwrap();
    assert!(commit(&plugins, id).unwrap().replaced);
    let names = names_in(&place(&scene));
    assert_eq!(names.len(), 2);
    assert_eq!(whole_version(&place(&scene).join(&names[0]), 5).as_deref(), Some("one"));
    drop(plugins);
    assert_eq!(names_in(&place(&scene)), names, "it is no stage any more");
    let swept = sweep(&scene.plugins());
    assert_eq!((swept.restored, swept.removed, swept.installed), (false, 1, true));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

#[test]
fn a_discarded_stage_leaves_the_old_version_as_it_was() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    install(&plugins, &version("one", 5));
    let before = (read_tree(&path(&scene)), fs::metadata(path(&scene)).unwrap().ino());
    let (id, _) = stage(&plugins, &version("two", 5)).unwrap();
    assert_eq!(perform(&plugins, PluginOp::Discard(id)).unwrap(), PluginResult::Discarded);
    assert_eq!((read_tree(&path(&scene)), fs::metadata(path(&scene)).unwrap().ino()), before);
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    assert_eq!(perform(&plugins, PluginOp::Discard(id)).unwrap(), PluginResult::Discarded);
}

#[test]
fn what_is_in_the_way_is_refused_and_the_stage_can_be_discarded() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let outside = scene.home.join("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("file"), b"kept", 0o644);
    let (id, _) = stage(&plugins, &version("new", 5)).unwrap();
    symlink(&outside, path(&scene)).unwrap();
    let error = commit(&plugins, id).unwrap_err();
    assert_says(&error, &path(&scene), &["is refused: it is a link", "remove it, or move it away"]);
    assert_eq!(fs::read_link(path(&scene)).unwrap(), outside);
    fs::remove_file(path(&scene)).unwrap();
    write(&path(&scene), b"in the way", 0o644);
    let error = commit(&plugins, id).unwrap_err();
    assert_says(&error, &path(&scene), &["is refused: it is no directory", "remove it, or move it away"]);
    assert_eq!(fs::read(path(&scene)).unwrap(), b"in the way");
    perform(&plugins, PluginOp::Discard(id)).unwrap();
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    // The remedy in the error helps.
    fs::remove_file(path(&scene)).unwrap();
    install(&plugins, &version("new", 5));
    assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some("new"));
    assert_eq!(read_tree(&outside).len(), 1);
}

#[test]
fn a_receipt_does_not_outlive_its_version() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    let receipt = |plugins: &molecule_host::Plugins| match perform(plugins, PluginOp::List).unwrap() {
        PluginResult::Listed(listed) => listed.found[0].receipt.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    install(&plugins, &version("one", 5));
    perform(&plugins, PluginOp::WriteReceipt(name(), b"one".to_vec(), Durability::None)).unwrap();
    // A failed commit leaves both the receipt and the stage.
    let (id, _) = stage(&plugins, &version("two", 5)).unwrap();
    let aside = scene.home.join("aside");
    fs::rename(path(&scene), &aside).unwrap();
    write(&path(&scene), b"in the way", 0o644);
    commit(&plugins, id).unwrap_err();
    fs::remove_file(path(&scene)).unwrap();
    fs::rename(&aside, path(&scene)).unwrap();
    assert_eq!(receipt(&plugins).as_deref(), Some(&b"one"[..]));
    commit(&plugins, id).unwrap();
    assert_eq!(receipt(&plugins), None);
    perform(&plugins, PluginOp::WriteReceipt(name(), b"two".to_vec(), Durability::None)).unwrap();
    assert_eq!(receipt(&plugins).as_deref(), Some(&b"two"[..]));
    assert_eq!(names_in(&place(&scene).join(".receipts")), ["demo-plugin.json"]);
}

#[test]
fn what_is_synced_is_installed_like_everything_else() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    for (version_name, replaced) in [("one", false), ("two", true)] {
        let (id, _) = stage(&plugins, &version(version_name, 5)).unwrap();
        let PluginResult::Committed(committed) = perform(&plugins, PluginOp::Commit(id, Durability::Sync)).unwrap()
        else {
            panic!()
        };
        assert_eq!(committed.replaced, replaced);
        perform(&plugins, PluginOp::WriteReceipt(name(), version_name.into(), Durability::Sync)).unwrap();
        assert_eq!(whole_version(&path(&scene), 5).as_deref(), Some(version_name));
        assert_eq!(fs::read_to_string(place(&scene).join(".receipts/demo-plugin.json")).unwrap(), version_name);
    }
}
