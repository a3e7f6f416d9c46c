//! The README's first programs run as they are printed, for an ordinary workspace: its owner created it, and the
//! platform showed its token once. The test supplies only the reader's own URL, id and token.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use molecule_core::proto::WorkspaceId;
use molecule_platform::{Config, Dialect, Platform, Server, serve};

const PROGRAMS: [&str; 2] = ["readme", "readme-async"];
const DIALECTS: [Dialect; 2] = [Dialect::Current, Dialect::April];

/// A platform with a workspace that its owner created, and a home for its agent.
struct World {
    server: Server,
    id: WorkspaceId,
    token: String,
    home: PathBuf,
}

impl World {
    fn new(dialect: Dialect, name: &str) -> Self {
        let server = serve(Platform::new(Config::new(dialect)), "127.0.0.1:0").unwrap();
        let (id, token) = server.with(|platform, now| {
            let (id, token) = platform.create_workspace(now, "mine");
            platform.set_secret(now, &id, "OPENAI_API_KEY", "sk-readme");
            (id, token)
        });
        let home = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("readme-{name}-{dialect:?}-{}", std::process::id()));
        Self { server, id, token: token.expose().to_owned(), home }
    }

    /// Runs a program, with this token in the environment, or without a token.
    fn run(&self, program: &str, token: Option<&str>) -> Output {
        // The examples are beside this test's own program, …/target/<profile>/deps/readme-<hash>.
        let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let mut command = Command::new(profile.join("examples").join(program));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MOLECULE_") {
                command.env_remove(variable);
            }
        }
        command.env("README_PLATFORM", self.server.url()).env("README_WORKSPACE", self.id.as_str());
        command.env("MOLECULE_HOME", &self.home);
        if let Some(token) = token {
            command.env("MOLECULE_WORKSPACE_TOKEN", token);
        }
        command.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

#[test]
fn the_first_program_works_as_printed() {
    for program in PROGRAMS {
        for dialect in DIALECTS {
            let world = World::new(dialect, program);
            let output = world.run(program, Some(&world.token));
            let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
            assert_eq!(output.status.code(), Some(0), "{program}, {dialect:?}: {out} {err}");
            assert_eq!(out, "1 secrets\nended: stopped\n", "{program}, {dialect:?}: {err}");
            assert!(err.contains("registered"), "{program}, {dialect:?}: {err}");
            assert!(!err.contains("sk-readme") && !err.contains(&world.token), "{program}, {dialect:?}: {err}");
            // The platform accepted the token, and it is stored: the next start needs no variable.
            let again = world.run(program, None);
            assert_eq!(again.stdout, b"1 secrets\nended: stopped\n", "{program}, {dialect:?}: {again:?}");
        }
    }
}

#[test]
fn without_its_token_it_says_in_one_sentence_what_to_do() {
    for program in PROGRAMS {
        let world = World::new(Dialect::Current, &format!("lost-{program}"));
        let output = world.run(program, None);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        // The error follows the events, which the program prints too.
        let errors: Vec<_> = err.lines().filter(|line| line.starts_with("Error: ")).collect();
        assert!(matches!(errors[..], [told] if err.trim_end().ends_with(told)), "{err}");
        assert!(errors[0].starts_with("Error: register failed: the platform already issued a token"), "{err}");
        assert!(
            err.contains("give token(…), or set MOLECULE_WORKSPACE_TOKEN and build with from_env() or or_env()"),
            "{err}"
        );
    }
}
