//! Only one loop runs at a time: a held lock is refused with its file's name, and the lock is always released.
#![allow(clippy::unwrap_used)]

mod scene;

use std::process::Stdio;
use std::sync::Arc;

use molecule_core::effect::{FaultKind, HostOp, HostResult, LockId, Outcome, Sent};
use molecule_host::{Cancel, Durability, Host, Slot, Storage, Store};
use scene::{ID, Scene, assert_passes, assert_says};

fn take(host: &Host) -> LockId {
    match host.perform(HostOp::Lock) {
        Outcome::Host(HostResult::Locked(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn unlock(host: &Host, id: LockId) {
    let outcome = host.perform(HostOp::Unlock(id));
    assert!(matches!(outcome, Outcome::Host(HostResult::Unlocked)), "{outcome:?}");
}

fn is_held(store: &Arc<dyn Store>) -> bool {
    match store.lock() {
        Ok(_) => false,
        Err(error) if error.is_locked() => true,
        Err(error) => panic!("{error}"),
    }
}

/// Both stores, each opened twice: by a first agent and by a second one.
fn pairs(scene: &Scene) -> [(Arc<dyn Store>, Arc<dyn Store>); 2] {
    let memory = Storage::Memory.open(&ID.parse().unwrap()).unwrap();
    [(Arc::clone(&memory), memory), (scene.store(), scene.store())]
}

#[test]
fn a_second_lock_is_refused_and_names_the_file() {
    let scene = Scene::new();
    let first = scene.store().lock().unwrap();
    let error = scene.store().lock().map(drop).unwrap_err();
    assert!(error.is_locked());
    assert_says(&error, &scene.file(".lock"), &["another agent of this workspace is running", "stop it first"]);
    drop(first);
    drop(scene.store().lock().unwrap());
}

#[test]
fn the_lock_does_not_stand_in_the_way_of_the_files() {
    let scene = Scene::new();
    let _held = scene.store().lock().unwrap();
    let other = scene.store();
    other.prepare().unwrap();
    other.replace(Slot::Token, b"token").unwrap();
    assert_eq!(scene::text(&*other, Slot::Token).as_deref(), Some("token"));
}

#[test]
fn a_fault_says_that_it_is_the_lock() {
    let scene = Scene::new();
    for (one, two) in pairs(&scene) {
        let (one, two) = (Host::new(one), Host::new(two));
        let id = take(&one);
        let Outcome::Failed(fault) = two.perform(HostOp::Lock) else { panic!("locked twice") };
        assert_eq!((fault.kind, fault.sent), (FaultKind::Locked, Sent::No));
        assert!(fault.source.unwrap().to_string().contains("holds the lock"));
        unlock(&one, id);
        take(&two);
    }
}

#[test]
fn a_lock_that_nobody_takes_any_more_is_given_back() {
    let scene = Scene::new();
    for (store, other) in pairs(&scene) {
        let host = Host::new(store);
        let outcome = host.perform(HostOp::Lock);
        assert!(is_held(&other));
        host.dispose(outcome);
        assert!(!is_held(&other));
    }
}

#[test]
fn the_last_clone_of_the_host_gives_every_lock_back() {
    let scene = Scene::new();
    for (store, other) in pairs(&scene) {
        let host = Host::new(store);
        let clone = host.clone();
        take(&clone);
        drop(clone);
        assert!(is_held(&other));
        drop(host);
        assert!(!is_held(&other));
    }
}

/// What a loop has begun to write may take place after its end, and must not meet another loop's writes.
#[test]
fn the_lock_outlives_the_writes_that_were_begun_under_it() {
    let scene = Scene::new();
    for (store, other) in pairs(&scene) {
        let host = Host::new(store);
        let append = || HostOp::Append(Slot::Inbox, b"record".to_vec().into(), Durability::None);
        let (id, first, second) = (take(&host), host.begin(append()), host.begin(append()));
        unlock(&host, id);
        host.give_the_lock_back();
        assert!(matches!(first.perform(&Cancel::default()), Outcome::Host(HostResult::Appended)));
        assert!(is_held(&other));
        // One whose thread does not start is over as well.
        drop(second);
        assert!(!is_held(&other));
    }
}

#[test]
fn what_another_machine_reads_later_waits_for_writes_that_were_left() {
    let scene = Scene::new();
    for (store, _) in pairs(&scene) {
        let host = Host::new(store);
        let (looped, next) = (host.apart(), host.apart());
        let load = || HostOp::Load(Slot::Inbox);
        let id = take(&looped);
        let before = next.begin(load());
        let write = looped.begin(HostOp::Append(Slot::Inbox, b"record".to_vec().into(), Durability::None));
        looped.perform(HostOp::Unlock(id));
        drop(looped);
        // Where one thread performs all acts, this one is before the write.
        let outcome = before.perform(&Cancel::default());
        assert!(matches!(outcome, Outcome::Host(HostResult::Loaded(None))), "{outcome:?}");
        let reads = std::thread::spawn({
            let load = next.begin(load());
            move || load.perform(&Cancel::default())
        });
        write.perform(&Cancel::default());
        let outcome = reads.join().unwrap();
        assert!(matches!(outcome, Outcome::Host(HostResult::Loaded(Some(_)))), "{outcome:?}");
    }
}

#[test]
fn unlocking_what_is_not_locked_changes_nothing() {
    let scene = Scene::new();
    let host = Host::new(scene.store());
    let first = take(&host);
    for _ in 0..2 {
        unlock(&host, first);
    }
    let second = take(&host);
    assert_ne!(first, second);
    unlock(&host, first);
    assert!(is_held(&scene.store()));
}

#[test]
fn another_process_is_refused_too_and_its_end_gives_the_lock_back() {
    let scene = Scene::new();
    let held = scene.store().lock().unwrap();
    assert_passes(scene.rerun("", &[], "child_is_refused"));
    drop(held);
    // The child ends without releasing the lock itself.
    let status = scene.rerun("", &[], "child_dies_with_the_lock").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert_eq!(status.unwrap().code(), Some(7));
    drop(scene.store().lock().unwrap());
}

#[test]
#[ignore = "started by another_process_is_refused_too_and_its_end_gives_the_lock_back"]
fn child_is_refused() {
    assert!(is_held(&Scene::inherited().store()));
}

#[test]
#[ignore = "started by another_process_is_refused_too_and_its_end_gives_the_lock_back"]
fn child_dies_with_the_lock() {
    let lock = Scene::inherited().store().lock().unwrap();
    std::mem::forget(lock);
    std::process::exit(7);
}
