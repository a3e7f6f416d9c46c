//! An open directory, and the operations on its entries: names are single components, and no link is followed.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use other::{Dir, Id, TELLS_EXECUTABLES, is_executable};
#[cfg(unix)]
pub(super) use unix::{Dir, Id, TELLS_EXECUTABLES, is_executable};

/// The kind of an entry; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Link,
    /// A pipe, a socket, a device.
    Other,
}

/// The mode of a new file or directory, less the umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Only for this user: 0600, and 0700 for a directory.
    Private,
    /// 0644, and 0755 for a directory.
    Plain,
    /// 0755.
    Executable,
}
