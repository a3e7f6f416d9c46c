//! `molecule run`: a program handles the messages, whatever it does.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read};
use std::os::unix::net::UnixDatagram;

use common::{DIALECTS, ECHO, LONG, World, terminate, told};
use molecule_async::{DeliveryMode, Message};
use molecule_platform::Dialect;
use serde_json::Value;

const CURRENT: Dialect = Dialect::Current;

#[test]
fn an_echo_answers_the_user_until_the_workspace_is_paused() {
    let world = World::new(CURRENT, "echo");
    let child = world.start(&["--echo"]);
    world.write("hello");
    world.wait_for_words(&["hello"]);
    let (code, out, err) = world.paused(child);
    assert_eq!(code, 4, "{err}");
    assert!(out.ends_with(": paused\n"), "{out}");
}

#[test]
fn a_program_answers_lines_with_lines() {
    let world = World::new(CURRENT, "lines");
    let child = world.start(&["--", "sh", "-c", ECHO]);
    (1..=20).for_each(|number| world.write(&format!("number {number}")));
    world.wait_for_words(
        &(1..=20)
            .map(|number| format!("you wrote: number {number}"))
            .collect::<Vec<_>>()
            .iter()
            .map(|text| &**text)
            .collect::<Vec<_>>(),
    );
    terminate(&child);
    let (code, out, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(out.ends_with(": stopped\n"), "{out}");
    assert_eq!(world.said().len(), 20, "nothing is answered twice");
}

#[test]
fn a_program_for_each_message_reads_stdin_and_writes_stdout() {
    for dialect in DIALECTS {
        let world = World::new(dialect, "per-message");
        if dialect == Dialect::April {
            // Its feed has no message of a person for an agent that polls.
            continue;
        }
        let script = r#"printf '%s from %s (%s): ' "${MOLECULE_MESSAGE_ID:+an id}" "$MOLECULE_MESSAGE_SENDER_KIND" "$MOLECULE_WORKSPACE_TOKEN"; tr a-z A-Z"#;
        let child = world.start(&["--per-message", "--", "sh", "-c", script]);
        world.write("hello");
        world.wait_for_words(&["an id from user (): HELLO"]);
        assert_eq!(world.paused(child).0, 4);
    }
}

#[test]
fn a_program_that_fails_leaves_a_message_that_can_be_offered_again() {
    let world = World::new(CURRENT, "fails");
    let line = ["--per-message", "--attempts", "1", "--", "sh", "-c", "echo no model >&2; exit 1"];
    let mut child = world.start(&line);
    world.write("hello");
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("dead letter") || line.contains("offered no more")) {
        let mut line = String::new();
        assert!(err.read_line(&mut line).unwrap() > 0, "{lines:?}");
        lines.push(line);
    }
    assert!(lines.iter().any(|line| line.contains("| no model")), "{lines:?}");
    let dead = world.json(&["inbox", "dead"]);
    assert_eq!((&dead[0]["text"], &dead[0]["attempts"]), (&Value::from("hello"), &Value::from(1)), "{dead}");
    let id = dead[0]["id"].as_str().unwrap();
    assert_eq!(world.json(&["inbox", "show", id])["why"], dead[0]["why"]);
    world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(world.json(&["inbox", "retry", id])["result"], "offered");
}

#[test]
fn a_program_that_dies_is_started_again_and_gets_its_messages_again() {
    let world = World::new(CURRENT, "dies");
    std::fs::create_dir_all(&world.home).unwrap();
    let mark = world.home.join("died-once");
    let script = format!("if [ ! -e {0} ]; then read -r line; touch {0}; exit 3; fi\n{ECHO}", mark.display());
    let child = world.start(&["--", "sh", "-c", &script]);
    world.write("hello");
    world.wait_for_words(&["you wrote: hello"]);
    let (code, _, err) = world.paused(child);
    assert_eq!(code, 4);
    assert!(err.contains("the program ended: exit status: 3; it is started again"), "{err}");
}

