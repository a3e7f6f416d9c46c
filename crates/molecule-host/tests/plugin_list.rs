//! The list of installed plugins: directories with a plugin's name, sorted, with their receipts.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod plugin;
mod scene;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use molecule_core::effect::plugin::{Found, Listed, PluginOp, PluginResult};
use molecule_core::plugin::Durability;
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
    assert!(found.iter().all(|found| found.receipt == Ok(None) && found.path == place.join(found.name.as_str())));
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
        assert_eq!(list(&scene)[0].receipt, Ok(Some(content.to_vec())));
    }
    let receipts = place(&scene).join(".receipts");
    assert_eq!(names_in(&receipts), ["demo-plugin.json"]);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!((mode(&receipts), mode(&receipts.join("demo-plugin.json"))), (0o700, 0o600));
    assert!(names_in(&path(&scene)).is_empty(), "nothing is kept inside the plugin");
}

#[test]
fn a_receipt_that_cannot_be_read_says_why_and_hides_no_plugin() {
    let scene = Scene::new();
    let receipts = place(&scene).join(".receipts");
    for name in ["a", "b", "c", "d"] {
        fs::create_dir(place(&scene).join(name)).unwrap();
    }
    for name in ["a", "b", "d"] {
        let op = PluginOp::WriteReceipt(name.parse().unwrap(), b"{}".to_vec(), Durability::None);
        perform(&scene.plugins(), op).unwrap();
    }
    // One receipt is far too large and is not read into memory, and one is a link.
    let large = receipts.join("a.json");
    fs::OpenOptions::new().write(true).open(&large).unwrap().set_len(20 * 1024 * 1024).unwrap();
    fs::remove_file(receipts.join("b.json")).unwrap();
    symlink(receipts.join("d.json"), receipts.join("b.json")).unwrap();
    let found = list(&scene);
    let names: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    let [a, b, c, d] = &found[..] else { panic!("{found:?}") };
    let why = a.receipt.as_ref().unwrap_err();
    assert!(why.contains(large.to_str().unwrap()) && why.contains("so it is no receipt; remove it"), "{why}");
    assert!(b.receipt.as_ref().unwrap_err().contains("b.json is refused: it is a link"), "{:?}", b.receipt);
    assert_eq!((&c.receipt, &d.receipt), (&Ok(None), &Ok(Some(b"{}".to_vec()))));
}

#[test]
fn a_look_finds_what_is_there_and_makes_nothing() {
    let scene = Scene::new();
    let look = || match perform(&scene.plugins(), PluginOp::Look(name())).unwrap() {
        PluginResult::Looked { exists } => exists,
        other => panic!("{other:?}"),
    };
    assert!(!look());
    assert!(names_in(&scene.home).is_empty(), "nothing was made");
    let place = place(&scene);
    for other in ["demo-plugin2", ".staging-other-0123456789abcdef", ".old-demo-plugin"] {
        fs::create_dir(place.join(other)).unwrap();
    }
    write(&place.join(".lock-demo-plugin"), b"", 0o600);
    let before = names_in(&place);
    assert!(!look());
    assert_eq!(names_in(&place), before, "nothing was made");

    for there in ["demo-plugin", ".staging-demo-plugin-0123456789abcdef", ".keep-demo-plugin-0123456789abcdef"] {
        fs::create_dir(place.join(there)).unwrap();
        assert!(look(), "{there}");
        fs::remove_dir(place.join(there)).unwrap();
    }
    write_receipt(&scene, b"{}");
    assert!(look(), "a receipt alone");
    fs::remove_file(place.join(".receipts/demo-plugin.json")).unwrap();
    assert!(!look());
    symlink(&place, place.join("demo-plugin")).unwrap();
    let error = perform(&scene.plugins(), PluginOp::Look(name())).unwrap_err();
    scene::assert_says(&error, &place.join("demo-plugin"), &["is refused: it is a link", "remove it"]);
}
