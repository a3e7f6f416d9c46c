//! Pages of Markdown, as a reader follows them: their programs are files of a directory, and their commands are typed there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{World, told};

/// What stands on a page between fences, each with its kind.
pub(crate) fn blocks(page: &str) -> Vec<(&str, &str)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).collect()
}

/// The commands of a page.
pub(crate) fn commands(page: &str) -> Vec<&str> {
    let consoles = blocks(page).into_iter().filter(|(kind, _)| *kind == "console");
    consoles.flat_map(|(_, text)| text.lines()).filter_map(|line| line.strip_prefix("$ ")).collect()
}

/// The programs and files of a page: blocks whose first lines name a file in a comment.
pub(crate) fn files(page: &str) -> Vec<(&str, &str)> {
    blocks(page).into_iter().filter_map(|(_, text)| Some((named(text)?, text))).collect()
}

/// The name of the file that a block is, by a comment in one of its first two lines.
fn named(block: &str) -> Option<&str> {
    let comments = block.lines().take(2).filter_map(|line| line.strip_prefix("# ").or(line.strip_prefix("// ")));
    comments.into_iter().find(|name| name.contains('.') && !name.contains(' '))
}

/// Returns whether a program is installed; the test that needs it says so if it is not.
pub(crate) fn is_here(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        // Not by a macro, whose words a test that passes keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {program} is not installed, so that its programs did not run");
    }
    found
}

/// A stand-in for Claude Code, which adds a server by starting it.
pub(crate) fn claude_stands_in(directory: &Path) {
    let script = "#!/bin/sh\n[ \"$1 $2 $4 $5 $6\" = \"mcp add -s user --\" ] || exit 64\nshift 6\nexec \"$@\"\n";
    std::fs::write(directory.join("claude"), script).unwrap();
    let is_executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.join("claude"), is_executable).unwrap();
}

/// Somebody who follows a page: the home directory is that of the world, and the working directory is `desk` below it.
pub(crate) struct Reader<'a> {
    pub(crate) world: World,
    page: &'a str,
    port: u16,
    followed: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    /// Begins a page: its programs are files now.
    pub(crate) fn new(world: World, page: &'a str) -> Self {
        let reader = Self { world, page, port: free_port(), followed: BTreeSet::new() };
        std::fs::create_dir_all(reader.desk()).unwrap();
        for (name, text) in files(page) {
            if !name.contains('/') {
                std::fs::write(reader.desk().join(name), text).unwrap();
            }
        }
        reader
    }

    pub(crate) fn desk(&self) -> PathBuf {
        self.world.home.join("desk")
    }

    /// The port that stands for the page's `8000`.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The file of the secret of `--forward`.
    pub(crate) fn forward_secret(&self) -> PathBuf {
        self.world.home.join(".molecule").join(self.world.id.as_str()).join(".forward_secret")
    }

    /// Types a command of the page, which must be there.
    fn typed(&mut self, command: &str) -> Command {
        self.follows(command);
        let mut shell = self.shell(&command.replace("8000", &self.port.to_string()));
        shell.process_group(0);
        shell
    }

    /// Notes that a command of the page, which must be there, was typed.
    pub(crate) fn follows(&mut self, command: &str) {
        assert!(commands(self.page).contains(&command), "the page has no command `{command}`");
        self.followed.insert(command.to_owned());
    }

    /// A shell that finds the program, with the variables that the first page exports.
    pub(crate) fn shell(&self, command: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_molecule")).parent().unwrap();
        // What a test puts on the desk stands for programs that are not here.
        let desk = self.desk();
        let path = format!("{}:{}:{}", desk.display(), program.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(desk);
        for (name, value) in self.world.molecule(&[]).get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("PATH", path).env("HOME", &self.world.home).env_remove("MOLECULE_HOME");
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    /// Runs a command of the page to its end, which must be a good one. Returns what it wrote to stdout.
    pub(crate) fn runs(&mut self, command: &str) -> String {
        let (code, out, err) = told(self.typed(command).output().unwrap());
        assert_eq!(code, 0, "{command}: {out}{err}");
        out
    }

    /// Starts a command of the page, which goes on.
    pub(crate) fn starts(&mut self, command: &str) -> Running {
        let child = self.typed(command).spawn().unwrap();
        Running::new(command, child)
    }

    /// Starts the agent by a command of the page, and waits until it is online.
    pub(crate) fn starts_agent(&mut self, command: &str) -> Running {
        self.starts_agent_as(command, command)
    }

    /// The same, with the reader's own words in place of the page's.
    pub(crate) fn starts_agent_as(&mut self, command: &str, own: &str) -> Running {
        self.follows(command);
        let mut shell = self.shell(&format!("exec {own}").replace("8000", &self.port.to_string()));
        shell.process_group(0);
        let running = Running::new(own, shell.spawn().unwrap());
        running.wait_until_it_says("online: ");
        running
    }

    /// Ends the reading: each command of the page was typed, or is one of these, which others do.
    pub(crate) fn ends(self, others: &[&str]) {
        for command in commands(self.page) {
            let is_known = self.followed.contains(command) || others.iter().any(|other| command.starts_with(other));
            assert!(is_known, "nobody has typed `{command}`");
        }
    }
}

/// A program that goes on, with what it says on stderr. It is ended with its group.
pub(crate) struct Running {
    command: String,
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    fn new(command: &str, mut child: Child) -> Self {
        let (sender, lines) = std::sync::mpsc::channel();
        let err = child.stderr.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(err).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { command: command.to_owned(), child, lines }
    }

    /// Waits until a line of stderr holds this, and returns the line.
    pub(crate) fn wait_until_it_says(&self, part: &str) -> String {
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(super::LONG) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => heard.push(line),
                Err(error) => panic!("{}: {error} before {part:?}: {heard:#?}", self.command),
            }
        }
    }

    /// Ends it by SIGTERM. Returns its exit code.
    pub(crate) fn ends(mut self) -> i32 {
        super::terminate(&self.child);
        let code = self.child.wait().unwrap().code();
        code.unwrap_or(-1)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = format!("kill -9 -{} 2>/dev/null", self.child.id());
        let _ = Command::new("sh").args(["-c", &group]).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
