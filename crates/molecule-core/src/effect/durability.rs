//! How much of what was written survives a power cut.

/// How much of what was written survives a power cut. A process that dies loses nothing that was written, in either
/// case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// Only what the operating system has written by then: files of a plugin that was just installed may be empty, and
    /// a record may be missing, or be cut, that was just appended. The plugin can be fetched again.
    #[default]
    None,
    /// All of it, which costs a flush of the disk. A plugin's files are flushed before it is put in its place, and the
    /// rename is flushed before the install ends. A record is flushed before its append ends.
    Sync,
}
