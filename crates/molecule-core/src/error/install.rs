//! Why an install failed, and what became of the version before.

use std::fmt;
use std::path::{Path, PathBuf};

use molecule_plugin::{EntryRef, Refusal, Rule};

/// The part of an [`Error`](crate::Error) that only installs have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFailure {
    pub(super) refusal: Option<Refusal>,
    pub(super) earlier: EarlierVersion,
    /// Where it is, if that is not its place.
    pub(super) earlier_at: Option<PathBuf>,
}

/// What became of the version that was installed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EarlierVersion {
    /// It is where it was, byte for byte. If it had to make room, it was put back.
    Kept,
    /// It made room and could not be put back: it is whole, but [elsewhere](InstallFailure::earlier_at). Whatever is done
    /// with the plugin next puts it back first.
    Displaced,
    /// There was none, and there is none now.
    None,
    /// The new version is in its place; the failure came after that.
    Replaced,
    /// Nobody looked: the failure came first. Nothing was touched.
    Unseen,
}

impl InstallFailure {
    /// The rule that the archive broke; `None` where something else failed, such as the network or the disk.
    pub fn rule(&self) -> Option<Rule> {
        self.refusal.as_ref().map(Refusal::rule)
    }

    /// The entry of the archive that broke it, where it was one.
    pub fn entry(&self) -> Option<&EntryRef> {
        self.refusal.as_ref().and_then(Refusal::entry)
    }

    /// What became of the version before.
    pub fn earlier(&self) -> EarlierVersion {
        self.earlier
    }

    /// Where that version lies while it is [`Displaced`](EarlierVersion::Displaced).
    pub fn earlier_at(&self) -> Option<&Path> {
        self.earlier_at.as_deref()
    }
}

/// What became of the version before, as a clause.
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
