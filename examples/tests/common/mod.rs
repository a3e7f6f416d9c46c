//! A platform with a workspace that its owner created, and the programs that are an agent of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use molecule_core::proto::WorkspaceId;
use molecule_platform::{Config, Dialect, Platform, Server, serve};

#[allow(dead_code)] // Not each test that has this module asks both.
pub(crate) const DIALECTS: [Dialect; 2] = [Dialect::Current, Dialect::April];

/// A platform with a workspace that its owner created, and a home for its agent.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) id: WorkspaceId,
    pub(crate) token: String,
    home: PathBuf,
}

impl World {
    pub(crate) fn new(dialect: Dialect, name: &str) -> Self {
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

    /// A program, with this token in the environment, or without a token.
    pub(crate) fn program(&self, program: &str, token: Option<&str>) -> Command {
        // The examples are beside this test's own program, …/target/<profile>/deps/readme-<hash>.
        let profile = std::env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().to_owned();
        let mut command = Command::new(profile.join("examples").join(program));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MOLECULE_") {
                command.env_remove(variable);
            }
        }
        // The README's programs have the reader's own values in their text, the others read them from the environment.
        for url in ["README_PLATFORM", "MOLECULE_PLATFORM_URL"] {
            command.env(url, self.server.url());
        }
        for id in ["README_WORKSPACE", "MOLECULE_WORKSPACE_ID"] {
            command.env(id, self.id.as_str());
        }
        command.env("MOLECULE_HOME", &self.home);
        if let Some(token) = token {
            command.env("MOLECULE_WORKSPACE_TOKEN", token);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a program to its end.
    #[allow(dead_code)] // Not each test that has this module runs one so.
    pub(crate) fn run(&self, program: &str, token: Option<&str>) -> Output {
        self.program(program, token).output().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
