//! Colours and progress are for terminals alone, and the usual variables count.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::process::{Command, Stdio};

use common::{World, told};
use molecule_platform::{Dialect, PluginTree};

const ESCAPE: char = '\u{1b}';

/// Runs the program in a terminal of its own. Returns what that shows.
const TERMINAL: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";

fn in_terminal(world: &World, args: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let own = world.molecule(args);
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, own.get_program().to_str().unwrap()]).args(args);
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    command.env("TERM", "xterm-256color").envs(variables.iter().copied()).stdin(Stdio::null());
    let (code, out, err) = told(command.output().unwrap());
    (code, out + &err)
}

fn piped(world: &World, args: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = world.molecule(args);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(name);
    }
    let (_, out, err) = told(command.envs(variables.iter().copied()).output().unwrap());
    out + &err
}

#[test]
fn colours_are_for_terminals_and_for_those_who_insist() {
    let world = World::new(Dialect::Current, "colours");
    world.run(&["register"]);
    let failing = ["plugins", "uninstall", "none"];
    for args in [&failing[..], &["doctor"], &["--help"]] {
        assert!(!piped(&world, args, &[]).contains(ESCAPE), "{args:?}");
        assert!(piped(&world, args, &[("CLICOLOR_FORCE", "1")]).contains(ESCAPE), "{args:?}");
        assert!(!piped(&world, args, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]).contains(ESCAPE), "{args:?}");
        assert!(in_terminal(&world, args, &[]).1.contains(ESCAPE), "{args:?}");
        assert!(!in_terminal(&world, args, &[("NO_COLOR", "1")]).1.contains(ESCAPE), "{args:?}");
        assert!(!in_terminal(&world, args, &[("TERM", "dumb")]).1.contains(ESCAPE), "{args:?}");
    }
    // What programs read has none, whoever insists.
    assert!(!piped(&world, &["--json", "doctor"], &[("CLICOLOR_FORCE", "1")]).contains(ESCAPE));
}

#[test]
fn a_download_shows_its_progress_on_a_terminal_alone() {
    let world = World::new(Dialect::Current, "progress");
    // What does not compress takes its time.
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(24 << 20)
    .collect();
    let plugin = PluginTree::new("my-plugin")
        .file("plugin.yaml", "name: my-plugin\nversion: 1.0.0\ndescription: Says hello.\n")
        .file("noise", noise);
    world.server.with(|platform, _| platform.add_plugin(plugin));
    world.run(&["register"]);
    let install = ["plugins", "install", "my-plugin"];
    let (code, shown) = in_terminal(&world, &install, &[]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("my-plugin  ") && shown.contains("MiB"), "{shown}");
    let is_cleared = shown.rsplit("MiB").next().unwrap().contains("\u{1b}[2K");
    assert!(is_cleared, "it is removed at the end: {shown:?}");
    for args in [&install[..], &["-v", "plugins", "install", "my-plugin"]] {
        assert!(!piped(&world, args, &[]).contains("MiB"), "{args:?}");
    }
    for args in [&["-q", "plugins", "install", "my-plugin"][..], &["--json", "plugins", "install", "my-plugin"]] {
        let (_, shown) = in_terminal(&world, args, &[]);
        assert!(!shown.contains("MiB") && !shown.contains(ESCAPE), "{args:?}: {shown:?}");
    }
}

#[test]
fn quiet_says_results_and_warnings_alone_and_verbose_says_more() {
    let world = World::new(Dialect::Current, "quiet");
    let of = |flags: &[&str]| {
        let child = world.start(&[flags, &["--echo"]].concat());
        world.write("hello");
        world.wait_for_words(&["hello"]);
        common::terminate(&child);
        told(child.wait_with_output().unwrap())
    };
    let (usual, quiet) = (of(&[]), of(&["-q"]));
    assert!(usual.2.contains("online") && !usual.2.contains("the reply to message"), "{}", usual.2);
    assert_eq!((quiet.1.lines().count(), &*quiet.2), (1, ""));
    let mut verbose = world.start(&["-v", "--echo"]);
    world.write("hello again");
    common::read_until(verbose.stderr.take().unwrap(), |line| line.contains("the reply to message"));
    common::terminate(&verbose);
    assert_eq!(verbose.wait().unwrap().code(), Some(0));
}
