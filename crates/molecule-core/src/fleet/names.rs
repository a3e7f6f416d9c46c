//! The names of a fleet: its members, the parts of workspaces that they run, and the keys of both.

use std::fmt;
use std::str::FromStr;

use molecule_proto::WorkspaceId;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The name of a member, of 1 to 64 letters, digits, `-` and `_`. No two processes that run at the same time may have one
/// name; a process that replaces another may keep it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberId(String);

impl MemberId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn key(&self) -> String {
        format!("{MEMBERS}{}", self.0)
    }
}

/// The error for a text that is no member's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("member name {0:?} is not valid: expected 1 to 64 letters, digits, '-' or '_'")]
pub struct MemberIdError(String);

impl FromStr for MemberId {
    type Err = MemberIdError;

    fn from_str(text: &str) -> Result<Self, MemberIdError> {
        let is_well_formed = (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if is_well_formed { Ok(Self(text.to_owned())) } else { Err(MemberIdError(text.chars().take(64).collect())) }
    }
}

impl TryFrom<String> for MemberId {
    type Error = MemberIdError;

    fn try_from(text: String) -> Result<Self, MemberIdError> {
        text.parse()
    }
}

impl From<MemberId> for String {
    fn from(member: MemberId) -> Self {
        member.0
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What one member runs: a workspace, or one part of its senders if the fleet divides them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct PartId {
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The part, counted from 0. Part 0 registers, beats and acknowledges for the whole workspace.
    pub part: u16,
}

impl PartId {
    /// A part of a workspace.
    pub fn new(workspace: WorkspaceId, part: u16) -> Self {
        Self { workspace, part }
    }

    pub(super) fn claim_key(&self) -> String {
        format!("{CLAIMS}{}.{}", self.workspace, self.part)
    }

    pub(super) fn journal_key(&self) -> String {
        format!("j.{}.{}", self.workspace, self.part)
    }
}

impl fmt::Display for PartId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.workspace, self.part)
    }
}

/// Returns the part that handles a sender's messages, the same one in every process and for ever: of a sender's messages no
/// two parts may have one, so that their order holds. People, who have no sender's id, are one sender.
pub fn part_of(sender: Option<&str>, parts: u16) -> u16 {
    let parts = u64::from(parts.max(1));
    u16::try_from(hash(sender.unwrap_or_default()) % parts).expect("less than the number of parts")
}

/// The first 64 bits of SHA-256, which no release of any library changes.
pub(super) fn hash(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
    u64::from_be_bytes(*digest.first_chunk().expect("a SHA-256 has 32 bytes"))
}

pub(super) const CONFIG: &str = "cfg";
pub(super) const MEMBERS: &str = "m.";
pub(super) const CLAIMS: &str = "c.";

/// A key of the store that a member follows.
pub(super) enum Name {
    Member(MemberId),
    Claim(PartId),
}

impl Name {
    /// `None` for every other key.
    pub(super) fn of(key: &str) -> Option<Self> {
        if let Some(member) = key.strip_prefix(MEMBERS) {
            return member.parse().ok().map(Self::Member);
        }
        let (workspace, part) = key.strip_prefix(CLAIMS)?.split_once('.')?;
        Some(Self::Claim(PartId::new(workspace.parse().ok()?, part.parse().ok()?)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_has_one_part_for_ever() {
        let parts: Vec<_> = [None, Some(""), Some("a"), Some("b"), Some("d")].map(|sender| part_of(sender, 4)).to_vec();
        assert_eq!(parts, [0, 0, 2, 2, 1]);
        assert_eq!(part_of(Some("a"), 1), 0);
        assert_eq!(part_of(Some("a"), 0), 0);
    }

    #[test]
    fn a_key_is_read_back_as_what_it_names() {
        let part = PartId::new(WorkspaceId::from_random([7; 16]), 3);
        assert!(matches!(Name::of(&part.claim_key()), Some(Name::Claim(read)) if read == part));
        let member: MemberId = "host-1".parse().unwrap();
        assert!(matches!(Name::of(&member.key()), Some(Name::Member(read)) if read == member));
        assert!(Name::of(&part.journal_key()).is_none() && Name::of(CONFIG).is_none() && Name::of("c.x.y").is_none());
        assert!("a.b".parse::<MemberId>().is_err() && "".parse::<MemberId>().is_err());
    }
}
