//! The programs that are called run as they are printed: the README's, and both demos.

#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::World;
use molecule_core::proto::{ActivityRow, DeliveryMode};
use molecule_platform::{Dialect, Platform};

const LONG: Duration = Duration::from_secs(60);

/// The text with which the agent answered a message that was pushed to it.
fn answered(row: &ActivityRow) -> Option<&str> {
    row.response_body.as_ref()?.pointer("/result/parts/0/text")?.as_str()
}

#[test]
fn the_readmes_program_is_called_by_the_platform() {
    let program = "readme-called";
    let world = World::new(Dialect::Current, program);
    let child = world.program(program, Some(&world.token)).spawn().unwrap();
    let is_called = |platform: &Platform| platform.delivery_mode(&world.id) == Some(DeliveryMode::Push);
    assert!(world.server.wait_until(is_called, LONG), "it registers no server");
    world.server.with(|platform, now| platform.send_user_message(now, &world.id, "hello")).unwrap();
    let is_answered = |platform: &Platform| {
        platform.activity(&world.id).into_iter().any(|row| answered(row) == Some("you wrote: hello (the user)"))
    };
    assert!(world.server.wait_until(is_answered, LONG), "no answer to the push");
    world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), &*out), (Some(0), "ended: paused\n"), "{err}");
    assert!(!err.contains(&world.token), "{err}");
}

#[test]
fn the_demos_are_called_by_the_platform_and_by_a_peer() {
    for program in ["inbound-agent", "inbound-agent-async"] {
        let world = World::new(Dialect::Current, program);
        // Without a platform in the environment, the demo embeds one.
        let mut command = world.program(program, None);
        command.env_remove("MOLECULE_PLATFORM_URL").env_remove("MOLECULE_WORKSPACE_ID").env_remove("MOLECULE_HOME");
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!((output.status.code(), &*err), (Some(0), ""), "{program}: {out}");
        let told = |line: &str| assert!(out.lines().any(|told| told.contains(line)), "{program}: {line:?} in {out}");
        told("owner     writes \"hello\", which the platform pushes");
        told("agent     got \"hello\" from the user");
        told("owner     reads \"you wrote: hello\"");
        told("agent     got \"are you there?\" from peer ");
        told("colleague replied: you wrote: are you there?");
        assert_eq!(out.lines().last(), Some("ended: paused"), "{program}: {out}");
    }
}
