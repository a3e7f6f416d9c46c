//! The values of a fleet's keys. Each has a nonce, by which its writer knows it again and by which a store that went back is
//! told: revisions repeat then, nonces do not.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::names::MemberId;

/// `cfg`: what all members must agree on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ConfigRecord {
    pub(super) version: u32,
    pub(super) parts: u16,
    pub(super) ttl_ms: u64,
    pub(super) nonce: u64,
}

/// `m.<member>`: a member that renews it, or its fence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MemberRecord {
    pub(super) epoch: u64,
    pub(super) nonce: u64,
    pub(super) beat: u64,
    /// The share that it takes, in relation to the others'; 0 if it takes nothing more.
    pub(super) capacity: u32,
    /// Where people find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    /// Who fenced it. No claim of a fenced member counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fenced_by: Option<MemberId>,
}

/// `c.<workspace>.<part>`: who runs it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClaimRecord {
    /// `None` if it was released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) member: Option<MemberId>,
    pub(super) member_epoch: u64,
    pub(super) epoch: u64,
    pub(super) nonce: u64,
}

/// `j.<workspace>.<part>`: what the owners of a claim hand on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JournalRecord {
    /// The epoch of the claim under which it was written.
    pub(super) epoch: u64,
    pub(super) nonce: u64,
    pub(super) journal: String,
}

/// Any of them, to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Config(ConfigRecord),
    Member(MemberRecord),
    Claim(ClaimRecord),
    Journal(JournalRecord),
}

impl Record {
    /// The value with another nonce.
    pub(super) fn encode(&self, nonce: u64) -> Bytes {
        let written = match self.clone() {
            Self::Config(record) => serde_json::to_vec(&ConfigRecord { nonce, ..record }),
            Self::Member(record) => serde_json::to_vec(&MemberRecord { nonce, ..record }),
            Self::Claim(record) => serde_json::to_vec(&ClaimRecord { nonce, ..record }),
            Self::Journal(record) => serde_json::to_vec(&JournalRecord { nonce, ..record }),
        };
        written.expect("the records have text keys and whole numbers").into()
    }
}

/// Reads a value; `None` if it is nonsense, which is a sign of a store that others write to or that went back.
pub(super) fn decode<R: DeserializeOwned>(value: &Bytes) -> Option<R> {
    serde_json::from_slice(value).ok()
}

/// Reads the nonce of any value.
pub(super) fn nonce(value: &Bytes) -> Option<u64> {
    #[derive(Deserialize)]
    struct Nonce {
        nonce: u64,
    }
    decode::<Nonce>(value).map(|read| read.nonce)
}
