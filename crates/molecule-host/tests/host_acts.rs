//! Each host act has its outcome, also a failed one, and no outcome contains the content.
#![allow(clippy::unwrap_used)]

mod scene;

use std::fs;
use std::io;

use molecule_core::effect::{Durability, FaultKind, HostOp, HostResult, Outcome, Sent, Stored};
use molecule_host::{Host, Slot, Storage};
use scene::{ID, Scene};

#[test]
fn each_act_has_its_outcome() {
    let scene = Scene::new();
    let memory = Storage::Memory.open(&ID.parse().unwrap()).unwrap();
    for (store, place) in [(memory, None), (scene.store(), Some(scene.file(".auth_token")))] {
        let host = Host::new(store);
        let perform = |op| match host.perform(op) {
            Outcome::Host(result) => result,
            other => panic!("{other:?}"),
        };
        assert_eq!(perform(HostOp::Prepare), HostResult::Prepared);
        assert_eq!(perform(HostOp::Load(Slot::Token)), HostResult::Loaded(None));
        assert_eq!(perform(HostOp::Replace(Slot::Token, b"tok".to_vec().into())), HostResult::Replaced);
        let HostResult::Loaded(Some(Stored { bytes, place: told, .. })) = perform(HostOp::Load(Slot::Token)) else {
            panic!("not loaded");
        };
        assert_eq!(bytes.as_slice(), b"tok");
        if let Some(place) = place {
            assert_eq!(told, place.to_str().unwrap());
        }
        let append = |content: &str| HostOp::Append(Slot::Inbox, content.as_bytes().to_vec().into(), Durability::None);
        assert_eq!(perform(append("one ")), HostResult::Appended);
        assert_eq!(perform(append("two")), HostResult::Appended);
        let HostResult::Loaded(Some(Stored { bytes, .. })) = perform(HostOp::Load(Slot::Inbox)) else {
            panic!("not loaded");
        };
        assert_eq!(bytes.as_slice(), b"one two");
        let HostResult::SetAside(aside) = perform(HostOp::SetAside(Slot::Token)) else { panic!("not set aside") };
        assert!(!aside.is_empty());
        assert_eq!(perform(HostOp::Load(Slot::Token)), HostResult::Loaded(None));
    }
}

#[test]
fn a_failure_is_an_outcome_with_the_stores_sentence() {
    let scene = Scene::new();
    fs::create_dir(scene.directory()).unwrap();
    fs::create_dir(scene.file(".auth_token")).unwrap();
    let host = Host::new(scene.store());
    for op in [
        HostOp::Prepare,
        HostOp::Load(Slot::Token),
        HostOp::Replace(Slot::Token, b"hidden".to_vec().into()),
        HostOp::Append(Slot::Token, b"hidden".to_vec().into(), Durability::Sync),
    ] {
        let Outcome::Failed(fault) = host.perform(op) else { panic!("performed") };
        assert_eq!((fault.kind, fault.sent), (FaultKind::Host(io::ErrorKind::PermissionDenied), Sent::No));
        assert!(!format!("{fault:?}").contains("hidden"));
        let sentence = fault.source.unwrap().to_string();
        assert!(sentence.contains(scene.file(".auth_token").to_str().unwrap()), "{sentence}");
    }
}

#[test]
fn what_else_is_disposed_of_changes_nothing() {
    let scene = Scene::new();
    let host = Host::new(scene.store());
    host.perform(HostOp::Replace(Slot::Token, b"tok".to_vec().into()));
    for op in [
        HostOp::Prepare,
        HostOp::Load(Slot::Token),
        HostOp::Replace(Slot::InboundSecret, b"sec".to_vec().into()),
        HostOp::Append(Slot::Inbox, b"record".to_vec().into(), Durability::None),
    ] {
        host.dispose(host.perform(op));
    }
    assert_eq!(scene.names(), [".auth_token", ".inbox", ".platform_inbound_secret"]);
}
