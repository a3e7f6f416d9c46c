//! SIGHUP has the card, the configuration and the secrets read again, and nothing that runs is lost by it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::Child;
use std::time::Instant;

use common::{ECHO, LONG, World, read_until, signal, terminate, told};
use molecule_platform::{Dialect, Platform};

/// Waits until the platform has a card of this name.
fn wait_for_card(world: &World, name: &str) {
    let deadline = Instant::now() + LONG;
    while world.json(&["status"])["view"]["agent_card"]["name"] != name {
        assert!(Instant::now() < deadline, "{}", world.json(&["status"]));
    }
}

#[test]
fn the_card_is_read_again_and_sent() {
    let world = World::new(Dialect::Current, "reload-card");
    std::fs::create_dir_all(&world.home).unwrap();
    let card = world.home.join("card.json");
    std::fs::write(&card, r#"{"name":"before","skills":["search"]}"#).unwrap();
    let child = world.start(&["--card", card.to_str().unwrap(), "--echo"]);
    wait_for_card(&world, "before");
    std::fs::write(&card, r#"{"name":"after"}"#).unwrap();
    signal(&child, "HUP");
    wait_for_card(&world, "after");
    // One that makes no sense changes nothing, and ends nothing.
    std::fs::write(&card, "[").unwrap();
    signal(&child, "HUP");
    world.write("still there");
    world.wait_for_words(&["still there"]);
    wait_for_card(&world, "after");
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("the card stays as it was"), "{err}");
}

#[test]
fn a_service_manager_is_told_of_the_reload_and_its_end() {
    let world = World::new(Dialect::Current, "reload-notify");
    let path = std::env::temp_dir().join(format!("molecule-cli-reload-{}.sock", std::process::id()));
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let child =
        world.molecule(&["run", "--echo"]).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").spawn().unwrap();
    let mut told_of = Vec::new();
    let mut wait_for = |part: &str| loop {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
        told_of.push(said.clone());
        if said.starts_with(part) {
            return said;
        }
    };
    wait_for("READY=1");
    wait_for("WATCHDOG=1");
    signal(&child, "HUP");
    let reloading = wait_for("RELOADING=1");
    let at: u64 = reloading.split("MONOTONIC_USEC=").nth(1).unwrap().trim().parse().unwrap();
    assert!(at > 0);
    wait_for("READY=1");
    terminate(&child);
    wait_for("STOPPING=1");
    assert_eq!(told(child.wait_with_output().unwrap()).0, 0);
    let _ = std::fs::remove_file(path);
}

#[test]
fn workspaces_come_and_go_with_the_configuration() {
    let world = World::new(Dialect::Current, "reload-config");
    let (other, token) = world.server.with(|platform, now| platform.create_workspace(now, "other"));
    std::fs::create_dir_all(&world.home).unwrap();
    let config = world.home.join("molecule.toml");
    std::fs::write(world.home.join("other.token"), token.expose()).unwrap();
    std::fs::write(world.home.join("mine.token"), world.token()).unwrap();
    let entry = |id: &str, name: &str| {
        format!("[[workspace]]\nid = \"{id}\"\nname = \"{name}\"\ntoken_file = \"{name}.token\"\n")
    };
    let platform = format!("platform = \"{}\"\n", world.server.url());
    let mine = entry(world.id.as_str(), "mine");
    std::fs::write(&config, format!("{platform}{mine}")).unwrap();
    let child = world.start(&["--config", config.to_str().unwrap(), "--echo"]);
    world.write("hello one");
    world.wait_for_words(&["hello one"]);
    // Another workspace joins, and the first goes on.
    std::fs::write(&config, format!("{platform}{mine}{}", entry(other.as_str(), "other"))).unwrap();
    signal(&child, "HUP");
    world.server.with(|platform, now| platform.send_user_message(now, &other, "hello two")).unwrap();
    let is_said = |platform: &Platform| platform.activity(&other).iter().any(|row| row.is_notice());
    assert!(world.server.wait_until(is_said, LONG));
    world.write("and again");
    world.wait_for_words(&["and again"]);
    // A file that makes no sense changes nothing.
    std::fs::write(&config, "[[workspace").unwrap();
    signal(&child, "HUP");
    world.write("unharmed");
    world.wait_for_words(&["unharmed"]);
    // The first one leaves, with an end of its own.
    std::fs::write(&config, format!("{platform}{}", entry(other.as_str(), "other"))).unwrap();
    signal(&child, "HUP");
    let mut child = child;
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "mine: stopped\n");
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("the configuration stays as it was"), "{err}");
}

