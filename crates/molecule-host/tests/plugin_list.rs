//! What is installed: directories with a plugin's name, in order, with their receipts.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use molecule_core::plugin::Durability;
use molecule_core::plugin::act::{Found, Listed, PluginOp, PluginResult};
use plugin::{name, path, perform, place, write};
use scene::{Scene, names_in};

fn look(scene: &Scene) -> Listed {
    match perform(&scene.plugins(), PluginOp::List).unwrap() {
        PluginResult::Listed(listed) => listed,
        other => panic!("{other:?}"),
    }
}

fn list(scene: &Scene) -> Vec<Found> {
    look(scene).found
}

fn write_receipt(scene: &Scene, content: &[u8]) {
    let written =
        perform(&scene.plugins(), PluginOp::WriteReceipt(name(), content.to_vec(), Durability::None)).unwrap();
    assert_eq!(written, PluginResult::ReceiptWritten);
}

#[test]
fn where_there_is_nothing_nothing_is_found_and_nothing_made() {
    let scene = Scene::new();
    assert!(list(&scene).is_empty());
    assert!(names_in(&scene.home).is_empty());
}

#[test]
fn plugins_come_in_order_and_nothing_else_comes() {
    let scene = Scene::new();
    let place = place(&scene);
    for name in ["zebra", "demo-plugin", "Alpha", ".hidden", ".staging-demo-plugin-0123456789abcdef", "con", "no name"]
    {
        fs::create_dir(place.join(name)).unwrap();
    }
    write(&place.join("file"), b"", 0o644);
    symlink(place.join("zebra"), place.join("link")).unwrap();
    let found = list(&scene);
    let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["Alpha", "demo-plugin", "zebra"]);
    assert!(found.iter().all(|found| found.receipt.is_none() && found.path == place.join(found.name.as_str())));
}

#[test]
fn what_interrupted_acts_left_is_told_once_for_each_plugin() {
    let scene = Scene::new();
    let place = place(&scene);
    for name in [".staging-b-0123456789abcdef", ".old-b-0123456789abcdef", ".keep-a-0123456789abcdef", ".old-c", "d"] {
        fs::create_dir(place.join(name)).unwrap();
    }
    assert_eq!(look(&scene).left.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_receipt_is_found_as_it_was_written_last() {
    let scene = Scene::new();
    fs::create_dir_all(path(&scene)).unwrap();
    let long = vec![b'x'; 1_000_000];
    for content in [b"{\"first\": true}".as_slice(), &long, b""] {
        write_receipt(&scene, content);
        assert_eq!(list(&scene)[0].receipt.as_deref(), Some(content));
    }
    let receipts = place(&scene).join(".receipts");
    assert_eq!(names_in(&receipts), ["demo-plugin.json"]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&receipts), mode(&receipts.join("demo-plugin.json"))), (0o700, 0o600));
    assert!(names_in(&path(&scene)).is_empty(), "nothing is kept inside the plugin");
}

#[test]
fn a_receipt_of_absurd_size_is_not_read_into_memory() {
    let scene = Scene::new();
    fs::create_dir_all(path(&scene)).unwrap();
    write_receipt(&scene, b"{}");
    let file = place(&scene).join(".receipts/demo-plugin.json");
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(20 * 1024 * 1024).unwrap();
    let error = perform(&scene.plugins(), PluginOp::List).unwrap_err();
    scene::assert_says(&error, &file, &["so it is no receipt", "remove it"]);
}
