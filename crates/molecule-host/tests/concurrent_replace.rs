//! A concurrent reader sees either the old or the new content: never a part, and never nothing.
#![allow(clippy::unwrap_used)]

mod scene;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use molecule_host::Slot;
use scene::{Scene, text};

const ROUNDS: u8 = 60;

#[test]
fn a_reader_never_sees_half_a_token() {
    let scene = Scene::new();
    // The contents have different lengths, so that a mixture of two is detected.
    let content = |round: u8| vec![b'a' + round % 26; 16 + usize::from(round) * 64];
    scene.store().replace(Slot::Token, &content(0)).unwrap();
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let store = scene.store();
                scope.spawn(move || {
                    for round in (writer..ROUNDS).step_by(2) {
                        store.replace(Slot::Token, &content(round)).unwrap();
                    }
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let store = scene.store();
            let mut seen = 0_u32;
            while !done.load(Ordering::Acquire) || seen == 0 {
                let text = text(&*store, Slot::Token).expect("a token is always there");
                let whole = (0..ROUNDS).any(|round| text.as_bytes() == content(round));
                assert!(whole, "{} bytes", text.len());
                seen += 1;
            }
            seen
        });
        let written = writers.into_iter().map(thread::ScopedJoinHandle::join).all(|joined| joined.is_ok());
        done.store(true, Ordering::Release);
        assert!(written);
        reader.join().unwrap()
    });
    assert!(seen > 0);
    assert_eq!(scene.names(), [".auth_token"]);
}

#[test]
fn agents_that_start_at_once_make_one_directory() {
    let scene = Scene::new();
    let home = scene.home.join("a/b/c");
    thread::scope(|scope| {
        let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| scene::store_in(&home).prepare())).collect();
        for start in starts {
            start.join().unwrap().unwrap();
        }
    });
}
