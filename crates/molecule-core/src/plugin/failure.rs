//! Why an install failed, and what became of the version before.

use std::fmt;

use super::refusal::{EntryRef, Refusal};
use super::rule::Rule;

/// The part of an [`Error`](crate::Error) that only installs have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallFailure {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) earlier: EarlierVersion,
}

/// What became of the version that was installed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EarlierVersion {
    /// It is where it was, byte for byte.
    Kept,
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
}

impl fmt::Display for EarlierVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "the earlier version is untouched",
            Self::None => "nothing is installed",
            Self::Replaced => "the new version is in its place",
            Self::Unseen => "nothing was touched",
        })
    }
}
