//! The home directory of the agents of one world.

use std::fs::{self, DirBuilder};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use molecule_core::proto::WorkspaceId;

/// A new directory below the system's temporary directory, which is removed with its content when dropped.
#[derive(Debug)]
pub struct Home(PathBuf);

impl Home {
    /// Creates a directory that nobody else can read.
    ///
    /// # Panics
    /// If it cannot be created.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("molecule-e2e-{}-{number}", std::process::id()));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path).expect("a temporary directory can be made");
        Self(path)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of one agent.
    pub fn agent(&self, id: &WorkspaceId) -> PathBuf {
        self.0.join(id.as_str())
    }

    /// The token in an agent's store; `None` without a file.
    ///
    /// # Panics
    /// If the file exists and cannot be read.
    pub fn token(&self, id: &WorkspaceId) -> Option<String> {
        let path = self.agent(id).join(".auth_token");
        path.exists().then(|| fs::read_to_string(&path).expect("the token's file is text"))
    }

    /// Stores a token as an earlier run of the agent would have.
    ///
    /// # Panics
    /// If the store refuses it.
    pub fn put_token(&self, id: &WorkspaceId, token: &str) {
        let store = molecule_host::Storage::Dir(self.0.clone()).open(id).expect("a home with a path has a store");
        store.replace(molecule_host::Slot::Token, token.as_bytes()).expect("the home can be written");
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Files that cannot be removed stay in the temporary directory, where they do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
