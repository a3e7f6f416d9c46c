//! A temporary home for a test, and a way to run the test program again as another process.
#![allow(dead_code, reason = "each test file uses its part")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use molecule_core::proto::WorkspaceId;
use molecule_host::{ChosenBy, Plugins, Slot, Storage, Store, StoreError, seed};

pub(crate) const ID: &str = "7fda77bf-a467-441c-9fab-7d8aba8e6040";

/// The variable with the home that the first process created.
const HOME: &str = "MOLECULE_HOST_TEST_HOME";

pub(crate) struct Scene {
    pub(crate) home: PathBuf,
    ours: bool,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let home = env::temp_dir().join(format!("molecule-host-{:016x}", seed()));
        fs::create_dir(&home).unwrap();
        Self { home, ours: true }
    }

    /// The scene of the process that started this one.
    pub(crate) fn inherited() -> Self {
        Self { home: env::var_os(HOME).expect("started by another test").into(), ours: false }
    }

    /// Opens the agent's store again, as another process would.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        store_in(&self.home)
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.home.join(ID)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// The names in the agent's directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(&self.directory())
    }

    /// Opens the agent's plugins again, as another process would.
    pub(crate) fn plugins(&self) -> Plugins {
        Plugins::new(self.directory().join("plugins"), ChosenBy::Home)
    }

    /// A command that runs one ignored test of this file on this scene, through `program` with the arguments `before`.
    pub(crate) fn rerun(&self, program: &str, before: &[&str], test: &str) -> Command {
        let exe = env::current_exe().unwrap();
        let mut command = Command::new(if program.is_empty() { exe.as_os_str() } else { program.as_ref() });
        command.args(before);
        if !program.is_empty() {
            command.arg(exe);
        }
        command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env(HOME, &self.home);
        command
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_dir_all(&self.home);
        }
    }
}

/// The names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn store_in(home: &Path) -> Arc<dyn Store> {
    let id: WorkspaceId = ID.parse().unwrap();
    Storage::Dir(home.to_owned()).open(&id).unwrap()
}

/// The content of a slot as text.
pub(crate) fn text(store: &dyn Store, slot: Slot) -> Option<String> {
    let stored = store.load(slot).unwrap()?;
    Some(String::from_utf8(stored.bytes.to_vec()).unwrap())
}

/// Asserts that the sentence names the path and the remedy, and is one sentence.
pub(crate) fn assert_says(error: &StoreError, path: &Path, parts: &[&str]) {
    let sentence = error.to_string();
    assert!(sentence.contains(path.to_str().unwrap()), "{sentence:?} does not name {}", path.display());
    for part in parts {
        assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
    }
    assert!(!sentence.contains('\n') && !sentence.contains(". "), "{sentence:?}");
}

/// Waits for the process, and fails with its output unless its one test passed.
pub(crate) fn assert_passes(mut command: Command) {
    let output = command.output().unwrap();
    let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
