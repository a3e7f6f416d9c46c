//! A `molecule dev` that a test started, in a directory of its own.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command};

use serde_json::Value;

use crate::common::{bare, signal, told};

/// A directory that is removed with this.
pub(crate) struct Desk(pub(crate) PathBuf);

impl Desk {
    pub(crate) fn new(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("dev-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// The program, in this directory.
    pub(crate) fn molecule(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.current_dir(&self.0);
        command
    }

    /// Runs the program to its end. Returns its exit code, stdout and stderr.
    pub(crate) fn run(&self, args: &[&str]) -> (i32, String, String) {
        told(self.molecule(args).output().unwrap())
    }

    /// Runs the program, which must succeed. Returns its result.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let (code, out, err) = self.run(&[&["--json"], args].concat());
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
    }

    /// Starts `molecule dev` with these arguments, and waits until it listens.
    pub(crate) fn serve(&self, args: &[&str]) -> Server {
        let mut child = self.molecule(&[&["--json", "dev", "--port", "0"], args].concat()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(shown) = serde_json::from_str(&line) else {
            let (code, _, err) = told(child.wait_with_output().unwrap());
            panic!("it ended with {code}: {line}{err}")
        };
        Server { child: Some(child), shown }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running `molecule dev`, with what it showed.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) shown: Value,
}

impl Server {
    /// A text that it showed.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.shown[key].as_str().unwrap()
    }

    /// What it showed of a workspace.
    pub(crate) fn workspace(&self, name: &str) -> &Value {
        let all = self.shown["workspaces"].as_array().unwrap();
        all.iter().find(|workspace| workspace["name"] == name).unwrap()
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends it a signal, and waits for its end. Returns its exit code and what it wrote to stderr.
    pub(crate) fn ends_by(mut self, name: &str) -> (i32, String) {
        let child = self.child.take().unwrap();
        signal(&child, name);
        let (code, _, err) = told(child.wait_with_output().unwrap());
        (code, err)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
