//! `POST` and `GET /workspaces/:id/memories` (contract section 18.1; April 11): an agent's notes.

use serde::{Deserialize, Serialize};

use crate::lenient::or_default;
use crate::time::UnixTime;
use crate::words::words;

words! {
    /// Who may read a note.
    MemoryScope {
        /// The workspace itself.
        Local = "LOCAL" | "local",
        /// Its parent, its siblings and itself.
        Team = "TEAM" | "team",
        /// The whole organisation. Only a workspace without a parent may write there.
        Global = "GLOBAL" | "global",
    }
}

/// Body of `POST /workspaces/:id/memories`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommitMemoryRequest {
    /// The note.
    pub content: String,
    /// Who may read it.
    pub scope: MemoryScope,
}

/// Answer of `POST /workspaces/:id/memories`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommittedMemory {
    /// The note's id.
    pub id: String,
    /// Who may read it.
    pub scope: MemoryScope,
}

/// A note, as `GET /workspaces/:id/memories` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Memory {
    /// The note's id.
    pub id: String,
    /// The note. April's server begins a GLOBAL one with `[MEMORY id=… scope=GLOBAL from=…]: `.
    pub content: String,
    /// Who may read it.
    pub scope: MemoryScope,
    /// When it was written.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub created_at: Option<UnixTime>,
    /// The workspace that wrote it. On April's server only.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "or_default")]
    pub workspace_id: Option<String>,
}

impl CommitMemoryRequest {
    /// A note that these may read.
    pub fn new(content: impl Into<String>, scope: MemoryScope) -> Self {
        Self { content: content.into(), scope }
    }
}

impl CommittedMemory {
    /// The answer for a note with this id.
    pub fn new(id: impl Into<String>, scope: MemoryScope) -> Self {
        Self { id: id.into(), scope }
    }
}

impl Memory {
    /// A note that was written at this time.
    pub fn new(id: impl Into<String>, content: impl Into<String>, scope: MemoryScope, created_at: UnixTime) -> Self {
        Self { id: id.into(), content: content.into(), scope, created_at: Some(created_at), workspace_id: None }
    }

    /// Sets the workspace that wrote it.
    #[must_use]
    pub fn workspace_id(mut self, id: impl Into<String>) -> Self {
        self.workspace_id = Some(id.into());
        self
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_note_is_read_from_both_servers() {
        let april = json!({"id": "m-1", "workspace_id": "w-1", "content": "note", "scope": "LOCAL", "namespace": "general",
                           "created_at": "2026-11-22T22:24:19.275168Z"});
        let current = json!({"id": "m-1", "content": "note", "scope": "MOON", "created_at": null});
        let read = |value| serde_json::from_value::<Memory>(value).unwrap();
        assert_eq!(read(april).workspace_id.as_deref(), Some("w-1"));
        assert_eq!(read(current).scope, MemoryScope::Other("MOON".to_owned()));
    }
}
