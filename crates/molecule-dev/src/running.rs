//! The server that runs on a log, for those who want to talk to it.

use std::path::Path;

use crate::log::Held;

/// A server of this machine that runs on a log.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Running {
    /// Its base URL, without a slash at its end.
    pub url: String,
    /// The administrator's bearer.
    pub admin_token: String,
    /// The number of its process.
    pub process: u32,
}

impl Running {
    /// Finds the server that runs on a log; `None` if none does, or if its files are somebody else's.
    pub fn of(log: &Path) -> Option<Self> {
        let Held { pid, url, token } = Held::read(log)?;
        Some(Self { url, admin_token: token, process: pid })
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("url", &self.url).field("process", &self.process).finish_non_exhaustive()
    }
}
