//! The author's choice of a store for an agent.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use molecule_core::proto::WorkspaceId;
use molecule_core::{Error, Result};

use crate::file::FileStore;
use crate::host::Host;
use crate::memory::MemoryStore;
use crate::plugins::ChosenBy;
use crate::store::Store;

/// The place of an agent's token and inbound secret.
#[derive(Clone)]
#[non_exhaustive]
pub enum Storage {
    /// Files below this home, one directory per workspace. Files of the Python SDK are found and used.
    ///
    /// A relative path is resolved against the working directory at the time when the agent is built.
    Dir(PathBuf),
    /// Memory only. The token is lost when the process ends, and with it the access to the workspace, unless the author
    /// passes the token again at the next start.
    Memory,
    /// The author's own store, such as a keyring.
    Custom(Arc<dyn Store>),
}

/// The value of `MOLECULE_HOME` that means no disk.
const MEMORY: &str = ":memory:";

impl Storage {
    /// Files below `MOLECULE_HOME`, or else below `.molecule` in the user's home directory. An empty variable counts as
    /// absent, and `:memory:` selects [`Storage::Memory`].
    pub fn from_env() -> Self {
        match env::var_os("MOLECULE_HOME") {
            Some(home) if home == MEMORY => Self::Memory,
            chosen => Self::Dir(home(chosen, env::home_dir())),
        }
    }

    /// Opens the store for a workspace's agent. It touches no file yet.
    ///
    /// # Errors
    /// `Config` if the home is an empty path, which [`from_env`](Self::from_env) returns if there is no home.
    pub fn open(self, id: &WorkspaceId) -> Result<Arc<dyn Store>> {
        match self {
            Self::Dir(home) => {
                // The path is made absolute, so that a later change of the working directory has no effect, and error
                // texts are complete.
                let home = std::path::absolute(&home).map_err(|_| {
                    Error::config(
                        "there is no directory for the agent's files",
                        "give storage(…), or set MOLECULE_HOME to a private directory",
                    )
                })?;
                Ok(Arc::new(FileStore::new(home.join(id.as_str()))))
            }
            Self::Memory => Ok(Arc::new(MemoryStore::default())),
            Self::Custom(store) => Ok(store),
        }
    }
}

impl Storage {
    /// Creates the host of a workspace's agent. Its plugins are in `plugins_dir` if that is given, or else in
    /// `<home>/<workspace id>/plugins`, as in the Python SDK. If the agent's own files are in no directory, the host
    /// has no directory for plugins. It touches no file yet.
    ///
    /// # Errors
    /// `Config` if the home or the directory is an empty path.
    pub fn host(self, id: &WorkspaceId, plugins_dir: Option<PathBuf>) -> Result<Host> {
        let own = match &self {
            Self::Dir(home) => Some((home.join(id.as_str()), self.chosen_by())),
            Self::Memory | Self::Custom(_) => None,
        };
        let mut host = Host::new(self.open(id)?);
        if let Some((Ok(own), _)) = own.as_ref().map(|(own, by)| (std::path::absolute(own), by)) {
            host = host.with_uploads(own.join("uploads"));
        }
        let beside = own.map(|(own, by)| (own.join("plugins"), by));
        let chosen = plugins_dir.map(|directory| (directory, ChosenBy::PluginsDir));
        let Some((directory, chosen_by)) = chosen.or(beside) else { return Ok(host) };
        let directory = std::path::absolute(directory).map_err(|_| {
            Error::config("the directory for plugins is an empty path", "give a directory of the user's own")
        })?;
        Ok(host.with_plugins(directory, chosen_by))
    }

    /// The option that chose the home. A home that the author gave counts as chosen only if it differs from the
    /// environment's.
    fn chosen_by(&self) -> ChosenBy {
        match (self, Self::from_env()) {
            (Self::Dir(home), Self::Dir(default)) if *home == default => ChosenBy::Home,
            (Self::Dir(_) | Self::Memory | Self::Custom(_), _) => ChosenBy::Storage,
        }
    }
}

impl Default for Storage {
    /// The same as [`Storage::from_env`].
    fn default() -> Self {
        Self::from_env()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dir(home) => f.debug_tuple("Dir").field(home).finish(),
            Self::Memory => f.write_str("Memory"),
            Self::Custom(_) => f.write_str("Custom(..)"),
        }
    }
}

fn home(chosen: Option<OsString>, user: Option<PathBuf>) -> PathBuf {
    let user = || user.filter(|home| !home.as_os_str().is_empty()).map(|home| home.join(".molecule"));
    chosen.filter(|home| !home.is_empty()).map(PathBuf::from).or_else(user).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_home_is_molecule_home_or_the_users() {
        let user = || Some(PathBuf::from("/home/ada"));
        assert_eq!(home(Some("/srv/agents".into()), user()), PathBuf::from("/srv/agents"));
        assert_eq!(home(None, user()), PathBuf::from("/home/ada/.molecule"));
        assert_eq!(home(Some("".into()), user()), PathBuf::from("/home/ada/.molecule"));
        assert_eq!(home(None, Some(PathBuf::new())), PathBuf::new());
        assert_eq!(home(None, None), PathBuf::new());
    }

    #[test]
    fn without_any_home_the_error_names_the_remedy() {
        let id = "7fda77bf-a467-441c-9fab-7d8aba8e6040".parse().unwrap();
        let error = Storage::Dir(home(None, None)).open(&id).err().unwrap();
        assert_eq!(error.kind(), molecule_core::ErrorKind::Config);
        assert!(error.to_string().contains("MOLECULE_HOME"), "{error}");
    }
}
