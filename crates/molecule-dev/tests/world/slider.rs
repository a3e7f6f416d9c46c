//! The state as of any line, and a fork from there.

use crate::common::{Folder, beat, create, feed, get, register};
use molecule_dev::{Act, Acted, Dev, Options};
use molecule_platform::TokenKind;
use molecule_proto::{Message, WorkspaceStatus, path};

#[test]
fn the_state_can_be_read_as_of_any_line() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let world = dev.world();
    let start = world.line();
    let (id, token) = create(world, "mine");
    let created = world.line();
    assert_eq!(beat(&dev, &id, &token, 1), 200);
    let online = world.line();
    assert_eq!(world.act(Act::Pause { id: id.clone(), cascade: false }), Acted::Count { count: 1 });
    let paused = world.line();
    let status = |line| world.read(line, |platform, _| platform.status(&id)).unwrap();
    // In any order: a state that was read is not changed by another.
    for _ in 0..2 {
        assert_eq!(status(Some(paused)), Some(WorkspaceStatus::Paused));
        assert_eq!(status(Some(start)), None);
        assert_eq!(status(Some(online)), Some(WorkspaceStatus::Online));
        assert_eq!(status(Some(created)), Some(WorkspaceStatus::AwaitingAgent));
        assert_eq!(status(None), Some(WorkspaceStatus::Paused));
    }
    let times: Vec<_> = (1..=paused).map(|line| world.read(Some(line), |_, now| now.mono).unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    for line in [0, paused + 1, u64::MAX] {
        let error = world.read(Some(line), |_, _| ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
    }
}

#[test]
fn a_long_log_is_read_from_the_states_that_are_kept() {
    let dev = Dev::start(Options::in_memory().empty(true)).unwrap();
    let world = dev.world();
    let (id, _) = create(world, "mine");
    let first = world.line();
    // Not one of these can be done twice, or left out, without being seen.
    let lines: Vec<u64> = (0..2500)
        .map(|_| {
            let minted = world.act(Act::MintToken { id: id.clone(), kind: TokenKind::Api });
            assert!(matches!(minted, Acted::Token { .. }), "{minted:?}");
            world.line()
        })
        .collect();
    assert!(lines[0] > first);
    let count = |line: u64| world.read(Some(line), |platform, _| platform.live_tokens(&id)).unwrap();
    for place in [0, 7, 998, 999, 1000, 1001, 1999, 2000, 2499, 1500] {
        assert_eq!(count(lines[place]), place + 2, "after line {}", lines[place]);
    }
    // States are kept at each thousandth line, and at those that were read.
    for line in [1000, 1001, 2000, 2001, lines[1500], lines[1500] + 1] {
        assert_eq!(count(line), usize::try_from(line - lines[0]).unwrap() + 2, "after line {line}");
    }
}

#[test]
fn a_fork_goes_on_from_its_line_and_the_original_stays() {
    let folder = Folder::new();
    let dev = Dev::start(Options::at(folder.log()).empty(true)).unwrap();
    let (id, token) = create(dev.world(), "mine");
    register(&dev, &id, &token);
    for uptime in 0..5 {
        assert_eq!(beat(&dev, &id, &token, uptime), 200);
    }
    let line = dev.world().line();
    dev.world().act(Act::SendUserMessage { to: id.clone(), message: Message::text("only here") });
    let path = folder.path().join("fork.jsonl");
    dev.world().fork(line, &path).unwrap();
    assert_eq!(dev.world().fork(line, &path).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(dev.world().fork(0, &folder.path().join("none")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert!(!folder.path().join("none").exists());

    let fork = Dev::start(Options::at(&path)).unwrap();
    let opened = fork.opened().unwrap();
    assert_eq!((opened.lines, opened.mismatched, opened.cut), (line - 1, 0, 0));
    assert_eq!(get(&fork, &path::state(&id), token.expose()).0, 200);
    assert_eq!(feed(&fork, &id, &token).len(), 0);
    assert_eq!(feed(&dev, &id, &token).len(), 1);
    let before = dev.world().line();
    create(fork.world(), "another");
    assert_eq!(dev.world().line(), before);
}
