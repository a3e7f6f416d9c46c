//! The first screen of the project's README, as a newcomer follows it: its handler, its commands, and the platform that it
//! offers to whoever has none.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use common::pages::{commands, files, is_here};
use common::{LONG, terminate, told};

const README: &str = include_str!("../../../README.md");

fn first_screen() -> &'static str {
    README.split("\n## ").find_map(|section| section.strip_prefix("One command\n")).unwrap()
}

/// The platform of the example, which lives as long as its input.
struct LocalPlatform {
    child: Child,
    lines: Receiver<String>,
    exports: [String; 2],
}

impl LocalPlatform {
    fn start() -> Self {
        // It is beside this test's own program, …/target/<profile>/deps/first_screen-<hash>.
        let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let example = profile.join("examples/local-platform");
        assert!(example.exists(), "run `cargo test -p molecule-cli`, which builds the example as well");
        let mut child =
            Command::new(example).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        let exports = [(); 2].map(|()| lines.recv_timeout(LONG).unwrap());
        Self { child, lines, exports }
    }

    /// Types a message, and waits for the agent's answer.
    fn asks(&mut self, text: &str) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{text}").unwrap();
        self.lines.recv_timeout(LONG).expect("the agent answers")
    }

    /// Ends its input, and with it the platform.
    fn ends(mut self) {
        drop(self.child.stdin.take());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for LocalPlatform {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn a_newcomer_has_an_agent_with_the_first_commands() {
    if !is_here("python3") {
        return;
    }
    let screen = first_screen();
    let mut platform = LocalPlatform::start();
    let mut followed = Vec::new();
    let desk = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("first-screen-{}", std::process::id()));
    std::fs::create_dir_all(&desk).unwrap();
    for (name, text) in files(screen) {
        std::fs::write(desk.join(name), text).unwrap();
    }
    common::pages::claude_stands_in(&desk);
    let program = Path::new(env!("CARGO_BIN_EXE_molecule")).parent().unwrap();
    for command in commands(screen) {
        followed.push(command.split([' ', '=']).take(2).collect::<Vec<_>>().join(" "));
        if command.starts_with("cargo ") {
            // Cargo has built both, for this test; the first one installs the package of this directory.
            assert!(command.ends_with("--example local-platform") || command.ends_with(" --path crates/molecule-cli"));
            continue;
        }
        if let Some(given) = command.strip_prefix("export ") {
            // The reader's own values are those of the local platform: each variable is among its own.
            let names = given.split(' ').map(|pair| pair.split('=').next().unwrap());
            names.for_each(|name| assert!(platform.exports.iter().any(|line| line.contains(&format!("{name}=")))));
            continue;
        }
        let typed = format!(
            "{}\n{}\nPATH='{}':'{}':$PATH exec {command}",
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
        assert_eq!(platform.asks("hello"), "agent: you wrote: hello");
        assert_eq!(platform.asks("how are you?"), "agent: you wrote: how are you?");
        terminate(&agent);
        let (code, out, err) = told(agent.wait_with_output().unwrap());
        assert_eq!(code, 0, "{command}: {out}{err}");
    }
    let home = platform.exports[1].split("MOLECULE_HOME='").nth(1).unwrap().trim_end_matches('\'').to_owned();
    assert!(Path::new(&home).exists(), "{home} has the agent's files");
    platform.ends();
    assert!(!Path::new(&home).exists(), "{home} is removed with the platform");
    let expected = [
        "cargo install",
        "export PLATFORM_URL",
        "export MOLECULE_WORKSPACE_TOKEN",
        "molecule run",
        "molecule register",
        "claude mcp",
        "cargo run",
    ];
    assert_eq!(followed, expected);
    std::fs::remove_dir_all(desk).unwrap();
}
