//! `/workspaces/:id/memory` (contract section 18.1; April 11): values under keys, each with a version, which a
//! compare-and-set may name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::IdError;
use crate::lenient::or_default;
use crate::time::UnixTime;

/// A key of a workspace's memory that can be written, read and deleted: 1 to 128 letters, digits, `.`, `_` or `-`, the
/// first one a letter or a digit.
///
/// The platform also stores other keys, but one with a `/` can then neither be read nor deleted.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemoryKey(String);

impl MemoryKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MemoryKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let is_well_formed = (1..=128).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if is_well_formed { Ok(Self(text.to_owned())) } else { Err(IdError::memory_key(text)) }
    }
}

impl TryFrom<String> for MemoryKey {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<MemoryKey> for String {
    fn from(key: MemoryKey) -> Self {
        key.0
    }
}

impl fmt::Display for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MemoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryKey({})", self.0)
    }
}

/// An entry of a workspace's memory, as `GET /workspaces/:id/memory/:key` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryEntry {
    /// The key.
    pub key: String,
    /// The value. The platform keeps its meaning, not its spelling: the order of keys and the form of numbers change.
    pub value: Value,
    /// 1 for a new entry, and one more with each write. A deleted entry begins again at 1.
    pub version: u64,
    /// When the entry stops being shown.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub expires_at: Option<UnixTime>,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub updated_at: Option<UnixTime>,
}

impl MemoryEntry {
    /// An entry that does not expire.
    pub fn new(key: impl Into<String>, value: Value, version: u64, updated_at: UnixTime) -> Self {
        Self { key: key.into(), value, version, expires_at: None, updated_at: Some(updated_at) }
    }

    /// Sets the moment at which the entry stops being shown.
    #[must_use]
    pub fn expires_at(mut self, at: UnixTime) -> Self {
        self.expires_at = Some(at);
        self
    }
}

/// Body of `POST /workspaces/:id/memory`, a compare-and-set. Without the version the platform would overwrite whatever is
/// there, so that it is not optional here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetMemoryRequest {
    /// The key.
    pub key: MemoryKey,
    /// The new value.
    pub value: Value,
    /// The version of the entry that is replaced; 0 if there must be none.
    pub if_match_version: u64,
}

impl SetMemoryRequest {
    /// Replaces the entry with this version; creates one if the version is 0.
    pub fn new(key: MemoryKey, value: Value, if_match_version: u64) -> Self {
        Self { key, value, if_match_version }
    }
}

/// Answer of `POST /workspaces/:id/memory`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SetMemoryAnswer {
    /// `ok`.
    pub status: String,
    /// The key.
    pub key: String,
    /// The version of the new entry.
    pub version: u64,
}

impl SetMemoryAnswer {
    /// The answer for a new version of an entry.
    pub fn new(key: impl Into<String>, version: u64) -> Self {
        Self { status: "ok".to_owned(), key: key.into(), version }
    }
}

/// The 409 for a write with another version than the entry's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemoryConflict {
    /// What is wrong, which begins with `if_match_version mismatch`.
    pub error: String,
    /// The version that the write named.
    pub expected_version: i64,
    /// The version of the entry; `None` if there is none.
    pub current_version: Option<u64>,
}

impl MemoryConflict {
    /// The refusal of a write that named this version.
    pub fn new(expected_version: i64, current_version: Option<u64>) -> Self {
        let error = match current_version {
            Some(_) => "if_match_version mismatch",
            None => "if_match_version mismatch: key does not exist",
        };
        Self { error: error.to_owned(), expected_version, current_version }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_is_one_segment_of_a_path() {
        for good in ["k", "molecule.fleet.lease", "a-b_c.9", &"k".repeat(128)] {
            assert_eq!(good.parse::<MemoryKey>().unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "..", ".", "a b", "ü", "a\0", "-", &"k".repeat(129)] {
            let error = bad.parse::<MemoryKey>().unwrap_err().to_string();
            assert!(error.contains("memory key"), "{error}");
        }
    }

    #[test]
    fn bodies_are_those_of_the_recordings() {
        let request = SetMemoryRequest::new("k".parse().unwrap(), json!(2), 99);
        assert_eq!(json!(request), json!({"key": "k", "value": 2, "if_match_version": 99}));
        let entry = json!({"key": "k", "value": {"a": 1}, "version": 1, "updated_at": "2026-11-22T22:24:19.25758Z"});
        assert_eq!(json!(serde_json::from_value::<MemoryEntry>(entry.clone()).unwrap()), entry);
        let conflict = json!({"current_version": 1, "error": "if_match_version mismatch", "expected_version": 99});
        assert_eq!(json!(MemoryConflict::new(99, Some(1))), conflict);
        assert_eq!(json!(SetMemoryAnswer::new("k", 1)), json!({"key": "k", "status": "ok", "version": 1}));
    }
}
