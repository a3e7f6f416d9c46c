//! The next sweep restores or removes what crashes left of a plugin, and touches nothing else.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::symlink;

use molecule_core::effect::plugin::{PluginOp, PluginResult};
use molecule_core::plugin::Durability;
use plugin::{name, path, perform, place, write};
use scene::{Scene, names_in};

/// Sweeps; returns whether an earlier version was restored, and the number of removed directories.
fn sweep(scene: &Scene) -> (bool, u32) {
    let PluginResult::Swept(swept) = perform(&scene.plugins(), PluginOp::Sweep(name())).unwrap() else { panic!() };
    let place = scene.directory().join("plugins");
    assert_eq!(swept.installed, place.join("demo-plugin").is_dir());
    (swept.restored, swept.removed)
}

/// Creates a directory in the plugins directory, with one file of this content.
fn put(scene: &Scene, name: &str, content: &str) {
    let directory = place(scene).join(name);
    fs::create_dir(&directory).unwrap();
    write(&directory.join("plugin.yaml"), content.as_bytes(), 0o644);
}

fn version(scene: &Scene) -> Option<String> {
    fs::read_to_string(path(scene).join("plugin.yaml")).ok()
}

const STAGING: &str = ".staging-demo-plugin-0123456789abcdef";
const OLD: &str = ".old-demo-plugin-0123456789abcdef";
const KEEP: &str = ".keep-demo-plugin-0123456789abcdef";

#[test]
fn where_there_is_nothing_a_sweep_makes_nothing() {
    let scene = Scene::new();
    assert_eq!(sweep(&scene), (false, 0));
    assert!(names_in(&scene.home).is_empty());
}

#[test]
fn a_stage_is_garbage() {
    let scene = Scene::new();
    put(&scene, STAGING, "half");
    assert_eq!(sweep(&scene), (false, 1));
    assert!(names_in(&place(&scene)).is_empty());
    put(&scene, STAGING, "half");
    put(&scene, "demo-plugin", "whole");
    assert_eq!(sweep(&scene), (false, 1));
    assert_eq!(version(&scene).as_deref(), Some("whole"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

#[test]
fn an_earlier_version_is_put_back_where_its_place_is_empty() {
    let scene = Scene::new();
    put(&scene, OLD, "earlier");
    put(&scene, STAGING, "later");
    assert_eq!(sweep(&scene), (true, 1));
    assert_eq!(version(&scene).as_deref(), Some("earlier"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
    assert_eq!(sweep(&scene), (false, 0));
}

#[test]
fn an_earlier_version_is_garbage_where_its_place_is_taken() {
    let scene = Scene::new();
    put(&scene, OLD, "earlier");
    put(&scene, "demo-plugin", "later");
    assert_eq!(sweep(&scene), (false, 1));
    assert_eq!(version(&scene).as_deref(), Some("later"));
    assert_eq!(names_in(&place(&scene)), ["demo-plugin"]);
}

#[test]
fn a_kept_version_replaces_the_half_that_is_in_its_place() {
    let scene = Scene::new();
    put(&scene, KEEP, "earlier");
    let half = path(&scene).join("deep");
    fs::create_dir_all(&half).unwrap();
    write(&half.join("file"), b"half", 0o644);
    assert_eq!(sweep(&scene), (true, 0));
    assert_eq!(version(&scene).as_deref(), Some("earlier"));
    assert_eq!(names_in(&path(&scene)), ["plugin.yaml"]);
    fs::remove_dir_all(path(&scene)).unwrap();
    put(&scene, KEEP, "earlier");
    assert!(sweep(&scene).0);
    assert_eq!(version(&scene).as_deref(), Some("earlier"));
}

#[test]
fn names_that_are_nobodys_or_anothers_are_not_touched() {
    let scene = Scene::new();
    let kept = [
        ".staging-demo-plugin",
        ".staging-demo-plugin-0123",
        ".staging-demo-plugin-0123456789ABCDEF",
        ".staging-.demo-plugin-0123456789abcdef",
        ".staging-demo-0123456789abcdef",
        ".staging-demo-plugin-2-0123456789abcdef",
        ".old-other-0123456789abcdef",
        ".new-demo-plugin-0123456789abcdef",
        "demo-plugin-0123456789abcdef",
    ];
    for name in kept {
        put(&scene, name, "kept");
    }
    assert_eq!(sweep(&scene), (false, 0));
    let mut expected = kept.to_vec();
    expected.sort_unstable();
    assert_eq!(names_in(&place(&scene)), expected);
}

#[test]
fn what_is_no_directory_is_not_touched_and_no_link_is_followed() {
    let scene = Scene::new();
    let outside = scene.home.join("outside");
    fs::create_dir(&outside).unwrap();
    write(&outside.join("file"), b"kept", 0o644);
    for name in [STAGING, OLD, KEEP] {
        symlink(&outside, place(&scene).join(name)).unwrap();
    }
    write(&place(&scene).join(".staging-demo-plugin-00000000000000aa"), b"file", 0o600);
    // The removal of a stage removes a link in it, but not the link's target.
    put(&scene, ".staging-demo-plugin-00000000000000bb", "half");
    symlink(&outside, place(&scene).join(".staging-demo-plugin-00000000000000bb/link")).unwrap();
    assert_eq!(sweep(&scene), (false, 1));
    let left = [KEEP, OLD, ".staging-demo-plugin-00000000000000aa", STAGING];
    assert_eq!(names_in(&place(&scene)), left);
    assert_eq!(names_in(&outside), ["file"]);
}

#[test]
fn halves_of_receipts_and_a_receipt_without_a_plugin_are_removed() {
    let scene = Scene::new();
    let plugins = scene.plugins();
    put(&scene, "demo-plugin", "whole");
    perform(&plugins, PluginOp::WriteReceipt(name(), b"{}".to_vec(), Durability::None)).unwrap();
    let receipts = place(&scene).join(".receipts");
    for name in ["demo-plugin.json.0123456789abcdef.tmp", "demo-plugin.json.tmp", "other.json.0123456789abcdef.tmp"] {
        write(&receipts.join(name), b"{", 0o600);
    }
    sweep(&scene);
    let mut left = vec!["demo-plugin.json", "demo-plugin.json.tmp", "other.json.0123456789abcdef.tmp"];
    assert_eq!(names_in(&receipts), left);
    fs::remove_dir_all(path(&scene)).unwrap();
    sweep(&scene);
    left.remove(0);
    assert_eq!(names_in(&receipts), left);
}
