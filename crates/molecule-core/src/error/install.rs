//! The details of a failed install: the broken rule, and what became of the earlier version.

use std::fmt;
use std::path::{Path, PathBuf};

use molecule_plugin::{EntryRef, Refusal, Rule};

/// The part of an [`Error`](crate::Error) that only a failed install has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFailure {
    pub(super) refusal: Option<Refusal>,
    pub(super) earlier: EarlierVersion,
    /// Where the earlier version is, if it is not in its place.
    pub(super) earlier_at: Option<PathBuf>,
}

/// What became of the version that was installed before the failed install.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EarlierVersion {
    /// It is in its place, byte for byte. If it was moved, it was put back.
    Kept,
    /// It was moved and could not be put back: it is complete, but in [another place](InstallFailure::earlier_at). The
    /// next operation on the plugin puts it back first.
    Displaced,
    /// No version was installed before, and none is installed now.
    None,
    /// The new version is in its place; the install failed after that.
    Replaced,
    /// Unknown: the install failed before it looked for an earlier version. Nothing was changed.
    Unseen,
}

impl InstallFailure {
    /// Returns the rule that the archive broke; `None` if something else failed, such as the network or the disk.
    pub fn rule(&self) -> Option<Rule> {
        self.refusal.as_ref().map(Refusal::rule)
    }

    /// Returns the entry of the archive that broke the rule, if it was an entry.
    pub fn entry(&self) -> Option<&EntryRef> {
        self.refusal.as_ref().and_then(Refusal::entry)
    }

    /// Returns what became of the earlier version.
    pub fn earlier(&self) -> EarlierVersion {
        self.earlier
    }

    /// Returns the path of the earlier version while it is [`Displaced`](EarlierVersion::Displaced).
    pub fn earlier_at(&self) -> Option<&Path> {
        self.earlier_at.as_deref()
    }
}

/// Writes what became of the earlier version, as a clause.
impl fmt::Display for InstallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.earlier_at {
            Some(path) => write!(
                f,
                "{}: it is whole in {}, and whatever is done with the plugin next puts it back first",
                self.earlier,
                path.display()
            ),
            None => self.earlier.fmt(f),
        }
    }
}

impl fmt::Display for EarlierVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "the earlier version is untouched",
            Self::Displaced => "the earlier version is not in its place",
            Self::None => "nothing is installed",
            Self::Replaced => "the new version is in its place",
            Self::Unseen => "nothing was touched",
        })
    }
}
