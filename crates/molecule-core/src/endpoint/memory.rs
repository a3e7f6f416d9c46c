//! The endpoints of an agent's notes (contract section 18.1; April 11).

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use molecule_proto::{CommitMemoryRequest, CommittedMemory, Memory, MemoryScope, Rows, WorkspaceId, path, refuse_nul};

use super::{Endpoint, Mismatch, Repeat, json, rows};
use crate::error::{Error, ErrorKind, Result};
use crate::session::{Auth, Draft};

/// `POST /workspaces/:self/memories`: keeps a note. `Unsupported` where the server has no plugin for them, and `Refused`
/// for a GLOBAL note of a workspace that has a parent.
///
/// Every request makes a note of its own. One that may have arrived is therefore not sent again.
#[derive(Clone, PartialEq, Eq)]
pub struct CommitMemory(pub CommitMemoryRequest);

impl CommitMemory {
    /// Keeps a note that these may read.
    pub fn new(content: impl Into<String>, scope: MemoryScope) -> Self {
        Self(CommitMemoryRequest::new(content, scope))
    }
}

impl Endpoint for CommitMemory {
    type Answer = CommittedMemory;
    const OPERATION: &'static str = "commit a memory";
    const REPEAT: Repeat = Repeat::OnlyUnsent;
    const SHAPE: &'static str = "an object with id and scope";
    const EVERYWHERE: bool = true;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        refuse_nul("the memory", &self.0.content)?;
        Draft::new(Method::POST, path::memories(workspace, &[]), Auth::Bearer).json(&self.0)
    }

    fn refine(&self, error: Error) -> Error {
        without_plugin(error)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        json(answer)
    }
}

impl std::fmt::Debug for CommitMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommitMemory({} bytes, {})", self.0.content.len(), self.0.scope)
    }
}

/// `GET /workspaces/:self/memories`: the newest notes, at most 50, in at most 4 MiB. `Unsupported` where the server has no
/// plugin for them.
///
/// Only April's server honours the options; the current one ignores them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memories {
    /// Only notes of this scope; the workspace's own without one.
    pub scope: Option<MemoryScope>,
    /// Only notes with these words, which the server takes as English.
    pub query: Option<String>,
}

impl Memories {
    /// Lists only notes of this scope.
    #[must_use]
    pub fn scope(mut self, scope: MemoryScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// Lists only notes with these words.
    #[must_use]
    pub fn query(mut self, words: impl Into<String>) -> Self {
        self.query = Some(words.into());
        self
    }
}

impl Endpoint for Memories {
    type Answer = Rows<Memory>;
    const OPERATION: &'static str = "list memories";
    const REPEAT: Repeat = Repeat::Always;
    const SHAPE: &'static str = "a list";
    const EVERYWHERE: bool = true;
    const MAX_BODY: u64 = 4 * 1024 * 1024;

    fn draft(&self, workspace: &WorkspaceId) -> Result<Draft> {
        let pairs = [("scope", self.scope.as_ref().map(MemoryScope::as_str)), ("q", self.query.as_deref())];
        let query: Vec<_> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        Ok(Draft::new(Method::GET, path::memories(workspace, &query), Auth::Bearer))
    }

    fn refine(&self, error: Error) -> Error {
        without_plugin(error)
    }

    fn decode(&self, answer: &Response<Bytes>) -> Result<Self::Answer, Mismatch> {
        rows(answer)
    }
}

/// A server without the plugin says so with 503, which does not pass by itself.
fn without_plugin(error: Error) -> Error {
    let says = error.server_message().is_some_and(|message| message.starts_with("memory plugin is not configured"));
    if error.status() != Some(StatusCode::SERVICE_UNAVAILABLE) || !says {
        return error;
    }
    error
        .of_kind(ErrorKind::Unsupported, "this server keeps no memories: its memory plugin is not configured")
        .retryable(false)
        .remedy("keep the note elsewhere, or have the platform's operator set MEMORY_PLUGIN_URL")
}
