//! How a platform is started.

use std::path::PathBuf;

use molecule_platform::Dialect;

/// How a platform is started. Start with [`Options::in_memory`] or [`Options::at`] and change what matters.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// The dialect of a new platform: a log that exists keeps its own, and is refused if this names another one. `None`
    /// is the current server's.
    pub dialect: Option<Dialect>,
    /// The file of the log; `None` keeps it in memory.
    pub file: Option<PathBuf>,
    /// The port on 127.0.0.1; 0 chooses a free one.
    pub port: u16,
    /// A file with the acts of the first start, in place of the two example workspaces.
    pub scenario: Option<PathBuf>,
    /// Whether a new platform has no workspaces.
    pub empty: bool,
    /// Whether an existing log is set aside, and a new one begun.
    pub fresh: bool,
}

impl Options {
    /// A platform that is lost when it stops, on a free port.
    pub fn in_memory() -> Self {
        Self { dialect: None, file: None, port: 0, scenario: None, empty: false, fresh: false }
    }

    /// A platform whose log is this file, on a free port.
    pub fn at(file: impl Into<PathBuf>) -> Self {
        Self { file: Some(file.into()), ..Self::in_memory() }
    }

    /// Sets the dialect of a new platform.
    #[must_use]
    pub fn dialect(mut self, dialect: impl Into<Option<Dialect>>) -> Self {
        self.dialect = dialect.into();
        self
    }

    /// Sets the port; 0 chooses a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the file with the acts of the first start.
    #[must_use]
    pub fn scenario(mut self, scenario: impl Into<Option<PathBuf>>) -> Self {
        self.scenario = scenario.into();
        self
    }

    /// Sets whether a new platform has no workspaces.
    #[must_use]
    pub fn empty(mut self, empty: bool) -> Self {
        self.empty = empty;
        self
    }

    /// Sets whether an existing log is set aside.
    #[must_use]
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }
}
