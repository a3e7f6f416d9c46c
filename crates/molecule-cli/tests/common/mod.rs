//! A platform with a workspace, and the program as an agent of it.
#![allow(dead_code)] // Not each test that has this module uses all of it.

#[cfg(unix)]
pub(crate) mod pages;

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use molecule_async::core::proto::{ActivityRow, WorkspaceId};
use molecule_platform::{Config, Dialect, Platform, Server, serve};
use serde_json::Value;

pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::Current, Dialect::April];

/// Longer than anything takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A handler in `sh`: it answers each line with its text, under its id.
pub(crate) const ECHO: &str = r#"
while IFS= read -r line; do
  id=$(printf '%s' "$line" | sed 's/^{"v":1,"id":"\([^"]*\)".*/\1/')
  text=$(printf '%s' "$line" | sed 's/.*"text":"\([^"]*\)".*/\1/')
  printf '{"id":"%s","reply":"you wrote: %s"}\n' "$id" "$text"
done
"#;

/// A platform with a workspace that its owner created, and a home for its agent.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) id: WorkspaceId,
    token: String,
    pub(crate) home: PathBuf,
}

impl World {
    pub(crate) fn new(dialect: Dialect, name: &str) -> Self {
        Self::of(Config::new(dialect), name)
    }

    /// A world whose platform has these options.
    pub(crate) fn of(config: Config, name: &str) -> Self {
        let dialect = config.dialect;
        let server = serve(Platform::new(config), "127.0.0.1:0").unwrap();
        let (id, token) = server.with(|platform, now| platform.create_workspace(now, "mine"));
        let home =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{name}-{dialect:?}-{}", std::process::id()));
        Self { server, id, token: token.expose().to_owned(), home }
    }

    /// The token that the platform showed to the workspace's owner.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The program with these arguments, and with the workspace's variables.
    pub(crate) fn molecule(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("PLATFORM_URL", self.server.url()).env("WORKSPACE_ID", self.id.as_str());
        command.env("MOLECULE_WORKSPACE_TOKEN", &self.token).env("MOLECULE_HOME", &self.home);
        command
    }

    /// Runs the program to its end. Returns its exit code, stdout and stderr.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        told(self.molecule(args).output().unwrap())
    }

    /// Runs the program with `--json`, and returns its result.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.run(&[&["--json"], args].concat());
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }

    /// Starts `molecule run` with these arguments, and waits until it is online.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let beats =
            |server: &Server| server.requests().iter().filter(|request| request.path == "/registry/heartbeat").count();
        let before = beats(&self.server);
        let child = self.molecule(&[&["run"], args].concat()).spawn().unwrap();
        assert!(self.server.wait_for(
            |requests| requests.iter().filter(|request| request.path == "/registry/heartbeat").count() > before,
            LONG
        ));
        child
    }

    pub(crate) fn write(&self, text: &str) {
        self.server.with(|platform, now| platform.send_user_message(now, &self.id, text)).unwrap();
    }

    /// The texts that the agent has sent to its user, in their order.
    pub(crate) fn said(&self) -> Vec<String> {
        self.server.with(|platform, _| said(platform, &self.id))
    }

    /// Waits until the agent has said something like this to its user.
    pub(crate) fn wait_until_said(&self, is_it: impl Fn(&str) -> bool) {
        let is_said = |platform: &Platform| said(platform, &self.id).iter().any(|text| is_it(text));
        assert!(self.server.wait_until(is_said, LONG), "{:?}", self.said());
    }

    /// Waits until the agent has said all of this to its user.
    pub(crate) fn wait_for_words(&self, words: &[&str]) {
        let all = |platform: &Platform| {
            let said = said(platform, &self.id);
            words.iter().all(|word| said.iter().any(|text| text == word))
        };
        assert!(self.server.wait_until(all, LONG), "{words:?}: {:?}", self.said());
    }

    /// Pauses the workspace, which ends the program; returns what it said.
    pub(crate) fn paused(&self, child: Child) -> (i32, String, String) {
        self.server.with(|platform, now| platform.pause(now, &self.id, false)).unwrap();
        told(child.wait_with_output().unwrap())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

fn said(platform: &Platform, id: &WorkspaceId) -> Vec<String> {
    let text = |row: &ActivityRow| {
        let body = row.response_body.as_ref().filter(|_| row.is_notice())?;
        body.get("result")?.as_str().map(str::to_owned)
    };
    // The newest row is the first.
    platform.activity(id).into_iter().rev().filter_map(text).collect()
}

/// Waits until something is so that tells nobody when it is.
pub(crate) fn wait_for(what: &str, is_it: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + LONG;
    while !is_it() {
        assert!(std::time::Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The program with these arguments, and without variables that somebody's own agent needs.
pub(crate) fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_molecule"));
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if name.starts_with("MOLECULE_") || ["PLATFORM_URL", "WORKSPACE_ID"].contains(&&*name) {
            command.env_remove(&variable);
        }
    }
    command.args(args).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub(crate) fn told(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(&output.stdout), text(&output.stderr))
}

/// Sends SIGTERM to the program.
pub(crate) fn terminate(child: &Child) {
    signal(child, "TERM");
}

/// Returns a call or a path of the Rust API that a text names.
pub(crate) fn rust_word(text: &str) -> Option<&str> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let calls = text.match_indices('(').filter(|(at, _)| text[at + 1..].starts_with(['…', ')']));
    let paths = text.match_indices("::").filter(|(at, _)| text[at + 2..].starts_with(is_name));
    let before = |at: usize| text[..at].rfind(|char| !is_name(char)).map_or(0, |before| before + 1);
    let mut found = calls
        .chain(paths)
        .filter(|(at, _)| text[before(*at)..*at].starts_with(|char: char| char.is_ascii_alphabetic()));
    found.next().map(|(at, _)| &text[before(at)..at])
}

/// Reads lines until one is it, and then goes on reading, so that the writer is never held up. Returns the lines up to it.
pub(crate) fn read_until(stream: impl std::io::Read + Send + 'static, is_it: impl Fn(&str) -> bool) -> Vec<String> {
    use std::io::BufRead as _;

    let mut reader = std::io::BufReader::new(stream);
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| is_it(line)) {
        let mut line = Vec::new();
        assert!(reader.read_until(b'\n', &mut line).unwrap() > 0, "{lines:?}");
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
    std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()));
    lines
}

/// Sends a signal to the program, by its name.
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(status.success());
}
