//! What is no fault of a message counts as no attempt: a program that asks for another try, or cannot be started.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use common::{World, read_until, terminate, told, wait_for};
use molecule_platform::Dialect;
use serde_json::Value;

/// Runs with one attempt and this program until what it says on stderr shows that a message is offered again.
fn put_off(world: &World, args: &[&str]) -> Vec<String> {
    let mut child = world.molecule(&[&["run", "--attempts", "1"], args].concat()).spawn().unwrap();
    world.write("hello");
    let lines = read_until(child.stderr.take().unwrap(), |line| line.contains("is offered again in"));
    // The journal is written a moment later.
    wait_for("it is offered again", || {
        let listed = world.json(&["inbox", "list"]);
        assert_eq!(listed[0]["text"], "hello", "{listed}");
        listed[0]["state"] == "offered_again"
    });
    assert_eq!(world.json(&["inbox", "dead"]), Value::Array(Vec::new()));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    lines
}

#[test]
fn a_program_that_asks_for_another_try_keeps_the_messages_attempts() {
    for (number, (args, part)) in [
        (&["--per-message", "--", "sh", "-c", "exit 75"][..], "asks for another try"),
        (&["--per-message", "--", "sh", "-c", "exit 126"], "could not be started"),
        (&["--per-message", "--", "sh", "-c", "no-such-program"], "could not be started"),
        (&["--per-message", "--", "no-such-program"], "cannot be started"),
        (&["--", "sh", "-c", "read -r line; exit 75"], "asks for another try"),
        (&["--", "sh", "-c", "read -r line; exit 127"], "could not be started"),
        (&["--forward", "http://127.0.0.1:1/"], "cannot be reached"),
    ]
    .into_iter()
    .enumerate()
    {
        let world = World::new(Dialect::Current, &format!("try-again-{number}"));
        let lines = put_off(&world, args);
        assert!(lines.iter().any(|line| line.contains(part)), "{args:?}: {lines:?}");
    }
}

#[test]
fn a_line_may_say_how_long_to_wait() {
    let script = r#"
read -r line
id=$(printf '%s' "$line" | sed 's/^{"v":1,"id":"\([^"]*\)".*/\1/')
printf '{"id":"%s","retry":300}\n' "$id"
read -r line
"#;
    let world = World::new(Dialect::Current, "retry-line");
    let lines = put_off(&world, &["--", "sh", "-c", script]);
    assert!(lines.iter().any(|line| line.contains("is offered again in 300.0 s")), "{lines:?}");
}

#[test]
fn a_crash_and_every_other_code_are_attempts() {
    for (number, script) in ["exit 1", "exit 64", "kill -SEGV $$", "kill -KILL $$"].into_iter().enumerate() {
        let world = World::new(Dialect::Current, &format!("crash-{number}"));
        let mut child =
            world.molecule(&["run", "--attempts", "1", "--per-message", "--", "sh", "-c", script]).spawn().unwrap();
        world.write("hello");
        read_until(child.stderr.take().unwrap(), |line| line.contains("dead letter after 1 attempts"));
        let dead = world.json(&["inbox", "list"]);
        assert_eq!((&dead[0]["state"], &dead[0]["attempts"]), (&"dead".into(), &1.into()), "{dead}");
        terminate(&child);
        child.wait().unwrap();
    }
}

/// A message whose try comes again is handled then, and answered once.
#[test]
fn a_message_that_was_put_off_is_answered_in_the_end() {
    let world = World::new(Dialect::Current, "in-the-end");
    std::fs::create_dir_all(&world.home).unwrap();
    let mark = world.home.join("again");
    let script = format!("if [ ! -e {0} ]; then touch {0}; exit 75; fi; echo done", mark.display());
    let child = world.start(&["--attempts", "1", "--per-message", "--", "sh", "-c", &script]);
    world.write("hello");
    world.wait_for_words(&["done"]);
    terminate(&child);
    assert_eq!(told(child.wait_with_output().unwrap()).0, 0);
    assert_eq!(world.said(), ["done"]);
}