/// A handler that answers with a secret and with the number of its starts and hangups.
const SHOWS: &str = r#"
import json, os, signal, sys
hups = 0
def hang_up(*_):
    global hups
    hups += 1
signal.signal(signal.SIGHUP, hang_up)
for line in iter(sys.stdin.readline, ""):
    said = f"{os.environ['API_KEY']} {os.getpid()} {hups}"
    print(json.dumps({"id": json.loads(line)["id"], "reply": said}), flush=True)
"#;

fn answer(world: &World, number: usize) -> Vec<String> {
    world.write("which?");
    let count = |platform: &Platform| platform.activity(&world.id).iter().filter(|row| row.is_notice()).count();
    assert!(world.server.wait_until(|platform| count(platform) > number, LONG), "{:?}", world.said());
    world.said()[number].split(' ').map(str::to_owned).collect()
}

fn with_secrets(world: &World, how: &str) -> Child {
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-1"));
    world.start(&[
        "--with-secrets",
        "--reload-on-secrets",
        how,
        "--secrets-every",
        "3600",
        "--",
        "python3",
        "-c",
        SHOWS,
    ])
}

#[test]
fn a_program_is_started_again_with_the_secrets_that_have_changed() {
    let world = World::new(Dialect::Current, "secrets-restart");
    let mut child = with_secrets(&world, "restart");
    let before = answer(&world, 0);
    assert_eq!(before[0], "sk-1");
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-2"));
    signal(&child, "HUP");
    read_until(child.stderr.take().unwrap(), |line| line.contains("the program is started again"));
    let after = answer(&world, 1);
    assert_eq!(after[0], "sk-2");
    assert_ne!(after[1], before[1], "it is another process");
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_program_that_lives_on_gets_a_signal_instead() {
    let world = World::new(Dialect::Current, "secrets-hup");
    let mut child = with_secrets(&world, "hup");
    let before = answer(&world, 0);
    assert_eq!(before[2], "0");
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-2"));
    signal(&child, "HUP");
    read_until(child.stderr.take().unwrap(), |line| line.contains("secrets have changed"));
    let after = answer(&world, 1);
    assert_eq!((&*after[0], &after[1], &*after[2]), ("sk-1", &before[1], "1"));
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn without_a_signal_the_secrets_are_looked_at_again_and_again() {
    let world = World::new(Dialect::Current, "secrets-poll");
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-1"));
    let line = ["--with-secrets", "--reload-on-secrets", "restart", "--secrets-every", "0.2", "--", "sh", "-c", ECHO];
    let mut child = world.start(&line);
    world.server.with(|platform, now| platform.set_secret(now, &world.id, "API_KEY", "sk-2"));
    read_until(child.stderr.take().unwrap(), |line| line.contains("the program is started again"));
    world.write("hello");
    world.wait_for_words(&["you wrote: hello"]);
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn hup_is_for_a_program_that_lives_on() {
    let world = World::new(Dialect::Current, "secrets-usage");
    let (code, _, err) = world.run(&["run", "--per-message", "--reload-on-secrets", "hup", "--", "cat"]);
    assert_eq!((code, err.contains("give `restart`")), (2, true), "{err}");
}
