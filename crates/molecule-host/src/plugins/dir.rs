//! One directory, and what can be done with the names in it: one component at a time, no link followed.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use other::{Dir, Id, TELLS_EXECUTABLES, is_executable};
#[cfg(unix)]
pub(super) use unix::{Dir, Id, TELLS_EXECUTABLES, is_executable};

/// What stands at a name, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// The modes that things are made with; the umask takes its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// For this user alone: 0600, and 0700 for a directory.
    Private,
    /// 0644, and 0755 for a directory.
    Plain,
    /// 0755.
    Executable,
}
