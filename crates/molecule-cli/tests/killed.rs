//! A kill -9 of the program in the middle: nothing is lost, and nothing is answered twice.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use common::{ECHO, LONG, World, terminate, told, wait_for};
use molecule_async::Message;
use molecule_platform::{Dialect, Platform};

/// Starts the program, and kills it at another moment each time: `until` says when. The platform of the test shows rows at
/// once, so that a short trail is the truth, and a lost notice is looked for a second long.
fn killed(world: &World, write: &dyn Fn(usize), until: &dyn Fn(usize)) {
    for round in 0..4 {
        let mut child = world.start(&["--trail", "1", "--", "sh", "-c", ECHO]);
        write(round);
        until(round);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

fn end(world: &World, child: std::process::Child) {
    let (code, _, err) = world.paused(child);
    assert_eq!(code, 4, "{err}");
}

/// The peer is an agent of its own, with a ledger of the answers that reach its handler.
#[test]
fn a_peer_gets_each_answer_once_whenever_the_agent_is_killed() {
    let world = World::new(Dialect::Current, "killed-peer");
    let (peer, token) = world.server.with(|platform, now| platform.create_workspace(now, "peer"));
    let ledger = world.home.join("ledger");
    let listening = world
        .molecule(&[
            "run",
            "--trail",
            "1",
            "--per-message",
            "--",
            "sh",
            "-c",
            "cat >> \"$LEDGER\"; echo >> \"$LEDGER\"",
        ])
        .env("WORKSPACE_ID", peer.as_str())
        .env("MOLECULE_WORKSPACE_TOKEN", token.expose())
        .env("LEDGER", &ledger)
        .spawn()
        .unwrap();
    let ask = |text: &str| {
        let message = Message::text(text);
        world.server.with(|platform, now| platform.send_agent_message(now, &peer, &world.id, message)).unwrap();
    };
    let answers = || -> Vec<String> {
        let text = std::fs::read_to_string(&ledger).unwrap_or_default();
        text.lines().map(|line| line.trim_start_matches("you wrote: ").to_owned()).collect()
    };
    let wait_for = |count: usize| wait_for("the answers", || answers().len() >= count);
    killed(
        &world,
        &|round| (0..5).for_each(|number| ask(&format!("{round}.{number}"))),
        // Before an answer, after the first of a round, between two, after all.
        &|round| wait_for([0, 5 + 1, 2 * 5 + 3, 4 * 5][round]),
    );
    let child = world.start(&["--trail", "1", "--", "sh", "-c", ECHO]);
    wait_for(20);
    end(&world, child);
    terminate(&listening);
    let (code, _, err) = told(listening.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let mut all = answers();
    all.sort();
    let expected: Vec<String> =
        (0..4).flat_map(|round| (0..5).map(move |number| format!("{round}.{number}"))).collect();
    assert_eq!(all, expected);
}

/// A notice to a person has no id on the wire: after a kill the agent looks whether it arrived, and sends it again only if
/// it did not.
#[test]
fn a_person_gets_each_answer_once_whenever_the_agent_is_killed() {
    let world = World::new(Dialect::Current, "killed-user");
    killed(&world, &|round| (0..3).for_each(|number| world.write(&format!("{round}.{number}"))), &|round| {
        let count = [0, 3 + 1, 2 * 3 + 2, 4 * 3][round];
        let said = |platform: &Platform| platform.activity(&world.id).iter().filter(|row| row.is_notice()).count();
        assert!(world.server.wait_until(|platform| said(platform) >= count, LONG), "{:?}", world.said());
    });
    let child = world.start(&["--trail", "1", "--", "sh", "-c", ECHO]);
    let expected: Vec<String> =
        (0..4).flat_map(|round| (0..3).map(move |number| format!("you wrote: {round}.{number}"))).collect();
    world.wait_for_words(&expected.iter().map(|text| &**text).collect::<Vec<_>>());
    end(&world, child);
    let mut said = world.said();
    said.sort();
    assert_eq!(said, expected);
}
