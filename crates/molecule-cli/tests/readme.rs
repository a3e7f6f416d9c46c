//! The README's commands run as they are printed, with its handler in Python; `python3` must be there.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::pages::{claude_stands_in, commands, files};
use common::{World, terminate, told};
use molecule_platform::Dialect;

const README: &str = include_str!("../README.md");

/// A shell in the workspace's directory that finds the program, with the variables that the README exports.
fn shell(world: &World, command: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_molecule")).parent().unwrap();
    let path = format!("{}:{}:{}", world.home.display(), program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec {command}")]).current_dir(&world.home).env("PATH", path);
    for (name, value) in world.molecule(&[]).get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    let world = World::new(Dialect::Current, "readme");
    std::fs::create_dir_all(&world.home).unwrap();
    for (name, text) in files(README) {
        std::fs::write(world.home.join(name), text).unwrap();
    }
    claude_stands_in(&world.home);
    let (mut run, mut ran) = (0, 0);
    for command in commands(README) {
        if command.starts_with("export ") || command.starts_with("claude ") && !cfg!(feature = "mcp") {
            continue;
        }
        if command.starts_with("molecule run") {
            run += 1;
            let asked = format!("hello {run}");
            let child = shell(&world, command).spawn().unwrap();
            world.write(&asked);
            world.wait_until_said(|text| text.to_lowercase().ends_with(&asked));
            terminate(&child);
            let (code, out, err) = told(child.wait_with_output().unwrap());
            assert_eq!(code, 0, "{command}: {out}{err}");
        } else {
            ran += 1;
            let (code, out, err) = told(shell(&world, command).output().unwrap());
            assert_eq!(code, 0, "{command}: {out}{err}");
        }
    }
    assert!((run, ran) == (3, 13 + usize::from(cfg!(feature = "mcp"))), "{run} runs, {ran} others");
}
