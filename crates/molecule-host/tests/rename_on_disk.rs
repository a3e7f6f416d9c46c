//! A rename is on the disk only after its directory is synced, so that each rename is followed by a sync: a power cut
//! must not lose a token that was reported as stored.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod scene;

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use molecule_host::{Durability, Slot};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use scene::{ID, Scene};

const SYNCED: &str = "directory opened";

/// Watches the events of the entries of one directory, and each time the directory itself is opened.
struct Watch(OwnedFd);

impl Watch {
    fn on(directory: &Path) -> Self {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        let events = WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::OPEN | WatchFlags::ONLYDIR;
        inotify::add_watch(&inotify, directory, events).unwrap();
        Self(inotify)
    }

    /// The events since the last call, in order, except opened files.
    fn seen(&self) -> Vec<String> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.0, &mut buffer);
        let mut seen = Vec::new();
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return seen,
                Err(error) => panic!("{error}"),
            };
            let name = event.file_name().map(|name| name.to_str().unwrap().to_owned());
            match name {
                None if event.events().contains(ReadFlags::OPEN) => seen.push(SYNCED.to_owned()),
                Some(name) if event.events().contains(ReadFlags::MOVED_TO) => seen.push(format!("renamed to {name}")),
                Some(name) if event.events().contains(ReadFlags::CREATE | ReadFlags::ISDIR) => {
                    seen.push(format!("made {name}"));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_directory_is_synced_after_a_token_replaced_another() {
    let scene = Scene::new();
    let store = scene.store();
    store.replace(Slot::Token, b"first").unwrap();
    let watch = Watch::on(&scene.directory());
    for slot in [Slot::Token, Slot::InboundSecret] {
        store.replace(slot, b"second").unwrap();
        assert_eq!(watch.seen(), [format!("renamed to {}", slot.file_name()), SYNCED.to_owned()]);
    }
}

#[test]
fn the_directory_is_synced_after_a_token_was_set_aside() {
    let scene = Scene::new();
    let store = scene.store();
    store.replace(Slot::Token, b"damaged").unwrap();
    let watch = Watch::on(&scene.directory());
    let aside = store.set_aside(Slot::Token).unwrap();
    let aside = Path::new(&aside).file_name().unwrap().to_str().unwrap();
    assert_eq!(watch.seen(), [format!("renamed to {aside}"), SYNCED.to_owned()]);
}

#[test]
fn the_directory_is_synced_after_a_journal_was_created() {
    let scene = Scene::new();
    let store = scene.store();
    store.prepare().unwrap();
    let watch = Watch::on(&scene.directory());
    store.append(Slot::Inbox, b"one", Durability::None).unwrap();
    assert_eq!(watch.seen(), [SYNCED]);
    store.append(Slot::Inbox, b"two", Durability::Sync).unwrap();
    assert_eq!(watch.seen(), [""; 0]);
}

#[test]
fn the_directory_above_is_synced_after_the_agents_own_was_made() {
    let scene = Scene::new();
    let watch = Watch::on(&scene.home);
    scene.store().replace(Slot::Token, b"first").unwrap();
    assert_eq!(watch.seen(), [format!("made {ID}"), SYNCED.to_owned()]);
}
