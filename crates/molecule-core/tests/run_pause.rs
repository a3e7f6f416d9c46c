//! The loop and a paused workspace: no register is sent while it is paused.

#![allow(clippy::unwrap_used)]

mod support;

use molecule_core::proto::WorkspaceStatus;
use molecule_core::{Ended, Event, OnPause};
use serde_json::json;
use support::platform::{HEARTBEAT, REGISTER, STATE, VIEW};
use support::*;

fn both() -> [Platform; 2] {
    [Platform::current(), Platform::april()]
}

#[test]
fn a_pause_ends_the_loop() {
    for platform in both() {
        let mut run = Looped::usual(platform);
        run.on(secs(100));
        run.platform.status = "paused".to_owned();
        let before = run.platform.count(REGISTER);
        assert_eq!(run.end().unwrap(), Ended::Paused);
        assert_eq!((run.platform.count(REGISTER), &*run.platform.status), (before, "paused"));
        assert_eq!(run.events().iter().filter(|event| **event == Event::Paused).count(), 1);
        assert_eq!(run.agent.store.locked, None);
        assert_eq!(run.agent.session.health().status, Some(WorkspaceStatus::Paused));
    }
}

#[test]
fn a_start_while_paused_ends_without_a_register() {
    for mut platform in both() {
        platform.status = "paused".to_owned();
        let mut run = Looped::usual(platform);
        assert_eq!(run.end().unwrap(), Ended::Paused);
        let asked: Vec<_> = run.platform.seen.iter().map(|seen| seen.path.as_str()).collect();
        assert_eq!(asked, ["/workspaces/:id"]);
        assert_eq!(run.agent.now.mono, run.began);
    }
}

#[test]
fn a_waiting_loop_neither_beats_nor_registers_while_paused_whatever_asks_for_it() {
    for platform in both() {
        let mut run = Looped::waiting(platform);
        run.on(secs(100));
        run.platform.status = "paused".to_owned();
        run.on(secs(60));
        let from = run.agent.now.mono;
        run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
        // A refused poll of the state is a reason for a register, too.
        run.platform.weather = Box::new(move |seen| {
            let minute = seen.at.since(from).as_secs() / 60;
            (seen.is(STATE) && (10..20).contains(&minute)).then(|| Answer::error(401, "invalid").into())
        });
        run.on(secs(3 * 3600));
        assert_eq!((run.since(HEARTBEAT, from), run.since(REGISTER, from)), (0, 0));
        assert!(run.since(STATE, from) > 300, "it stopped looking");
        assert_eq!(run.platform.status, "paused");
    }
}

#[test]
fn a_resumed_workspace_is_registered_once_and_beats_again() {
    for platform in both() {
        let mut run = Looped::waiting(platform);
        run.on(secs(100));
        run.platform.status = "paused".to_owned();
        run.on(secs(3600));
        run.events();
        run.platform.status = "provisioning".to_owned();
        let from = run.agent.now.mono;
        let before = run.platform.count(REGISTER);
        run.on(secs(3600));
        assert_eq!(run.platform.count(REGISTER) - before, 1);
        assert!(run.since(HEARTBEAT, from) > 100);
        assert_eq!(run.platform.status, "online");
        let events = run.events();
        let of = |event: &Event| events.iter().filter(|other| *other == event).count();
        assert_eq!((of(&Event::Resumed), of(&Event::Online), of(&Event::Paused)), (1, 1, 0), "{events:?}");
    }
}

#[test]
fn a_waiting_loop_that_starts_while_paused_registers_after_the_resume() {
    for mut platform in both() {
        platform.status = "paused".to_owned();
        let mut run = Looped::waiting(platform);
        run.on(secs(600));
        assert_eq!((run.platform.count(REGISTER), run.platform.count(HEARTBEAT)), (0, 0));
        run.platform.status = "failed".to_owned();
        run.on(secs(600));
        assert!(run.platform.count(REGISTER) > 0 && run.platform.count(HEARTBEAT) > 10);
    }
}

/// The workspace was created with a URL, so that no token was issued, and paused before the agent's first start.
#[test]
fn a_waiting_loop_without_a_token_registers_after_the_resume() {
    for platform in both() {
        let mut platform = platform.without_token();
        platform.status = "paused".to_owned();
        let agent = Agent::with(Agent::options().on_pause(OnPause::Wait), 7);
        let mut run = Looped::new(agent, platform);
        run.on(secs(600));
        assert_eq!(run.platform.count(REGISTER), 0);
        assert_eq!(run.events().iter().filter(|event| **event == Event::Paused).count(), 1);
        run.platform.status = "provisioning".to_owned();
        run.on(secs(600));
        assert!(run.platform.count(HEARTBEAT) > 10, "it never noticed:\n{}", run.agent.take_trace());
        assert_eq!(run.agent.store.token, Some(secret("minted1")));
        assert_eq!(run.events().iter().filter(|event| **event == Event::Resumed).count(), 1);
    }
}

/// The view was asked before the pause, and its answer arrives after the loop knows of the pause.
#[test]
fn a_register_that_was_not_sent_yet_when_the_pause_is_seen_is_not_sent() {
    for platform in both() {
        let mut run = Looped::waiting(platform);
        run.on(secs(100));
        let view = json!({"id": ID, "status": "online"});
        run.platform.weather = Box::new(move |seen| {
            seen.is(VIEW).then(|| Reply::After(secs(40), Answer::json(200, view.clone()).outcome()))
        });
        run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
        run.on(secs(1));
        run.platform.status = "paused".to_owned();
        let before = run.platform.count(REGISTER);
        run.on(secs(3600));
        assert_eq!((run.platform.count(REGISTER), &*run.platform.status), (before, "paused"));
        assert!(run.events().contains(&Event::Paused));

        run.platform.weather = Box::new(|_| None);
        run.platform.status = "provisioning".to_owned();
        run.on(secs(600));
        assert!(run.platform.count(REGISTER) > before, "nothing registers after the resume");
    }
}

#[test]
fn a_paused_workspace_that_is_deleted_ends_the_waiting_loop() {
    for platform in both() {
        let mut run = Looped::waiting(platform);
        run.on(secs(100));
        run.platform.status = "paused".to_owned();
        run.on(secs(600));
        run.platform.removed = true;
        let before = run.platform.count(REGISTER);
        assert_eq!(run.end().unwrap(), Ended::Deleted);
        assert_eq!(run.platform.count(REGISTER), before);
    }
}

#[test]
fn a_pause_that_only_the_view_shows_counts() {
    let mut run = Looped::usual(Platform::current());
    run.on(secs(100));
    run.platform.weather = Box::new(|seen| seen.is(STATE).then_some(Reply::Never));
    run.platform.status = "paused".to_owned();
    run.agent.session.set_reported_url(Some("https://agent.example/a2a".to_owned())).unwrap();
    assert_eq!(run.end().unwrap(), Ended::Paused);
    assert_eq!(run.platform.count(REGISTER), 1);
}

#[test]
fn either_word_of_the_state_means_paused() {
    for answer in [
        json!({"workspace_id": ID, "status": "paused", "paused": false, "deleted": false}),
        json!({"workspace_id": ID, "status": "online", "paused": true, "deleted": false}),
        json!({"workspace_id": ID, "paused": true, "deleted": false}),
    ] {
        let mut run = Looped::usual(Platform::current());
        run.platform.weather = Box::new(move |seen| seen.is(STATE).then(|| Answer::json(200, answer.clone()).into()));
        assert_eq!(run.end().unwrap(), Ended::Paused);
    }
}
