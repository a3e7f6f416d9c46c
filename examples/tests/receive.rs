//! The programs that receive messages run as they are printed: the README's, and both echo agents. The owner writes, the
//! agent answers, and a second agent gets an answer too.

#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Child, Output};
use std::time::Duration;

use common::{DIALECTS, World};
use molecule_core::proto::{ActivityRow, WorkspaceId};
use molecule_platform::{Dialect, Platform};

const LONG: Duration = Duration::from_secs(60);

/// Waits until a row of a workspace's feed satisfies a condition.
fn wait_for_row(world: &World, of: &WorkspaceId, what: &str, mut is_it: impl FnMut(&ActivityRow) -> bool) {
    let is_there = |platform: &Platform| platform.activity(of).into_iter().any(&mut is_it);
    assert!(world.server.wait_until(is_there, LONG), "{what}");
}

/// The text of a message to the user.
fn said(row: &ActivityRow) -> Option<&str> {
    row.response_body.as_ref().filter(|_| row.is_notice())?.get("result")?.as_str()
}

/// Pauses the workspace, which ends the program.
fn paused(world: &World, child: Child) -> Output {
    world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
    child.wait_with_output().unwrap()
}

fn start(world: &World, program: &str) -> Child {
    let child = world.program(program, Some(&world.token)).spawn().unwrap();
    let beats = |requests: &[molecule_platform::serve::Seen]| {
        requests.iter().any(|request| request.path == "/registry/heartbeat")
    };
    assert!(world.server.wait_for(beats, LONG), "{program} sends no heartbeat");
    child
}

fn assert_ended(program: &str, output: &Output, lines: &[&str]) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{program}: {out} {err}");
    assert_eq!(out.lines().collect::<Vec<_>>(), lines, "{program}: {err}");
}

#[test]
fn the_readmes_program_answers_the_owner() {
    let program = "readme-receive";
    for dialect in DIALECTS {
        let world = World::new(dialect, program);
        let child = start(&world, program);
        world.server.with(|platform, now| platform.send_user_message(now, &world.id, "hello")).unwrap();
        wait_for_row(&world, &world.id, "the answer", |row| said(row) == Some("you wrote: hello"));
        assert_ended(program, &paused(&world, child), &["ended: paused"]);
    }
}

#[test]
fn an_echo_agent_answers_the_owner() {
    for program in ["echo-agent", "echo-agent-async"] {
        for dialect in DIALECTS {
            let world = World::new(dialect, program);
            let child = start(&world, program);
            world.server.with(|platform, now| platform.send_user_message(now, &world.id, "hello")).unwrap();
            wait_for_row(&world, &world.id, "the answer", |row| said(row) == Some("hello"));
            assert_ended(program, &paused(&world, child), &["the user: hello", "ended: paused"]);
        }
    }
}

#[test]
fn an_echo_agent_answers_a_peer() {
    for program in ["echo-agent", "echo-agent-async"] {
        let world = World::new(Dialect::Current, &format!("{program}-peer"));
        let (peer, _) = world.server.with(|platform, now| platform.create_workspace(now, "peer"));
        let child = start(&world, program);
        let sent = world.server.with(|platform, now| platform.send_agent_message(now, &peer, &world.id, "ping"));
        let sent = sent.unwrap();
        wait_for_row(&world, &peer, "the answer", |row| {
            let message = row.request_body.as_ref().and_then(|body| body.pointer("/params/message"));
            row.source_id.as_ref() == Some(&world.id)
                && message.is_some_and(|message| {
                    message["parts"][0]["text"] == "ping" && message["metadata"]["molecule.in_reply_to"] == *sent
                })
        });
        let name = format!("peer {peer}");
        let output = paused(&world, child);
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(out.lines().any(|line| line.starts_with(&name) && line.ends_with(": ping")), "{out}");
    }
}
