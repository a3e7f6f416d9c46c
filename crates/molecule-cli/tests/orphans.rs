//! The first process of a container waits for the orphans that come to it, and every user can run it from a read-only root.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Command;

use common::{LONG, World, terminate, told};
use molecule_platform::{Dialect, Platform};

/// Becomes a subreaper, as the first process of a container is one, and then the program.
const SUBREAPER: &str =
    "import ctypes, os, sys; assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0; os.execv(sys.argv[1], sys.argv[1:])";

/// The ended children of a process that nobody has waited for.
fn zombies(parent: u32) -> Vec<String> {
    let stats = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let of = format!(" Z {parent} ");
    stats.filter(|stat| stat.contains(&of)).collect()
}

#[test]
fn orphans_are_waited_for_and_the_programs_own_children_are_not_taken_away() {
    let world = World::new(Dialect::Current, "orphans");
    let mut command = Command::new("python3");
    let own = world.molecule(&[
        "run",
        "--per-message",
        "--",
        "sh",
        "-c",
        "setsid sh -c 'sleep 0.1 & exit' & wait; echo \"$?\"",
    ]);
    command.args(["-c", SUBREAPER, own.get_program().to_str().unwrap()]).args(own.get_args());
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    for number in 1..=5 {
        world.write("hello");
        let all =
            |platform: &Platform| platform.activity(&world.id).iter().filter(|row| row.is_notice()).count() >= number;
        assert!(world.server.wait_until(all, LONG), "{:?}", world.said());
    }
    let deadline = std::time::Instant::now() + LONG;
    while !zombies(child.id()).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", zombies(child.id()));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Each own child's end was its own to see: an answer came of each.
    assert_eq!(world.said(), ["0"; 5]);
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
}

/// Nothing is written outside the store, and nothing depends on who the user is or on a home.
#[test]
fn a_read_only_root_and_a_user_without_a_name_are_enough() {
    // Others than root cannot become another user, and cannot write to the root either.
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let world = World::new(Dialect::Current, "read-only");
    let own = world.molecule(&["--home", ":memory:", "run", "--echo"]);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65532", "--regid", "65532", "--clear-groups"]).arg(own.get_program());
        command
    } else {
        Command::new(own.get_program())
    };
    command.args(own.get_args()).env_clear().current_dir("/");
    command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env_remove("MOLECULE_HOME").env("TMPDIR", "/proc");
    command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    world.write("hello");
    world.wait_for_words(&["hello"]);
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
}

/// A program whose reader has gone ends by SIGPIPE, as it does in a shell.
#[test]
fn a_child_has_the_usual_sigpipe() {
    let world = World::new(Dialect::Current, "sigpipe");
    let child = world.start(&["--per-message", "--", "sh", "-c", "sh -c 'yes; echo \"status $?\" >&2' | head -n 1"]);
    world.write("hello");
    world.wait_for_words(&["y"]);
    terminate(&child);
    let (code, _, err) = told(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains("Broken pipe") && !err.contains("write error"), "{err}");
}
