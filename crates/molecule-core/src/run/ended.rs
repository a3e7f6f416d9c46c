//! The ends of the loop.

use std::fmt;

use serde::Serialize;

/// Why the loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ended {
    /// The platform paused the workspace.
    Paused,
    /// The workspace was deleted: the platform said so twice, an interval apart.
    Deleted,
    /// The loop was stopped.
    Stopped,
    /// The token is dead, and three registers, at least an interval apart, were refused.
    Unauthorized,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "paused",
            Self::Deleted => "deleted",
            Self::Stopped => "stopped",
            Self::Unauthorized => "unauthorized",
        })
    }
}