#[test]
fn a_stop_finishes_what_is_being_handled_and_ends_a_program_that_ignores_it() {
    let world = World::new(CURRENT, "stop");
    // It answers after SIGTERM has reached its agent, and then ignores the end of its stdin, and SIGTERM; so does what it
    // has started.
    let script = r#"
trap '' TERM
read -r line
id=$(printf '%s' "$line" | sed 's/^{"v":1,"id":"\([^"]*\)".*/\1/')
echo "has it" >&2
sleep 2
printf '{"id":"%s","reply":"late"}\n' "$id"
sleep 600 & echo "child $!" >&2
while :; do sleep 1; done
"#;
    let mut child = world.start(&["--", "sh", "-c", script]);
    world.write("hello");
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("has it") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0);
    }
    terminate(&child);
    let (code, out, _) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{out}");
    assert_eq!(world.said(), ["late"]);
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    let left: u32 = rest.split("child ").nth(1).unwrap().split_whitespace().next().unwrap().parse().unwrap();
    let gone = std::fs::read_to_string(format!("/proc/{left}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(!gone, "what the program started is ended as well");
}

#[test]
fn secrets_reach_the_program_only_if_asked_for() {
    let world = World::new(CURRENT, "with-secrets");
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-1"));
    for (args, expected) in [(vec![], "[]"), (vec!["--with-secrets"], "[sk-1]")] {
        let line = ["--per-message", "--", "sh", "-c", "printf '[%s]' \"$API_KEY\""];
        let child = world.start(&[args, line.to_vec()].concat());
        world.write("hello");
        world.wait_for_words(&[expected]);
        terminate(&child);
        assert_eq!(told(child.wait_with_output().unwrap()).0, 0);
    }
}

#[test]
fn a_program_that_cannot_be_started_is_known_before_anything_is_registered() {
    let world = World::new(CURRENT, "no-program");
    let (code, _, err) = world.run(&["run", "--", "no-such-program"]);
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("no-such-program cannot be started"), "{err}");
    assert!(world.server.requests().is_empty());
    assert_eq!(world.run(&["run"]).0, 2, "no program at all");
}

#[test]
fn a_service_manager_is_told_when_the_agent_is_online_and_when_it_stops() {
    let world = World::new(CURRENT, "notify");
    std::fs::create_dir_all(&world.home).unwrap();
    // The path of a socket has at most 108 bytes.
    let path = std::env::temp_dir().join(format!("molecule-cli-{}.sock", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let child = world.molecule(&["run", "--echo"]).env("NOTIFY_SOCKET", &path).spawn().unwrap();
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"READY=1");
    terminate(&child);
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"STOPPING=1");
    assert_eq!(told(child.wait_with_output().unwrap()).0, 0);
    let _ = std::fs::remove_file(path);
}

#[test]
fn several_workspaces_run_in_one_process() {
    let world = World::new(CURRENT, "several");
    let (other, token) = world.server.with(|platform, now| platform.create_workspace(now, "other"));
    std::fs::create_dir_all(&world.home).unwrap();
    let config = world.home.join("molecule.toml");
    std::fs::write(world.home.join("other.token"), token.expose()).unwrap();
    let mine = world
        .molecule(&[])
        .get_envs()
        .find(|(name, _)| *name == "MOLECULE_WORKSPACE_TOKEN")
        .unwrap()
        .1
        .unwrap()
        .to_owned();
    std::fs::write(world.home.join("mine.token"), mine.as_encoded_bytes()).unwrap();
    let text = format!(
        "platform = \"{}\"\n[[workspace]]\nid = \"{}\"\nname = \"one\"\ntoken_file = \"mine.token\"\n\
         [[workspace]]\nid = \"{other}\"\nname = \"two\"\ntoken_file = \"other.token\"\n",
        world.server.url(),
        world.id
    );
    std::fs::write(&config, text).unwrap();
    let child = world.start(&["--config", config.to_str().unwrap(), "--echo"]);
    world.write("hello one");
    world.server.with(|platform, now| platform.send_user_message(now, &other, "hello two")).unwrap();
    world.wait_for_words(&["hello one"]);
    let is_said = |platform: &molecule_platform::Platform| platform.activity(&other).iter().any(|row| row.is_notice());
    assert!(world.server.wait_until(is_said, LONG));
    world.server.with(|platform, now| platform.pause(now, &world.id, false)).unwrap();
    world.server.with(|platform, now| platform.delete(now, &other, false)).unwrap();
    let (code, out, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 5, "{out}{err}");
    assert!(out.contains("one: paused\n") && out.contains("two: deleted\n"), "{out}");
}

#[test]
fn a_program_answers_what_is_pushed_to_its_agent() {
    let world = World::new(CURRENT, "push");
    let other = world.server.with(|platform, now| platform.create_workspace(now, "other").0);
    let child = world.start(&["--push", "127.0.0.1:0", "--", "sh", "-c", ECHO]);
    assert_eq!(world.server.with(|platform, _| platform.delivery_mode(&world.id)), Some(DeliveryMode::Push));
    let message = || Message::text("hello");
    world.server.with(|platform, now| platform.send_agent_message(now, &other, &world.id, message())).unwrap();
    let has_answer = |platform: &molecule_platform::Platform| {
        let rows = platform.activity(&world.id);
        let answers = rows.iter().filter_map(|row| row.response_body.as_ref());
        answers.map(ToString::to_string).any(|answer| answer.contains("you wrote: hello"))
    };
    assert!(world.server.wait_until(has_answer, LONG));
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    let mode = world.server.with(|platform, _| platform.delivery_mode(&world.id));
    assert_eq!(mode, Some(DeliveryMode::Poll), "messages wait in the feed while it is stopped: {err}");
}
