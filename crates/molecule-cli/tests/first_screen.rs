//! The first screen of the project's README, as a newcomer follows it: its handler, its commands, and the platform that it
//! offers to whoever has none.

#![cfg(all(unix, feature = "dev"))]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::pages::{commands, files, is_here};
use common::{terminate, told};

const README: &str = include_str!("../../../README.md");

fn first_screen() -> &'static str {
    README.split("\n## ").find_map(|section| section.strip_prefix("One command\n")).unwrap()
}

/// The platform that the screen offers, with its log in a directory.
struct LocalPlatform {
    child: Child,
    desk: PathBuf,
    exports: [String; 2],
}

impl LocalPlatform {
    fn start(desk: &Path) -> Self {
        // Another one may run on this machine.
        let mut child = common::bare(&["dev", "--port", "0"]).current_dir(desk).spawn().unwrap();
        let lines = common::read_until(child.stdout.take().unwrap(), |line| line == "Ctrl-C stops it.\n");
        let exports: Vec<String> = lines.into_iter().filter(|line| line.starts_with("export ")).collect();
        Self { child, desk: desk.to_owned(), exports: exports.try_into().unwrap() }
    }

    /// Says something to the agent, and waits for its answer.
    fn asks(&self, text: &str, answer: &str) {
        let id = self.exports[0].trim_end().rsplit("WORKSPACE_ID=").next().unwrap();
        let sent = common::bare(&["trigger", "-w", id, "message", text]).current_dir(&self.desk).output().unwrap();
        let (code, out, err) = told(sent);
        assert_eq!(code, 0, "{out}{err}");
        let log =
            || String::from_utf8_lossy(&std::fs::read(self.desk.join("molecule-dev.jsonl")).unwrap()).into_owned();
        common::wait_for(answer, || log().contains(answer));
    }

    fn ends(mut self) {
        terminate(&self.child);
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_newcomer_has_an_agent_with_the_first_commands() {
    if !is_here("python3") {
        return;
    }
    let screen = first_screen();
    let mut followed = Vec::new();
    let desk = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("first-screen-{}", std::process::id()));
    std::fs::create_dir_all(&desk).unwrap();
    for (name, text) in files(screen) {
        std::fs::write(desk.join(name), text).unwrap();
    }
    common::pages::claude_stands_in(&desk);
    let platform = LocalPlatform::start(&desk);
    let program = Path::new(env!("CARGO_BIN_EXE_molecule")).parent().unwrap();
    for command in commands(screen) {
        followed.push(command.split([' ', '=']).take(2).collect::<Vec<_>>().join(" "));
        if command == "molecule dev" {
            // It runs already.
            continue;
        }
        if command.starts_with("cargo ") {
            // Cargo has built it, for this test.
            assert!(command.ends_with(" --path crates/molecule-cli"));
            continue;
        }
        if let Some(given) = command.strip_prefix("export ") {
            // The reader's own values are those of the local platform: each variable is among its own.
            let names = given.split(' ').map(|pair| pair.split('=').next().unwrap());
            names.for_each(|name| assert!(platform.exports.iter().any(|line| line.contains(&format!("{name}=")))));
            continue;
        }
        let typed = format!(
            "{}{}PATH='{}':'{}':$PATH exec {command}",
            platform.exports[0],
            platform.exports[1],
            desk.display(),
            program.display()
        );
        let mut shell = Command::new("sh");
        for (name, _) in common::bare(&[]).get_envs() {
            shell.env_remove(name);
        }
        shell
            .args(["-c", &typed])
            .current_dir(&desk)
            .env("HOME", &desk)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let agent = shell.spawn().unwrap();
        if command == "molecule register" {
            let (code, out, err) = told(agent.wait_with_output().unwrap());
            assert_eq!((code, out.starts_with("registered")), (0, true), "{out}{err}");
            continue;
        }
        if command.starts_with("claude ") {
            // Nobody speaks to the server of the stand-in, which ends with its input.
            let (code, _, err) = told(agent.wait_with_output().unwrap());
            assert_eq!(code, 0, "{err}");
            continue;
        }
        platform.asks("hello", "you wrote: hello");
        platform.asks("how are you?", "you wrote: how are you?");
        terminate(&agent);
        let (code, out, err) = told(agent.wait_with_output().unwrap());
        assert_eq!(code, 0, "{command}: {out}{err}");
    }
    platform.ends();
    let expected = [
        "cargo install",
        "export PLATFORM_URL",
        "export MOLECULE_WORKSPACE_TOKEN",
        "molecule run",
        "molecule register",
        "claude mcp",
        "molecule dev",
    ];
    assert_eq!(followed, expected);
    std::fs::remove_dir_all(desk).unwrap();
}
