//! `docs/dev.md`: each of its commands is typed, in the order of the page.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::pages::{blocks, commands};
use crate::common::{bare, read_until, terminate, told, wait_for};
use crate::server::Desk;

const PAGE: &str = include_str!("../../../../docs/dev.md");

/// A shell that finds the program, in a directory whose home it is, with these lines before the command.
fn shell(desk: &Desk, exports: &str, command: &str) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_molecule")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    for (name, _) in bare(&[]).get_envs() {
        shell.env_remove(name);
    }
    shell.args(["-c", &format!("{exports}{command}")]).current_dir(&desk.0).env("PATH", path).env("HOME", &desk.0);
    shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    shell
}

/// A `molecule dev` of the page, on a free port. It is ended with this.
struct Running(std::process::Child);

impl Running {
    fn start(desk: &Desk, command: &str) -> (Self, Vec<String>) {
        let command = match command.rsplit_once(" --port ") {
            Some((command, _)) => command,
            None => command,
        };
        let mut child = shell(desk, "", &format!("exec {command} --port 0")).spawn().unwrap();
        let shown = read_until(child.stdout.take().unwrap(), |line| line == "Ctrl-C stops it.\n");
        (Self(child), shown)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_command_of_the_guide_does_what_it_says() {
    let desk = Desk::new("guide");
    let scenario = blocks(PAGE).into_iter().find(|(kind, _)| *kind == "json").unwrap().1;
    std::fs::write(desk.0.join("team.scenario"), scenario).unwrap();
    let typed = commands(PAGE);
    assert_eq!(typed[..2], ["cargo install --locked --path crates/molecule-cli", "molecule dev"]);
    let (mut server, shown) = Running::start(&desk, typed[1]);
    let as_shown = blocks(PAGE).into_iter().find(|(kind, _)| *kind == "text").unwrap().1;
    let mask = |line: &str| line.split(['=', ':']).next().unwrap_or_default().trim_end().to_owned();
    assert_eq!(shown.iter().map(|line| mask(line)).collect::<Vec<_>>(), as_shown.lines().map(mask).collect::<Vec<_>>());
    let exports = shown.iter().filter(|line| line.starts_with("export ")).cloned().collect::<String>();
    let log = || String::from_utf8_lossy(&std::fs::read(desk.0.join("molecule-dev.jsonl")).unwrap()).into_owned();
    let mut others = Vec::new();
    for command in &typed[2..] {
        if command.starts_with("cargo run --example ") {
            // A test of the demos runs it against the same platform.
            continue;
        }
        if *command == "molecule run --echo" {
            let agent = shell(&desk, &exports, "exec molecule run --echo").spawn().unwrap();
            wait_for("the agent registers", || log().contains("/registry/register"));
            terminate(&agent);
            let (code, _, err) = told(agent.wait_with_output().unwrap());
            assert_eq!(code, 0, "{err}");
        } else if command.starts_with("molecule dev --file ") {
            others.push(Running::start(&desk, command));
        } else {
            let (code, out, err) = told(shell(&desk, "", command).output().unwrap());
            assert_eq!(code, 0, "{command}: {out}{err}");
        }
    }
    assert!(log().contains("sk-local") && log().contains("what is new?"));
    let exported = |name: &str| std::fs::read_to_string(desk.0.join(name)).unwrap();
    assert!(exported("it_happened.rs").contains("#[test]") && exported("for-others.jsonl").lines().count() > 5);
    let [(_, fork), (_, team)] = &others[..] else { panic!("two other platforms") };
    assert!(fork.concat().contains("from-line-5.jsonl, 5 lines"), "{fork:?}");
    assert!(team.concat().contains("An agent for the workspace hand"), "{team:?}");
    terminate(&server.0);
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}
