//! Every store returns the content that was stored, and does not lose damaged content that is moved away.
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs;
use std::io;
use std::sync::Arc;

use molecule_host::{Durability, Slot, Storage, Store};
use scene::{ID, Scene, store_in, text};

fn memory() -> Arc<dyn Store> {
    Storage::Memory.open(&ID.parse().unwrap()).unwrap()
}

#[test]
fn every_store_keeps_the_last_content_of_each_slot() {
    let scene = Scene::new();
    for store in [memory(), scene.store()] {
        assert!(store.load(Slot::Token).unwrap().is_none());
        store.prepare().unwrap();
        assert!(store.load(Slot::Token).unwrap().is_none());
        store.replace(Slot::Token, b"first and longer").unwrap();
        store.replace(Slot::InboundSecret, b"inbound").unwrap();
        store.replace(Slot::Token, b"second").unwrap();
        assert_eq!(text(&*store, Slot::Token).as_deref(), Some("second"));
        assert_eq!(text(&*store, Slot::InboundSecret).as_deref(), Some("inbound"));
    }
}

#[test]
fn every_store_leaves_a_slot_empty_that_was_set_aside() {
    let scene = Scene::new();
    scene.store().prepare().unwrap();
    for store in [memory(), scene.store()] {
        assert_eq!(store.set_aside(Slot::Token).unwrap_err().kind(), io::ErrorKind::NotFound);
        store.replace(Slot::Token, b"damaged").unwrap();
        store.replace(Slot::InboundSecret, b"inbound").unwrap();
        store.set_aside(Slot::Token).unwrap();
        assert!(store.load(Slot::Token).unwrap().is_none());
        assert_eq!(text(&*store, Slot::InboundSecret).as_deref(), Some("inbound"));
    }
    assert_eq!(scene.names().len(), 2, "{:?}", scene.names());
}

#[test]
fn the_files_are_those_of_the_python_sdk() {
    let scene = Scene::new();
    let store = scene.store();
    store.replace(Slot::Token, b"tok").unwrap();
    store.replace(Slot::InboundSecret, b"sec").unwrap();
    assert_eq!(scene.names(), [".auth_token", ".platform_inbound_secret"]);
    assert_eq!(fs::read(scene.file(".auth_token")).unwrap(), b"tok");
    assert_eq!(store.load(Slot::Token).unwrap().unwrap().place, scene.file(".auth_token").to_str().unwrap());
}

#[test]
fn loading_makes_no_directory() {
    let scene = Scene::new();
    assert!(scene.store().load(Slot::Token).unwrap().is_none());
    assert!(!scene.directory().exists());
}

#[test]
fn preparing_makes_what_is_missing_and_leaves_nothing_else() {
    let scene = Scene::new();
    let home = scene.home.join("a/b");
    let store = store_in(&home);
    store.prepare().unwrap();
    assert_eq!(fs::read_dir(home.join(ID)).unwrap().count(), 0);
}

#[test]
fn a_relative_home_is_made_absolute_when_the_store_is_opened() {
    let store = store_in("target/of-nothing".as_ref());
    let place = std::env::current_dir().unwrap().join("target/of-nothing").join(ID);
    // A failed act names the full path and creates nothing.
    let error = store.set_aside(Slot::Token).unwrap_err();
    scene::assert_says(&error, &place, &["cannot be"]);
}

#[test]
fn what_was_set_aside_is_never_overwritten() {
    let scene = Scene::new();
    let store = scene.store();
    let damaged = ["one", "two", "three", "four"];
    let places = damaged.map(|content| {
        store.replace(Slot::Token, content.as_bytes()).unwrap();
        store.set_aside(Slot::Token).unwrap()
    });
    assert_eq!(places.each_ref().map(|place| fs::read_to_string(place).unwrap()), damaged);
    assert!(places[0].starts_with(scene.file(".auth_token.damaged-").to_str().unwrap()), "{}", places[0]);
    assert_eq!(scene.names().len(), damaged.len());
}

#[test]
fn a_journal_may_be_larger_than_a_credential_and_no_larger_than_can_be_loaded() {
    let scene = Scene::new();
    let piece = vec![b'x'; 33 * 1024 * 1024];
    for (store, place) in [(memory(), "memory".to_owned()), (scene.store(), scene.file(".inbox").display().to_string())]
    {
        store.append(Slot::Inbox, &piece, Durability::None).unwrap();
        let error = store.append(Slot::Inbox, &piece, Durability::None).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert!(error.to_string().contains(&place) && error.to_string().contains("67108864 bytes"), "{error}");
        assert_eq!(store.load(Slot::Inbox).unwrap().unwrap().bytes.len(), piece.len());
        assert!(store.append(Slot::Token, &[b'x'; 64 * 1024 + 1], Durability::None).is_err());
        assert!(store.load(Slot::Token).unwrap().is_none());
    }
}

#[test]
fn a_file_that_is_too_large_for_a_credential_is_an_error_without_its_content() {
    let scene = Scene::new();
    let store = scene.store();
    store.replace(Slot::Token, &vec![b'x'; 64 * 1024]).unwrap();
    assert_eq!(store.load(Slot::Token).unwrap().unwrap().bytes.len(), 64 * 1024);
    fs::write(scene.file(".auth_token"), vec![b'x'; 64 * 1024 + 1]).unwrap();
    let error = store.load(Slot::Token).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    scene::assert_says(&error, &scene.file(".auth_token"), &["65536 bytes", "move it away"]);
    assert!(!error.to_string().contains("xxx"));
}
